"""Small systems of fermions that tests share, and permutations of modes as matrices, from creation operators alone."""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from nqs_hpc.operators.pauli import pauli
from nqs_hpc.system.fermion_strings import hop, jordan_wigner, number
from nqs_hpc.system.hilbert import Hilbert, codes, decode
from nqs_hpc.system.lattice import FACTORIES, Lattice, neighbours
from nqs_hpc.system.layers import layered, one_layer
from nqs_hpc.system.spaces import fermions, spinless_fermions
from nqs_hpc.types import Operator


class System(NamedTuple):
    """Fermions that hop between nearest neighbours and repel each other, on a site or with its neighbours."""

    lattice: Lattice  # of the modes
    hilbert: Hilbert
    operator: Operator


@functools.cache
def system(extent: tuple[int, ...], *numbers: int, repulsion: float = 3.0) -> System:
    """On a periodic chain or square: with two numbers a Hubbard model, with one a t-V model."""
    lattice = FACTORIES["chain" if len(extent) == 1 else "square"](extent, (True,) * len(extent))
    n, bonds = lattice.n_sites, neighbours(lattice, 1).tolist()
    if len(numbers) == 2:
        lattice = layered(lattice, 2)
        hilbert = fermions(n, *numbers)
        strings = [string for i, j in bonds for spin in (0, n) for string in hop(-1.0, i + spin, j + spin)]
        strings += [number(repulsion, i, i + n) for i in range(n)]
    else:
        hilbert = spinless_fermions(n, *numbers)
        strings = [string for i, j in bonds for string in hop(-1.0, i, j)]
        strings += [number(repulsion, i, j) for i, j in bonds]
    assert one_layer(lattice).n_sites == n
    return System(lattice, hilbert, pauli(lattice.n_sites, jordan_wigner(strings), first=0))


def created(modes: list[int]) -> tuple[int, tuple[int, ...]]:
    """c^dagger of the modes, from left to right, on the vacuum: a sign, and the occupied modes in order.

    The rightmost acts first; each has to pass those in front of its place, one sign each.
    """
    sign, state = 1, []
    for mode in reversed(modes):
        passed = sum(other < mode for other in state)
        sign *= (-1) ** passed
        state.insert(passed, mode)
    return sign, tuple(state)


def representation(hilbert: Hilbert, perm: np.ndarray, *, signed: bool = True) -> np.ndarray:
    """(n, n) U of U |s> = sign |g s>, in the order of ``codes(hilbert)``; without the sign where it is not wanted."""
    states = [tuple(np.flatnonzero(s).tolist()) for s in decode(hilbert, codes(hilbert))]
    number_of = {state: i for i, state in enumerate(states)}
    u = np.zeros((len(states), len(states)))
    for column, state in enumerate(states):
        sign, image = created([int(perm[mode]) for mode in state])
        u[number_of[image], column] = sign if signed else 1
    return u
