"""Which symmetries of its lattice a Hamiltonian has, asked of its matrix elements in the physical basis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.config.all_sectors import Symmetries
from nqs_hpc.config.schema import Config
from nqs_hpc.config.symmetrize import key_of_group
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.operators.symmetric import broken
from nqs_hpc.parts.symmetry import check_symmetry
from nqs_hpc.system.automorphisms import is_searched
from nqs_hpc.system.characters import Symmetry, may_flip, point_irreps
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.layers import exchanged
from nqs_hpc.system.symmetry import translations

Perms = NDArray[np.int32]


def symmetries(config: Config) -> Symmetries:
    """Of a resolved configuration: the group that it names, else the largest one of the lattice that H has.

    Raises InputError where H lacks the group that is named, or where there is no symmetry at all.
    """
    lattice = config.make_sites()
    operator = config.hamiltonian.as_written().make(lattice, None)
    hilbert = config.hamiltonian.space(lattice.n_sites, config.sector)
    one = np.arange(lattice.n_sites, dtype=np.int32)[None]
    moves, points = _of_lattice(lattice)
    flip = _elements(one, -1)
    if hilbert.fermionic:
        flip = _elements(exchanged(lattice.n_sites)[None], 1)
    flips = may_flip(hilbert, lattice)
    key, given = key_of_group(config)
    group: str | None = given if key.endswith(".group") else None
    of_file: Perms | None = None
    if config.symmetrize.permutations is not None:
        group, of_file = "file", np.array(config.symmetrize.permutations, dtype=np.int32)
        check_symmetry(config, _elements(of_file, 1), operator, hilbert)
    elif group is not None:
        named = {"translations": moves, "point_group": points, "space_group": np.concatenate([moves, points])}
        check_symmetry(config, _elements(named[group], 1), operator, hilbert)

    asked = [_elements(moves, 1), _elements(points, 1), *([flip] if flips else [])]
    everything = Symmetry(*(np.concatenate(part) for part in zip(*asked, strict=True)))
    has = [True] * len(asked)
    if broken(operator, hilbert, everything) is not None:  # one program where nothing is: compiling takes the time
        has = [broken(operator, hilbert, part) is None for part in asked]
    flips = flips and has[2]
    if group is None:
        groups = {(True, True): "space_group", (True, False): "translations", (False, True): "point_group"}
        group = groups.get((has[0] and len(moves) > 1, has[1] and len(points) > 1))
    if group is None and not flips:
        raise bad("symmetrize", "all", "a Hamiltonian with a symmetry of its lattice or under the flip of all spins")
    return Symmetries(group, flips, points if has[1] else one, operator.is_real, of_file)


def _of_lattice(lattice: Lattice) -> tuple[Perms, Perms]:
    """Translations by one cell, and point operations; the identity is the first of both."""
    one = np.arange(lattice.n_sites, dtype=np.int32)[None]
    if is_searched(lattice):
        return one, one_line("symmetrize", "all", lambda: point_irreps(lattice)[0])
    extent = [length for length, closed in zip(lattice.extent, lattice.pbc, strict=True) if closed]
    steps = [0, *(int(np.prod(extent[:i], initial=1)) for i, length in enumerate(extent) if length > 1)]
    return translations(lattice)[steps], point_irreps(lattice)[0]


def _elements(perms: Perms, flip: int) -> Symmetry:
    return Symmetry(perms, np.full(len(perms), flip, dtype=np.int8), np.ones(len(perms), dtype=np.complex128))
