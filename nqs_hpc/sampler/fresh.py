"""Where Markov chains begin: random states of the space, each fixed by the key and the global number of its chain.

Independent sites where nothing is fixed; a random order of one valid state, block by block, where totals are. Where
pairs of sites exclude each other, of paths, and of spins longer than 1/2, a walk from one valid state: flips of free
sites and hops within blocks, of which those that lead out of the space change nothing. It makes states differ; the
warmup brings them to |psi|^2.
"""

from __future__ import annotations

from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.parallel.keys import words
from nqs_hpc.sampler.moves import Mixture, Proposal, below, exchange, flip, free_sites, hop, inside
from nqs_hpc.system.hilbert import Hilbert, base_state, groups, is_restricted, members

STEPS = 8  # of the walk, times the number of sites, with a move of each kind


def random_state(hilbert: Hilbert, key: Array, chain: Array) -> Array:
    """A random configuration (N,) int8 of the space."""
    of_long_spins = hilbert.total is not None and len(hilbert.local_values) > 2 and min(hilbert.local_values) < 0
    if is_restricted(hilbert) or of_long_spins:  # all m = 0 is a state of which every order is the same
        return _walked(hilbert, key, chain)
    drawn = words(key, chain, jnp.uint32(0), hilbert.n_sites)
    if hilbert.blocks:
        s_N = jnp.asarray(base_state(hilbert))
        for sites, total in groups(hilbert):
            block = np.array(sites, dtype=np.int32)
            values = _independent(hilbert, drawn[block]) if total is None else s_N[block][jnp.argsort(drawn[block])]
            s_N = s_N.at[block].set(values)
        return s_N
    if hilbert.total is None:
        return _independent(hilbert, drawn)
    return jnp.asarray(base_state(hilbert))[jnp.argsort(drawn)]


def ordered_states(hilbert: Hilbert, colour_N: np.ndarray | None = None) -> np.ndarray:
    """(n, N) int8 different ordered states of the space, at least one.

    The sites take the values that they have to share, largest first, in order, in the order back, by ``colour_N`` (of
    +1 and -1, the sublattices, else every other site) and by its opposite: domains and staggered states. Where nothing
    fixes a total all sites have one value too. Of spaces with exclusions or paths those that obey them.
    """
    n = hilbert.n_sites
    colour_N = np.where(np.arange(n) % 2 == 0, 1, -1) if colour_N is None else colour_N
    orders = [np.arange(n), np.arange(n)[::-1]]
    orders += [np.argsort(-sign * colour_N, kind="stable") for sign in (1, -1)]
    low, high = min(hilbert.local_values), max(hilbert.local_values)
    base = base_state(hilbert)
    uniform = [base.copy() for _ in (low, high)]
    states = [base.copy() for _ in orders]
    for sites, total in groups(hilbert):
        inside = np.zeros(n, bool)
        inside[list(sites)] = True
        for s_N, value in zip(uniform, (high, low), strict=True):
            s_N[inside] = value if total is None else s_N[inside]
        shared = np.sort(base[inside])[::-1]
        if total is None:
            shared = np.where(np.arange(len(shared)) < (len(shared) + 1) // 2, high, low)
        for s_N, order in zip(states, orders, strict=True):
            s_N[order[inside[order]]] = shared
    found = np.unique(np.array([*uniform, *states, base], dtype=np.int8), axis=0)
    return found[members(hilbert, found)]


def _independent(hilbert: Hilbert, words_n: Array) -> Array:
    return jnp.asarray(hilbert.local_values, jnp.int8)[below(words_n, len(hilbert.local_values))]


def _walked(hilbert: Hilbert, key: Array, chain: Array) -> Array:
    moves: list[Proposal | Mixture] = []
    if free_sites(hilbert):
        moves.append(flip(hilbert))
    pairs = [pair for sites, total in groups(hilbert) if total is not None for pair in combinations(sites, 2)]
    if pairs:
        evenly = len(set(np.diff(sorted(hilbert.local_values)))) == 1
        moves.append(hop(np.array(pairs), hilbert) if evenly else exchange(np.array(pairs)))
    kept = [inside(move, hilbert) for move in moves]
    n_steps = STEPS * hilbert.n_sites
    drawn = []
    for k, proposal in enumerate(kept):
        assert isinstance(proposal, Proposal)
        n = proposal.n_words
        drawn.append(words(key, chain, jnp.uint32(k), n_steps * n).reshape(n_steps, n))

    def step(s_N: Array, words: list[Array]) -> tuple[Array, None]:
        for proposal, words_W in zip(kept, words, strict=True):
            assert isinstance(proposal, Proposal)
            move = proposal.propose(words_W, s_N)
            s_N = s_N.at[move.sites].add(move.deltas)
        return s_N, None

    return jax.lax.scan(step, jnp.asarray(base_state(hilbert)), drawn)[0]
