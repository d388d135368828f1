"""Wave functions as they are physically, of any ansatz in any basis.

    psi(s) = U(s) phi(s) inside of the space, 0 outside,

with phi the ansatz and U the signs of basis states (`system.basis`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.parallel.chunk import chunked_map
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import Hilbert, base_state, groups, is_restricted, members, violates
from nqs_hpc.types import Ansatz, Tree

CANDIDATES = 64  # states of which the likeliest sets constants that only serve numerics

LogPsi = Callable[[Array], Array]  # s_BN -> (B,) complex


class State(NamedTuple):
    """A wave function whose parameters stay as they are."""

    ansatz: Ansatz
    params: Tree
    basis: Basis


def log_amplitudes(state: State, *, chunk: int | None) -> LogPsi:
    """``s_BN -> log psi(s)``, (B,) complex128, not normalised; -inf outside of the space of the state."""

    def log_psi(s_BN: Array) -> Array:
        log_B = chunked_map(lambda s_N: state.ansatz.log_psi(state.params, s_N), s_BN, chunk).astype(jnp.complex128)
        log_B = log_B + 1j * jnp.pi * is_negative(state.basis, s_BN)
        return jnp.where(inside(state.basis.hilbert, s_BN), log_B, -jnp.inf)

    return log_psi


def is_negative(basis: Basis, s_BN: Array) -> Array:
    """Whether U(s) is -1, (B,) bool: `system.basis.signs_of_states` in jax."""
    if basis.signs_N is None:
        return jnp.zeros(len(s_BN), bool)
    first, second = (*basis.hilbert.local_values, basis.hilbert.local_values[0] + 1)[:2]
    digits_BN = (s_BN.astype(jnp.int32) - first) // (second - first)
    odd_BN = (digits_BN % 2 == 1) & jnp.asarray(basis.signs_N < 0)[None]
    return jnp.sum(odd_BN, axis=1) % 2 == 1


def inside(hilbert: Hilbert, s_BN: Array) -> Array:
    """Which configurations of valid local values are states, (B,) bool: `system.hilbert.members` in jax."""
    found = ~violates(hilbert, s_BN) if is_restricted(hilbert) else jnp.ones(len(s_BN), bool)
    for sites, total in groups(hilbert):
        if total is not None:
            found &= jnp.sum(s_BN[:, np.array(sites)].astype(jnp.int32), axis=1) == total
    return found


def candidates(hilbert: Hilbert, n: int = CANDIDATES) -> NDArray[np.int8]:
    """States of the space (n, N), by a fixed seed: `base_state`, then random ones, those of a total made from it by
    steps of one local value that two sites exchange; one that breaks an exclusion is `base_state` again.
    """
    generator = np.random.default_rng(0)
    first_N, values = base_state(hilbert), np.array(hilbert.local_values)
    s_nN = np.repeat(first_N[None], n, axis=0)
    for sites, total in groups(hilbert):
        place = np.array(sites)
        for row in s_nN[1:]:
            if total is None:
                row[place] = generator.choice(values, len(place))
                continue
            row[place] = generator.permutation(row[place])
            for i, j in generator.choice(place, (2 * len(place), 2)):
                up, down = (int(np.flatnonzero(values == row[site])[0]) for site in (i, j))
                if i != j and up + 1 < len(values) and down > 0:
                    row[i], row[j] = values[up + 1], values[down - 1]
    s_nN[~members(hilbert, s_nN)] = first_N
    return s_nN


def likeliest(log_B: Array, s_BN: Array) -> tuple[Array, Array]:
    """The state (N,) with the largest real part of ``log_B``, and that entry; NaN and -inf last."""
    best = jnp.argmax(jnp.where(jnp.isnan(jnp.real(log_B)), -jnp.inf, jnp.real(log_B)))
    return s_BN[best], log_B[best]
