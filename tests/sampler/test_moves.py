"""Moves and mixtures of them: the whole transition matrix, by brute force over the random words, and chi-square."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from nqs_hpc.operators.bose_hubbard import bose_hubbard
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.parallel.keys import Purpose, purpose_key
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import Mixture, Proposal, exchange, flip, flip_groups, global_flip, hamiltonian, hop
from nqs_hpc.sampler.walk import acceptance, step, walk
from nqs_hpc.system.hilbert import Hilbert, bosons, spin_half
from tests.systems import SERIAL, all_numbers, all_states, amplitudes, ansatz_of, ring

N, LENGTH = 5, 200
OPEN = ring(N)[:-1]  # an open chain: its states are joined to different numbers of others
SPINS, SECTOR, BOSONS = spin_half(N), spin_half(N, 1), bosons(N - 1, 2, N - 1)
XXZ = hamiltonian(heisenberg(N, [OPEN], [1.0], delta=0.5))
HOPS = hamiltonian(bose_hubbard(N - 1, OPEN[:-1], J=1.0, U=1.0, mu=0.0, n_max=2))
GROUPS = [(0, 1, 2, 3), (2, 3, 4), (4, 0)]  # a plaquette, an end and a corner

# the space, the moves, and into how many equal parts the range of each random word is cut
ONE: dict[str, tuple[Hilbert, Proposal, tuple[int, ...]]] = {
    "groups": (SPINS, flip_groups(GROUPS), (3,)),
    "global": (SPINS, global_flip(N), ()),
    "flip": (SPINS, flip(SPINS), (N,)),
    "exchange": (SECTOR, exchange(OPEN), (4,)),
    "xxz": (SECTOR, XXZ, (math.lcm(1, 2, 3, 4),)),
    "hop": (BOSONS, hop(OPEN[:-1], BOSONS), (6,)),
    "hops": (BOSONS, HOPS, (math.lcm(1, 2, 3, 4, 5, 6),)),
}
MIXED = {
    "flip-groups-global": {"flip": 0.5, "groups": 0.3, "global": 0.2},
    "exchange-xxz": {"exchange": 0.25, "xxz": 0.75},
    "hop-hops": {"hop": 0.5, "hops": 0.5},
}


def states_of(hilbert: Hilbert) -> np.ndarray:
    if hilbert.local_values == (1, -1):
        return all_states(hilbert.n_sites, hilbert.total)
    return all_numbers(hilbert.n_sites, max(hilbert.local_values), hilbert.total)


def wave(hilbert: Hilbert):
    ansatz = ansatz_of("jastrow", hilbert.n_sites)
    return ansatz, jax.tree.map(lambda x: 0.6 * x, ansatz.init(jax.random.key(3)))


@functools.cache
def transition(name: str) -> np.ndarray:
    """P[s, s'], over all random words."""
    hilbert, proposal, parts = ONE[name]
    assert proposal.n_words == len(parts)
    ansatz, params = wave(hilbert)
    states, frozen = states_of(hilbert), ansatz.freeze(params)

    def attempt(s_N, words):
        move = proposal.propose(words, s_N)
        ratio = ansatz.log_ratio(frozen, s_N, ansatz.prepare(frozen, s_N), move)
        log_q = None if proposal.log_q is None else proposal.log_q(s_N, move)
        return s_N.at[move.sites].add(move.deltas), acceptance(ratio, log_q)

    grid = np.array(list(np.ndindex(*parts))).reshape(math.prod(parts), len(parts))
    words = ((grid + 0.5) * 2**32 / np.array(parts)).astype(np.uint32)
    new_DWN, p_DW = jax.jit(jax.vmap(jax.vmap(attempt, (None, 0)), (0, None)))(jnp.asarray(states), words)
    index = {s.tobytes(): i for i, s in enumerate(states)}  # illegal states are not there
    matrix = np.zeros((len(states), len(states)))
    for a in range(len(states)):
        for new, p in zip(np.asarray(new_DWN)[a], np.asarray(p_DW)[a], strict=True):
            matrix[a, index[new.tobytes()]] += p / len(words)
            matrix[a, a] += (1 - p) / len(words)
    return matrix


@pytest.mark.parametrize("name", ONE)
def test_detailed_balance(name):
    hilbert, _, _ = ONE[name]
    ansatz, params = wave(hilbert)
    pi, matrix = np.abs(amplitudes(ansatz, params, states_of(hilbert))) ** 2, transition(name)
    assert np.abs(matrix.sum(axis=1) - 1).max() < 1e-12
    flow = pi[:, None] * matrix
    assert np.abs(flow - flow.T).max() < 1e-12 and np.abs(pi @ matrix - pi).max() < 1e-12
    assert np.count_nonzero(matrix - np.diag(np.diag(matrix)))  # something moves


@pytest.mark.parametrize("name", ["xxz", "hops"])
def test_the_hamiltonian_joins_states_to_different_numbers_of_others(name):
    """So without the factor of Hastings |psi|^2 would not be stationary: the case that the tests above are for."""
    hilbert, proposal, _ = ONE[name]
    matrix = transition(name)
    joined = np.count_nonzero(matrix - np.diag(np.diag(matrix)), axis=1)
    assert len(set(joined.tolist())) > 2
    assert proposal.log_q is not None
    moves = jax.jit(jax.vmap(proposal.propose, (None, 0)))(jnp.full(1, 2**31, jnp.uint32), states_of(hilbert))
    log_q = jax.jit(jax.vmap(proposal.log_q))(states_of(hilbert), moves)
    assert np.ptp(np.asarray(log_q)) > 0.5
    assert np.count_nonzero(np.linalg.matrix_power(matrix, 16) == 0) == 0  # reaches every state


def mixture(name: str) -> tuple[Hilbert, Mixture]:
    weights = MIXED[name]
    return ONE[next(iter(weights))][0], Mixture(
        tuple(weights), tuple(ONE[kind][1] for kind in weights), tuple(weights.values())
    )


@pytest.mark.parametrize("name", MIXED)
def test_chi_square_of_a_mixture(name):
    """One sample from each of many chains, after as many proposals as they need to forget their start."""
    hilbert, moves = mixture(name)
    ansatz, params = wave(hilbert)
    states, n_chains = states_of(hilbert), 2**14
    pi = np.abs(amplitudes(ansatz, params, states)) ** 2
    assert pi.max() > 3 * pi.min()
    matrix = sum(weight * transition(kind) for kind, weight in MIXED[name].items())
    assert np.abs(np.linalg.matrix_power(matrix, LENGTH) - pi[None]).max() < 1e-4
    sampler = metropolis(ansatz, moves, hilbert, SERIAL, n_chains=n_chains, n_samples=n_chains, sweep=LENGTH, warmup=0)
    key = jnp.asarray(purpose_key(5, Purpose.SAMPLE))
    _, samples, info = jax.jit(lambda: sampler.sample(key, params, sampler.init(key + 1)))()
    codes = {s.tobytes(): i for i, s in enumerate(states)}
    counts = np.bincount([codes[s.tobytes()] for s in np.asarray(samples.s_BN)], minlength=len(states))
    assert stats.chisquare(counts, pi * n_chains).pvalue > 0.01
    proposed = {kind: float(info[f"proposed_{kind}"]) / n_chains for kind in MIXED[name]}
    assert sum(proposed.values()) == LENGTH and float(info["proposed"]) == LENGTH * n_chains
    for kind, weight in MIXED[name].items():  # one draw for all chains
        assert stats.binomtest(round(proposed[kind]), LENGTH, weight).pvalue > 1e-3
    assert sum(float(info[f"accepted_{kind}"]) for kind in MIXED[name]) == float(info["accepted"])


@pytest.mark.parametrize("name", ["groups", "global", "exchange", "xxz"])
@pytest.mark.parametrize("whole", [False, True])
def test_a_step_takes_what_its_word_allows(name, whole, monkeypatch):
    """``u < p`` with the p of the transition matrix, by each way to a ratio; the cache afterwards is that of the state
    afterwards.
    """
    monkeypatch.setattr("nqs_hpc.sampler.walk.WIDE", 4)  # of `global` all 5 sites change
    monkeypatch.setattr("nqs_hpc.sampler.walk.batch", lambda n_chains: 3)
    hilbert, proposal, _ = ONE[name]
    ansatz, params = wave(hilbert)
    states, frozen = jnp.asarray(states_of(hilbert)), ansatz.freeze(params)
    word = jnp.full((len(states), proposal.n_words), 2**32 // 7 * 3, jnp.uint32)
    moves = jax.vmap(proposal.propose)(word, states)
    new = jax.vmap(lambda s, m: s.at[m.sites].add(m.deltas))(states, moves)
    log_psi = jax.jit(jax.vmap(ansatz.log_psi, (None, 0)))
    log_q = 0.0 if proposal.log_q is None else jax.vmap(proposal.log_q)(states, moves)
    p = np.exp(np.minimum(0, 2 * np.real(log_psi(params, new) - log_psi(params, states)) + log_q))
    edge = np.minimum(p * 2**32, 2**32 - 1)
    one = jax.jit(step(ansatz._replace(whole=whole), proposal, hilbert.n_sites))
    cache = jax.vmap(ansatz.prepare, (None, 0))(frozen, states)
    for shift, always in ((-100, True), (100, False)):
        u = jnp.asarray(np.clip(edge + shift, 0, 2**32 - 1).astype(np.uint32))
        words = jnp.concatenate([u[:, None], word], axis=1)
        s_CN, cache_C, accepted = one(params, frozen, states, cache, words, True, None)
        wanted = np.full(len(states), True) if always else p >= 1
        assert np.array_equal(accepted, wanted)
        assert np.array_equal(s_CN, np.where(wanted[:, None], new, states))
        fresh = jax.vmap(ansatz.prepare, (None, 0))(frozen, s_CN)
        for a, b in zip(jax.tree.leaves(cache_C), jax.tree.leaves(fresh), strict=True):
            assert np.allclose(a, b, rtol=1e-12, atol=1e-13)
    assert not np.any(one(params, frozen, states, cache, words * 0, False, None)[2])


def test_leaving_out_what_does_not_move_changes_nothing():
    """A perceptron of two layers says that a ratio is a forward pass; the chains are the same as if it did not."""
    from nqs_hpc.ansatz.mlp import mlp

    ansatz = mlp(N, widths=(4, 4))
    assert ansatz.whole and not mlp(N, widths=(4,)).whole
    params = ansatz.init(jax.random.key(0))

    def run(whole: bool):
        one = ansatz._replace(whole=whole)
        sampler = metropolis(one, exchange(OPEN), SECTOR, SERIAL, n_chains=17, n_samples=34, sweep=7, warmup=0)
        key = jnp.asarray(purpose_key(5, Purpose.SAMPLE))
        return jax.jit(lambda: sampler.sample(key, params, sampler.init(key)))()

    (_, one, counts), (_, other, others) = run(True), run(False)
    assert np.array_equal(one.s_BN, other.s_BN) and counts == others


def test_sweeps_of_a_length_that_is_data_are_those_of_one_that_is_not():
    """The same words in blocks of the same size; one program for all lengths."""
    ansatz, params = wave(SPINS)
    frozen = ansatz.freeze(params)
    key, chains = jnp.asarray(purpose_key(1, Purpose.SAMPLE)), jnp.arange(6, dtype=jnp.int32)
    states = jnp.asarray(states_of(SPINS)[:6])
    moves = Mixture(("flip", "groups"), (flip(SPINS), flip_groups(GROUPS)), (2.0, 1.0))
    free = walk(ansatz, moves, N, n_sweeps=1, length=None, most=64)
    fixed = walk(ansatz, moves, N, n_sweeps=1, length=64, most=64)

    @jax.jit
    def run(n, scale):
        flat = ansatz.freeze(jax.tree.map(lambda x: scale * x, params))
        return free.sweep(params, flat, key, chains, free.start(flat, states), jnp.int32(0), n)

    walkers, tally = run(jnp.int32(64), 1.0)
    same, tally_same = jax.jit(
        lambda: fixed.sweep(params, frozen, key, chains, fixed.start(frozen, states), jnp.int32(0))
    )()
    assert np.array_equal(walkers.s_CN, same.s_CN) and np.array_equal(tally.proposed_Q, tally_same.proposed_Q)
    assert np.array_equal(np.array(tally.accepted_QC), np.array(tally_same.accepted_QC))
    for n in (1, 17):
        tally = run(jnp.int32(n), 0.0)[1]  # where psi is constant all are accepted
        assert int(jnp.sum(tally.proposed_Q)) == n and np.array_equal(sum(tally.accepted_QC), np.full(6, n))
    assert run._cache_size() == 1
