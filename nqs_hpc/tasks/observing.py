"""Observables over the samples of one call, and what they come to.

An observable of few values (`FEW`) is gathered sample by sample, so that R-hat and tau are known of it. Of more values
sums over bins of chains are reduced, never samples gathered: samples go through in pieces, so that memory is bounded.
All sums of Pauli strings, of whichever observable, share the ratios of the wave function.
"""

from __future__ import annotations

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
from nqs_hpc.stats.chains import widened
from nqs_hpc.stats.host import host_estimate
from nqs_hpc.stats.jackknife import Estimated, exact, jackknife
from nqs_hpc.system.basis import Basis
from nqs_hpc.tasks.final import in_chains
from nqs_hpc.tasks.influence import statistics_of
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
    observables = {
        label: one if one.of_chains is None else one.of_chains(sampler.chain_length, sampler.weighted)
        for label, one in observables.items()
    }
    kept: dict[str, Kept] = {}
    at = {"series": len(first), "bins": 1, "whole": 0}
    for label, one in observables.items():
        where = "whole" if one.sums is not None else "series" if one.n_values <= FEW else "bins"
        kept[label] = Kept(one, where, slice(at[where], at[where] + one.n_values))
        at[where] += one.n_values
    n_series, n_binned = at["series"], at["bins"] - 1

    in_front = [local.prepare(ansatz) for local in first]
    locals_of = {label: one.observable.local for label, one in kept.items() if one.observable.local is not None}
    few = {label: local.prepare(ansatz) for label, local in locals_of.items() if kept[label].where == "series"}
    many = {label: _binned(local, ansatz, chunk, memory, kept[label].observable.n_values)
            for label, local in locals_of.items() if kept[label].where == "bins"}  # fmt: skip
    whole = [one.observable.sums(ansatz) for one in kept.values() if one.observable.sums is not None]

    of_strings = {label: one.observable for label, one in kept.items() if one.observable.strings is not None}
    strings = [sum_ for observable in of_strings.values() for sum_ in observable.strings or ()]
    family = pauli_sums(strings, basis, chunk=chunk, memory=memory) if strings else None
    numbers: dict[str, range] = {}  # of its sums among those of all
    for label, observable in of_strings.items():
        begin = sum(map(len, numbers.values()))
        numbers[label] = range(begin, begin + observable.n_values)
    few_strings = [d for label, own in numbers.items() if kept[label].where == "series" for d in own]

    n_bins, n_chains = bins(sampler)

    def of_family(frozen: Tree, samples: Samples, bin_B: Array) -> tuple[Array, Array]:
        """The sums of bins of all sums of Pauli strings, and those of few values sample by sample."""
        assert family is not None and family.binned is not None
        if len(few_strings) == len(strings):
            return jnp.zeros((n_bins, len(strings))), family.prepare(ansatz)(frozen, samples.s_BN)
        return family.binned(ansatz)(frozen, samples.s_BN, samples.w_B, bin_B, n_bins, few_strings)

    def measure(params: Tree, samples: Samples, counts: dict[str, Array], rank: Array | int) -> tuple[Seen, Shared]:
        frozen = ansatz.freeze(params)
        bin_B = _bin_of_samples(sampler, len(samples.w_B), jnp.asarray(rank), comm.size, n_bins, n_chains)
        given = {label: params if one.observable.takes_params else frozen for label, one in kept.items()}
        told = {label: {"w_B": samples.w_B} if kept[label].observable.takes_weights else {} for label in few}
        of_each: dict[str, Array] = {label: of(given[label], samples.s_BN, **told[label]) for label, of in few.items()}
        of_bins = {label: of(given[label], *samples, bin_B, n_bins)[0] for label, of in many.items()}
        if family is not None:
            sums_ED, values_BF = of_family(frozen, samples, bin_B)
            for label, own in numbers.items():
                if kept[label].where == "bins":
                    of_bins[label] = sums_ED[:, own.start : own.stop]
                else:
                    begin = few_strings.index(own.start)
                    of_each[label] = values_BF[:, begin : begin + len(own)]

        values = [of(frozen, samples.s_BN) for of in in_front]
        for label, one in kept.items():
            if one.where == "series":
                own_BD = of_each[label].reshape(len(samples.w_B), -1)
                values += [own_BD[:, d] for d in range(one.observable.n_values)]
        _, w_A, found, shared = gathered(comm, params, samples, counts, values)
        series = [value_A.astype(jnp.complex128) for value_A in found]
        series_AK = jnp.stack(series, axis=1) if series else jnp.zeros((len(w_A), 0), jnp.complex128)
        bins_ED = jnp.zeros((n_bins, 1), jnp.complex128)
        if n_binned:
            weights_E = jnp.zeros(n_bins).at[bin_B].add(samples.w_B)
            columns = [weights_E[:, None], *(of_bins[label] for label, one in kept.items() if one.where == "bins")]
            bins_ED = _summed(comm, jnp.concatenate([x.astype(jnp.complex128) for x in columns], axis=1))
        whole_D = jnp.zeros(0, jnp.complex128)
        if whole:
            # sums of one call are not linear in its weights
            all_of = samples._replace(w_B=samples.w_B / jnp.sum(w_A)) if sampler.weighted else samples
            whole_D = _summed(comm, jnp.concatenate([of(params, all_of).astype(jnp.complex128) for of in whole]))
        return Seen(series_AK, w_A, bins_ED, whole_D), shared

    return Observing(measure, kept, n_series, n_bins, n_binned, at["whole"])


