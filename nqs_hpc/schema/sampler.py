"""Samplers: the keys of each."""
# ruff: noqa: RUF009 - key() returns dataclasses.field

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Range, Weights
from nqs_hpc.schema.keys import choice, key

Move = Literal["flip", "exchange", "hop", "plaquette", "global_flip", "hamiltonian"]


@choice("sampler", "metropolis")
@dataclass(frozen=True)
class Metropolis:
    name: str
    n_chains: int = key(checks.integer(least=2), "Markov chains over all ranks; the error comes from their spread")
    n_samples: int = key(checks.integer(), "samples a step over all ranks, a multiple of n_chains")
    sweep: int | Range = key(
        checks.either("auto", checks.either("adaptive", checks.whole_or_range())),
        "proposals between two samples of a chain; auto: the number of sites; adaptive: from a quarter of that to 16 "
        "times it, or within {least: A, most: B}, as many as make samples nearly independent",
    )
    warmup: int = key(checks.integer(least=0), "sweeps before the first sample of a fresh chain")
    move: Move | Weights = key(
        checks.either("auto", checks.one_or_weights(*get_args(Move))),
        "proposal, or {NAME: weight, ...}: flip (another value of one site), exchange (of spins), hop (of a boson), "
        "plaquette (four spins, of toric_code a star), global_flip, hamiltonian (what H joins); auto: in a sector "
        "exchange or hop, else flip, both where sector=auto leaves a conserved total open",
    )


@choice("sampler", "tempering")
@dataclass(frozen=True)
class Tempering(Metropolis):
    """``n_chains`` ladders of replicas, whose number of proposals is fixed."""

    n_replicas: int = key(checks.integer(least=2), "replicas of each chain, which walk in powers beta of psi^2")
    beta_min: float = key(checks.number(above=0, below=1), "the lowest beta; the highest is 1")
    spacing: Literal["geometric", "linear"] = key(
        checks.choice("geometric", "linear"), "betas with equal ratios or equal differences"
    )


@choice("sampler", "enumerate")
@dataclass(frozen=True)
class Enumerate:
    name: str


@choice("sampler", "autoregressive")
@dataclass(frozen=True)
class Direct:
    name: str
    n_samples: int = key(
        checks.integer(least=2), "independent samples a step over all ranks, a multiple of their number"
    )


Sampler = Metropolis | Tempering | Enumerate | Direct
