"""Keys that several networks share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.ansatz.names import ACTIVATION_NAMES
from nqs_hpc.choices.keys import key
from nqs_hpc.inputs import checks
from nqs_hpc.system.basis import Basis


def activation(doc: str) -> Any:
    return key(checks.choice(*ACTIVATION_NAMES), doc)


def dtype(doc: str) -> Any:
    return key(checks.choice("real", "complex"), doc)


def init_scale(doc: str) -> Any:
    return key(checks.positive, doc)


def why_no_phases(dtype: str, fields_N: NDArray[np.complex128], basis: Basis) -> str:
    """What is valid instead of a product state with phases, for numbers of ``dtype``; empty if the state is valid."""
    if dtype == "complex" or not fields_N.imag.any():
        return ""
    signs = "" if basis.signs_N is None else f", with the signs of {basis.key},"
    return f"with real numbers a state without phases, but this one has some{signs}; this one with ansatz.dtype=complex"


def why_no_units(bias: bool, fields_N: NDArray[np.complex128], basis: Basis) -> str:
    """The same for hidden units on single sites, with or without biases."""
    values = basis.hilbert.local_values
    if len(values) != 2:
        return f"null on sites with {len(values)} values; with two a product state is exact"
    if bias or (not fields_N.any() and sum(values) == 0):
        return ""
    return "without biases only plus_x of spins; this one with ansatz.bias=true"
