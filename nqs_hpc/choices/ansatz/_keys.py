"""Keys that several networks share."""

from __future__ import annotations

from typing import Any

from nqs_hpc.choices.keys import key
from nqs_hpc.inputs import checks

ACTIVATIONS = ("gelu", "tanh", "relu", "silu", "log_cosh")


def activation(doc: str, *more: str) -> Any:
    return key(checks.choice(*more, *ACTIVATIONS), doc)


def dtype(doc: str) -> Any:
    return key(checks.choice("real", "complex"), doc)


def init_scale(doc: str) -> Any:
    return key(checks.positive, doc)
