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


@choice("ansatz", "vit")
@dataclass(frozen=True)
class Vit:
    """Resolved: ``patch`` has one entry a dimension."""

    name: str
    patch: tuple[int, ...] = key(
        checks.one_or_list(checks.integer()), "cells of a patch, or a list by direction; divides the extent"
    )
    width: int = key(checks.integer(), "numbers that stand for a patch")
    heads: int = key(checks.integer(), "heads of the attention; divides the width")
    layers: int = key(checks.integer(), "blocks of attention and perceptron")
    attention: Literal["full", "factored"] = key(
        checks.choice("full", "factored"), "weights from queries and keys, or (factored) from relative positions alone"
    )
    expansion: int = key(checks.integer(), "hidden units of the perceptrons, in units of the width")
    activation: Literal["gelu", "tanh", "relu", "silu", "log_cosh"] = key(
        checks.choice("gelu", "tanh", "relu", "silu", "log_cosh"), "activation of the hidden layers"
    )
    dtype: Literal["real", "complex"] = key(
        checks.choice("real", "complex"), "complex: a complex last layer, from real parameters"
    )
    init_scale: float = key(checks.positive, "factor on the initial weights of the last layer; small: psi nearly even")


Ansatz = Rbm | Jastrow | Mlp | Vit
