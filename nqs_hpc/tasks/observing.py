"""Observables over the samples of one call, and what they come to.

An observable of few values (`FEW`) is gathered sample by sample, so that R-hat and tau are known of it. Of more values
sums over bins of chains are reduced, never samples gathered: samples go through in pieces, so that memory is bounded.
All sums of Pauli strings, of whichever observable, share the ratios of the wave function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.operators.pauli_sums import pauli_sums
from nqs_hpc.parallel.chunk import even_part
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.stats.chains import diagnostics, widened
from nqs_hpc.stats.host import host_estimate
from nqs_hpc.stats.jackknife import Estimated, exact, jackknife
from nqs_hpc.system.basis import Basis
from nqs_hpc.tasks.final import in_chains
from nqs_hpc.tasks.measurement import Shared, gathered
from nqs_hpc.types import Ansatz, Local, Observable, Output, Result, Sampler, Samples, Tree

FEW = 8  # values of an observable that is kept sample by sample
BINS = 64  # of chains, at most: an error from their spread is known to 9 %
LARGEST_PIECE = 4096  # samples that go through together


class Kept(NamedTuple):
    """Where the means of an observable are found."""

    observable: Observable
    where: str  # series | bins | whole
    columns: slice


class Seen(NamedTuple):
    """What one call came to, the same on every rank."""

    series_AK: Array  # complex128, of all samples in the global order of chains
    w_A: Array
    bins_ED: Array  # of each bin sum w and sum w x: (n_bins, 1 + D), complex128
    whole_D: Array  # weighted sums of what is not a mean of local values


class Observing(NamedTuple):
    """How the observables of a task are measured; ``first``: columns of the series before theirs."""

    measure: Callable[..., tuple[Seen, Shared]]  # params, samples, counts, rank -> of this call; collective
    kept: dict[str, Kept]
    n_series: int
    n_bins: int
    n_binned: int  # D of bins_ED
    n_whole: int


def observing(
    ansatz: Ansatz,
    first: Sequence[Local],
    observables: Mapping[str, Observable],
    sampler: Sampler,
    comm: Comm,
    *,
    basis: Basis,
    chunk: int | None,
    memory: int,
) -> Observing:
    """Of ``first``, local values (B,) that stand in front in the series, and the observables by label."""
    kept: dict[str, Kept] = {}
    at = {"series": len(first), "bins": 1, "whole": 0}
    for label, one in observables.items():
        where = "whole" if one.sums is not None else "series" if one.n_values <= FEW else "bins"
        kept[label] = Kept(one, where, slice(at[where], at[where] + one.n_values))
        at[where] += one.n_values
    n_series, n_binned = at["series"], at["bins"] - 1

    in_front = [local.prepare(ansatz) for local in first]
    few = {label: one.observable.local.prepare(ansatz) for label, one in kept.items() if _is(one, "series")}  # type: ignore[union-attr]
    many = {label: one.observable.local.prepare(ansatz) for label, one in kept.items() if _is(one, "bins")}  # type: ignore[union-attr]
    whole = [one.observable.sums(ansatz) for one in kept.values() if one.observable.sums is not None]
    of_strings = {label: one.observable for label, one in kept.items() if one.observable.strings is not None}
    strings = [sum_ for observable in of_strings.values() for sum_ in observable.strings or ()]
    family = pauli_sums(strings, basis, chunk=chunk, memory=memory).prepare(ansatz) if strings else None
    place: dict[str, slice] = {}
    for label, observable in of_strings.items():
        begin = sum(s.stop - s.start for s in place.values())
        place[label] = slice(begin, begin + observable.n_values)

    n_bins, n_chains = bins(sampler)

    def local(label: str, params: Tree, frozen: Tree, s_BN: Array) -> Array:
        of = few[label] if label in few else many[label]
        return of(params if kept[label].observable.takes_params else frozen, s_BN)

    def binned_and_shared(params: Tree, frozen: Tree, samples: Samples, rank: Array) -> tuple[Array, dict[str, Array]]:
        """The sums of bins of this rank, and the few values of sums of Pauli strings (B, D) by label."""
        s_BN, w_B = samples
        n = len(w_B)
        n_values = n_binned + len(strings)
        piece = even_part(n, max(1, min(n, chunk or n, LARGEST_PIECE, memory // (64 * (n_values + 1)))))
        bin_B, run = _bin_of_samples(sampler, n, rank, comm.size, n_bins, n_chains)
        run = math.gcd(run, piece)
        pads = -n % piece
        inputs = (
            jnp.concatenate([s_BN, jnp.broadcast_to(s_BN[:1], (pads, s_BN.shape[1]))]),
            jnp.concatenate([w_B, jnp.zeros(pads, w_B.dtype)]),
            jnp.concatenate([bin_B, jnp.zeros(pads, bin_B.dtype)]),
        )

        def of_piece(carry_ED: Array, piece_of: tuple[Array, Array, Array]) -> tuple[Array, dict[str, Array]]:
            s_bN, w_b, bin_b = piece_of
            found = {label: local(label, params, frozen, s_bN).reshape(piece, -1) for label in many}
            if family is not None:
                values_bS = family(frozen, s_bN)
                found |= {label: values_bS[:, columns] for label, columns in place.items()}
            to_bins = [found[label] for label, one in kept.items() if one.where == "bins"]
            out = {label: found[label] for label in of_strings if kept[label].where == "series"}
            if to_bins:
                values_bD = jnp.concatenate([jnp.ones((piece, 1)), *to_bins], axis=1)
                weighted_bD = jnp.where(w_b[:, None] > 0, w_b[:, None] * values_bD, 0)
                # samples of one bin follow each other: summed first, so that few rows go to the bins
                sums_rD = jnp.sum(weighted_bD.reshape(piece // run, run, -1), axis=1)
                of_bin_Er = bin_b[::run][None, :] == jnp.arange(n_bins)[:, None]
                carry_ED = carry_ED + (of_bin_Er.astype(jnp.float64) @ sums_rD).astype(carry_ED.dtype)
            return carry_ED, out

        pieces = jax.tree.map(lambda x: x.reshape(-1, piece, *x.shape[1:]), inputs)
        nothing = jnp.zeros((n_bins, at["bins"]), jnp.complex128)
        bins_ED, out = jax.lax.scan(of_piece, nothing, pieces)
        return bins_ED, {label: x.reshape(-1, x.shape[-1])[:n] for label, x in out.items()}

    def measure(params: Tree, samples: Samples, counts: dict[str, Array], rank: Array | int) -> tuple[Seen, Shared]:
        frozen = ansatz.freeze(params)
        values = [of(frozen, samples.s_BN) for of in in_front]
        bins_ED = jnp.zeros((n_bins, 1), jnp.complex128)
        shared_values: dict[str, Array] = {}
        if many or family is not None:
            bins_ED, shared_values = binned_and_shared(params, frozen, samples, jnp.asarray(rank))
        for label, one in kept.items():
            if one.where == "series":
                known = label in shared_values
                own = shared_values[label] if known else local(label, params, frozen, samples.s_BN)
                own = own.reshape(len(samples.w_B), -1)
                values += [own[:, d] for d in range(one.observable.n_values)]
        _, w_A, found, shared = gathered(comm, params, samples, counts, values)
        series = [value_A.astype(jnp.complex128) for value_A in found]
        series_AK = jnp.stack(series, axis=1) if series else jnp.zeros((len(w_A), 0), jnp.complex128)
        if n_binned:
            bins_ED = _summed(comm, bins_ED)
        whole_D = jnp.zeros(0, jnp.complex128)
        if whole:
            whole_D = _summed(comm, jnp.concatenate([of(params, samples).astype(jnp.complex128) for of in whole]))
        return Seen(series_AK, w_A, bins_ED, whole_D), shared

    return Observing(measure, kept, n_series, n_bins, n_binned, at["whole"])


def _is(one: Kept, where: str) -> bool:
    return one.where == where and one.observable.local is not None


def _summed(comm: Comm, x: Array) -> Array:
    real, imaginary = comm.sum(jnp.stack([jnp.real(x), jnp.imag(x)]))
    return jax.lax.complex(real, imaginary)


def bins(sampler: Sampler) -> tuple[int, int]:
    """The bins into which samples go, and the chains over all ranks; of independent samples these are each a chain."""
    if sampler.chain_length == 0:
        return 1, 1
    n_chains = sampler.n_samples // sampler.chain_length
    return min(BINS, n_chains), n_chains


def _bin_of_samples(
    sampler: Sampler, n: int, rank: Array, n_ranks: int, n_bins: int, n_chains: int
) -> tuple[Array, int]:
    """The bin of each of a rank's samples, (n,), and how many samples of one bin follow each other at least."""
    if n_bins == 1:
        return jnp.zeros(n, jnp.int32), n
    length = sampler.chain_length
    chain_B = rank * (n_chains // n_ranks) + jnp.arange(n, dtype=jnp.int32) // length
    whole = n_chains % n_bins == 0 and (n_chains // n_ranks) % (n_chains // n_bins) == 0
    return chain_B * n_bins // n_chains, length * (n_chains // n_bins) if whole else length


def results(
    observing: Observing,
    series: tuple[NDArray[np.complexfloating], NDArray[np.floating], int],
    bins_ED: NDArray[Any],
    whole_D: NDArray[Any],
) -> list[Result]:
    """What all calls came to. ``series``: values (T, K) chain by chain, weights (T,), length of a chain (0: exact
    sums); the sums of bins of all calls; the weighted sums, a mean over calls.
    """
    values_TK, w_T, length = series
    found = []
    for label, one in observing.kept.items():
        statistics: dict[str, float | None] | None = None
        if one.where == "whole":
            estimated = exact(whole_D[one.columns], one.observable.derived)
            estimated = {
                name: each._replace(error=np.full_like(each.error, np.nan)) for name, each in estimated.items()
            }
        elif one.where == "bins":
            estimated = of_sums(bins_ED[:, one.columns], bins_ED[:, 0].real, length == 0, one.observable)
        else:
            own_TD, joined = values_TK[:, one.columns], length * one.observable.joined
            estimated = of_sums(*by_chain(own_TD, w_T, joined), length == 0, one.observable)
            if length and one.observable.derived is None and one.observable.n_values == 1:
                # a plain mean: of few chains tau helps to know its error
                own_T = own_TD[:, 0].real
                error = widened(host_estimate(own_T, w_T, joined).error, own_T, joined)
                estimated = {"": estimated[""]._replace(error=np.asarray(error))}
            statistics = _statistics(own_TD, w_T, length)
        found += [_result(label, output, estimated, statistics) for output in one.observable.outputs]
    return found


def by_chain(
    values_TD: NDArray[np.complexfloating], w_T: NDArray[np.floating], length: int
) -> tuple[NDArray[np.complexfloating], NDArray[np.floating]]:
    """sum w x (C, D) and sum w (C,) of chains of ``length`` samples that follow each other; 0: all are one."""
    length = length or len(w_T)
    sums_CD = (w_T[:, None] * values_TD).reshape(-1, length, values_TD.shape[1]).sum(axis=1)
    return sums_CD, w_T.reshape(-1, length).sum(axis=1)


def of_sums(
    sums_CD: NDArray[np.complexfloating], w_C: NDArray[np.floating], is_exact: bool, observable: Observable
) -> dict[str, Estimated]:
    if is_exact:
        return exact(sums_CD.sum(axis=0) / w_C.sum(), observable.derived)
    return jackknife(sums_CD, w_C, observable.derived)


class Tally:
    """The calls of an evaluation on the host, for those who keep them nowhere else."""

    def __init__(self, observing: Observing, sampler: Sampler) -> None:
        self._observing, self._sampler = observing, sampler
        self._series: list[NDArray[Any]] = []
        self._w: list[NDArray[Any]] = []
        self._bins: NDArray[Any] | float = 0.0
        self._whole: NDArray[Any] | float = 0.0

    def add(self, call: Seen) -> None:
        self._series.append(np.asarray(call.series_AK))
        self._w.append(np.asarray(call.w_A))
        self._bins = self._bins + np.asarray(call.bins_ED)
        self._whole = self._whole + np.asarray(call.whole_D)

    def results(self) -> list[Result]:
        n_calls = len(self._w)
        values_KcA = np.moveaxis(np.stack(self._series), 2, 0)
        found = [in_chains(list(values_cA), self._w[0], self._sampler) for values_cA in values_KcA]
        w_T, _, length = in_chains(self._w, self._w[0], self._sampler)
        values_TK = np.stack([one[0] for one in found], axis=1) if found else np.zeros((len(w_T), 0), complex)
        whole_D = np.asarray(self._whole, complex) / n_calls
        return results(self._observing, (values_TK, w_T / n_calls, length), np.asarray(self._bins, complex), whole_D)


def name_of(label: str, output: Output) -> str:
    return f"{label}.{output.name}" if output.name else label


def _result(
    label: str, output: Output, estimated: dict[str, Estimated], statistics: dict[str, float | None] | None
) -> Result:
    value, error = estimated[output.name]
    if value.shape != output.shape:
        raise ValueError(f"{name_of(label, output)} has the shape {value.shape}, and declares {output.shape}")
    return Result(name_of(label, output), value, error, output, statistics if output.shape == () else None)


def _statistics(
    values_TD: NDArray[np.complexfloating], w_T: NDArray[np.floating], length: int
) -> dict[str, float | None]:
    """R-hat, tau and n_eff of the worst of the local values; the variance of a single one."""
    judged = []
    for values_T in values_TD.T:
        one = host_estimate(values_T, w_T, length)
        judged.append(diagnostics(values_T, w_T, length, error=one.error) | {"variance": one.variance})
    worst: dict[str, float | None] = {"variance": judged[0]["variance"] if len(judged) == 1 else None}
    for name, of in (("r_hat", max), ("tau", max), ("n_eff", min)):
        known = [number for one in judged if (number := one[name]) is not None]
        worst[name] = of(known) if known else None
    return worst
