"""Heat bath: the whole transition matrix in closed form and as it is drawn, chi-square, and that it is the same chains
at any rank count and by every way to a ratio.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from nqs_hpc.parallel.keys import Purpose, purpose_key
from nqs_hpc.sampler.heat_bath import chosen, redrawn_pair, redrawn_site
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import Mixture, Proposal, flip, hop, inside
from nqs_hpc.sampler.walk import acceptance, step
from nqs_hpc.system.hilbert import Block, Hilbert, bosons, codes, decode, spin_half
from nqs_hpc.system.spaces import constrained, spin
from tests.systems import SERIAL, amplitudes, ansatz_of, ring

N = 4
PAIRS = ring(N)[:-1]
PARTLY = constrained(bosons(N, 2), blocks=[Block((0, 1), 2)], excluded=[(1, 2)])
# the space, the move, the sites that are drawn
CASES: dict[str, tuple[Hilbert, Proposal, list[tuple[int, ...]]]] = {
    "bosons": (bosons(N, 3), redrawn_site(bosons(N, 3)), [(i,) for i in range(N)]),
    "bosons, total": (bosons(N, 3, 5), redrawn_pair(PAIRS, bosons(N, 3, 5)), [tuple(pair) for pair in PAIRS]),
    "spin 1": (spin(N, 2), redrawn_site(spin(N, 2)), [(i,) for i in range(N)]),
    "spin 1, total": (spin(N, 2, 0), redrawn_pair(PAIRS, spin(N, 2, 0)), [tuple(pair) for pair in PAIRS]),
    "spin 1/2": (spin_half(N), redrawn_site(spin_half(N)), [(i,) for i in range(N)]),
    "spin 1/2, total": (spin_half(N, 0), redrawn_pair(PAIRS, spin_half(N, 0)), [tuple(pair) for pair in PAIRS]),
    "partly": (PARTLY, redrawn_site(PARTLY), [(2,), (3,)]),
    "partly, pairs": (PARTLY, redrawn_pair(PAIRS[:1], PARTLY), [(0, 1)]),
}


@functools.cache
def wave(name: str):
    """The states, psi and |psi|^2 of them, which no symmetry makes equal."""
    hilbert = CASES[name][0]
    ansatz = ansatz_of("jastrow", N)
    params = jax.tree.map(lambda x: 0.6 * x, ansatz.init(jax.random.key(3)))
    states = decode(hilbert, codes(hilbert))
    return ansatz, params, states, np.abs(amplitudes(ansatz, params, states)) ** 2


@functools.cache
def by_hand(name: str) -> np.ndarray:
    """P[s, s'] of Liu's rule, from |psi|^2 of all states: sets are those of states that differ in the sites drawn."""
    _, _, states, pi = wave(name)
    drawn = CASES[name][2]
    matrix = np.zeros((len(states), len(states)))
    for sites in drawn:
        rest = np.delete(states, sites, axis=1)
        sums = states[:, list(sites)].sum(axis=1)
        for a in range(len(states)):
            same = (rest == rest[a]).all(axis=1) & ((sums == sums[a]) if len(sites) == 2 else True)
            p = np.where(same, pi, 0) / pi[same].sum()
            for b in np.flatnonzero(same):
                if b != a:
                    matrix[a, b] += p[b] / (1 - p[a]) * min(1, (1 - p[a]) / (1 - p[b])) / len(drawn)
    return matrix + np.diag(1 - matrix.sum(axis=1))


@pytest.mark.parametrize("name", CASES)
def test_the_transition_matrix_is_that_of_the_formula(name):
    """Sites by their words, moves by words just below and above the edges of their probabilities."""
    hilbert, proposal, drawn = CASES[name]
    proposal = inside(proposal, hilbert)
    ansatz, params, states, pi = wave(name)
    frozen, n_words = ansatz.freeze(params), 2**12

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(0, None))
    @functools.partial(jax.vmap, in_axes=(None, 0))
    def moves(s_N, word):
        move_KF = proposal.propose(jnp.stack([word, jnp.uint32(0)]), s_N)
        ratio_K = ansatz.log_ratios(frozen, s_N, ansatz.prepare(frozen, s_N), move_KF)
        exists_K = jnp.any(move_KF.deltas != 0, axis=1)
        words = ((jnp.arange(n_words) + 0.5) / n_words * 2.0**32).astype(jnp.uint32)
        which_D, p_D = jax.vmap(lambda w: chosen(2 * ratio_K, exists_K, w))(words)
        new_KN = jax.vmap(lambda m: s_N.at[m.sites].add(m.deltas))(move_KF)
        return new_KN, which_D, p_D

    sites = ((np.arange(len(drawn)) + 0.5) / len(drawn) * 2.0**32).astype(np.uint32)
    new, which, p = (np.asarray(x) for x in moves(jnp.asarray(states), sites))
    index = {s.tobytes(): i for i, s in enumerate(states)}  # what is no state is not there
    matrix = np.zeros((len(states), len(states)))
    for a in range(len(states)):
        for d in range(len(drawn)):
            for k in np.unique(which[a, d]):
                share = p[a, d][which[a, d] == k].sum() / n_words / len(drawn)
                matrix[a, index[new[a, d, k].tobytes()]] += share
                matrix[a, a] += (which[a, d] == k).mean() / len(drawn) - share
    assert np.abs(matrix - by_hand(name)).max() < 4 / n_words  # a word more or less at each edge
    flow = pi[:, None] * by_hand(name)
    assert np.abs(flow - flow.T).max() < 1e-14 and np.count_nonzero(matrix - np.diag(np.diag(matrix)))


@pytest.mark.parametrize("name", ["bosons", "spin 1, total"])
def test_no_state_is_left_less_often_than_by_the_plain_heat_bath(name):
    """Peskun's order: every element off the diagonal is at least p(s') (of all drawn sites)."""
    _, _, states, pi = wave(name)
    drawn, plain = CASES[name][2], np.zeros((len(states), len(states)))
    for sites in drawn:
        rest, sums = np.delete(states, sites, axis=1), states[:, list(sites)].sum(axis=1)
        for a in range(len(states)):
            same = (rest == rest[a]).all(axis=1) & ((sums == sums[a]) if len(sites) == 2 else True)
            plain[a] += np.where(same, pi, 0) / pi[same].sum() / len(drawn)
    off = ~np.eye(len(states), dtype=bool)
    assert (by_hand(name) >= plain - 1e-15)[off].all() and (by_hand(name)[off].sum() > 1.1 * plain[off].sum())


def test_of_two_values_it_is_metropolis():
    ratio = jnp.asarray([-1.3])
    for exponent in (ratio, -ratio, jnp.asarray([-jnp.inf]), jnp.asarray([-2000.0])):
        which, p = chosen(exponent, jnp.ones(1, bool), jnp.uint32(5))
        assert which == 0 and float(p) == pytest.approx(float(acceptance(exponent[0] / 2)), rel=1e-14)


def test_what_has_no_weight_is_never_taken():
    """Nor is what does not exist; and probabilities that float64 cannot hold make no NaN."""
    words = jnp.asarray([0, 2**31, 2**32 - 1], jnp.uint32)
    of_words = jax.vmap(chosen, in_axes=(None, None, 0))
    none, all_three = -jnp.inf, jnp.ones(3, bool)
    assert of_words(jnp.asarray([none, 0.5, none]), all_three, words)[0].tolist() == [1, 1, 1]
    assert of_words(jnp.asarray([9.0, 0.5, 9.0]), jnp.asarray([False, True, False]), words)[0].tolist() == [1, 1, 1]
    assert of_words(jnp.zeros(3), jnp.zeros(3, bool), words)[1].tolist() == [0, 0, 0]
    assert of_words(jnp.full(3, none), all_three, words)[1].tolist() == [0, 0, 0]
    for far in (2000.0, -2000.0):
        which, p = of_words(jnp.asarray([far, 2 * far, 1.5 * far]), all_three, words)
        assert np.isfinite(p).all() and set(which.tolist()) == ({1} if far > 0 else {0})


@pytest.mark.parametrize("name", ["bosons", "bosons, total", "spin 1", "spin 1, total", "spin 1/2"])
def test_chi_square(name):
    """One sample from each of many chains, after as many proposals as they need to forget their start."""
    hilbert, proposal, _ = CASES[name]
    ansatz, params, states, pi = wave(name)
    n_chains, length = 2**13, 300
    assert np.abs(np.linalg.matrix_power(by_hand(name), length) - pi[None]).max() < 1e-4 and pi.max() > 3 * pi.min()
    sampler = metropolis(
        ansatz, proposal, hilbert, SERIAL, n_chains=n_chains, n_samples=n_chains, sweep=length, warmup=0
    )
    key = jnp.asarray(purpose_key(5, Purpose.SAMPLE))
    _, samples, info = jax.jit(lambda: sampler.sample(key, params, sampler.init(key + 1)))()
    index = {s.tobytes(): i for i, s in enumerate(states)}
    counts = np.bincount([index[s.tobytes()] for s in np.asarray(samples.s_BN)], minlength=len(states))
    rare = n_chains * pi < 5
    observed, expected = (np.append(x[~rare], x[rare].sum()) for x in (counts, n_chains * pi))
    assert stats.chisquare(observed[expected > 0], expected[expected > 0]).pvalue > 0.01
    assert 0 < info["accepted"] < info["proposed"] == n_chains * length


def compared(ansatz, comms, moves=None):
    """Chains beside moves of another kind, at the rank counts given."""
    space = bosons(N, 3, 5)
    moves = moves or Mixture(("bath", "hop"), (redrawn_pair(PAIRS, space), hop(PAIRS, space)), (2.0, 1.0))
    params, key = ansatz.init(jax.random.key(0)), jnp.asarray(purpose_key(5, Purpose.SAMPLE))

    def run(comm):
        sampler = metropolis(ansatz, moves, space, comm, n_chains=8, n_samples=24, sweep=7, warmup=0, power=1.5)
        chains, samples, _ = jax.jit(lambda: sampler.sample(key, params, sampler.init(key + 1)))()
        return np.asarray(chains.s_CN), np.asarray(samples.s_BN)

    return [np.concatenate(leaves) for leaves in zip(*[run(comm) for comm in comms], strict=True)]


def test_same_chains_at_any_rank_count():
    ansatz = ansatz_of("rbm-real", N, bosons(N, 3).local_values)
    whole, parts = (compared(ansatz, [SERIAL._replace(rank=r, size=n) for r in range(n)]) for n in (1, 4))
    assert all(np.array_equal(one, many) for one, many in zip(whole, parts, strict=True))


def test_same_chains_by_forward_passes_of_moves_that_exist_alone():
    """A network that says its ratio is a forward pass goes the way of batches; the cache after it is that of s'."""
    from nqs_hpc.ansatz.mlp import mlp

    ansatz = mlp(N, widths=(4, 4))
    assert ansatz.whole
    one, other = compared(ansatz, [SERIAL]), compared(ansatz._replace(whole=False), [SERIAL])
    assert all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))
    space, params = bosons(N, 3, 5), ansatz.init(jax.random.key(0))
    states, frozen = jnp.asarray(decode(space, codes(space))), ansatz.freeze(params)
    cache = jax.vmap(ansatz.prepare, (None, 0))(frozen, states)
    words = jax.random.bits(jax.random.key(1), (len(states), 3), jnp.uint32)
    for whole in (True, False):
        own = jax.jit(step(ansatz._replace(whole=whole), redrawn_pair(PAIRS, space), N))
        s_CN, cache_C, accepted = own(params, frozen, states, cache, words, True, None)
        assert np.array_equal(np.any(s_CN != states, axis=1), accepted) and 0 < accepted.sum() < len(states)
        fresh = jax.vmap(ansatz.prepare, (None, 0))(frozen, s_CN)
        for a, b in zip(jax.tree.leaves(cache_C), jax.tree.leaves(fresh), strict=True):
            assert np.allclose(a, b, rtol=1e-12, atol=1e-13)
        assert not np.any(own(params, frozen, states, cache, words, False, None)[2])


