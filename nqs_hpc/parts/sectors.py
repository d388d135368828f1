"""Which symmetries of its lattice a Hamiltonian has, asked of its matrix elements in the physical basis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.config.all_sectors import Symmetries
from nqs_hpc.config.schema import Config
from nqs_hpc.config.symmetrize import key_of_group
from nqs_hpc.inputs.checks import bad
from nqs_hpc.operators.symmetric import broken
from nqs_hpc.parts.symmetry import check_symmetry
from nqs_hpc.system.characters import Symmetry, point_irreps
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.symmetry import translations
from nqs_hpc.types import Operator

Perms = NDArray[np.int32]


def symmetries(config: Config) -> Symmetries:
    """Of a resolved configuration: the group that it names, else the largest one of the lattice that H has.

    Raises InputError where H lacks the group that is named, or where there is no symmetry at all.
    """
    lattice = config.make_sites()
    written = config.hamiltonian.as_written()
    operator = written.make(lattice, None)
    hilbert = config.hamiltonian.space(lattice.n_sites, config.sector)
    one = np.arange(lattice.n_sites, dtype=np.int32)[None]
    flips = not hilbert.total and set(hilbert.local_values) == {1, -1} and _has(operator, hilbert, one, -1)
    of_file: Perms | None = None
    relating = one
    if config.symmetrize.permutations is not None:
        of_file = np.array(config.symmetrize.permutations, dtype=np.int32)
        _check(config, operator, hilbert, of_file)
        group: str | None = "file"
    else:
        key, given = key_of_group(config)
        group = given if key.endswith(".group") else None
        moves, points = _of_lattice(lattice)
        if group is not None:
            named = {"translations": moves, "point_group": points, "space_group": np.concatenate([moves, points])}
            _check(config, operator, hilbert, named[group])
        has_moves, has_points = (_has(operator, hilbert, perms, 1) for perms in (moves, points))
        relating = points if has_points else one
        if group is None:
            groups = {(True, True): "space_group", (True, False): "translations", (False, True): "point_group"}
            group = groups.get((has_moves and len(moves) > 1, has_points and len(points) > 1))
    if group is None and not flips:
        raise bad("symmetrize", "all", "a Hamiltonian with a symmetry of its lattice or under the flip of all spins")
    return Symmetries(group, flips, relating, operator.is_real, of_file)


def _of_lattice(lattice: Lattice) -> tuple[Perms, Perms]:
    """Translations by one cell, and point operations; the identity is the first of both."""
    one = np.arange(lattice.n_sites, dtype=np.int32)[None]
    if lattice.edges is not None:
        return one, one
    extent = [length for length, closed in zip(lattice.extent, lattice.pbc, strict=True) if closed]
    steps = [0, *(int(np.prod(extent[:i], initial=1)) for i, length in enumerate(extent) if length > 1)]
    points = one if lattice.name == "points" else point_irreps(lattice)[0]
    return translations(lattice)[steps], points


def _has(operator: Operator, hilbert: Hilbert, perms: Perms, flip: int) -> bool:
    return broken(operator, hilbert, _elements(perms, flip)) is None


def _check(config: Config, operator: Operator, hilbert: Hilbert, perms: Perms) -> None:
    check_symmetry(config, _elements(perms, 1), operator, hilbert)


def _elements(perms: Perms, flip: int) -> Symmetry:
    return Symmetry(perms, np.full(len(perms), flip, dtype=np.int8), np.ones(len(perms), dtype=np.complex128))
