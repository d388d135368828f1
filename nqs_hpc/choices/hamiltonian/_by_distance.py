"""What Hamiltonians with interactions by distance require of a lattice, and report about it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.inputs.checks import bad
from nqs_hpc.system import shells
from nqs_hpc.system.distances import Measure, distance, pairs_within
from nqs_hpc.system.lattice import Lattice

MOST_COUNTED = 1024  # sites, up to which all pairs are compared again for a line at the start of a run


def check_lattice(name: str, lattice: Lattice, *, most: int, what: str) -> None:
    """InputError if the sites of hamiltonian=``name`` have no distances, or there are more than ``most``."""
    if lattice.edges is not None:
        valid = f"another lattice, or lattice=points with a file of positions: {what} interact by distance"
        raise bad("lattice", lattice.name, f"with hamiltonian={name} {valid}")
    if lattice.double_bonds:
        valid = f"false with hamiltonian={name}, where a pair of {what} counts once, by its nearest image"
        raise bad("lattice.double_bonds", True, valid)
    if lattice.n_sites > most:
        raise bad("hamiltonian", name, f"at most {most} {what}, and the lattice has {lattice.n_sites}")


def check_cutoff(cutoff: float | None, lattice: Lattice, what: str, by: Measure = distance) -> None:
    """InputError if no two sites are within ``cutoff``."""
    if cutoff is not None and not len(pairs_within(lattice, cutoff, by)[0]):
        nearest = float(pairs_within(lattice, None, by)[1].min())
        raise bad("hamiltonian.cutoff", cutoff, f"null, or at least {nearest:g}, the distance of the nearest {what}")


def lines(cutoff: float | None, lattice: Lattice, what: str, by: Measure = distance) -> list[str]:
    """The line for the start of a run: the number of sites and of interacting pairs."""
    return [f"lattice: {lattice.n_sites} sites{_pairs(cutoff, lattice, what, by)}"]


def _pairs(cutoff: float | None, lattice: Lattice, what: str, by: Measure) -> str:
    if lattice.n_sites == 1 or lattice.n_sites > MOST_COUNTED:
        return ""
    _, lengths = pairs_within(lattice, cutoff, by)
    words = f", {len(lengths)} pairs of {what} {_apart(lengths)} apart"
    if cutoff is None:
        return words
    _, further = pairs_within(lattice, cutoff * (1 + shells.TOLERANCE), by)
    if n := len(further) - len(lengths):
        words += f"; {n} more, {further[further > lengths.max()].min():.6g} apart, are just beyond "
        words += f"hamiltonian.cutoff={cutoff:g}"
    return words


def _apart(lengths: NDArray[np.float64]) -> str:
    return f"{lengths.min():#.5g} to {lengths.max():#.5g}"
