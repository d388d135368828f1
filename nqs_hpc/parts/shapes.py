"""The parameters of an ansatz: their shapes without making any, and those of another precision."""

from __future__ import annotations

from collections.abc import Callable

import jax
from jax import Array

from nqs_hpc.types import Ansatz, Tree


def parameter_shapes(ansatz: Ansatz) -> Tree:
    """Shapes and dtypes of the parameters."""
    return jax.eval_shape(lambda: ansatz.init(jax.random.key(0)))


def rounded(init: Callable[[Array], Tree], of_float64: Callable[[Array], Tree]) -> Callable[[Array], Tree]:
    """An ``init`` whose parameters are those of ``of_float64`` in the dtypes of ``init``: random numbers of single
    precision are others than those of double precision, and one seed is to be one state.
    """

    def found(key: Array) -> Tree:
        return jax.tree.map(lambda x, like: x.astype(like.dtype), of_float64(key), jax.eval_shape(init, key))

    return found
