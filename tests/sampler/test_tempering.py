"""Parallel tempering: swaps keep the product of all distributions, samples are those of beta = 1, ladders mix.

That they are the same at any rank count is in tests/contract/test_jobs.py.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.parallel.keys import Purpose, purpose_key
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import flip
from nqs_hpc.sampler.tempering import ladder, swap_acceptance, swapped, tempering
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
    swap = jax.jit(lambda order, words: swapped(order, jnp.asarray(log_p), words, betas))

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
