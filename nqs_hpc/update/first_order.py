"""First-order methods from optax on the force F = 1/2 dE/dtheta: gradient descent, Adam (Kingma & Ba 2015,
arXiv:1412.6980)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient.flat import Flat, flat
from nqs_hpc.gradient.force import force
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.types import Ansatz, Batch, Tree, Update
from nqs_hpc.update.step_size import Schedule, scaled

if TYPE_CHECKING:
    import optax


def first_order(
    ansatz: Ansatz,
    comm: Comm,
    transformation: optax.GradientTransformation,
    *,
    learning_rate: Schedule,
    max_norm: float | None = None,
    chunk: int | None = None,
    by_leaf: bool = False,
) -> Update:
    """Any optax transformation of the force that points uphill; the learning rate is applied here. One reduction a
    step.

    Gradient descent is ``optax.identity()``, Adam ``optax.scale_by_adam(...)``. All see one real vector, or
    ``by_leaf`` the leaves of the parameters, complex ones as two real planes (2, ...).
    """

    def seen(real: Flat, theta_P: Array) -> Tree:
        return real_leaves(real.unravel(theta_P)) if by_leaf else theta_P

    def init(params: Tree) -> Tree:
        real = flat(params, "real")
        return transformation.init(seen(real, real.ravel(params)))

    def step(params: Tree, state: Tree, batch: Batch, step: Array, scale: Array):
        real = flat(params, "real")
        force_P = comm.sum(force(ansatz, real, params, batch, chunk))
        direction, state = transformation.update(seen(real, force_P), state, seen(real, real.ravel(params)))
        # planes follow each other as in the vector, where the real part of a leaf stands before its imaginary part
        direction_P = jnp.concatenate([leaf.ravel() for leaf in jax.tree.leaves(direction)]) if by_leaf else direction
        delta_P, info = scaled(direction_P, learning_rate=learning_rate, step=step, scale=scale, max_norm=max_norm)
        info["grad_norm"] = jnp.linalg.norm(force_P).astype(jnp.float64)
        return real.unravel(delta_P), state, info

    return Update(init, step)


def real_leaves(tree: Tree) -> Tree:
    """Each complex leaf (...) as its real and imaginary parts (2, ...)."""
    return jax.tree.map(lambda leaf: jnp.stack([leaf.real, leaf.imag]) if jnp.iscomplexobj(leaf) else leaf, tree)


def sgd(ansatz: Ansatz, comm: Comm, **options) -> Update:
    """theta <- theta - eta F."""
    import optax  # here, because SR starts without it

    return first_order(ansatz, comm, optax.identity(), **options)


def adam(ansatz: Ansatz, comm: Comm, *, b1: float, b2: float, eps: float, **options) -> Update:
    """Adam with the moments of F."""
    import optax

    return first_order(ansatz, comm, optax.scale_by_adam(b1=b1, b2=b2, eps=eps), **options)
