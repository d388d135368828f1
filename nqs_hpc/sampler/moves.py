"""Proposals of the Metropolis algorithm: one random move of one configuration.

Most are symmetric, q(s'|s) = q(s|s'), and cancel in the ratio of Metropolis; `hamiltonian` is not, and says by how much
(Hastings 1970, doi:10.1093/biomet/57.1.97). Random words are uint32: the same proposals in every precision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.system.hilbert import Hilbert, groups, has_one_total, is_restricted, violates
from nqs_hpc.types import Move, Operator


class Proposal(NamedTuple):
    """``propose(words_W, s_N) -> Move`` from ``n_words`` uint32; ``log_q(s_N, move)`` is log q(s|s') / q(s'|s).

    Where there are ``several`` it gives K moves, of which those of deltas 0 do not exist, and one is drawn by |psi|^2
    and the last word (`heat_bath`): the same states, with the own one, from each of them and the other words.
    """

    propose: Callable[[Array, Array], Move]
    n_words: int
    log_q: Callable[[Array, Move], Array] | None = None  # None: symmetric, and nothing is computed
    may_stay: bool = False  # whether moves that change nothing are common
    several: bool = False


class Mixture(NamedTuple):
    """Proposals, one of which is drawn each time with a fixed probability.

    Each alone keeps |psi|^2, and which of them it is does not depend on the state: so does the mixture, and it reaches
    what any of them reaches.
    """

    names: tuple[str, ...]
    proposals: tuple[Proposal, ...]
    weights: tuple[float, ...]  # above 0, whatever their sum


def flip(hilbert: Hilbert) -> Proposal:
    """A random site takes another of its local values: the flip of one spin, any other number of bosons.

    Of the sites of blocks with a total none is taken. ValueError if these are all.
    """
    sites = free_sites(hilbert)
    if not sites:
        raise ValueError("the move flip: not available where every site belongs to a fixed total")
    some = None if len(sites) == hilbert.n_sites else np.array(sites, dtype=np.int32)
    values = np.asarray(hilbert.local_values, dtype=np.int8)
    gap = int(values[1]) - int(values[0])
    n_values = len(values)

    def propose(words: Array, s_N: Array) -> Move:
        site = below(words[0], len(sites))
        if some is not None:
            site = jnp.asarray(some)[site]
        old = s_N[site]
        if n_values == 2:
            delta = (int(values[0]) + int(values[1])) - 2 * old
        else:
            digit = (old.astype(jnp.int32) - int(values[0])) // gap
            digit = (digit + 1 + below(words[1], n_values - 1)) % n_values
            delta = jnp.asarray(values)[digit] - old
        return Move(site[None], delta[None].astype(jnp.int8))

    return Proposal(propose, n_words=1 if n_values == 2 else 2)


def exchange(pairs: np.ndarray, hilbert: Hilbert | None = None) -> Proposal:
    """Two sites, one of the given pairs (n_pairs, 2), exchange their values: every total is kept.

    Of the pairs those within one block of ``hilbert`` are taken. Equal values make it the move that changes nothing,
    which is accepted. Ergodic in a sector of two local values where the pairs connect all sites; of more values only
    beside another move.
    """
    table = np.asarray(pairs, dtype=np.int32) if hilbert is None else within_blocks(pairs, hilbert)

    def propose(words: Array, s_N: Array) -> Move:
        sites = jnp.asarray(table)[below(words[0], len(table))]
        values = s_N[sites]
        return Move(sites, values[::-1] - values)

    return Proposal(propose, n_words=1, may_stay=True)


def exchange_any(n_sites: int) -> Proposal:
    """Two sites, any of them, exchange their values: every total of all sites is kept. Needs no table of pairs."""

    def propose(words: Array, s_N: Array) -> Move:
        first = below(words[0], n_sites)
        second = first + 1 + below(words[1], n_sites - 1)
        sites = jnp.stack([first, jnp.where(second < n_sites, second, second - n_sites)])
        values = s_N[sites]
        return Move(sites, values[::-1] - values)

    return Proposal(propose, n_words=2, may_stay=True)


def one_of(proposals: Sequence[Proposal]) -> Proposal:
    """One of several symmetric proposals of few sites, each chain for itself, all equally likely.

    As a `Mixture`, but one move of as many sites as the widest has, so that a program compiles one way to a ratio and
    not one for each.
    """
    assert all(proposal.log_q is None and not proposal.several for proposal in proposals)
    if len(proposals) == 1:
        return proposals[0]

    def propose(words: Array, s_N: Array) -> Move:
        moves = [proposal.propose(words[1 : 1 + proposal.n_words], s_N) for proposal in proposals]
        width = max(move.sites.shape[0] for move in moves)
        padded = [Move(*(jnp.pad(x, (0, width - len(x))) for x in move)) for move in moves]
        which = below(words[0], len(proposals))
        return Move(*(jnp.stack(x)[which] for x in zip(*padded, strict=True)))

    most = max(proposal.n_words for proposal in proposals)
    return Proposal(propose, n_words=1 + most, may_stay=any(proposal.may_stay for proposal in proposals))


def hop(pairs: np.ndarray, hilbert: Hilbert) -> Proposal:
    """One particle goes from a site to another, along one of the given pairs (n_pairs, 2) within a block, either way:
    totals are kept. Of longer spins one is lowered by a step and the other raised, so that (0, 0) becomes (-1, 1).

    From an empty site, or to a full one, it is the move that changes nothing: the state stays, as after a rejection.
    Each way of each pair is equally likely from every state, which makes it symmetric. Ergodic in a sector where the
    pairs connect all sites of each block.
    """
    lowest, highest = min(hilbert.local_values), max(hilbert.local_values)
    step = (highest - lowest) // (len(hilbert.local_values) - 1)
    assert sorted(hilbert.local_values) == list(range(lowest, highest + 1, step))
    table = within_blocks(pairs, hilbert)
    table = np.concatenate([table, table[:, ::-1]])  # from, to

    def propose(words: Array, s_N: Array) -> Move:
        sites = jnp.asarray(table)[below(words[0], len(table))]
        fits = (s_N[sites[0]] > lowest) & (s_N[sites[1]] < highest)
        return Move(sites, jnp.where(fits, jnp.array([-step, step], jnp.int8), jnp.int8(0)))

    return Proposal(propose, n_words=1, may_stay=True)


def flip_groups(groups: Sequence[tuple[int, ...]]) -> Proposal:
    """All two-valued sites of one of the given groups flip: the four of a plaquette, the links of a star.

    Does not keep a total, and reaches all states only beside single flips.
    """
    width = max(map(len, groups))
    table = np.zeros((len(groups), width), np.int32)
    real = np.zeros((len(groups), width), np.bool_)
    for row, group in enumerate(groups):
        table[row, : len(group)], real[row, : len(group)] = group, True

    def propose(words: Array, s_N: Array) -> Move:
        group = below(words[0], len(table))
        sites = jnp.asarray(table)[group]
        return Move(sites, jnp.where(jnp.asarray(real)[group], -2 * s_N[sites], 0).astype(jnp.int8))

    return Proposal(propose, n_words=1)


def global_flip(n_sites: int) -> Proposal:
    """All spins flip. Keeps the total 0, and reaches only one other state."""

    def propose(words: Array, s_N: Array) -> Move:
        del words
        return Move(jnp.arange(n_sites, dtype=jnp.int32), (-2 * s_N).astype(jnp.int8))

    return Proposal(propose, n_words=0)


def hamiltonian(operator: Operator) -> Proposal:
    """One of the n(s) states that the Hamiltonian joins to s, each equally likely: q(s|s') / q(s'|s) = n(s) / n(s').

    Keeps what the Hamiltonian conserves. Two states are joined by as many moves one way as the other, since it is
    Hermitian. The elements of s and of s' are computed for each proposal.
    """
    assert operator.n_connected > 0
    if not operator.is_hermitian:
        raise ValueError("the move hamiltonian: not available for an operator that is not Hermitian")

    def n_joined(s_N: Array) -> Array:
        return jnp.sum(operator.connected(s_N)[1] != 0, dtype=jnp.int32)

    def propose(words: Array, s_N: Array) -> Move:
        moves_KF, elements_K = operator.connected(s_N)
        count_K = jnp.cumsum(elements_K != 0, dtype=jnp.int32)
        chosen = below(words[0], count_K[-1])
        # the first move at which the count passes the chosen number; of none, any: all their deltas are 0
        k = jnp.minimum(jnp.sum(count_K <= chosen), operator.n_connected - 1)
        return Move(moves_KF.sites[k], moves_KF.deltas[k])

    def log_q(s_N: Array, move: Move) -> Array:
        here, there = n_joined(s_N), n_joined(s_N.at[move.sites].add(move.deltas))
        return jnp.log(jnp.maximum(here, 1).astype(jnp.float64) / jnp.maximum(there, 1))

    return Proposal(propose, n_words=1, log_q=log_q)


def inside(moves: Proposal | Mixture, hilbert: Hilbert) -> Proposal | Mixture:
    """``moves`` that lead out of a space with blocks, exclusions or paths change nothing instead, as after a rejection.

    What is proposed of the others is as likely as before, so that |psi|^2 stays what it was. In a space with one total,
    or none, ``moves`` themselves.
    """
    if has_one_total(hilbert):
        return moves
    if isinstance(moves, Mixture):
        return moves._replace(proposals=tuple(_inside(proposal, hilbert) for proposal in moves.proposals))
    return _inside(moves, hilbert)


def _inside(proposal: Proposal, hilbert: Hilbert) -> Proposal:
    def propose(words: Array, s_N: Array) -> Move:
        move = proposal.propose(words, s_N)
        kept = (
            jax.vmap(lambda one: stays(hilbert, s_N, one))(move)[:, None]
            if proposal.several
            else stays(hilbert, s_N, move)
        )
        return Move(move.sites, jnp.where(kept, move.deltas, 0).astype(move.deltas.dtype))

    return proposal._replace(propose=propose, may_stay=True)


def stays(hilbert: Hilbert, s_N: Array, move: Move) -> Array:
    """Whether a move of a state keeps the totals of all blocks, and breaks no exclusion and no path: bool."""
    fixed = [group for group in groups(hilbert) if group.total is not None]
    inside_GN = np.zeros((len(fixed), hilbert.n_sites), dtype=np.int32)
    for row, group in zip(inside_GN, fixed, strict=True):
        row[list(group.sites)] = 1
    changes_G = jnp.sum(jnp.asarray(inside_GN)[:, move.sites] * move.deltas.astype(jnp.int32)[None, :], axis=1)
    kept = jnp.all(changes_G == 0)
    if is_restricted(hilbert):
        kept = kept & ~violates(hilbert, s_N.at[move.sites].add(move.deltas))
    return kept


def free_sites(hilbert: Hilbert) -> list[int]:
    """The sites that belong to no total."""
    return sorted(site for group in groups(hilbert) if group.total is None for site in group.sites)


def within_blocks(pairs: np.ndarray, hilbert: Hilbert) -> np.ndarray:
    """The pairs (n_pairs, 2) of sites of one block. ValueError if there is none."""
    table = np.asarray(pairs, dtype=np.int32).reshape(-1, 2)
    if not hilbert.blocks:
        return table
    number_N = np.empty(hilbert.n_sites, dtype=np.int32)
    for g, group in enumerate(groups(hilbert)):
        number_N[list(group.sites)] = g
    table = table[number_N[table[:, 0]] == number_N[table[:, 1]]]
    if len(table) == 0:
        raise ValueError("none of the pairs of sites lies within one block: nothing could move")
    return table


def below(word: Array, n: int | Array) -> Array:
    """An integer in [0, n) as the high half of word * n; the bias is below n / 2**32."""
    factor = np.uint64(n) if isinstance(n, int) else n.astype(jnp.uint64)
    return (word.astype(jnp.uint64) * factor >> np.uint64(32)).astype(jnp.int32)
