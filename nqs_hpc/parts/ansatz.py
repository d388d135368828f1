"""Ansätze: from their keys to functions."""

from __future__ import annotations

from importlib.util import find_spec

import jax

from nqs_hpc import schema
from nqs_hpc.ansatz.by_path import module_ansatz
from nqs_hpc.ansatz.jastrow import jastrow
from nqs_hpc.ansatz.mlp import mlp
from nqs_hpc.ansatz.rbm import rbm
from nqs_hpc.checks import bad
from nqs_hpc.resolve.line import one_line
from nqs_hpc.system.hilbert import Hilbert, base_state
from nqs_hpc.system.lattice import Lattice
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
        case schema.ByModule():
            return make_by_module(config, hilbert, float_dtype)


def make_by_module(config: schema.ByModule, hilbert: Hilbert, float_dtype: schema.Float) -> Ansatz:
    """Imports what ``config`` names. InputError, one line, where that is not to be had, or is no wave function."""
    if find_spec(config.name) is None:
        valid = "another one, or with the extra modules installed: pip install 'nqs_hpc[modules]'"
        raise bad("ansatz", config.name, valid)
    from nqs_hpc.ansatz.equinox_module import equinox_class, equinox_module
    from nqs_hpc.ansatz.flax_module import flax_class, flax_module

    load, make = {"flax": (flax_class, flax_module), "equinox": (equinox_class, equinox_module)}[config.name]
    s_N = jax.numpy.asarray(base_state(hilbert))
    cls = one_line("ansatz.module", config.module, lambda: load(config.module))
    made = one_line("ansatz.arguments", config.arguments, lambda: make(cls, config.arguments, s_N, float_dtype))
    holomorphic = config.holomorphic
    return one_line("ansatz.holomorphic", holomorphic, lambda: module_ansatz(*made, s_N, holomorphic=holomorphic))


def parameter_shapes(ansatz: Ansatz) -> Tree:
    """Shapes and dtypes of the parameters, without making any."""
    return jax.eval_shape(lambda: ansatz.init(jax.random.key(0)))
