"""Ansätze: the keys of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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


@choice("ansatz", "gcnn")
@dataclass(frozen=True)
class Gcnn:
    name: str
    layers: int = key(checks.integer(), "layers, with the one from sites to the group")
    features: int = key(checks.integer(), "features of each layer, for each element of the group")
    group: Literal["translations", "space_group"] = key(
        checks.choice("translations", "space_group"), "symmetries of the network; space_group: point group too"
    )
    momentum: tuple[int, ...] | None = key(
        checks.optional(checks.integers(least=None)),
        "as symmetrize.momentum; other than 0 needs dtype=complex",
    )
    irrep: str | None = key(checks.optional(checks.name), "as symmetrize.irrep, of the point operations in space_group")
    activation: Literal["selu", "gelu", "tanh", "relu", "silu", "log_cosh"] = key(
        checks.choice("selu", "gelu", "tanh", "relu", "silu", "log_cosh"), "activation between the layers"
    )
    dtype: Literal["real", "complex"] = key(
        checks.choice("real", "complex"), "real: psi > 0; complex: real parameters, a last layer of complex numbers"
    )
    init_scale: float = key(checks.positive, "factor on LeCun's normal initial weights")


Ansatz = Rbm | Jastrow | Mlp | Gcnn
