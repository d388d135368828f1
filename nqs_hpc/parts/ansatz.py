"""Ansätze: from their keys to functions."""

from __future__ import annotations

from typing import Any

import jax

from nqs_hpc import schema
from nqs_hpc.ansatz.gcnn import gcnn
from nqs_hpc.ansatz.jastrow import jastrow
from nqs_hpc.ansatz.masked_conv import masked_conv
from nqs_hpc.ansatz.masked_dense import masked_dense
from nqs_hpc.ansatz.mlp import mlp
from nqs_hpc.ansatz.modulus_phase import modulus_phase
from nqs_hpc.ansatz.rbm import rbm
from nqs_hpc.ansatz.resnet import resnet
from nqs_hpc.ansatz.symmetrize import symmetrize
from nqs_hpc.ansatz.vit import vit
from nqs_hpc.parts.by_module import make_by_module
from nqs_hpc.resolve.symmetry import gcnn_symmetry, make_symmetry
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.patches import patches
from nqs_hpc.types import Ansatz, Tree


def make_ansatz(config: schema.Ansatz, lattice: Lattice, basis: Basis, float_dtype: schema.Float) -> Ansatz:
    """The ansatz on the sites of ``lattice``, in ``basis``."""
    hilbert = basis.hilbert
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
        case schema.Resnet():
            return resnet(
                lattice.extent,
                lattice.pbc,
                layers=config.layers,
                features=config.features,
                kernel=config.kernel,
                activation=config.activation,
                skip=config.name == "resnet",
                dtype=config.dtype,
                init_scale=config.init_scale,
                float_dtype=float_dtype,
            )
        case schema.ModulusPhase():
            return modulus_phase(
                make_ansatz(config.modulus, lattice, basis, float_dtype),
                make_ansatz(config.phase, lattice, basis, float_dtype),
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
        case schema.Gcnn():
            return gcnn(
                gcnn_symmetry(config, lattice, basis),
                layers=config.layers,
                features=config.features,
                activation=config.activation,
                dtype=config.dtype,
                init_scale=config.init_scale,
                local_values=hilbert.local_values,
                float_dtype=float_dtype,
            )
        case schema.ByModule():
            return make_by_module(config, hilbert, float_dtype)
        case schema.MaskedDense():
            return masked_dense(n, **masked(config, hilbert, float_dtype))
        case schema.MaskedConv():
            return masked_conv(lattice.extent, kernel=config.kernel, **masked(config, hilbert, float_dtype))


def masked(config: schema.Autoregressive, hilbert: Hilbert, float_dtype: schema.Float) -> dict[str, Any]:
    """What all autoregressive networks are made of."""
    return {
        "layers": config.layers,
        "features": config.features,
        "activation": config.activation,
        "dtype": config.dtype,
        "init_scale": config.init_scale,
        "local_values": hilbert.local_values,
        "total": hilbert.total,
        "float_dtype": float_dtype,
    }


def symmetrized(config: schema.Symmetrize, ansatz: Ansatz, lattice: Lattice, basis: Basis) -> Ansatz:
    """``ansatz``, in the sector that ``symmetrize`` asks for."""
    symmetry = make_symmetry(config, lattice, basis)
    if symmetry is None:
        return ansatz
    assert config.mode is not None
    return symmetrize(ansatz, symmetry, mode=config.mode, local_values=basis.hilbert.local_values)


def parameter_shapes(ansatz: Ansatz) -> Tree:
    """Shapes and dtypes of the parameters, without making any."""
    return jax.eval_shape(lambda: ansatz.init(jax.random.key(0)))
