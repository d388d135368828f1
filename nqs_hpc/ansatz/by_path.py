"""Networks of other libraries: a class by its import path, and an ansatz from what its modules compute.

This is the only place where a configuration names code that is run; the command line has to name it too.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.parallel.errors import error_text
from nqs_hpc.types import Ansatz, Kind, Tree

# how far log psi may deviate from the Cauchy-Riemann equations, relative to its derivative
TOLERANCE = 1e-3


def load_class(path: str, base: type) -> type:
    """The class ``package.module:Class``, a subclass of ``base``; imports its module.

    Raises ValueError if the import fails or there is no such class.
    """
    module_name, _, class_name = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # the user's code can raise anything
        raise ValueError(f"{module_name} cannot be imported: {error_text(error)}") from None
    found = module
    for name in class_name.split("."):
        if not hasattr(found, name):
            raise ValueError(f"{module_name} has no {class_name}")
        found = getattr(found, name)
    if not (isinstance(found, type) and issubclass(found, base)):
        raise ValueError(f"{class_name} of {module_name} is not a subclass of {base.__module__.split('.')[0]}'s Module")
    return found


def module_ansatz(
    init: Callable[[Array], Tree], log_psi: Callable[[Tree, Array], Array], s_N: Array, *, holomorphic: bool
) -> Ansatz:
    """The ansatz of a function log psi: ``real`` or ``complex`` as its output is, or ``holomorphic`` if that is set.

    ``s_N`` is any valid configuration. Raises ValueError if ``holomorphic`` is set and wrong: log psi or a parameter is
    real, or log psi violates the Cauchy-Riemann equations, which are tested at random parameters on ``s_N`` and its
    reverse.
    """
    params = jax.eval_shape(init, jax.random.key(0))
    is_complex = jnp.issubdtype(jax.eval_shape(log_psi, params, s_N).dtype, jnp.complexfloating)
    kind: Kind = "complex" if is_complex else "real"
    if holomorphic:
        if not is_complex:
            raise ValueError("valid: false, because its log psi is real")
        if not all(jnp.issubdtype(leaf.dtype, jnp.complexfloating) for leaf in jax.tree.leaves(params)):
            raise ValueError("valid: false, because not all of its parameters are complex")
        if not cauchy_riemann(init, log_psi, s_N):
            raise ValueError("valid: false, because its log psi is not a holomorphic function of the parameters")
        kind = "holomorphic"
    return full_evaluation(init, log_psi, kind)


def cauchy_riemann(init: Callable[[Array], Tree], log_psi: Callable[[Tree, Array], Array], s_N: Array) -> bool:
    """Whether the derivative of log psi along i v is i times the one along v, for random v and parameters."""

    @jax.jit
    def derivatives(s_BN: Array) -> tuple[Array, Array]:
        params = init(jax.random.key(0))
        leaves, tree = jax.tree.flatten(params)

        def noise(scale: float, number: int) -> Tree:
            keys = jax.random.split(jax.random.key(number), len(leaves))
            drawn = [scale * jax.random.normal(key, x.shape, x.dtype) for key, x in zip(keys, leaves, strict=True)]
            return jax.tree.unflatten(tree, drawn)

        # not at biases of 0, where the derivative of |b|^2 vanishes and the test would pass
        params = jax.tree.map(jnp.add, params, noise(0.1, 1))
        v = noise(1.0, 2)

        def along(direction: Tree) -> Array:
            return jax.jvp(lambda p: jax.vmap(log_psi, (None, 0))(p, s_BN), (params,), (direction,))[1]

        return along(v), along(jax.tree.map(lambda x: 1j * x, v))

    along_v, along_iv = derivatives(jnp.stack([s_N, s_N[::-1]]))
    return bool(jnp.max(jnp.abs(along_iv - 1j * along_v)) <= TOLERANCE * jnp.max(jnp.abs(along_v)))
