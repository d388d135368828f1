"""A module of Equinox, used unchanged: log psi = module(s), for one configuration.

Its arrays of floating or complex numbers are the parameters; everything else in it stays as ``cls(key=...,
**arguments)`` first made it. Kidger and Garcia, arXiv:2111.00254.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from nqs_hpc.ansatz.by_path import load_class
from nqs_hpc.ansatz.flax_module import Functions
from nqs_hpc.parallel.errors import error_text
from nqs_hpc.types import Tree


def equinox_class(path: str) -> type:
    """The class of that import path. Raises ValueError, in one line, if it is not a module of Equinox."""
    import equinox

    return load_class(path, equinox.Module)


def equinox_module(cls: type, arguments: Mapping[str, Any], s_N: Array, input_dtype: DTypeLike) -> Functions:
    """``cls(key=key, **arguments)`` on configurations in ``input_dtype``; ``s_N`` is any valid one.

    Raises ValueError, in one line, if the module cannot be made or called, or does not return a scalar.
    """
    import equinox as eqx

    def trained(key: Array) -> Tree:
        return eqx.partition(cls(key=key, **arguments), eqx.is_inexact_array)[0]

    try:
        fixed = eqx.partition(cls(key=jax.random.key(0), **arguments), eqx.is_inexact_array)[1]
        shapes = jax.eval_shape(trained, jax.random.key(0))
    except Exception as error:  # the user's code can raise anything
        raise ValueError(f"{cls.__name__} cannot be made with a key and these arguments: {error_text(error)}") from None
    if not jax.tree.leaves(shapes):
        raise ValueError(f"{cls.__name__} has no parameters")

    def log_psi(params: Tree, s_N: Array) -> Array:
        return eqx.combine(params, fixed)(s_N.astype(input_dtype))

    try:
        found = jax.eval_shape(log_psi, shapes, s_N)
    except Exception as error:
        raise ValueError(f"{cls.__name__} cannot be called on shape ({len(s_N)},): {error_text(error)}") from None
    shape = getattr(found, "shape", None)
    if shape != () or not jnp.issubdtype(found.dtype, jnp.inexact):
        raise ValueError(f"{cls.__name__} returns shape {shape} for shape ({len(s_N)},); valid: (), one number log psi")
    return Functions(trained, log_psi)
