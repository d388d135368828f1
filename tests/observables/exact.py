"""Exact means of observables: over all states of a space, of wave functions that are given state by state."""

import jax
import jax.numpy as jnp
import numpy as np

from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.operators.pauli_sums import pauli_sums
from nqs_hpc.system.basis import Basis, signs_of_states
from nqs_hpc.system.hilbert import codes, decode
from nqs_hpc.types import Ansatz, Observable


def table(basis: Basis) -> Ansatz:
    """psi itself as an ansatz: its parameters are those of `as_table`."""
    hilbert = basis.hilbert
    places = jnp.asarray(len(hilbert.local_values) ** np.arange(hilbert.n_sites))
    low = min(hilbert.local_values)
    digits = np.zeros(max(hilbert.local_values) - low + 1, np.int32)
    digits[np.array(hilbert.local_values) - low] = np.arange(len(hilbert.local_values))

    def log_psi(table, s_N):
        return table[jnp.sum(jnp.asarray(digits)[s_N - low] * places)]

    return full_evaluation(lambda key: None, log_psi, "complex")


def as_table(psi: np.ndarray, basis: Basis) -> jnp.ndarray:
    """log phi by code, of a physical psi on the states of the space; phi = U psi."""
    found = np.full(len(basis.hilbert.local_values) ** basis.hilbert.n_sites, -1.0, complex)  # outside: never asked
    with np.errstate(divide="ignore"):
        found[codes(basis.hilbert)] = np.log((signs_of_states(basis, states_of(basis)) * psi).astype(complex))
    return jnp.asarray(found)


def states_of(basis: Basis) -> np.ndarray:
    return decode(basis.hilbert, codes(basis.hilbert))


def results(observable: Observable, psi: np.ndarray, basis: Basis) -> dict[str, np.ndarray]:
    """The outputs, of psi on the states of the space in the order of their codes; their shapes are those declared."""
    ansatz, s = table(basis), jnp.asarray(states_of(basis))
    local = observable.local
    if observable.strings is not None:
        assert local is None
        local = pauli_sums(observable.strings, basis, chunk=None, memory=2**30)
    values = jax.jit(local.prepare(ansatz))(as_table(psi, basis), s)
    w = np.abs(psi) ** 2 / np.sum(np.abs(psi) ** 2)
    means = w @ np.where(w[:, None] > 0, np.asarray(values).reshape(len(w), -1), 0)
    assert means.shape == (observable.n_values,)
    # a second row, as for the errors: leading axes are those of the means
    found = observable.derived(np.stack([means, 2 * means]).astype(complex))
    assert set(found) == {output.name for output in observable.outputs}
    for output in observable.outputs:
        assert found[output.name].shape == (2, *output.shape)
    return {name: value[0] for name, value in found.items()}
