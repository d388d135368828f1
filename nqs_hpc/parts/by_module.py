"""Networks by import path: the one place where a configuration has code run, which its command has to name."""

from __future__ import annotations

from importlib.util import find_spec

import jax

from nqs_hpc import schema
from nqs_hpc.ansatz.by_path import module_ansatz
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system.hilbert import Hilbert, base_state
from nqs_hpc.types import Ansatz


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
