"""Parallel tempering: swaps keep the product of all distributions, samples are those of beta = 1, ladders mix.

That they are the same at any rank count is in tests/contract/test_jobs.py.
"""

import functools
import itertools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.job.checkpoint import Stored, names
from nqs_hpc.parallel.keys import Purpose, purpose_key
from nqs_hpc.parts.stored import learnt_chains
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import flip
from nqs_hpc.sampler.tempering import ladder, respaced, swap_acceptance, swapped, tempering
from nqs_hpc.system.hilbert import spin_half
from tests.systems import SERIAL, all_states, amplitudes, ansatz_of

N = 6


def key_of(seed: int) -> jax.Array:
    return jnp.asarray(purpose_key(seed, Purpose.SAMPLE))


def test_swaps_keep_the_product_of_all_distributions():
    """Over all orders of three replicas, pi(order) = prod_k p(s at beta_k)^beta_k: each half of a try is in detailed
    balance, both together keep pi. Whether a pair changes places is read off `swapped`, at random words just below and
    just above the probability.
    """
    betas, log_p = (1.0, 0.6, 0.1), np.array([0.3, -1.1, -2.5])
    orders = list(itertools.permutations(range(3)))
    pi = np.array([np.exp(sum(b * log_p[r] for b, r in zip(betas, order, strict=True))) for order in orders])
    pi /= pi.sum()
    swap = jax.jit(lambda order, words: swapped(order, jnp.asarray(log_p), words, jnp.asarray(betas)))

    def tried(order: tuple[int, ...], pair: int) -> tuple[float, tuple[int, ...]]:
        """The probability that a pair changes places, and the order if it does."""
        a, b = order[pair : pair + 2]
        p = np.exp(min(0.0, (betas[pair] - betas[pair + 1]) * (log_p[b] - log_p[a])))
        return float(p), (*order[:pair], b, a, *order[pair + 2 :])

    halves, whole = np.zeros((2, 6, 6)), np.zeros((6, 6))
    for a, order in enumerate(orders):
        for pair in (0, 1):
            p, other = tried(order, pair)
            halves[pair, a, orders.index(other)] += p
            halves[pair, a, a] += 1 - p
        for takes in itertools.product((True, False), repeat=2):
            now, words, chance = order, [], 1.0
            for pair, take in enumerate(takes):
                p, other = tried(now, pair)
                words.append(np.clip(p * 2**32 + (-100 if take else 100), 0, 2**32 - 1))
                chance *= p if take else 1 - p
                now = other if take else now
            if chance > 0:
                found, done = swap(jnp.asarray(order, jnp.int32), jnp.asarray(np.array(words, np.uint32)))
                assert tuple(found.tolist()) == now and tuple(done.tolist()) == takes
                whole[a, orders.index(now)] += chance
    for half in halves:
        flow = pi[:, None] * half
        assert np.abs(flow - flow.T).max() < 1e-15
    assert np.abs(whole.sum(axis=1) - 1).max() < 1e-15 and np.abs(pi @ whole - pi).max() < 1e-15


def test_replicas_without_weight():
    """Two zeros of psi may change places; a zero never comes to beta = 1, and always leaves it."""
    none = -jnp.inf
    assert [float(swap_acceptance(*pair, jnp.float64(0.5))) for pair in ((none, none), (none, 0.0), (0.0, none))] == [
        1.0,
        1.0,
        0.0,
    ]


def test_ladders():
    assert ladder(3, 0.25, "geometric") == pytest.approx((1, 0.5, 0.25))
    assert ladder(3, 0.2, "linear") == pytest.approx((1, 0.6, 0.2))
    assert ladder(4, 0.3, "linear")[0] == 1.0  # exactly: samples are those of |psi|^2


