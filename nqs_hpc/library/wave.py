"""The wave function of a run: its logarithm, samples of its square, expectation values."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import ArrayLike

from nqs_hpc.config.basis import basis_of
from nqs_hpc.config.compose import observables_of
from nqs_hpc.config.schema import Config
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.library.observables import observable
from nqs_hpc.operators.local_values import local_values
from nqs_hpc.parallel.chunk import chunked_map
from nqs_hpc.parallel.keys import Purpose, purpose_key
from nqs_hpc.parts import Parts
from nqs_hpc.system.basis import signs_of_states
from nqs_hpc.system.hilbert import members
from nqs_hpc.tasks.observing import Observing, Tally, observing
from nqs_hpc.types import Observable, Operator, Result, Samples, Tree


class Expectation(NamedTuple):
    """An expectation value; the statistics are those of `stats`."""

    mean: float  # in the unit of the operator
    error: float  # standard error, from the means of the chains; 0 if the sum is exact
    variance: float  # of the operator's local values; that of the operator itself if psi is real or exact
    r_hat: float | None  # None for exact sums and below 16 samples per chain
    tau: float | None  # in samples
    n_samples: int


class Measured(NamedTuple):
    """A result of an observable."""

    value: np.ndarray  # a number or an array
    error: np.ndarray  # standard error of each entry; 0 if the sum is exact, NaN if it is unknown
    unit: str
    axes: dict[str, np.ndarray]  # the axes of an array
    statistics: dict[str, float | None]  # for a number: variance, r_hat, tau, n_eff, as far as they are known


class Wave(NamedTuple):
    """Functions of fixed parameters; `library.run.Run` documents them."""

    params: Tree
    log_psi: Callable[[ArrayLike], np.ndarray]
    sample: Callable[..., np.ndarray]
    expect: Callable[..., Expectation]
    measure: Callable[..., dict[str, Measured]]
    signs_N: np.ndarray | None  # of Marshall's rule, if it is on


def wave_function(config: Config, parts: Parts, params: Tree, learnt: Tree | None = None) -> Wave:
    """The wave function of ``params``, on the ranks of ``parts``; ``learnt`` as in `learnt_chains`."""
    ansatz, sampler, hilbert, chunk = parts.ansatz, parts.sampler, parts.hilbert, parts.plan.chunk_size
    basis = basis_of(config, parts.lattice)
    signs_N = basis.signs_N
    # a plan without chunks ensures only that the samples of one step fit into memory
    most = chunk or sampler.n_samples
    log_psi_of = jax.jit(lambda params, s_BN: chunked_map(lambda s_N: ansatz.log_psi(params, s_N), s_BN, most))
    fresh, draw = jax.jit(sampler.init), jax.jit(sampler.sample)
    comm = parts.pieces.comm
    rank, of_all_ranks = np.int32(comm.rank), jax.jit(comm.gather)

    def gathered(x_B: jax.Array) -> np.ndarray:
        """The values of all ranks, ordered by chain."""
        x_RB = np.asarray(of_all_ranks(x_B))
        return x_RB.reshape(-1, *x_RB.shape[2:])

    def programs(observables: dict[str, Observable]) -> tuple[Observing, Callable[..., Any]]:
        memory = int(config.memory_gib * 2**30)
        seen = observing(ansatz, [], observables, sampler, comm, basis=basis, chunk=chunk, memory=memory)
        return seen, jax.jit(seen.measure)

    @functools.lru_cache(maxsize=8)  # the same operator is not compiled again
    def program_of(operator: Operator) -> tuple[Observing, Callable[..., Any]]:
        return programs({"operator": Observable(local_values(operator, chunk=chunk))})

    def log_psi(s: ArrayLike) -> np.ndarray:
        s = np.asarray(s)
        if s.ndim == 0 or s.shape[-1] != hilbert.n_sites:
            raise ValueError(f"s of shape {s.shape} is not valid; valid: (..., {hilbert.n_sites}), one value per site")
        if not np.all(np.isin(s, hilbert.local_values)):
            raise ValueError(f"s is not valid: a value other than {', '.join(map(str, hilbert.local_values))}")
        s_BN = s.reshape(-1, hilbert.n_sites).astype(np.int8)
        value_B = np.asarray(log_psi_of(params, s_BN))
        value_B = value_B.astype(np.result_type(value_B, np.float64))  # also for a float32 network
        if signs_N is not None:
            value_B = value_B + 1j * np.pi * (signs_of_states(basis, s_BN) < 0)
        value_B[~members(hilbert, s_BN)] = -np.inf
        return value_B.reshape(s.shape[:-1])

    def calls(seed: int) -> Iterator[tuple[Samples, dict[str, jax.Array]]]:
        """Successive calls of the sampler on fresh, warmed-up chains."""
        checks.apply(checks.integer(least=0), "seed", seed)
        chains = fresh(purpose_key(seed, Purpose.LIBRARY_CHAINS), rank)
        if sampler.inherit is not None and learnt is not None:
            chains = sampler.inherit(chains, learnt)
        for call in range(sampler.warmup_calls):
            chains, _, _ = draw(purpose_key(seed, Purpose.LIBRARY_WARMUP, stage=call), params, chains)
        for call in itertools.count():
            chains, samples, counts = draw(purpose_key(seed, Purpose.LIBRARY_SAMPLE, stage=call), params, chains)
            yield samples, counts

    def sample(n: int, *, seed: int = 0) -> np.ndarray:
        n = checks.apply(checks.integer(), "n", n)
        if sampler.chain_length == 0:  # all states with their weights
            samples, _ = next(calls(seed))
            w_B = gathered(samples.w_B)
            generator = np.random.default_rng(purpose_key(seed, Purpose.LIBRARY_SAMPLE))
            return gathered(samples.s_BN)[generator.choice(len(w_B), n, p=w_B / w_B.sum())]
        pieces = []
        for number, (samples, _) in enumerate(itertools.islice(calls(seed), -(-n // sampler.n_samples))):
            s_AN = gathered(samples.s_BN)
            if sampler.weighted:
                s_AN = s_AN[resampled(gathered(samples.w_B), purpose_key(seed, Purpose.LIBRARY_SAMPLE, 1, number))]
            s_CLN = s_AN.reshape(-1, sampler.chain_length, hilbert.n_sites)
            pieces.append(s_CLN.transpose(1, 0, 2).reshape(-1, hilbert.n_sites))
        return np.concatenate(pieces)[:n]

    def results_of(
        seen: Observing, measure: Callable[..., Any], n_samples: int | None, seed: int
    ) -> tuple[list[Result], int]:
        length, n_calls = sampler.chain_length, 1
        if length:
            wanted = config.sampler.final_chain_length(config.task.samples_of_end or 0) * (sampler.n_samples // length)
            if n_samples is not None:
                wanted = checks.apply(checks.integer(), "n_samples", n_samples)
            n_calls = -(-wanted // sampler.n_samples)
            # some observables keep their values for each sample
            if wanted > (most := int(config.memory_gib * 2**30 / 64 / max(seen.n_series, 1))):
                raise bad("n_samples", wanted, f"at most {most}, within memory_gib={config.memory_gib:g}")
        tally = Tally(seen, sampler)
        for samples, counts in itertools.islice(calls(seed), n_calls):
            tally.add(measure(params, samples, counts, rank)[0])
        return tally.results(), n_calls * sampler.n_samples

    def expect(
        operator: Any = None, *, n_samples: int | None = None, seed: int = 0, marshall: bool | None = None
    ) -> Expectation:
        [found], n_drawn = results_of(*program_of(observable(operator, parts, signs_N, marshall)), n_samples, seed)
        known = found.statistics or {}
        variance, r_hat, tau = (known.get(name) for name in ("variance", "r_hat", "tau"))
        return Expectation(float(found.value), float(found.error), variance or 0.0, r_hat, tau, n_drawn)

    def measure(observables: Any, *, n_samples: int | None = None, seed: int = 0) -> dict[str, Measured]:
        chosen = observables_of(config, observables)
        made = {label: one.make(parts.pieces) for label, one in chosen.items()}
        for label, one in made.items():
            if one.between is not None:
                why = "it compares the states of a trajectory, and is in the results of its run"
                raise bad(f"observables.{label}", chosen[label].name, f"an observable of one state: {why}")
        if not made:
            raise bad("observables", observables, "at least one observable")
        found, _ = results_of(*programs(made), n_samples, seed)
        return {
            one.name: Measured(
                one.value[()], one.error[()], one.output.unit, dict(one.output.axes), one.statistics or {}
            )
            for one in found
        }

    return Wave(params, log_psi, sample, expect, measure, signs_N)


def resampled(w_A: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Indices (A,) of A samples with weights ``w_A``, in random order: each appears A times its weight, rounded up or
    down, so that the resulting samples have equal weights.

    Systematic resampling (Kitagawa 1996, doi:10.1080/10618600.1996.10474692): A equal steps through the cumulative
    weights from a random start give the indices.
    """
    generator, n = np.random.default_rng(key), len(w_A)
    ends = np.cumsum(w_A) / np.sum(w_A)
    found = np.searchsorted(ends, (np.arange(n) + generator.random()) / n, side="right")
    return generator.permutation(np.minimum(found, n - 1))
