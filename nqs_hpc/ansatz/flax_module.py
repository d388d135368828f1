"""A module of Flax (flax.linen), used unchanged: log psi = module.apply(params, s).

Like NetKet's models it takes configurations (B, N) and returns log psi (B,); so these can be named directly, or wrapped
if one of their arguments is not plain data. flax: Heek et al., github.com/google/flax; NetKet: Vicentini et al.,
SciPost Phys. Codebases 7 (2022), arXiv:2112.10526.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from nqs_hpc.ansatz.by_path import load_class
from nqs_hpc.parallel.errors import error_text
from nqs_hpc.types import Tree


class Functions(NamedTuple):
    """A network as two functions; params are the arrays that are trained."""

    init: Callable[[Array], Tree]
    log_psi: Callable[[Tree, Array], Array]


def flax_class(path: str) -> type:
    """The class of that import path. Raises ValueError, in one line, if it is not a module of Flax."""
    import flax.linen

    return load_class(path, flax.linen.Module)


def flax_module(cls: type, arguments: Mapping[str, Any], s_N: Array, input_dtype: DTypeLike) -> Functions:
    """``cls(**arguments)`` on configurations in ``input_dtype``; ``s_N`` is any valid one.

    Parameters are the collection "params", in the dtypes that the module gives them. Raises ValueError, in one line, if
    the module cannot be made or called, has other variables, or does not return one number for each configuration.
    """
    try:
        module = cls(**arguments)
        shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.ones((1, len(s_N)), input_dtype))
    except Exception as error:  # the user's code can raise anything
        raise ValueError(f"{cls.__name__} cannot be made with these arguments: {error_text(error)}") from None
    if others := sorted(set(shapes) - {"params"}):
        raise ValueError(
            f"{cls.__name__} has variables besides its parameters, which a run does not keep: {', '.join(others)}"
        )
    if not jax.tree.leaves(shapes):
        raise ValueError(f"{cls.__name__} has no parameters")

    def init(key: Array) -> Tree:
        return module.init(key, s_N[None].astype(input_dtype))["params"]

    def log_psi(params: Tree, s_N: Array) -> Array:
        return module.apply({"params": params}, s_N[None].astype(input_dtype))[0]

    two = jax.ShapeDtypeStruct((2, len(s_N)), input_dtype)
    try:
        found = jax.eval_shape(lambda params, s_BN: module.apply({"params": params}, s_BN), shapes["params"], two)
    except Exception as error:
        raise ValueError(f"{cls.__name__} cannot be called on shape (2, {len(s_N)}): {error_text(error)}") from None
    shape = getattr(found, "shape", None)
    if shape != (2,) or not jnp.issubdtype(found.dtype, jnp.inexact):
        raise ValueError(
            f"{cls.__name__} returns shape {shape} for shape (2, {len(s_N)}); valid: (2,), log psi of each"
        )
    return Functions(init, log_psi)
