"""Any network, moved so that it begins as a product state.

    log psi(s) = log phi_0(s) + f_theta(s) - f_theta0(s),     log phi_0(s) = sum_i a_i x_i   (`system.product_states`)

At theta = theta_0, the random first parameters of the network, psi is phi_0 itself, while the log-derivatives are those
of the network there: all of it can move, not only a last layer. theta_0 is drawn again in each program from a fixed
key. A ratio is two of the network's own, so that everything takes twice the time.

The fields a_i are numbers and no parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.ansatz.complete import complete
from nqs_hpc.system.product_states import TINY, affine, reduced
from nqs_hpc.types import Ansatz, Kind, Move, Tree


class Anchored(NamedTuple):
    """Frozen parameters, caches or results of an attempt, at theta and at theta_0."""

    here: Tree
    start: Tree


def anchored(
    net: Ansatz,
    fields_N: NDArray[Any],
    *,
    local_values: tuple[int, ...] = (1, -1),
    seed: int = 0,
    first: Callable[[Array], Tree] | None = None,
) -> Ansatz:
    """``net``, whose parameters these are, with the product state of ``fields_N`` (N,) at those of ``seed``.

    ``init`` gives theta_0 whatever its key: what ``first`` draws, or the ``init`` of ``net``, in the types of the
    latter. A network in float32 is given that in float64 as ``first``, else its state would be another one. Of
    sites with more than two ``local_values`` the state is that of equal amplitudes, all fields 0. Kinds: that of
    ``net`` where that is complex or holomorphic; of a real or signed one real if all fields are real, ``signed`` if
    phases are signs. Raises ValueError for a real network and other phases.
    """
    a_N = reduced(fields_N)
    middle, half = affine(local_values) if a_N.any() else (0.0, 1.0)
    kind = _kind(net.kind, a_N)

    def theta_0() -> Tree:
        # Behind the barrier XLA does not know the key: it would try to draw the numbers while it compiles.
        data = jax.lax.optimization_barrier(jax.random.key_data(jax.random.key(seed, impl="threefry2x32")))
        key = jax.random.wrap_key_data(data, impl="threefry2x32")
        if first is None:
            return net.init(key)
        return jax.tree.map(lambda x, like: x.astype(like.dtype), first(key), jax.eval_shape(net.init, key))

    def init(key: Array) -> Tree:
        del key
        return theta_0()

    def log_phi(x_N: Array, a_N: NDArray[np.complex128]) -> Array:
        """sum_i a_i x_i, of real x; phases are those of x - 1, so that upper values have none."""
        size = jnp.sum(x_N * a_N.real.astype(x_N.dtype), axis=-1)
        return size if kind == "real" else jax.lax.complex(size, jnp.sum((x_N - 1) * a_N.imag.astype(x_N.dtype), -1))

    def log_psi(params: Tree, s_N: Array) -> Array:
        moved = difference(net.log_psi(params, s_N), net.log_psi(theta_0(), s_N))
        return moved + log_phi((s_N.astype(moved.real.dtype) - middle) / half, a_N)

    def of_move(move: Move, dtype: Any) -> Array:
        """log phi_0(s') - log phi_0(s) of one move, or of K."""
        size = jnp.sum(move.deltas * jnp.asarray(a_N.real / half, dtype)[move.sites], axis=-1, dtype=dtype)
        if kind == "real":
            return size
        phase = jnp.sum(move.deltas * jnp.asarray(a_N.imag / half, dtype)[move.sites], axis=-1, dtype=dtype)
        return jax.lax.complex(size, phase)

    def freeze(params: Tree) -> Anchored:
        return Anchored(net.freeze(params), net.freeze(theta_0()))

    def prepare(frozen: Anchored, s_N: Array) -> Anchored:
        return Anchored(net.prepare(frozen.here, s_N), net.prepare(frozen.start, s_N))

    def attempt(frozen: Anchored, s_N: Array, cache: Anchored, move: Move) -> tuple[Array, Anchored]:
        here, of_here = net.attempt(frozen.here, s_N, cache.here, move)
        start, of_start = net.attempt(frozen.start, s_N, cache.start, move)
        moved = difference(here, start)
        return moved + of_move(move, moved.real.dtype), Anchored(of_here, of_start)

    def log_ratios(frozen: Anchored, s_N: Array, cache: Anchored, moves_KF: Move) -> Array:
        moved_K = difference(
            net.log_ratios(frozen.here, s_N, cache.here, moves_KF),
            net.log_ratios(frozen.start, s_N, cache.start, moves_KF),
        )
        return moved_K + of_move(moves_KF, moved_K.real.dtype)

    def advance(
        frozen: Anchored, s_N: Array, cache: Anchored, move: Move, tried: Anchored, accepted: Array | bool
    ) -> Anchored:
        return Anchored(
            net.advance(frozen.here, s_N, cache.here, move, tried.here, accepted),
            net.advance(frozen.start, s_N, cache.start, move, tried.start, accepted),
        )

    def product_state(given_N: NDArray[Any]) -> Tree:
        if np.abs(reduced(np.asarray(given_N) - a_N)).max() > TINY:
            raise ValueError("the state of ansatz.state, which is the one that the network is moved to")
        return theta_0()

    return complete(
        init,
        log_psi,
        kind,
        freeze=freeze,
        prepare=prepare,
        attempt=attempt,
        advance=advance,
        log_ratios=log_ratios,
        factors=net.factors,
        whole=net.whole,
        product_state=product_state,
        shifted=net.shifted,
    )


def difference(here: Array, start: Array) -> Array:
    """here - start of logarithms; -inf where psi is 0 at theta, whatever it is at theta_0."""
    empty = jnp.isneginf(jnp.real(start))
    zero = jnp.isneginf(jnp.real(here))
    return jnp.where(zero, here, here - jnp.where(zero | empty, 0, start))


def _kind(net: Kind, a_N: NDArray[np.complex128]) -> Kind:
    if net in ("complex", "holomorphic") or not a_N.imag.any():
        return net
    if not np.isin(np.abs(a_N.imag), (0.0, np.pi / 2)).all():
        raise ValueError("a state with phases needs a network with phases: dtype=complex")
    return "signed"
