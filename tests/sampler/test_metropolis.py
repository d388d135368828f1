"""Markov chains against the exact distribution, by chi-square and by the transition matrix itself."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.keys import Purpose, purpose_key
from nqs_hpc.sampler.fresh import random_state
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import Proposal, below, exchange, flip, hop
from nqs_hpc.sampler.walk import acceptance
from nqs_hpc.system.hilbert import Hilbert, bosons, spin_half
from tests.systems import SERIAL, WELL, all_numbers, all_states, amplitudes, ansatz_of, ring

N_CHAINS = 8192


def key_of(seed: int) -> jax.Array:
    return jnp.asarray(purpose_key(seed, Purpose.SAMPLE))


def proposal_of(move: str, n_sites: int) -> tuple[Proposal, Hilbert]:
    """``hop`` and ``change`` are those of bosons, at most two a site, one in the mean where their number is kept."""
    match move:
        case "flip":
            return flip(spin_half(n_sites)), spin_half(n_sites)
        case "exchange":
            return exchange(ring(n_sites)), spin_half(n_sites, 0)
        case "hop":
            return hop(ring(n_sites), bosons(n_sites, 2)), bosons(n_sites, 2, n_sites)
        case "change":
            return flip(bosons(n_sites, 2)), bosons(n_sites, 2)
    raise ValueError(move)


def states_of(hilbert: Hilbert) -> np.ndarray:
    if hilbert.local_values == (1, -1):
        return all_states(hilbert.n_sites, hilbert.total)
    return all_numbers(hilbert.n_sites, max(hilbert.local_values), hilbert.total)


def codes_of(states: np.ndarray) -> np.ndarray:
    """One number a configuration, whatever its values."""
    return (states.astype(int) + 1) @ 4 ** np.arange(states.shape[1])


@functools.cache
def ends_of_chains(move: str, n_sites: int):
    """Jitted: one sample from each of many chains, warmed up for far longer than they remember."""
    proposal, hilbert = proposal_of(move, n_sites)
    ansatz = ansatz_of("rbm-real", n_sites, hilbert.local_values)
    sampler = metropolis(
        ansatz, proposal, hilbert, SERIAL, n_chains=N_CHAINS, n_samples=N_CHAINS, sweep=100 * n_sites, warmup=0
    )

    @functools.partial(jax.jit, compiler_options=WELL)  # it walks far
    def run(key, params):
        return sampler.sample(key + 1, params, sampler.init(key))[1].s_BN

    return run


@pytest.mark.parametrize(("move", "n_sites"), [("flip", 6), ("exchange", 8), ("hop", 5), ("change", 4)])
def test_chi_square_of_sampled_against_exact_distribution(move, n_sites):
    """Six seeds, one sample a chain (a sequence would inflate chi-square), combined by Fisher's method: p > 0.01."""
    hilbert = proposal_of(move, n_sites)[1]
    ansatz, states = ansatz_of("rbm-real", n_sites, hilbert.local_values), states_of(hilbert)
    p_values = []
    for seed in range(6):
        params = jax.tree.map(lambda x: 0.4 * x, ansatz.init(jax.random.key(100 + seed)))
        p = np.abs(amplitudes(ansatz, params, states)) ** 2
        s_BN = np.asarray(ends_of_chains(move, n_sites)(key_of(seed), params))
        codes = codes_of(s_BN)
        counts = np.array([(codes == code).sum() for code in codes_of(states)])
        assert counts.sum() == N_CHAINS  # nothing outside the space or the sector
        rare = N_CHAINS * p < 5
        observed = np.append(counts[~rare], counts[rare].sum())
        expected = N_CHAINS * np.append(p[~rare], p[rare].sum())
        used = expected > 0
        p_values.append(stats.chisquare(observed[used], expected[used]).pvalue)
    assert stats.combine_pvalues(p_values, method="fisher").pvalue > 0.01, p_values


