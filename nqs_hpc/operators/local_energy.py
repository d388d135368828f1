"""Local energies through ratios:  E_loc(s) = <s|H|psi> / <s|psi> = H_ss + sum_s' H_ss' psi(s') / psi(s).

The matrix elements come with moves, and psi(s') / psi(s) is asked of the ansatz as a ratio, some pairs (s, s') at a
time. Where elements can vanish (parallel bonds under exchange), the pairs of many samples whose elements do not are put
together first, in batches of one size: the network is asked for nothing that is then multiplied by 0.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.parallel.chunk import activations, chunked, chunked_map, even_part
from nqs_hpc.types import Ansatz, Operator, Tree

# Pairs (s, s') asked for at a time: their activations stay in a core's cache.
PAIRS = 1024


def local_energies(ansatz: Ansatz, operator: Operator, *, chunk: int | None) -> Callable[[Tree, Array], Array]:
    """``(frozen, s_BN) -> (B,)``: complex where the ansatz or the operator is.

    ``chunk`` bounds how many configurations the network sees at a time: samples, and as many pairs as hold no more
    numbers than they do.
    """

    def at_once(frozen: Tree, s_N: Array) -> int:
        """How many pairs."""
        if chunk is None:
            return PAIRS
        cache, (moves, _) = jax.eval_shape(ansatz.prepare, frozen, s_N), jax.eval_shape(operator.connected, s_N)
        move = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), moves)
        of_sample = activations(jax.make_jaxpr(ansatz.prepare)(frozen, s_N).jaxpr)
        of_pair = activations(jax.make_jaxpr(ansatz.log_ratio)(frozen, s_N, cache, move).jaxpr)
        return min(PAIRS, chunk * max(1, of_sample // of_pair))

    def all_pairs(frozen: Tree, s_N: Array, pairs_at_once: int) -> Array:
        moves, elements_K = operator.connected(s_N)
        cache = ansatz.prepare(frozen, s_N)
        ratios = chunked(lambda some: ansatz.log_ratios(frozen, s_N, cache, some), moves, pairs_at_once)
        return jnp.sum(elements_K * jnp.exp(ratios))

    def compacted(frozen: Tree, s_bN: Array, pairs_at_once: int) -> Array:
        moves_bKF, elements_bK = jax.vmap(operator.connected)(s_bN)
        cache_b = jax.vmap(ansatz.prepare, in_axes=(None, 0))(frozen, s_bN)
        n_pairs, size = elements_bK.size, min(pairs_at_once, elements_bK.size)
        moves = jax.tree.map(lambda x: x.reshape(n_pairs, x.shape[-1]), moves_bKF)
        alive = elements_bK.ravel() != 0
        # the places of the living pairs in front; behind them, places beyond the last, which read and write nothing
        places = jnp.nonzero(alive, size=n_pairs + size, fill_value=n_pairs)[0]

        def ask(carry: tuple[Array, Array]) -> tuple[Array, Array]:
            start, ratios = carry
            place = jax.lax.dynamic_slice(places, (start,), (size,))
            known = jnp.minimum(place, n_pairs - 1)
            sample = known // operator.n_connected
            cache = jax.tree.map(lambda x: x[sample], cache_b)
            move = jax.tree.map(lambda x: x[known], moves)
            log_ratios = jax.vmap(ansatz.log_ratio, in_axes=(None, 0, 0, 0))(frozen, s_bN[sample], cache, move)
            return start + size, ratios.at[place].set(jnp.exp(log_ratios), mode="drop")

        one = jax.tree.map(lambda x: x[0], (s_bN, cache_b, moves))
        dtype = jax.eval_shape(ansatz.log_ratio, frozen, *one).dtype
        nothing = (jnp.int32(0), jnp.zeros(n_pairs, dtype))
        _, ratios = jax.lax.while_loop(lambda carry: carry[0] < jnp.sum(alive), ask, nothing)
        return jnp.sum(elements_bK * ratios.reshape(elements_bK.shape), axis=1)

    def local_energies(frozen: Tree, s_BN: Array) -> Array:
        # Many samples at once: sums over bonds are gathers, which a few samples do not fill.
        diagonal_B = chunked_map(operator.diagonal, s_BN, chunk)
        if operator.n_connected == 0:
            return diagonal_B
        pairs_at_once = at_once(frozen, s_BN[0])
        if operator.may_vanish:
            return diagonal_B + chunked(lambda s_bN: compacted(frozen, s_bN, pairs_at_once), s_BN, chunk)
        samples_at_once = even_part(len(s_BN), max(1, pairs_at_once // operator.n_connected))
        # More moves of one sample than pairs at once are cut as well.
        moves_at_once = even_part(operator.n_connected, pairs_at_once)
        return diagonal_B + chunked_map(lambda s_N: all_pairs(frozen, s_N, moves_at_once), s_BN, samples_at_once)

    return local_energies
