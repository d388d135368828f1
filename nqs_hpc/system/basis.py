"""The basis of an ansatz, whose states may differ from the physical ones by signs.

    psi(s) = U(s) phi(s),     U(s) = prod_{i in A} s_i for spins,     U(s) = prod_{i in A} (-1)^{n_i} for bosons,

in general prod_{i in A} (-1)^{d_i} with d_i the number of the local value (of a spin S: S - m_i), with psi the physical
wave function, phi that of the ansatz, and A a set of sites: one sublattice for Marshall's rule. A symmetry g with the
character chi(g) for psi, psi(g s) = chi(g) psi(s), has chi(g) U(g s) / U(s) for phi. With B the sites that g maps to A,
the quotient is the product of the signs on sites that are in exactly one of A and B. It is the same for all states if
there are no such sites, or if all sites are such and the total is fixed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nqs_hpc.system.fermion_strings import FermionString
from nqs_hpc.system.hilbert import Hilbert


class Basis(NamedTuple):
    """The basis in which an ansatz is a function."""

    hilbert: Hilbert
    signs_N: NDArray[np.int8] | None = None  # -1 on the sites of A, 1 on the others; None: the physical basis
    key: str | None = None  # the key of the configuration that put the signs there
    fermions: tuple[FermionString, ...] = ()  # the Hamiltonian in operators of fermions, which gives initial orbitals


def signs_of_states(basis: Basis, s: ArrayLike) -> NDArray[np.int8]:
    """U(s) of configurations (..., N): (...), +1 or -1."""
    values = np.asarray(s, dtype=np.int8)
    if basis.signs_N is None:
        return np.ones(values.shape[:-1], dtype=np.int8)
    odd = _is_odd(values, basis) & (basis.signs_N < 0)
    return (1 - 2 * (odd.sum(axis=-1) % 2)).astype(np.int8)


def signs_of_permutations(basis: Basis, perms: NDArray[np.integer]) -> NDArray[np.int8]:
    """U(g s) / U(s) of each permutation (G, N): +1 or -1, and 0 if it depends on s."""
    if basis.signs_N is None:
        return np.ones(len(perms), dtype=np.int8)
    differ = basis.signs_N[perms] != basis.signs_N[None, :]
    hilbert = basis.hilbert
    first, step = _numbering(hilbert)
    of_all = 0 if hilbert.total is None else (-1) ** ((hilbert.total - hilbert.n_sites * first) // step)
    return np.where(~differ.any(axis=1), 1, np.where(differ.all(axis=1), of_all, 0)).astype(np.int8)


def sign_of_flip(basis: Basis) -> int:
    """U(-s) / U(s) for the flip of all spins."""
    if basis.signs_N is None:
        return 1
    two_s = len(basis.hilbert.local_values) - 1  # d goes to 2S - d
    return (-1) ** (two_s * int((basis.signs_N < 0).sum()))


def _is_odd(values: NDArray[np.int8], basis: Basis) -> NDArray[np.bool_]:
    """Whether a local value has the sign -1: a spin 1/2 that is down, an odd number of bosons."""
    first, step = _numbering(basis.hilbert)
    return np.asarray((values.astype(np.int64) - first) // step % 2 == 1)


def _numbering(hilbert: Hilbert) -> tuple[int, int]:
    """The first local value and the step to the next; they are evenly spaced."""
    first, second = (*hilbert.local_values, hilbert.local_values[0] + 1)[:2]
    return first, second - first
