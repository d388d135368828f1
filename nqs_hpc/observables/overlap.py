"""The overlap of a wave function with another, from samples of one of them.

    F = |<phi|psi>|^2 / (<phi|phi> <psi|psi>) = |<r>|^2 / <|r|^2>,     r(s) = phi(s) / psi(s),

means over |psi|^2. A constant factor of r cancels; it is chosen so that nothing overflows. Both means are of states
where psi is not 0: where psi vanishes, or nearly does, and phi does not, <|r|^2> comes out too small, or from a few
large values, and F too large. Errors are honest where the two are near each other. Exact sums over all states are exact
where psi has no zeros.

The overlap with another state as a mean of ratios: Becca and Sorella 2017, "Quantum Monte Carlo approaches for
correlated systems", ch. 5.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.observables.states import (
    LogPsi,
    State,
    candidates,
    inside,
    is_negative,
    likeliest,
    log_amplitudes,
)
from nqs_hpc.operators import exact
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.characters import Symmetry
from nqs_hpc.system.hilbert import codes
from nqs_hpc.types import Ansatz, Local, Observable, Operator, Output, Tree

OUTPUTS = (Output("fidelity", label="F"), Output("overlap", label="|⟨φ|ψ⟩|"))
SAME_LEVEL = 1e-8  # relative: two levels that differ by less are one


def overlap(basis: Basis, other: LogPsi, *, chunk: int | None) -> Observable:
    """With the state of ``other``, log phi(s) as it is physically; ``basis`` is that of the ansatz that is sampled."""
    tried_nN = candidates(basis.hilbert)

    def prepare(ansatz: Ansatz) -> Any:
        def values(params: Tree, s_BN: Array, time: Array | None = None) -> Array:
            del time
            own = log_amplitudes(State(ansatz, params, basis), chunk=chunk)
            # where both are large; the same on all ranks and in all calls with these parameters
            tried = jnp.asarray(tried_nN)
            both_n = own(tried) + other(tried)
            first_N, largest = likeliest(both_n, tried)
            at_first = (other(first_N[None]) - own(first_N[None]))[0]
            shift = jnp.where(jnp.isfinite(jnp.real(largest)), jnp.real(at_first), 0.0)
            log_psi_B, log_phi_B = own(s_BN), other(s_BN)
            none_B = jnp.isneginf(jnp.real(log_psi_B)) | jnp.isneginf(jnp.real(log_phi_B))
            log_r_B = jnp.where(none_B, 0, log_phi_B - log_psi_B - shift)
            r_B = jnp.where(none_B, 0, jnp.exp(log_r_B))
            return jnp.stack([r_B, (jnp.abs(r_B) ** 2).astype(r_B.dtype)], axis=1)

        return values

    return Observable(Local(prepare), OUTPUTS, fidelity, n_values=2, takes_params=True)


def fidelity(means: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """From the means of r and |r|^2, (..., 2); 0 where phi vanishes on all samples."""
    size = np.real(means[..., 1])
    found = np.abs(means[..., 0]) ** 2 / np.where(size > 0, size, 1)
    return {"fidelity": found, "overlap": np.sqrt(found)}


def exact_ground_state(operator: Operator, basis: Basis, symmetry: Symmetry | None = None) -> LogPsi:
    """log phi of the lowest eigenvector of an operator, which is in the basis of the ansatz, as it is physically; with
    ``symmetry`` of its sector.

    Raises ValueError if there are too many states, or the lowest level is degenerate, so that it is not one state.
    """
    codes_n = codes(basis.hilbert)
    if symmetry is not None and symmetry.dimension > 1:
        raise ValueError("the levels of a representation of more than one dimension are degenerate")
    n_states = len(codes_n) if symmetry is None else exact.sector_basis(basis.hilbert, symmetry).shape[1]
    energies, vectors = exact.lowest_states(operator, basis.hilbert, k=min(2, n_states), symmetry=symmetry)
    if len(energies) > 1 and energies[1] - energies[0] < SAME_LEVEL * max(1.0, abs(energies[0])):
        raise ValueError(f"the lowest level of the states that are sampled, {energies[0]:.8g}, is degenerate")
    return of_vector(basis, codes_n, vectors[:, 0])


def of_vector(basis: Basis, codes_n: NDArray[np.int64], phi_n: NDArray[Any]) -> LogPsi:
    """log psi of a vector in the basis of an ansatz, over states of the given codes, sorted; -inf where it is 0."""
    hilbert = basis.hilbert
    with np.errstate(divide="ignore"):
        log_n = np.log(np.abs(phi_n)) + 1j * np.angle(phi_n)
    first, second = (*hilbert.local_values, hilbert.local_values[0] + 1)[:2]
    powers_N = len(hilbert.local_values) ** np.arange(hilbert.n_sites, dtype=np.int64)

    def log_psi(s_BN: Array) -> Array:
        digits_BN = (s_BN.astype(jnp.int64) - first) // (second - first)
        code_B = jnp.sum(digits_BN * jnp.asarray(powers_N)[None], axis=1)
        place_B = jnp.clip(jnp.searchsorted(jnp.asarray(codes_n), code_B), 0, len(codes_n) - 1)
        log_B = jnp.asarray(log_n)[place_B] + 1j * jnp.pi * is_negative(basis, s_BN)
        return jnp.where(inside(hilbert, s_BN), log_B, -jnp.inf)

    return log_psi
