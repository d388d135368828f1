"""Ansätze: from their keys to functions."""

from __future__ import annotations

import jax

from nqs_hpc import schema
from nqs_hpc.ansatz.jastrow import jastrow
from nqs_hpc.ansatz.mlp import mlp
from nqs_hpc.ansatz.rbm import rbm
from nqs_hpc.ansatz.vit import vit
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.patches import patches
from nqs_hpc.types import Ansatz, Tree


def make_ansatz(config: schema.Ansatz, lattice: Lattice, hilbert: Hilbert, float_dtype: schema.Float) -> Ansatz:
    """The ansatz on the sites of ``lattice``, which hold what ``hilbert`` says."""
    n = hilbert.n_sites
    match config:
        case schema.Rbm():
            return rbm(
                n,
                n_hidden=max(1, round(config.alpha * n)),
                dtype=config.dtype,
                bias=config.bias,
                init_scale=config.init_scale,
                local_values=hilbert.local_values,
                float_dtype=float_dtype,
            )
        case schema.Jastrow():
            return jastrow(n, dtype=config.dtype, init_scale=config.init_scale, float_dtype=float_dtype)
        case schema.Mlp():
            return mlp(
                n,
                widths=tuple(max(1, round(alpha * n)) for alpha in config.alphas),
                activation=config.activation,
                dtype=config.dtype,
                init_scale=config.init_scale,
                float_dtype=float_dtype,
            )
        case schema.Vit():
            return vit(
                patches(lattice, config.patch),
                width=config.width,
                heads=config.heads,
                layers=config.layers,
                attention_name=config.attention,
                expansion=config.expansion,
                activation=config.activation,
                dtype=config.dtype,
                init_scale=config.init_scale,
                local_values=hilbert.local_values,
                float_dtype=float_dtype,
            )


def parameter_shapes(ansatz: Ansatz) -> Tree:
    """Shapes and dtypes of the parameters, without making any."""
    return jax.eval_shape(lambda: ansatz.init(jax.random.key(0)))
