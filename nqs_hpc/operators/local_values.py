"""Local values of operators through ratios:  A_loc(s) = <s|A|psi> / <s|psi> = A_ss + sum_s' A_ss' psi(s') / psi(s).

The matrix elements come with moves, and psi(s') / psi(s) is asked of the ansatz as a ratio, some pairs (s, s') at a
time. Where elements can vanish (parallel bonds under exchange), the pairs of many samples whose elements do not are put
together first, in batches of one size: the network is asked for nothing that is then multiplied by 0. A network whose
``log_ratios`` answers many moves of one configuration in one pass is asked sample by sample instead, the living moves
of each in front, so that no cache is copied for each pair. Of an operator with very many moves only a block of them is
made at a time.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.parallel.chunk import activations, chunked, chunked_map, even_part
from nqs_hpc.types import Ansatz, Local, Move, Operator, Tree

# Pairs (s, s') asked for at a time: their activations stay in a core's cache.
PAIRS = 1024
# Moves of one sample beyond which they are made in blocks, and so are those of all samples where they would take more
# than half of the memory; and how many pairs of all samples are held at a time then.
MOVES = 2**13
MEMORY = 2**31
HELD = 2**16

Connected = Callable[[Array], tuple[Move, Array]]


def local_values(operator: Operator, *, chunk: int | None, held: int = HELD, memory: int = MEMORY) -> Local:
    """The local values (B,) of ``operator`` as `local_energies` has them."""
    return Local(lambda ansatz: local_energies(ansatz, operator, chunk=chunk, held=held, memory=memory))


def local_energies(
    ansatz: Ansatz, operator: Operator, *, chunk: int | None, held: int = HELD, memory: int = MEMORY
) -> Callable[..., Array]:
    """``(frozen, s_BN, time=None) -> (B,)``: complex where the ansatz or the operator is. ``time`` may be traced; it
    counts for operators that depend on it.

    ``chunk`` bounds how many configurations the network sees at a time: samples, and as many pairs as hold no more
    numbers than they do. ``held`` bounds the pairs (s, s') whose moves are held at a time, for operators with
    ``connected_some``; these go in blocks where all moves of the samples would take more than half of ``memory`` bytes.
    """

    def local_energies(frozen: Tree, s_BN: Array, time: Array | None = None) -> Array:
        now = operator if time is None or operator.at is None else operator.at(time)
        # Many samples at once: sums over bonds are gathers, which a few samples do not fill.
        diagonal_B = chunked_map(now.diagonal, s_BN, chunk)
        if now.n_connected == 0:
            return diagonal_B
        pairs = pairs_at_once(ansatz, now.connected, frozen, s_BN[0], chunk)
        if are_many(now, s_BN, chunk, memory):
            size = min(MOVES, held, now.n_connected)
            samples = min(chunk or len(s_BN), max(1, held // size))
            blocks = in_blocks(ansatz, now, frozen, size, pairs)
            return diagonal_B + chunked(blocks, s_BN, samples)
        if now.may_vanish:
            return diagonal_B + chunked(of_living_pairs(ansatz, now.connected, frozen, pairs), s_BN, chunk)
        samples_at_once = even_part(len(s_BN), max(1, pairs // now.n_connected))
        # More moves of one sample than pairs at once are cut as well.
        moves_at_once = even_part(now.n_connected, pairs)
        every = of_all_pairs(ansatz, now.connected, frozen, moves_at_once)
        return diagonal_B + chunked_map(every, s_BN, samples_at_once)

    return local_energies


def are_many(operator: Operator, s_BN: Array, chunk: int | None, memory: int = MEMORY) -> bool:
    """Whether the moves of an operator are made in blocks."""
    if operator.connected_some is None:
        return False
    if operator.n_connected > MOVES:
        return True
    if not operator.may_vanish:  # a few samples at a time
        return False
    numbers = activations(jax.make_jaxpr(operator.connected)(of_one(s_BN)).jaxpr)
    return min(chunk or len(s_BN), len(s_BN)) * numbers > memory / 16  # numbers of 8 bytes


def pairs_at_once(ansatz: Ansatz, connected: Connected, frozen: Tree, s_N: Array, chunk: int | None) -> int:
    if chunk is None:
        return PAIRS
    cache, (moves, _) = jax.eval_shape(ansatz.prepare, frozen, s_N), jax.eval_shape(connected, s_N)
    move = of_one(moves)
    of_sample = activations(jax.make_jaxpr(ansatz.prepare)(frozen, s_N).jaxpr)
    of_pair = activations(jax.make_jaxpr(ansatz.log_ratio)(frozen, s_N, cache, move).jaxpr)
    return min(PAIRS, chunk * max(1, of_sample // of_pair))


def of_all_pairs(ansatz: Ansatz, connected: Connected, frozen: Tree, pairs: int) -> Callable[[Array], Array]:
    """The sum over s' of one sample."""

    def of_sample(s_N: Array) -> Array:
        moves, elements_K = connected(s_N)
        cache = ansatz.prepare(frozen, s_N)
        ratios = chunked(lambda some: ansatz.log_ratios(frozen, s_N, cache, some), moves, pairs)
        return jnp.sum(elements_K * jnp.exp(ratios))

    return of_sample


def of_living_pairs(ansatz: Ansatz, connected: Connected, frozen: Tree, pairs: int) -> Callable[[Array], Array]:
    """The sums over s' of samples (b, N), without the pairs whose elements vanish."""

    def of_samples(s_bN: Array) -> Array:
        moves_bKF, elements_bK = jax.vmap(connected)(s_bN)
        ratios_bK = living_ratios(ansatz, frozen, s_bN, moves_bKF, elements_bK != 0, pairs)
        return jnp.sum(elements_bK * ratios_bK, axis=1)

    return of_samples


def living_ratios(ansatz: Ansatz, frozen: Tree, s_bN: Array, moves_bKF: Move, alive_bK: Array, pairs: int) -> Array:
    """psi(s') / psi(s) of the pairs of samples (b, N) and moves that are alive, ``pairs`` at a time; 0 of the others:
    (b, K).
    """
    cache_b = jax.vmap(ansatz.prepare, in_axes=(None, 0))(frozen, s_bN)
    if shares(ansatz, frozen, *of_one((s_bN, cache_b, moves_bKF))):
        rows_b = jnp.arange(len(s_bN))[:, None]

        def some(number_bk: Array) -> Move:
            return jax.tree.map(lambda x: x[rows_b, number_bk], moves_bKF)

        return sample_by_sample(ansatz, frozen, s_bN, cache_b, some, alive_bK, pairs)
    return pair_by_pair(ansatz, frozen, s_bN, cache_b, moves_bKF, alive_bK, pairs)


def pair_by_pair(
    ansatz: Ansatz, frozen: Tree, s_bN: Array, cache_b: Tree, moves_bKF: Move, alive_bK: Array, pairs: int
) -> Array:
    """The living pairs of all samples, a batch at a time."""
    n_connected = alive_bK.shape[1]
    n_pairs, size = alive_bK.size, min(pairs, alive_bK.size)
    moves = jax.tree.map(lambda x: x.reshape(n_pairs, x.shape[-1]), moves_bKF)
    alive = alive_bK.ravel()
    # first the places of the living pairs, then places beyond the last, which read and write nothing
    places = jnp.nonzero(alive, size=n_pairs + size, fill_value=n_pairs)[0]

    def ask(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        start, ratios = carry
        place = jax.lax.dynamic_slice(places, (start,), (size,))
        known = jnp.minimum(place, n_pairs - 1)
        sample = known // n_connected
        cache = jax.tree.map(lambda x: x[sample], cache_b)
        move = jax.tree.map(lambda x: x[known], moves)
        log_ratios = jax.vmap(ansatz.log_ratio, in_axes=(None, 0, 0, 0))(frozen, s_bN[sample], cache, move)
        return start + size, ratios.at[place].set(jnp.exp(log_ratios), mode="drop")

    one = jax.tree.map(lambda x: x[0], (s_bN, cache_b, moves))
    dtype = jax.eval_shape(ansatz.log_ratio, frozen, *one).dtype
    nothing = (jnp.int32(0), jnp.zeros(n_pairs, dtype))
    _, ratios = jax.lax.while_loop(lambda carry: carry[0] < jnp.sum(alive), ask, nothing)
    return ratios.reshape(alive_bK.shape)


def sample_by_sample(
    ansatz: Ansatz,
    frozen: Tree,
    s_bN: Array,
    cache_b: Tree,
    some_moves: Callable[[Array], Move],
    alive_bK: Array,
    pairs: int,
) -> Array:
    """The living moves of each sample in front, ``log_ratios`` of some of every sample at a time; ``some_moves`` gives
    those of each sample by their numbers (b, k).
    """
    n_samples, n_connected = alive_bK.shape
    size = min(n_connected, max(1, pairs // n_samples))
    find = jax.vmap(lambda alive_K: jnp.nonzero(alive_K, size=n_connected + size, fill_value=n_connected)[0])
    places_bK = find(alive_bK)
    most = jnp.max(jnp.sum(alive_bK, axis=1))

    rows_b = jnp.arange(n_samples)[:, None]
    of_all = jax.vmap(ansatz.log_ratios, in_axes=(None, 0, 0, 0))

    def ask(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        start, ratios_bK = carry
        place_bk = jax.lax.dynamic_slice(places_bK, (jnp.int32(0), start), (n_samples, size))
        known_bk = jnp.minimum(place_bk, n_connected - 1)
        log_ratios_bk = of_all(frozen, s_bN, cache_b, some_moves(known_bk))
        return start + size, ratios_bK.at[rows_b, place_bk].set(jnp.exp(log_ratios_bk), mode="drop")

    one = jax.eval_shape(some_moves, jax.ShapeDtypeStruct((n_samples, 1), np.int32))
    dtype = jax.eval_shape(of_all, frozen, s_bN, cache_b, one).dtype
    nothing = (jnp.int32(0), jnp.zeros(alive_bK.shape, dtype))
    _, ratios_bK = jax.lax.while_loop(lambda carry: carry[0] < most, ask, nothing)
    return ratios_bK


def in_blocks(ansatz: Ansatz, operator: Operator, frozen: Tree, size: int, pairs: int) -> Callable[[Array], Array]:
    """The sums over s' of samples (b, N), ``size`` moves of each made at a time."""
    some = operator.connected_some
    assert some is not None

    def of_samples(s_bN: Array) -> Array:
        def of_block(start: Array) -> Array:
            def connected(s_N: Array) -> tuple[Move, Array]:
                return some(s_N, start, size)

            if operator.may_vanish:
                return of_living_pairs(ansatz, connected, frozen, pairs)(s_bN)
            # elements past the last are 0, and so are those moves: their ratio is 1
            return jax.lax.map(of_all_pairs(ansatz, connected, frozen, even_part(size, pairs)), s_bN)

        n_blocks = -(-operator.n_connected // size)
        starts = size * jnp.arange(n_blocks, dtype=jnp.int32)
        dtype = jax.eval_shape(of_block, starts[0])
        nothing = jnp.zeros(dtype.shape, dtype.dtype)
        return jax.lax.scan(lambda sum_b, start: (sum_b + of_block(start), None), nothing, starts)[0]

    return of_samples


def shares(ansatz: Ansatz, frozen: Tree, s_N: Array, cache: Tree, moves_KF: Move) -> bool:
    """Whether ``log_ratios`` of all the moves makes less than half the numbers that as many single ratios make: such a
    network answers them in one pass.
    """
    n_moves = moves_KF.sites.shape[0]
    move = of_one(moves_KF)
    together = activations(jax.make_jaxpr(ansatz.log_ratios)(frozen, s_N, cache, moves_KF).jaxpr)
    apart = n_moves * activations(jax.make_jaxpr(ansatz.log_ratio)(frozen, s_N, cache, move).jaxpr)
    return 2 * together < apart


def of_one(many: Tree) -> Tree:
    """The shapes of one entry of the leading axis."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), many)
