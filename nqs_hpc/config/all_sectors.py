"""All symmetry sectors of a lattice: one momentum of each star, its irreducible representations, the spin flip.

The names are physical, those that ``symmetrize`` takes. A momentum k and those that the point operations make of it
have the same energies, and so have k and -k where H is real; one of them is listed, the one of the smallest numbers.
A d-dimensional representation of the operations that keep k, one of m momenta, belongs to levels that are d m times
degenerate. The numbers of states of all sectors, each times m, add up to those of the whole space.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system.characters import (
    Characters,
    generic_irreps,
    momentum,
    point_irreps,
    space_group,
    stars,
    with_spin_flip,
)
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.symmetry import translations
from nqs_hpc.system.traces import dimension_of, traces

Momentum = tuple[int, ...]


class Symmetries(NamedTuple):
    """What a Hamiltonian has of the symmetries that a wave function can be summed over."""

    group: str | None  # translations, point_group, space_group, file; None: nothing but the flip
    flips: bool  # whether it, and the space, is the same for flipped spins
    relating: NDArray[np.int32]  # (P, N) point operations of it, the identity among them
    is_real: bool
    file: NDArray[np.int32] | None = None  # (G, N) of group=file


class Sector(NamedTuple):
    """One sector; None if the group does not have such a name."""

    momentum: Momentum | None
    star: int  # momenta with the same energies
    irrep: str | None
    dimension: int  # of the irrep
    spin_flip: int | None
    n_states: int | None  # at this one momentum; None if they cannot be counted


def all_sectors(lattice: Lattice, hilbert: Hilbert, has: Symmetries) -> list[Sector]:
    """Every sector, also those without a state; the trivial one first."""
    found = []
    for k, star, perms, irreps in _representations(lattice, has):
        parities = (1, -1) if has.flips else (None,)
        fermionic = hilbert.fermionic
        group = with_spin_flip(perms, np.ones(len(perms), dtype=np.complex128), parities[0], fermionic=fermionic)
        trace_G = _traces(group.perms, group.flips, hilbert)
        for flip in parities:
            for name, characters in irreps.items():
                symmetry = with_spin_flip(perms, characters, flip, fermionic=fermionic)
                n = None if trace_G is None else dimension_of(symmetry, trace_G)
                irrep = None if has.group in (None, "translations") else name
                found.append(Sector(k, star, irrep, symmetry.dimension, flip, n))
    return found


def _representations(
    lattice: Lattice, has: Symmetries
) -> list[tuple[Momentum | None, int, NDArray[np.int32], dict[str, Characters]]]:
    """Momentum, the size of its star, the permutations that keep it, and their characters by name."""
    if has.group == "file":
        assert has.file is not None
        return [(None, 1, has.file, generic_irreps(has.file))]
    if has.group == "point_group":
        return [(None, 1, *point_irreps(lattice))]
    if has.group is None:
        one = np.arange(lattice.n_sites, dtype=np.int32)[None]
        return [(None, 1, one, {"A": np.ones(1, dtype=np.complex128)})]
    found = []
    for star in stars(lattice, has.relating, with_opposite=has.is_real):
        k = star[0]
        if has.group == "translations":
            perms, irreps = translations(lattice), {"": momentum(lattice, k)}
        else:
            perms, irreps = space_group(lattice, k)
        found.append((k or None, len(star), perms, irreps))
    return found


def _traces(perms: NDArray[np.int32], flips: NDArray[np.int8], hilbert: Hilbert) -> list[int] | None:
    """None if they cannot be counted: with many exclusions, or beyond what a float holds."""
    try:
        found = traces(perms, flips, hilbert)
        float(max(found))
    except (ValueError, OverflowError):
        return None
    return found


def words(sector: Sector) -> str:
    """A sector in words: momentum [1, 0], irrep A1, spin flip 1."""
    named = {"momentum": sector.momentum, "irrep": sector.irrep, "spin flip": sector.spin_flip}
    told = [f"{name} {list(v) if isinstance(v, tuple) else v}" for name, v in named.items() if v is not None]
    return ", ".join(told) or "all states"
