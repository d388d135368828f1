"""Keys that several networks share."""

from __future__ import annotations

from typing import Any

from nqs_hpc.ansatz.names import ACTIVATION_NAMES
from nqs_hpc.choices.keys import key
from nqs_hpc.inputs import checks


def activation(doc: str) -> Any:
    return key(checks.choice(*ACTIVATION_NAMES), doc)


def dtype(doc: str) -> Any:
    return key(checks.choice("real", "complex"), doc)


def init_scale(doc: str) -> Any:
    return key(checks.positive, doc)