def test_it_takes_a_site_further_than_flips_do():
    """Of psi with weight on 0 bosons alone, flips find another value in one of three; the bath in each that it has."""
    space = bosons(N, 3)
    ansatz, key = ansatz_of("jastrow", N), jnp.asarray(purpose_key(5, Purpose.SAMPLE))
    params = ansatz.init(jax.random.key(0))
    params = jax.tree.map(jnp.zeros_like, params)._replace(a=jnp.full(N, -1.5))

    def accepted(moves) -> float:
        sampler = metropolis(ansatz, moves, space, SERIAL, n_chains=64, n_samples=640, sweep=8, warmup=0)
        warm = jax.jit(lambda: sampler.sample(key, params, sampler.init(key + 1))[0])()
        info = jax.jit(lambda: sampler.sample(key + 2, params, warm))()[2]
        return float(info["accepted"] / info["proposed"])

    # of independent sites, with p_n = exp(-3 n) / sum: sums over n and n' of p_n q(n'|n) a(n, n')
    p = np.exp(-3.0 * np.arange(4))
    p /= p.sum()
    pairs = [(n, m) for n in range(4) for m in range(4) if m != n]
    bath = sum(p[n] * p[m] * min(1 / (1 - p[n]), 1 / (1 - p[m])) for n, m in pairs)
    flips = sum(min(p[n], p[m]) / 3 for n, m in pairs)
    error = 4 * math.sqrt(0.1 / (64 * 80))
    assert abs(accepted(redrawn_site(space)) - bath) < error and abs(accepted(flip(space)) - flips) < error
