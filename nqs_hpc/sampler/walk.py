"""Sweeps of Markov chains, all those of this rank together: proposals, their acceptance, and the cost of a ratio.

Taken is a move with probability (Hastings 1970, doi:10.1093/biomet/57.1.97)

    min(1, |psi(s')/psi(s)|^(2 beta) q(s|s') / q(s'|s)),

by ``u < `` that, u uniform on the 2^32 midpoints ``(word + 1/2) / 2^32``. beta is 1 but for `tempering`; the ratio
of the q is 1 for symmetric proposals, which do not ask for it.

There are three ways to a ratio. Of a few sites the ansatz knows it from its cache. Where a ratio is a whole forward
pass (``Ansatz.whole``) the chains whose move changes nothing are left out, the exchange of equal spins for one: the
others are put together in batches of one size. A move of many sites is cheaper evaluated again than followed. Of a
proposal of several moves all ratios are asked for, and which one is drawn and how it is judged is in `heat_bath`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.parallel.keys import words
from nqs_hpc.sampler.heat_bath import chosen
from nqs_hpc.sampler.moves import Mixture, Proposal
from nqs_hpc.types import Ansatz, Move, Tree

# A cache follows so many proposals before it is built again; it also bounds the random words held at a time.
REFRESH = 1024
# The words of so many proposals are drawn together where their number is known only as a sweep begins.
DRAWN = 64
# The number instead of a chain's, under which the kinds of moves are drawn: one for all chains, so that a program
# branches, and pays only for the kind of move that it takes.
SHARED = 2**32 - 1
# A move of more sites is evaluated again: an ansatz may unroll its loop over them.
WIDE = 8

# params, frozen, s_CN, cache_C, words_CW, allowed, beta_C -> s_CN, cache_C, accepted_C
Step = Callable[[Tree, Tree, Array, Tree, Array, Array | bool, Array | None], tuple[Array, Tree, Array]]


class Walkers(NamedTuple):
    """Chains between two proposals."""

    s_CN: Array
    cache_C: Tree
    age: Array  # int32, the proposals since the caches were made


class Tally(NamedTuple):
    """What was tried: Q kinds of moves."""

    accepted_QC: tuple[Array, ...]  # Q of (C,), int32
    proposed_Q: Array  # int32, by each chain


class Walk(NamedTuple):
    """``start(frozen, s_CN) -> Walkers``; ``sweep`` moves them on by the proposals that lie before one sample.

    ``sweep(params, frozen, key, chain_C, walkers, number, length=None, beta_C=None) -> (Walkers, Tally)``: sweep
    ``number`` of a call, whose random numbers are those of the global number of each chain. ``length`` is the traced
    number of proposals, one for all chains, where that was left open.
    """

    start: Callable[[Tree, Array], Walkers]
    sweep: Callable[..., tuple[Walkers, Tally]]


class Transition(NamedTuple):
    """How C chains come to the ratios of their moves, and their caches to the states after them."""

    attempt: Callable[[Tree, Tree, Array, Tree, Move], tuple[Array, Tree]]  # params, frozen, s, cache, move
    advance: Callable[[Tree, Array, Tree, Move, Tree, Array], Tree]  # frozen, s, cache, move, attempted, accepted


def walk(
    ansatz: Ansatz, moves: Proposal | Mixture, n_sites: int, *, n_sweeps: int, length: int | None, most: int
) -> Walk:
    """``n_sweeps`` sweeps a call, of ``length`` proposals, or where that is None of as many as each call says, up to
    ``most``.
    """
    if isinstance(moves, Proposal):
        moves = Mixture(("",), (moves,), (1.0,))
    steps = [step(ansatz, proposal, n_sites) for proposal in moves.proposals]
    n_kinds, n_words = len(steps), 1 + max(proposal.n_words for proposal in moves.proposals)
    bounds = np.cumsum(moves.weights)[:-1] / np.sum(moves.weights) * 2.0**32
    # full blocks of equal size where the length is known: their last is filled up with pads that are never accepted
    block = -(-length // -(-length // REFRESH)) if length else DRAWN
    n_blocks = -(-(length or most) // block)
    refreshes = length is None or n_sweeps * n_blocks * block > REFRESH

    def start(frozen: Tree, s_CN: Array) -> Walkers:
        return Walkers(s_CN, jax.vmap(ansatz.prepare, in_axes=(None, 0))(frozen, s_CN), jnp.int32(0))

    def sweep(
        params: Tree,
        frozen: Tree,
        key: Array,
        chain_C: Array,
        walkers: Walkers,
        number: Array,
        length_now: Array | None = None,
        beta_C: Array | None = None,
    ) -> tuple[Walkers, Tally]:
        def propose(
            walkers: Walkers, accepted_QC: tuple[Array, ...], words_CW: Array, kind: Array | None, allowed: Array | bool
        ) -> tuple[Walkers, tuple[Array, ...]]:
            def take(q: int, s_CN: Array, cache_C: Tree) -> tuple[Array, Tree, Array]:
                used = words_CW[:, : 1 + moves.proposals[q].n_words]
                return steps[q](params, frozen, s_CN, cache_C, used, allowed, beta_C)

            if kind is None:
                s_CN, cache_C, accept_C = take(0, walkers.s_CN, walkers.cache_C)
                accepted_QC = (accepted_QC[0] + accept_C,)
            else:
                branches = [functools.partial(take, q) for q in range(n_kinds)]
                s_CN, cache_C, accept_C = jax.lax.switch(kind, branches, walkers.s_CN, walkers.cache_C)
                accepted_QC = tuple(x_C + (accept_C & (kind == q)) for q, x_C in enumerate(accepted_QC))
            return Walkers(s_CN, cache_C, walkers.age), accepted_QC

        def next_block(carry: tuple[Walkers, Tally], place: Array) -> tuple[Walkers, Tally]:
            """The proposals of the sweep from number ``place * block`` on."""
            walkers, tally = carry
            index = number * n_blocks + place
            if refreshes:
                stale = walkers.age + block > REFRESH
                prepare = jax.vmap(ansatz.prepare, in_axes=(None, 0))
                cache_C = jax.lax.cond(stale, prepare, lambda *_: walkers.cache_C, frozen, walkers.s_CN)
                walkers = Walkers(walkers.s_CN, cache_C, jnp.where(stale, 0, walkers.age) + block)
            drawn = jax.vmap(lambda chain: words(key, chain, index, block * n_words).reshape(block, n_words))(chain_C)
            words_TCW = drawn.transpose(1, 0, 2)
            kind_T = None
            if n_kinds > 1:
                shared_T = words(key, jnp.uint32(SHARED), index, block)
                kind_T = jnp.sum(shared_T[:, None] >= jnp.asarray(bounds)[None, :], axis=1, dtype=jnp.int32)
            whole: Any = length if length_now is None else length_now
            left = whole - place * block
            allowed_T = jnp.arange(block) < left

            if length_now is None:

                def each(carry: tuple[Walkers, tuple[Array, ...]], inputs: tuple) -> tuple[Any, None]:
                    return propose(*carry, *inputs), None

                (walkers, accepted_QC), _ = jax.lax.scan(
                    each, (walkers, tally.accepted_QC), (words_TCW, kind_T, allowed_T)
                )
            else:

                def one(t: Array, carry: tuple[Walkers, tuple[Array, ...]]) -> tuple[Walkers, tuple[Array, ...]]:
                    return propose(*carry, words_TCW[t], None if kind_T is None else kind_T[t], True)

                walkers, accepted_QC = jax.lax.fori_loop(0, jnp.minimum(left, block), one, (walkers, tally.accepted_QC))
            proposed_Q = jnp.sum(allowed_T, dtype=jnp.int32)[None]
            if kind_T is not None:
                is_kind_TQ = kind_T[:, None] == jnp.arange(n_kinds)[None, :]
                proposed_Q = jnp.sum(allowed_T[:, None] & is_kind_TQ, axis=0, dtype=jnp.int32)
            return walkers, Tally(accepted_QC, tally.proposed_Q + proposed_Q)

        tally = Tally((jnp.zeros(len(chain_C), jnp.int32),) * n_kinds, jnp.zeros(n_kinds, jnp.int32))
        if length_now is not None:
            needed = -(-length_now // block)
            return jax.lax.fori_loop(0, needed, lambda place, carry: next_block(carry, place), (walkers, tally))
        if n_blocks == 1:
            return next_block((walkers, tally), jnp.int32(0))
        places = jnp.arange(n_blocks, dtype=jnp.int32)
        return jax.lax.scan(lambda carry, place: (next_block(carry, place), None), (walkers, tally), places)[0]

    return Walk(start, sweep)


def step(ansatz: Ansatz, proposal: Proposal, n_sites: int) -> Step:
    """One proposal of C chains, from (C, 1 + n_words) random uint32 and their caches.

    ``allowed`` (bool): where it is False nothing is accepted. ``beta_C`` None stands for 1. An accepted move that
    changes nothing counts in ``accepted_C`` (bool).
    """
    if proposal.several:
        return among(ansatz, proposal)
    words_W, s_N = jax.ShapeDtypeStruct((proposal.n_words,), jnp.uint32), jax.ShapeDtypeStruct((n_sites,), jnp.int8)
    wide = jax.eval_shape(proposal.propose, words_W, s_N).sites.shape[0] > WIDE
    sparse = ansatz.whole and proposal.may_stay
    way = again(ansatz) if wide else of_changed_chains(ansatz) if sparse else followed(ansatz)

    def step(
        params: Tree,
        frozen: Tree,
        s_CN: Array,
        cache_C: Tree,
        words_CW: Array,
        allowed: Array | bool,
        beta_C: Array | None,
    ) -> tuple[Array, Tree, Array]:
        move_CF = jax.vmap(proposal.propose)(words_CW[:, 1:], s_CN)
        log_ratio_C, attempted_C = way.attempt(params, frozen, s_CN, cache_C, move_CF)
        log_q_C = None if proposal.log_q is None else jax.vmap(proposal.log_q)(s_CN, move_CF)
        accept_C = (uniform(words_CW[:, 0]) < acceptance(log_ratio_C, log_q_C, beta_C)) & allowed
        cache_C = way.advance(frozen, s_CN, cache_C, move_CF, attempted_C, accept_C)
        taken_CF = Move(move_CF.sites, jnp.where(accept_C[:, None], move_CF.deltas, 0))
        return moved(s_CN, taken_CF), cache_C, accept_C

    return step


def among(ansatz: Ansatz, proposal: Proposal) -> Step:
    """As `step`, of a proposal of several moves, one of which is drawn by |psi|^2 (`heat_bath`)."""

    def step(
        params: Tree,
        frozen: Tree,
        s_CN: Array,
        cache_C: Tree,
        words_CW: Array,
        allowed: Array | bool,
        beta_C: Array | None,
    ) -> tuple[Array, Tree, Array]:
        move_CKF = jax.vmap(proposal.propose)(words_CW[:, 1:], s_CN)
        n_chains, n_moves = move_CKF.deltas.shape[:2]
        if ansatz.whole:
            # as many chains as there are moves: those that do not exist are left out, and a forward pass is kept
            many_s, many_caches = jax.tree.map(lambda x: jnp.repeat(x, n_moves, axis=0), (s_CN, cache_C))
            flat = Move(*(x.reshape(-1, x.shape[-1]) for x in move_CKF))
            found = of_changed_chains(ansatz).attempt(params, frozen, many_s, many_caches, flat)
            log_ratio_CK, attempted_CK = jax.tree.map(lambda x: x.reshape(n_chains, n_moves, *x.shape[1:]), found)
        else:
            log_ratio_CK = jax.vmap(ansatz.log_ratios, in_axes=(None, 0, 0, 0))(frozen, s_CN, cache_C, move_CKF)
            attempted_CK = None
        exponent_CK = 2.0 * jnp.real(log_ratio_CK).astype(jnp.float64)
        if beta_C is not None:
            exponent_CK = jnp.asarray(beta_C)[:, None] * exponent_CK
        exists_CK = jnp.any(move_CKF.deltas != 0, axis=2)
        which_C, p_C = jax.vmap(chosen)(exponent_CK, exists_CK, words_CW[:, -1])
        accept_C = (uniform(words_CW[:, 0]) < p_C) & allowed
        move_CF, attempted_C = jax.tree.map(lambda x: x[jnp.arange(n_chains), which_C], (move_CKF, attempted_CK))
        advance = jax.vmap(ansatz.advance, in_axes=(None, 0, 0, 0, 0, 0))
        cache_C = advance(frozen, s_CN, cache_C, move_CF, attempted_C, accept_C)
        return moved(s_CN, Move(move_CF.sites, jnp.where(accept_C[:, None], move_CF.deltas, 0))), cache_C, accept_C

    return step


def uniform(words: Array) -> Array:
    """Numbers in (0, 1), float64."""
    return (words.astype(jnp.float64) + 0.5) * 2.0**-32


def acceptance(log_ratio: Array, log_q: Array | None = None, beta: Array | None = None) -> Array:
    """The probability min(1, |psi(s')/psi(s)|^(2 beta) q(s|s')/q(s'|s)) of taking a move, in float64."""
    exponent = 2.0 * jnp.real(log_ratio).astype(jnp.float64)
    if beta is not None:
        exponent = beta * exponent
    if log_q is not None:
        exponent = exponent + log_q
    return jnp.minimum(1.0, jnp.exp(exponent))


def followed(ansatz: Ansatz) -> Transition:
    """Ratios from the caches, chain by chain."""

    def attempt(params: Tree, frozen: Tree, s_CN: Array, cache_C: Tree, move_CF: Move) -> tuple[Array, Tree]:
        del params
        return jax.vmap(ansatz.attempt, in_axes=(None, 0, 0, 0))(frozen, s_CN, cache_C, move_CF)

    return Transition(attempt, jax.vmap(ansatz.advance, in_axes=(None, 0, 0, 0, 0, 0)))


def of_changed_chains(ansatz: Ansatz) -> Transition:
    """The ratios of those chains whose move changes something, in batches; of the others they are 0."""
    advance_chains = jax.vmap(ansatz.advance, in_axes=(None, 0, 0, 0, 0, 0))

    def changes(move_CF: Move) -> Array:
        return jnp.any(move_CF.deltas != 0, axis=1)

    def attempt(params: Tree, frozen: Tree, s_CN: Array, cache_C: Tree, move_CF: Move) -> tuple[Array, Tree]:
        del params
        n_chains = len(s_CN)
        size = batch(n_chains)
        changes_C = changes(move_CF)
        # first the numbers of the chains, then numbers beyond the last, which read and write nothing
        places = jnp.nonzero(changes_C, size=n_chains + size, fill_value=n_chains)[0]

        def ask(carry: tuple[Array, Tree]) -> tuple[Array, Tree]:
            start, found_C = carry
            place = jax.lax.dynamic_slice(places, (start,), (size,))
            chain = jnp.minimum(place, n_chains - 1)
            one = jax.tree.map(lambda x: x[chain], (s_CN, cache_C, move_CF))
            found = jax.vmap(ansatz.attempt, in_axes=(None, 0, 0, 0))(frozen, *one)
            return start + size, jax.tree.map(lambda x, new: x.at[place].set(new, mode="drop"), found_C, found)

        shapes = jax.eval_shape(jax.vmap(ansatz.attempt, in_axes=(None, 0, 0, 0)), frozen, s_CN, cache_C, move_CF)
        nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        n_changed = jnp.sum(changes_C)
        return jax.lax.while_loop(lambda carry: carry[0] < n_changed, ask, (jnp.int32(0), nothing))[1]

    def advance(frozen: Tree, s_CN: Array, cache_C: Tree, move_CF: Move, attempted_C: Tree, accepted_C: Array) -> Tree:
        # a chain that stays where it is has attempted nothing, which must not become its cache
        return advance_chains(frozen, s_CN, cache_C, move_CF, attempted_C, accepted_C & changes(move_CF))

    return Transition(attempt, advance)


def batch(n_chains: int) -> int:
    """The chains asked at a time: matrix products of few rows are slow, and of few large batches the last is empty."""
    return max(min(16, n_chains // 2), n_chains // 8, 1)


def again(ansatz: Ansatz) -> Transition:
    """Ratios as differences of log psi, and caches made again; as elsewhere a state with psi = 0 accepts any move."""

    def attempt(params: Tree, frozen: Tree, s_CN: Array, cache_C: Tree, move_CF: Move) -> tuple[Array, Tree]:
        del cache_C
        log_psi = jax.vmap(ansatz.log_psi, in_axes=(None, 0))
        new_CN = moved(s_CN, move_CF)
        old_C, new_C = log_psi(params, s_CN), log_psi(params, new_CN)
        ratio_C = jnp.where(jnp.isneginf(jnp.real(old_C)), 0, new_C - old_C)
        return ratio_C, jax.vmap(ansatz.prepare, in_axes=(None, 0))(frozen, new_CN)

    def advance(frozen: Tree, s_CN: Array, cache_C: Tree, move_CF: Move, attempted_C: Tree, accepted_C: Array) -> Tree:
        del frozen, s_CN, move_CF

        def choose(new: Array, old: Array) -> Array:
            return jnp.where(accepted_C.reshape(-1, *(1,) * (new.ndim - 1)), new, old)

        return jax.tree.map(choose, attempted_C, cache_C)

    return Transition(attempt, advance)


def moved(s_CN: Array, move_CF: Move) -> Array:
    """The configurations after one move each."""
    return jax.vmap(lambda s_N, move: s_N.at[move.sites].add(move.deltas))(s_CN, move_CF)
