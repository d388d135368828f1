"""Moves and start states in spaces with blocks, exclusions and longer spins: transition matrices, and chi-square."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.sparse.csgraph import connected_components

from nqs_hpc.ansatz.jastrow import jastrow
from nqs_hpc.ansatz.masked_dense import masked_dense
from nqs_hpc.operators.heisenberg_su2 import heisenberg_su2
from nqs_hpc.operators.spin_s import spin_s
from nqs_hpc.parallel.keys import Purpose, purpose_key
from nqs_hpc.sampler.autoregressive import autoregressive
from nqs_hpc.sampler.fresh import random_state
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import (
    Mixture,
    Proposal,
    exchange,
    flip,
    free_sites,
    hamiltonian,
    hop,
    inside,
    within_blocks,
)
from nqs_hpc.sampler.particles import exchange_spins, hop_fermion, hop_pair, table_of
from nqs_hpc.sampler.walk import acceptance
from nqs_hpc.system.hilbert import Block, Hilbert, bosons, codes, decode, encode, members, spin_half
from nqs_hpc.system.spaces import constrained, fermions, paths, spin
from tests.systems import SERIAL, amplitudes, ring

PAIRS = np.array([(i, j) for i in range(8) for j in range(i)])
HUBBARD, TJ = fermions(3, 2, 1), fermions(4, 1, 2, double=False)
BLOCKADE = constrained(spin_half(5), excluded=ring(5))
PARTLY = constrained(bosons(4, 2), blocks=[Block((0, 1), 2)], excluded=[(1, 2)])
ONE, SZ = spin(4, 2), spin(4, 2, 0)
BONDS = np.array([(0, 1), (1, 2), (2, 3)])
PATHS, STEPS = paths(6, 2), np.array([(i, i + 1) for i in range(5)])
PAIRED, OPEN = fermions(4, 2, 2), table_of(BONDS, 4)


def pairs_of(hilbert: Hilbert) -> np.ndarray:
    return PAIRS[(hilbert.n_sites > PAIRS).all(axis=1)]


# the space, moves that together reach all of it, and into how many equal parts the range of each word is cut
CASES: dict[str, tuple[Hilbert, list[tuple[Proposal, tuple[int, ...]]]]] = {
    "hubbard": (HUBBARD, [(exchange(pairs_of(HUBBARD), HUBBARD), (6,))]),
    "t-J": (TJ, [(exchange(pairs_of(TJ), TJ), (12,))]),
    "blockade": (BLOCKADE, [(flip(BLOCKADE), (5,))]),
    "partly": (PARTLY, [(flip(PARTLY), (2, 2)), (hop(pairs_of(PARTLY), PARTLY), (4,))]),
    "fermions": (PAIRED, [(hop_fermion(OPEN, layers=2), (4, 2))]),
    "fermions, any": (
        PAIRED,
        [
            (hop_fermion(None, layers=2), (4, 2)),
            (exchange_spins(None), (2, 2)),
            (exchange_spins(OPEN), (2, 2)),
            (hop_pair(None), (2, 2)),
            (hop_pair(OPEN), (2, 2)),
        ],
    ),
    "t-J fermions": (
        TJ,
        [(hop_fermion(OPEN, layers=2, double=False), (3, 2)), (exchange_spins(OPEN), (1, 2))],
    ),
    "t-J fermions, any": (TJ, [(hop_fermion(None, layers=2, double=False), (3, 1))]),
    "no spin": (fermions(4, 2, 0), [(hop_fermion(OPEN, layers=2), (2, 2))]),
    "paths": (PATHS, [(exchange(STEPS), (5,))]),
    "paths, own": (PATHS, [(hamiltonian(heisenberg_su2(6, J=1.0)), (math.lcm(*range(1, 5)),))]),
    "paths, any": (paths(5), [(flip(paths(5)), (5,)), (exchange(STEPS[:4]), (4,))]),
    "spin 1": (ONE, [(flip(ONE), (4, 2))]),
    "spin 1, hop": (SZ, [(hop(BONDS, SZ), (6,))]),
    "spin 1, both": (SZ, [(exchange(BONDS), (3,)), (hop(BONDS, SZ), (6,))]),
    "spin 1, own": (SZ, [(hamiltonian(spin_s(4, BONDS, two_s=2)), (math.lcm(*range(1, 7)),))]),
}


def wave(hilbert: Hilbert):
    ansatz = jastrow(hilbert.n_sites)
    scale = 0.2 / max(map(abs, hilbert.local_values)) ** 2
    return ansatz, jax.tree.map(lambda x: scale * x / max(1e-9, float(jnp.std(x))), ansatz.init(jax.random.key(3)))


def states_of(hilbert: Hilbert) -> np.ndarray:
    return decode(hilbert, codes(hilbert))


def transition(hilbert: Hilbert, proposal: Proposal, parts: tuple[int, ...]) -> np.ndarray:
    """P[s, s'], over all random words."""
    kept = inside(proposal, hilbert)
    assert isinstance(kept, Proposal) and kept.n_words == len(parts)
    ansatz, params = wave(hilbert)
    states, frozen = states_of(hilbert), ansatz.freeze(params)

    def attempt(s_N, words):
        move = kept.propose(words, s_N)
        ratio = ansatz.log_ratio(frozen, s_N, ansatz.prepare(frozen, s_N), move)
        log_q = None if kept.log_q is None else kept.log_q(s_N, move)
        return s_N.at[move.sites].add(move.deltas), acceptance(ratio, log_q)

    grid = np.array(list(np.ndindex(*parts))).reshape(math.prod(parts), len(parts))
    words = ((grid + 0.5) * 2**32 / np.array(parts)).astype(np.uint32)
    new_DWN, p_DW = jax.jit(jax.vmap(jax.vmap(attempt, (None, 0)), (0, None)))(jnp.asarray(states), words)
    assert members(hilbert, new_DWN).all()
    matrix = np.zeros((len(states), len(states)))
    to_DW = np.searchsorted(codes(hilbert), encode(hilbert, new_DWN))
    for a in range(len(states)):
        for b, p in zip(to_DW[a], np.asarray(p_DW)[a], strict=True):
            matrix[a, b] += p / len(words)
            matrix[a, a] += (1 - p) / len(words)
    return matrix


@pytest.mark.parametrize("name", CASES)
def test_detailed_balance_and_every_state_is_reached(name):
    hilbert, moves = CASES[name]
    ansatz, params = wave(hilbert)
    pi = np.abs(amplitudes(ansatz, params, states_of(hilbert))) ** 2
    assert np.ptp(pi) > 0.1 * pi.max()
    joined = np.zeros((len(pi), len(pi)))
    for proposal, parts in moves:
        matrix = transition(hilbert, proposal, parts)
        flow = pi[:, None] * matrix
        assert np.abs(flow - flow.T).max() < 1e-14 and np.abs(matrix.sum(axis=1) - 1).max() < 1e-12
        joined += matrix
    assert connected_components(joined > 0)[0] == 1


def test_exchange_alone_leaves_spins_1_where_two_zeros_are():
    matrix = transition(SZ, *CASES["spin 1, both"][1][0])
    assert connected_components(matrix > 0)[0] == 3  # by the number of zeros: 4, 2, 0
    zeros = jnp.zeros(4, jnp.int8)
    move = hop(BONDS, SZ).propose(jnp.zeros(1, jnp.uint32), zeros)
    assert zeros.at[move.sites].add(move.deltas).tolist() == [-2, 2, 0, 0]


def test_moves_of_fermions_change_what_they_say():
    """Of all words: hops keep both numbers, exchanges all sites that hold one, hops of pairs all pairs; alone, hops
    leave fermions that cannot share a site in the order of their spins along a chain.
    """
    states = states_of(PAIRED)
    grid = np.array([(a, b) for a in range(4) for b in range(4)])
    words = ((grid + 0.5) * 2**32 / 4).astype(np.uint32)
    kinds = (hop_fermion(OPEN, layers=2), exchange_spins(None), hop_pair(None))

    def after(one):
        def of(s_N, word):
            move = one.propose(word, s_N)
            return s_N.at[move.sites].add(move.deltas)

        return np.asarray(jax.jit(jax.vmap(jax.vmap(of, (None, 0)), (0, None)))(jnp.asarray(states), words))

    hop_DWN, exchange_DWN, pair_DWN = map(after, kinds)
    changed = (hop_DWN != states[:, None]).sum(axis=-1)
    assert set(np.unique(changed)) == {0, 2} and np.all((hop_DWN != states[:, None])[..., :4].sum(axis=-1) % 2 == 0)
    # the rest leads to an occupied orbital or past an end
    assert np.mean(changed > 0) > 0.4

    def numbers(s):
        return s[..., :4] + s[..., 4:]

    assert np.array_equal(
        numbers(exchange_DWN), np.broadcast_to(numbers(states)[:, None], (*exchange_DWN.shape[:2], 4))
    )
    alone = (numbers(states) == 1).sum(axis=1)
    assert np.array_equal((exchange_DWN != states[:, None]).any(axis=(1, 2)), alone > 1)
    has_pair = (numbers(states) == 2).any(axis=1)
    assert np.array_equal((pair_DWN != states[:, None]).any(axis=(1, 2)), has_pair)
    assert np.array_equal(
        np.sort(numbers(pair_DWN), axis=-1),
        np.sort(np.broadcast_to(numbers(states)[:, None], (*pair_DWN.shape[:2], 4)), axis=-1),
    )
    matrix = transition(TJ, *CASES["t-J fermions"][1][0])
    assert connected_components(matrix > 0)[0] == 3  # orders of one spin among three


@functools.cache
def draw(name: str):
    hilbert, moves = CASES[name]
    ansatz, _ = wave(hilbert)
    names = tuple(str(k) for k in range(len(moves)))
    mixture = Mixture(names, tuple(proposal for proposal, _ in moves), (1.0,) * len(moves))
    options = {"n_chains": 4096, "n_samples": 4096, "sweep": 40 * hilbert.n_sites, "warmup": 0}
    sampler = metropolis(ansatz, mixture, hilbert, SERIAL, **options)
    return jax.jit(lambda key, params: sampler.sample(key + 1, params, sampler.init(key))[1].s_BN)


@pytest.mark.parametrize(
    "name",
    [
        "fermions, any",
        "t-J fermions",
        "hubbard",
        "t-J",
        "blockade",
        "partly",
        "spin 1, both",
        "spin 1, own",
        "paths",
        "paths, own",
    ],
)
def test_chi_square(name):
    """One sample of each of many chains, from their start states on, against |psi|^2 of every state."""
    hilbert, _ = CASES[name]
    ansatz, params = wave(hilbert)
    p = np.abs(amplitudes(ansatz, params, states_of(hilbert))) ** 2
    s_BN = np.asarray(draw(name)(jnp.asarray(purpose_key(7, Purpose.SAMPLE)), params))
    assert members(hilbert, s_BN).all()
    observed = np.bincount(np.searchsorted(codes(hilbert), encode(hilbert, s_BN)), minlength=len(p))
    expected = p * len(s_BN)
    rare = expected < 5
    if rare.any():
        observed = np.append(observed[~rare], observed[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    assert stats.chisquare(observed, expected).pvalue > 1e-3


@pytest.mark.parametrize("hilbert", [HUBBARD, TJ, BLOCKADE, PARTLY, ONE, SZ, PATHS, paths(5), fermions(3, 2, None)])
def test_chains_begin_in_valid_states_that_differ(hilbert):
    key = jnp.asarray(purpose_key(0, Purpose.CHAINS))
    start = jax.jit(jax.vmap(lambda chain: random_state(hilbert, key, chain)))
    states = np.asarray(start(jnp.arange(1000)))
    assert states.dtype == np.int8 and members(hilbert, states).all()
    found = np.unique(encode(hilbert, states))
    assert len(found) == len(codes(hilbert))  # each of the few states that there are


def test_moves_ask_for_sites_that_can_move():
    assert free_sites(fermions(3, None, 1)) == [0, 1, 2] and free_sites(PARTLY) == [2, 3]
    with pytest.raises(ValueError, match="flip"):
        flip(HUBBARD)
    with pytest.raises(ValueError, match="flip"):
        flip(spin_half(4, 0))
    with pytest.raises(ValueError, match="within one block"):
        within_blocks(np.array([(0, 3), (1, 4)]), HUBBARD)
    moves = Mixture(("a",), (flip(ONE),), (1.0,))
    assert inside(moves, ONE) is moves  # nothing is computed where one total is all there is


def test_direct_sampling_refuses_what_conditionals_do_not_know():
    with pytest.raises(ValueError, match=r"^sampler=autoregressive: not available"):
        autoregressive(masked_dense(6, layers=1, features=2, local_values=(0, 1)), HUBBARD, SERIAL, n_samples=8)
