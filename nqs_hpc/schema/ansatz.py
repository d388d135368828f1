"""Ansätze: the keys of each."""
# ruff: noqa: RUF009 - key() returns dataclasses.field

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from nqs_hpc import checks
from nqs_hpc.schema.keys import choice, key


@choice("ansatz", "rbm")
@dataclass(frozen=True)
class Rbm:
    name: str
    alpha: float = key(checks.positive, "hidden units, in units of the number of sites")
    dtype: Literal["real", "complex"] = key(checks.choice("real", "complex"), "real or complex parameters")
    bias: bool = key(checks.boolean, "whether visible and hidden units have a bias")
    init_scale: float = key(checks.positive, "standard deviation of the initial parameters")


@choice("ansatz", "jastrow")
@dataclass(frozen=True)
class Jastrow:
    name: str
    dtype: Literal["real", "complex"] = key(checks.choice("real", "complex"), "real or complex parameters")
    init_scale: float = key(checks.positive, "standard deviation of the initial parameters")


@choice("ansatz", "mlp")
@dataclass(frozen=True)
class Mlp:
    name: str
    alphas: tuple[float, ...] = key(
        checks.list_of(checks.positive), "widths of the hidden layers, in units of the number of sites"
    )
    activation: Literal["gelu", "tanh", "relu", "silu", "log_cosh"] = key(
        checks.choice("gelu", "tanh", "relu", "silu", "log_cosh"), "activation of the hidden layers"
    )
    dtype: Literal["real", "complex"] = key(
        checks.choice("real", "complex"), "complex: real parameters, two outputs, log |psi| and the phase"
    )
    init_scale: float = key(checks.positive, "factor on LeCun's normal initial weights")


@choice("ansatz", "flax", "equinox")
@dataclass(frozen=True)
class ByModule:
    """Somebody else's network, by its import path."""

    name: str
    module: str = key(
        checks.import_path,
        "import path PACKAGE.MODULE:CLASS of the module, which is imported and run: name it yourself",
    )
    arguments: dict[str, Any] = key(checks.arguments, "arguments of the class, plain data")
    holomorphic: bool = key(
        checks.boolean, "log psi is holomorphic in its parameters, all of them complex, which is tried: half the work"
    )


Ansatz = Rbm | Jastrow | Mlp | ByModule