# of each random word, into how many equal parts its range is cut: every site, bond, way along a bond or new value
# has one of them
@pytest.mark.parametrize(("move", "parts"), [("flip", (4,)), ("exchange", (4,)), ("hop", (8,)), ("change", (4, 2))])
def test_detailed_balance_of_the_transition_matrix(move, parts):
    """N = 4: P(s -> s') over all proposals, from moves and acceptance, satisfies pi(s) P(s, s') = pi(s') P(s', s)."""
    n_sites = 4
    proposal, hilbert = proposal_of(move, n_sites)
    ansatz, states = ansatz_of("rbm-complex", n_sites, hilbert.local_values), states_of(hilbert)
    params = ansatz.init(jax.random.key(3))
    pi = np.abs(amplitudes(ansatz, params, states)) ** 2
    frozen = ansatz.freeze(params)

    @jax.jit
    def attempt(s_N, words):
        step = proposal.propose(words, s_N)
        ratio = ansatz.log_ratio(frozen, s_N, ansatz.prepare(frozen, s_N), step)
        return s_N.at[step.sites].add(step.deltas), acceptance(ratio)

    transition = np.zeros((len(states), len(states)))
    assert proposal.n_words == len(parts)
    n_words = np.prod(parts)
    for a, s_N in enumerate(states):
        for word in np.ndindex(*parts):
            middles = (np.array(word) + 0.5) * 2**32 / np.array(parts)
            new, p = attempt(jnp.asarray(s_N), jnp.asarray(middles.astype(np.uint32)))
            b = int(np.flatnonzero((states == np.asarray(new)).all(axis=1))[0])  # illegal states are not there
            transition[a, b] += float(p) / n_words
            transition[a, a] += (1 - float(p)) / n_words
    flow = pi[:, None] * transition
    assert np.abs(flow - flow.T).max() < 1e-12
    assert np.abs(transition.sum(axis=1) - 1).max() < 1e-12
    assert np.count_nonzero(np.linalg.matrix_power(transition, 8) == 0) == 0  # reaches every state


def ranks(n: int) -> list[Comm]:
    return [SERIAL._replace(rank=r, size=n) for r in range(n)]


@pytest.mark.parametrize(("size", "move"), [(2, "flip"), (4, "flip"), (2, "hop"), (4, "change")])
def test_same_chains_at_any_rank_count(size, move):
    proposal, hilbert = proposal_of(move, 6)
    ansatz = ansatz_of("rbm-real", 6, hilbert.local_values)
    params = ansatz.init(jax.random.key(0))

    def run(comm: Comm):
        sampler = metropolis(ansatz, proposal, hilbert, comm, n_chains=8, n_samples=24, sweep=6, warmup=5)
        chains, samples, counts = jax.jit(lambda: sampler.sample(key_of(2), params, sampler.init(key_of(1))))()
        return chains.chain_C, chains.s_CN, samples.s_BN, samples.w_B, counts["accepted"][None]

    whole = run(SERIAL)
    parts = [np.concatenate(leaves) for leaves in zip(*[run(comm) for comm in ranks(size)], strict=True)]
    for one, many in zip(whole[:4], parts[:4], strict=True):
        assert np.array_equal(one, many)
    assert parts[4].sum() == whole[4].sum()


def test_samples_are_chain_by_chain_and_go_on_from_the_last():
    ansatz, proposal, hilbert = ansatz_of("rbm-real", 6), *proposal_of("flip", 6)
    params = ansatz.init(jax.random.key(0))
    sampler = metropolis(ansatz, proposal, hilbert, SERIAL, n_chains=4, n_samples=12, sweep=1, warmup=0)
    before = sampler.init(key_of(1))
    after, samples, counts = jax.jit(sampler.sample)(key_of(2), params, before)
    s_CLN = np.asarray(samples.s_BN).reshape(4, 3, 6)
    assert np.array_equal(s_CLN[:, -1], after.s_CN)
    steps = np.concatenate([np.asarray(before.s_CN)[:, None], s_CLN], axis=1)
    flips = (np.diff(steps, axis=1) != 0).sum(axis=2)
    assert flips.max() == 1 and flips.sum() == counts["accepted"] and counts["proposed"] == 12


