"""Ansätze: the keys of each."""
# ruff: noqa: RUF009 - key() and inner() return dataclasses.field

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from nqs_hpc.inputs import checks
from nqs_hpc.schema.keys import choice, inner, key


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


@choice("ansatz", "resnet", "cnn")
@dataclass(frozen=True)
class Resnet:
    """Resolved: ``kernel`` has one entry a direction."""

    name: str
    layers: int = key(checks.integer(), "convolutions; of resnet two a residual block")
    features: int = key(checks.integer(), "numbers each convolution gives a site")
    kernel: tuple[int, ...] = key(
        checks.one_or_list(checks.integer()), "extent of the kernels in sites, or a list by direction"
    )
    activation: Literal["gelu", "tanh", "relu", "silu", "log_cosh"] = key(
        checks.choice("gelu", "tanh", "relu", "silu", "log_cosh"), "activation of the hidden layers"
    )
    dtype: Literal["real", "complex"] = key(
        checks.choice("real", "complex"), "complex: real parameters, two outputs, log |psi| and the phase"
    )
    init_scale: float = key(checks.positive, "factor on He's normal initial weights")


_ACTIVATIONS = ("selu", "gelu", "tanh", "relu", "silu", "log_cosh")


@dataclass(frozen=True)
class Masked:
    """What autoregressive networks share."""

    name: str
    layers: int = key(checks.integer(), "layers, the one to the outputs among them")
    features: int = key(checks.integer(), "numbers a site in each layer but the last")
    activation: Literal["selu", "gelu", "tanh", "relu", "silu", "log_cosh"] = key(
        checks.choice(*_ACTIVATIONS), "activation between the layers"
    )
    dtype: Literal["real", "complex"] = key(
        checks.choice("real", "complex"), "complex: real parameters, and outputs for the phases"
    )
    init_scale: float = key(checks.positive, "factor on LeCun's normal initial weights")


@choice("ansatz", "masked_dense")
@dataclass(frozen=True)
class MaskedDense(Masked):
    pass


@choice("ansatz", "masked_conv")
@dataclass(frozen=True)
class MaskedConv(Masked):
    kernel: int = key(
        checks.integer(least=2), "how many sites of a chain, or rows of a lattice, a layer looks at, its own among them"
    )


Autoregressive = MaskedDense | MaskedConv  # the ansätze that sampler=autoregressive can draw from


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
        "as symmetrize.momentum; other than null needs dtype=complex, but where Marshall's signs make it 0",
    )
    irrep: str | None = key(checks.optional(checks.name), "as symmetrize.irrep, of the point operations in space_group")
    activation: Literal["selu", "gelu", "tanh", "relu", "silu", "log_cosh"] = key(
        checks.choice(*_ACTIVATIONS), "activation between the layers"
    )
    dtype: Literal["real", "complex"] = key(
        checks.choice("real", "complex"), "real: psi > 0; complex: real parameters, a last layer of complex numbers"
    )
    init_scale: float = key(checks.positive, "factor on LeCun's normal initial weights")


@choice("ansatz", "modulus_phase")
@dataclass(frozen=True)
class ModulusPhase:
    name: str
    modulus: Rbm | Jastrow | Mlp | Resnet | Autoregressive | Vit | Gcnn = inner(
        "ansatz", "ansatz.modulus", "real network of log |psi|, any of the above; its keys below: ansatz.modulus.alpha"
    )
    phase: Rbm | Jastrow | Mlp | Resnet | Autoregressive | Vit | Gcnn = inner(
        "ansatz", "ansatz.phase", "real network of the phase, any of the above; its keys below: ansatz.phase.alphas"
    )


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


Ansatz = Rbm | Jastrow | Mlp | Resnet | Vit | Gcnn | Autoregressive | ModulusPhase | ByModule