def test_chi_square_at_beta_1():
    """One sample from each of many ladders."""
    n_chains = 8192
    ansatz = ansatz_of("jastrow", N)
    sampler = tempering(
        ansatz, flip(spin_half(N)), spin_half(N), SERIAL,
        betas=ladder(3, 0.2, "geometric"), n_chains=n_chains, n_samples=8 * n_chains, sweep=N, warmup=0,
    )  # fmt: skip

    @jax.jit
    def run(key, params):
        _, samples, counts = sampler.sample(key, params, sampler.init(key + 1))
        return samples.s_BN.reshape(n_chains, 8, N)[:, -1], counts

    states, p_values = all_states(N), []
    for seed in range(3):
        params = jax.tree.map(lambda x: 0.5 * x, ansatz.init(jax.random.key(10 + seed)))
        p = np.abs(amplitudes(ansatz, params, states)) ** 2
        s_CN, counts = run(key_of(seed), params)
        found = ((1 - np.asarray(s_CN, int)) // 2) @ 2 ** np.arange(N)
        observed = np.bincount(found, minlength=2**N)
        rare = n_chains * p < 5
        observed, expected = (np.append(x[~rare], x[rare].sum()) for x in (observed, n_chains * p))
        used = expected > 0
        p_values.append(stats.chisquare(observed[used], expected[used]).pvalue)
        assert counts["proposed"] == n_chains * 8 * N and 0 < counts["accepted"] < counts["proposed"]
        assert all(0 < counts[f"accepted_swap_{k}"] < counts[f"proposed_swap_{k}"] for k in (0, 1))
    assert stats.combine_pvalues(p_values, method="fisher").pvalue > 0.01, p_values


@functools.cache
def two_peaks():
    """log psi = 1/4 (sum s)^2 on 10 sites, and a little field: nearly all weight is all up (two thirds) or all down."""
    return full_evaluation(
        lambda key: jnp.array([0.25, 0.0173]),
        lambda params, s_N: params[0] * jnp.sum(s_N) ** 2 + params[1] * jnp.sum(s_N),
        "real",
    )


def test_tempering_goes_between_peaks_that_single_flips_do_not_leave():
    n_sites, n_chains, length = 10, 128, 256
    ansatz = two_peaks()
    params = ansatz.init(jax.random.key(0))
    p = np.abs(amplitudes(ansatz, params, all_states(n_sites))) ** 2
    exact = float(p[all_states(n_sites).sum(axis=1) > 0].sum())
    assert 0.6 < exact < 0.75
    common = {"n_chains": n_chains, "n_samples": length * n_chains, "sweep": n_sites, "warmup": 0}
    space = spin_half(n_sites)
    plain = metropolis(ansatz, flip(space), space, SERIAL, **common)
    laddered = tempering(ansatz, flip(space), space, SERIAL, betas=ladder(8, 0.02, "geometric"), **common)

    def up(sampler, state) -> np.ndarray:
        """Whether most spins are up, (chains, samples), from all chains in the wrong peak."""
        _, samples, _ = jax.jit(sampler.sample)(key_of(1), params, state)
        return (np.asarray(samples.s_BN).sum(axis=1) > 0).reshape(n_chains, length)

    wrong = plain.init(key_of(0))
    stuck = up(plain, wrong._replace(s_CN=-jnp.ones_like(wrong.s_CN)))
    assert stuck.mean() < 0.02
    wrong = laddered.init(key_of(0))
    mixed = up(laddered, wrong._replace(s_CTN=-jnp.ones_like(wrong.s_CTN)))[:, length // 2 :]
    means_C = mixed.mean(axis=1)
    assert abs(means_C.mean() - exact) < 4 * means_C.std() / np.sqrt(n_chains) < 0.1


SITES, FIELD, LADDER = 24, 0.4, (1.0, 0.5, 0.2, 0.1, 0.05)


@functools.cache
def in_a_field():
    """psi = exp(FIELD sum s): the spins are independent, so the number of those up is binomial at every beta."""
    return full_evaluation(
        lambda key: jnp.array([FIELD]), lambda params, s_N: params[0] * jnp.sum(s_N, dtype=jnp.float64), "real"
    )


def exact_rates(betas: np.ndarray) -> np.ndarray:
    """The swap rates of neighbours, sums over how many spins of either are up."""
    up = np.arange(SITES + 1)
    p_TM = [stats.binom.pmf(up, SITES, 1 / (1 + np.exp(-4 * FIELD * beta))) for beta in betas]
    log_p = 2 * FIELD * (2 * up - SITES)
    return np.array([
        np.sum(a[:, None] * b[None, :] * np.minimum(1, np.exp((high - low) * (log_p[None, :] - log_p[:, None]))))
        for a, b, high, low in zip(p_TM, p_TM[1:], betas, betas[1:], strict=False)
    ])  # fmt: skip


def learner(size: int = 1, rank: int = 0):
    return tempering(
        in_a_field(), flip(spin_half(SITES)), spin_half(SITES), SERIAL._replace(rank=rank, size=size),
        betas=LADDER, n_chains=32, n_samples=32 * 16, sweep=4 * SITES, warmup=0, adaptive=True,
    )  # fmt: skip


@functools.cache
def programs(size: int, rank: int):
    sampler = learner(size, rank)
    return sampler, jax.jit(sampler.sample), jax.jit(lambda *given: sampler.adapt(*given))


def learnt(n_steps: int, states=None, first: int = 0, size: int = 1):
    """The chains of each rank after steps that adapt, and the counts of each step."""
    ranks = [programs(size, rank) for rank in range(size)]
    params, counted = jnp.array([FIELD]), []
    states = states or [sampler.init(key_of(0)) for sampler, _, _ in ranks]
    for number in range(first, first + n_steps):
        key = jnp.asarray(purpose_key(3, Purpose.SAMPLE, number))
        drawn = [sample(key, params, state) for (_, sample, _), state in zip(ranks, states, strict=True)]
        counts = jax.tree.map(lambda *x: sum(x), *[info for _, _, info in drawn])
        own = [adapt(d[0], jnp.zeros(1), counts) for (_, _, adapt), d in zip(ranks, drawn, strict=True)]
        states = [state for state, _ in own]
        counted.append(counts | own[0][1])
    return states, counted


def test_a_ladder_that_learns_swaps_equally_often_everywhere():
    """By the exact rates at the betas that it comes to; the ends stay, and what it logs are the betas of the step."""
    rates = exact_rates(np.array(LADDER))
    assert rates.max() - rates.min() > 0.5
    (state,), counted = learnt(30)
    betas = np.asarray(state.beta_CT)
    assert (betas == betas[0]).all() and betas[0, 0] == 1.0 and betas[0, -1] == LADDER[-1]
    assert (np.diff(betas[0]) < 0).all()
    # a rate of a step has an error of sqrt(r (1 - r) / 512) = 0.022, of which steps of GAIN leave about as much
    found = exact_rates(betas[0])
    assert found.max() - found.min() < 0.1
    assert [float(counted[0][f"beta_{k}"]) for k in (1, 2, 3)] == list(LADDER[1:-1])
    told = [float(counted[-1][f"accepted_swap_{k}"] / counted[-1][f"proposed_swap_{k}"]) for k in range(4)]
    assert np.abs(np.array(told) - found).max() < 0.15


def test_a_ladder_that_learns_is_the_same_at_two_ranks_and_after_a_restart():
    (whole,), _ = learnt(4)
    halves, _ = learnt(4, size=2)
    for one, *many in zip(*(jax.tree.leaves(state) for state in (whole, *halves)), strict=True):
        assert np.array_equal(one, np.concatenate(many)) and one.shape[0] == 32
    middle, _ = learnt(2)
    (again,), _ = learnt(2, [jax.tree.map(lambda x: jnp.asarray(np.array(x)), middle[0])], first=2)
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(again), strict=True))
    sampler = learner(2, 1)
    fresh = sampler.inherit(sampler.init(key_of(9)), whole)  # from chains of another number of ranks
    assert np.array_equal(fresh.beta_CT, whole.beta_CT[:16]) and not np.array_equal(whole.beta_CT[0], LADDER)