def test_sweep_longer_than_a_block_of_random_words(monkeypatch):
    """The pads of the last block propose nothing: exactly ``sweep`` proposals, all accepted."""
    monkeypatch.setattr("nqs_hpc.sampler.walk.REFRESH", 4)
    ansatz, proposal, hilbert = ansatz_of("rbm-real", 6), *proposal_of("flip", 6)
    params = jax.tree.map(jnp.zeros_like, ansatz.init(jax.random.key(0)))
    sampler = metropolis(ansatz, proposal, hilbert, SERIAL, n_chains=2, n_samples=6, sweep=11, warmup=0)
    chains = sampler.init(key_of(1))
    _, samples, counts = jax.jit(sampler.sample)(key_of(2), params, chains)
    assert counts["accepted"] == counts["proposed"] == 6 * 11
    parity = np.concatenate([np.asarray(chains.s_CN)[:, None], np.asarray(samples.s_BN).reshape(2, 3, 6)], axis=1)
    assert np.array_equal(np.diff(((1 - parity) // 2).sum(axis=2) % 2, axis=1) % 2, np.ones((2, 3)))  # 11 is odd


def test_flip_of_larger_local_dimension_is_uniform_over_the_other_values():
    hilbert = Hilbert(n_sites=3, local_values=(2, 0, -2), total=None)
    proposal = flip(hilbert)
    words = jax.random.bits(jax.random.key(0), (6000, proposal.n_words), jnp.uint32)
    s_N = jnp.array([2, 0, -2], jnp.int8)
    moves = jax.jit(jax.vmap(proposal.propose, in_axes=(0, None)))(words, s_N)
    new = np.asarray(s_N)[moves.sites[:, 0]] + np.asarray(moves.deltas)[:, 0]
    pairs, counts = np.unique(np.stack([np.asarray(moves.sites)[:, 0], new]), axis=1, return_counts=True)
    assert pairs.T.tolist() == [[0, -2], [0, 0], [1, -2], [1, 2], [2, 0], [2, 2]]
    assert stats.chisquare(counts).pvalue > 1e-4


def test_a_hop_goes_either_way_along_every_bond_where_it_can():
    proposal = hop(np.array([[0, 1], [1, 2]]), bosons(3, 2))
    words = jnp.asarray((np.arange(4)[:, None] + 0.5) * 2**30, jnp.uint32)

    def reached(*numbers):
        s_N = jnp.array(numbers, jnp.int8)
        moves = jax.vmap(proposal.propose, in_axes=(0, None))(words, s_N)
        return [np.asarray(s_N.at[i].add(d)).tolist() for i, d in zip(*moves, strict=True)]

    assert sorted(reached(1, 1, 1)) == [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1]]
    # from an empty site and onto a full one nothing goes
    assert sorted(reached(0, 2, 1)) == [[0, 1, 2], [0, 2, 1], [0, 2, 1], [1, 1, 1]]


def test_below_is_uniform_and_in_range():
    words = jnp.array([0, 2**32 - 1, 2**31], jnp.uint32)
    assert jax.vmap(below, in_axes=(0, None))(words, 7).tolist() == [0, 6, 3]


@pytest.mark.parametrize("total", [None, 2])
def test_random_states_are_valid_and_differ(total):
    hilbert = spin_half(8, total)
    states = np.asarray(jax.jit(jax.vmap(lambda chain: random_state(hilbert, key_of(0), chain)))(jnp.arange(64)))
    assert states.dtype == np.int8 and set(np.unique(states)) == {-1, 1}
    assert len(np.unique(states, axis=0)) > 16
    if total is not None:
        assert (states.sum(axis=1) == total).all()
