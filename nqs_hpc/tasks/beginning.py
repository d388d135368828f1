"""Observables that compare the present state of a trajectory with its first one, each with samples of its own.

The first parameters stay in the state of the run, with chains of their squared wave function, which make one call at
each time of output. So their samples are independent of those of the present state, and of those of the time before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.parallel.comm import Comm
from nqs_hpc.stats.jackknife import Derived, Estimated, exact, jackknife
from nqs_hpc.tasks.observing import bins, name_of
from nqs_hpc.types import Ansatz, Observable, Result, Sampler, Samples, Tree

RESOLVED = 2.0  # standard errors, from which on a number is more than noise


class Comparing(NamedTuple):
    """How the observables of two states are measured."""

    # params, those of the beginning, samples of both, rank -> two arrays (n_bins, 1 + D), of each bin of chains sum w
    # and sum w x, over samples of the present and of the first state; the same on every rank. Collective
    measure: Any
    observables: dict[str, Observable]
    is_exact: bool


def comparing(ansatz: Ansatz, observables: Mapping[str, Observable], sampler: Sampler, comm: Comm) -> Comparing | None:
    """Of those of the ``observables`` that compare with the beginning; None if none does."""
    of_both = {label: one for label, one in observables.items() if one.between is not None}
    if not of_both:
        return None
    values = [one.between(ansatz) for one in of_both.values() if one.between is not None]
    n_bins, n_chains = bins(sampler)

    def sums(own: Tree, other: Tree, samples: Samples, rank: Array) -> Array:
        w_B = samples.w_B
        chain_B = rank * (n_chains // comm.size) + jnp.arange(len(w_B), dtype=jnp.int32) // max(1, sampler.chain_length)
        bin_B = jnp.zeros_like(chain_B) if n_bins == 1 else chain_B * n_bins // n_chains
        columns = [jnp.ones((len(w_B), 1), jnp.complex128), *(of(own, other, samples.s_BN) for of in values)]
        # states of weight 0 count as 0 even where their values are not finite
        values_BD = jnp.where(w_B[:, None] > 0, jnp.concatenate(columns, axis=1), 0)
        return jnp.zeros((n_bins, values_BD.shape[1]), values_BD.dtype).at[bin_B].add(w_B[:, None] * values_BD)

    @jax.jit
    def measure(params: Tree, first: Tree, now: Samples, then: Samples, rank: Array) -> tuple[Array, Array]:
        both = jnp.stack([sums(params, first, now, rank), sums(first, params, then, rank)])
        real, imaginary = comm.sum(jnp.stack([both.real, both.imag]))
        return real[0] + 1j * imaginary[0], real[1] + 1j * imaginary[1]

    return Comparing(measure, of_both, sampler.chain_length == 0)


def compared(of: Comparing, now_ED: NDArray[Any], then_ED: NDArray[Any]) -> list[Result]:
    """What `Comparing.measure` came to, with errors of both ensembles."""
    found: list[Result] = []
    begin = 1
    for label, one in of.observables.items():
        columns = slice(begin, begin := begin + one.n_values // 2)
        pair = [(sums_ED[:, columns], sums_ED[:, 0].real) for sums_ED in (now_ED, then_ED)]
        estimated = _estimated(pair, one.derived, is_exact=of.is_exact)
        for output in one.outputs:
            value, error = estimated[output.name]
            found.append(Result(name_of(label, output), value, error, output))
    return found


def unresolved(of: Comparing, results: list[Result], n_samples: int) -> dict[str, str]:
    """What to say, by label, of observables whose first output is a number lost in noise."""
    known = {one.name: one for one in results}
    said = {}
    for label, one in of.observables.items():
        first = known[name_of(label, one.outputs[0])]
        value, error = float(first.value), float(first.error)
        if not of.is_exact and not value > RESOLVED * error:
            found = f"{first.name} of {value:.2g} with an error of {error:.2g}"
            said[label] = f"{found} is lost in the noise of {n_samples} samples, and says only that it is small"
    return said


def _estimated(
    pair: list[tuple[NDArray[Any], NDArray[Any]]], derived: Derived | None, *, is_exact: bool
) -> dict[str, Estimated]:
    """Values with errors: the two ensembles are independent, so the squares of what each contributes add up."""
    assert derived is not None
    means = [sums_ED.sum(axis=0) / w_E.sum() for sums_ED, w_E in pair]
    whole = exact(np.concatenate(means), derived)
    if is_exact:
        return whole

    def with_means(own: int) -> Derived:
        def of(means_D: NDArray[Any]) -> dict[str, NDArray[Any]]:
            both = [np.broadcast_to(mean_D, means_D.shape) for mean_D in means]
            both[own] = means_D
            return derived(np.concatenate(both, axis=-1))

        return of

    each = [jackknife(*pair[own], with_means(own)) for own in (0, 1)]
    return {name: one._replace(error=np.hypot(each[0][name].error, each[1][name].error)) for name, one in whole.items()}
