"""Names that configurations and networks share; this file loads no jax, so that input is checked before jax loads."""

from __future__ import annotations

from typing import Literal, get_args

FloatName = Literal["float32", "float64"]
NumberName = Literal["real", "complex"]
Activation = Literal["selu", "gelu", "tanh", "relu", "silu", "log_cosh"]

ACTIVATION_NAMES: tuple[str, ...] = get_args(Activation)