def test_a_checkpoint_of_a_ladder_with_other_replicas_teaches_nothing():
    """Chains of a run are found by the names of their leaves, their numbers by the shapes: as many betas, or none."""
    (state,), _ = learnt(2)
    leaves = {name: np.asarray(leaf) for name, leaf in names(state, "chains/samples/").items()}
    stored = Stored(leaves, {}, Path(), ())
    found = learnt_chains(stored, learner(2, 0))
    assert np.array_equal(found.beta_CT, state.beta_CT)
    common = {"n_chains": 32, "n_samples": 32, "sweep": 1, "warmup": 0, "adaptive": True}
    space = spin_half(SITES)
    other = tempering(in_a_field(), flip(space), space, SERIAL, betas=(1.0, 0.5, 0.1), **common)
    assert learnt_chains(stored, other) is None


def test_samples_of_a_ladder_that_has_learnt_are_those_of_beta_1():
    (state,), _ = learnt(6)
    _, sample, _ = programs(1, 0)
    _, samples, _ = sample(key_of(4), jnp.array([FIELD]), state)
    up_C = (np.asarray(samples.s_BN).reshape(32, 16, SITES)[:, ::4] > 0).sum(axis=2).ravel()  # of 4 sweeps and swaps
    p = stats.binom.pmf(np.arange(SITES + 1), SITES, 1 / (1 + np.exp(-4 * FIELD)))
    few = np.cumsum(p) * len(up_C) < 5
    observed, expected = np.bincount(up_C, minlength=SITES + 1), p * len(up_C)
    many = ~few & (expected >= 5)
    observed, expected = (np.append(x[many], x[~many].sum()) for x in (observed, expected))
    assert stats.chisquare(observed, expected).pvalue > 0.01


def test_gaps_close_where_swaps_are_rare():
    betas = jnp.array([1.0, 0.5, 0.25])
    assert np.allclose(respaced(betas, jnp.array([0.3, 0.3])), betas, rtol=1e-15)
    closer = np.asarray(respaced(betas, jnp.array([0.1, 0.5])))
    assert closer[0] == 1.0 and closer[2] == 0.25 and closer[1] > 0.5
    gaps = -np.diff(np.log(closer))
    assert gaps[0] / gaps[1] == pytest.approx(np.exp(-0.4))