def _binned(local: Local, ansatz: Ansatz, chunk: int | None, memory: int, n_values: int) -> Callable[..., Any]:
    """`Local.binned`, for a local value that has none from its values, some samples at a time."""
    if local.binned is not None:
        return local.binned(ansatz)
    values = local.prepare(ansatz)

    def sums(frozen: Tree, s_BN: Array, w_B: Array, bin_B: Array, n_bins: int) -> tuple[Array]:
        n = len(w_B)
        piece = even_part(n, max(1, min(n, chunk or n, LARGEST_PIECE, memory // (64 * n_values))))
        pads = -n % piece
        pieces = (
            jnp.pad(s_BN, ((0, pads), (0, 0)), mode="edge").reshape(-1, piece, s_BN.shape[1]),
            jnp.pad(w_B, (0, pads)).reshape(-1, piece),
            jnp.pad(bin_B, (0, pads)).reshape(-1, piece),
        )

        def of_piece(sums_ED: Array, some: tuple[Array, Array, Array]) -> tuple[Array, None]:
            s_bN, w_b, bin_b = some
            # states of weight 0 count as 0 even where their values are not finite
            values_bD = jnp.where(w_b[:, None] > 0, values(frozen, s_bN).reshape(piece, -1), 0)
            weights_Eb = jnp.where(bin_b[None, :] == jnp.arange(n_bins)[:, None], w_b[None, :], 0)
            return sums_ED + weights_Eb.astype(values_bD.dtype) @ values_bD, None

        dtype = jax.eval_shape(lambda s_bN: jnp.asarray(values(frozen, s_bN)), pieces[0][0]).dtype
        nothing = jnp.zeros((n_bins, n_values), jnp.result_type(dtype, float))
        return (jax.lax.scan(of_piece, nothing, pieces)[0],)

    return sums


def _summed(comm: Comm, x: Array) -> Array:
    real, imaginary = comm.sum(jnp.stack([jnp.real(x), jnp.imag(x)]))
    return jax.lax.complex(real, imaginary)


class OneAChain(NamedTuple):
    """The samples of a call a few at a time, one of each chain: one program then measures some of them, or all."""

    sampler: Sampler  # as if a call had one sample a chain
    n: int  # samples of a chain in a call
    # the samples with this number; their weights sum to 1 over all ranks where all of a call are equal, else those of
    # all numbers together sum to the length
    pick: Callable[[Samples, int], Samples]


def one_a_chain(sampler: Sampler) -> OneAChain:
    length = sampler.chain_length
    if length <= 1:  # exact sums, independent samples
        return OneAChain(sampler, 1, lambda samples, number: samples)

    @jax.jit
    def pick(samples: Samples, number: Array | int) -> Samples:
        s_CLN = samples.s_BN.reshape(-1, length, samples.s_BN.shape[1])
        w_C = samples.w_B.reshape(-1, length)[:, number]
        return Samples(s_CLN[:, number], w_C * length)

    return OneAChain(sampler._replace(n_samples=sampler.n_samples // length, chain_length=1), length, pick)


def bins(sampler: Sampler) -> tuple[int, int]:
    """The bins into which samples go, and the chains over all ranks; of independent samples these are each a chain."""
    if sampler.chain_length == 0:
        return 1, 1
    n_chains = sampler.n_samples // sampler.chain_length
    return min(BINS, n_chains), n_chains


def _bin_of_samples(sampler: Sampler, n: int, rank: Array, n_ranks: int, n_bins: int, n_chains: int) -> Array:
    """The bin of each of a rank's samples: (n,) int32."""
    if n_bins == 1:
        return jnp.zeros(n, jnp.int32)
    chain_B = rank * (n_chains // n_ranks) + jnp.arange(n, dtype=jnp.int32) // sampler.chain_length
    return chain_B * n_bins // n_chains


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
        statistics: dict[str, dict[str, float | None]] = {}
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
                error = widened(host_estimate(own_T, w_T, joined).error, own_T, joined, w_T)
                estimated = {"": estimated[""]._replace(error=np.asarray(error))}
            statistics = statistics_of(own_TD, w_T, length, one.observable)
        found += [_result(label, output, estimated, statistics.get(output.name)) for output in one.observable.outputs]
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
        found = [in_chains(list(values_cA), self._w, self._sampler) for values_cA in values_KcA]
        w_T, _, length = in_chains(self._w, self._w, self._sampler)
        # the weights of one sample a chain sum to 1 where all are equal; else those of a whole call do
        w_T = w_T / (w_T.sum() if self._sampler.weighted else n_calls)
        values_TK = np.stack([one[0] for one in found], axis=1) if found else np.zeros((len(w_T), 0), complex)
        whole_D = np.asarray(self._whole, complex) / n_calls
        return results(self._observing, (values_TK, w_T, length), np.asarray(self._bins, complex), whole_D)


def name_of(label: str, output: Output) -> str:
    return f"{label}.{output.name}" if output.name else label


def _result(
    label: str, output: Output, estimated: dict[str, Estimated], statistics: dict[str, float | None] | None
) -> Result:
    value, error = estimated[output.name]
    if value.shape != output.shape:
        raise ValueError(f"{name_of(label, output)} has the shape {value.shape}, and declares {output.shape}")
    return Result(name_of(label, output), value, error, output, statistics if output.shape == () else None)
