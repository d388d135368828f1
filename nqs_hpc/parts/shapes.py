"""The parameters of an ansatz, without making any."""

from __future__ import annotations

import jax

from nqs_hpc.types import Ansatz, Tree


def parameter_shapes(ansatz: Ansatz) -> Tree:
    """Shapes and dtypes of the parameters."""
    return jax.eval_shape(lambda: ansatz.init(jax.random.key(0)))
