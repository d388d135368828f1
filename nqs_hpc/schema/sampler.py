"""Samplers: the keys of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nqs_hpc import checks
from nqs_hpc.schema.keys import choice, key


@choice("sampler", "metropolis")
@dataclass(frozen=True)
class Metropolis:
    name: str
    n_chains: int = key(checks.integer(least=2), "Markov chains over all ranks; the error comes from their spread")
    n_samples: int = key(checks.integer(), "samples a step over all ranks, a multiple of n_chains")
    sweep: int = key(
        checks.either("auto", checks.integer()), "proposals between two samples of a chain; auto: the number of sites"
    )
    warmup: int = key(checks.integer(least=0), "sweeps before the first sample of a fresh chain")
    move: Literal["flip", "exchange", "hop"] = key(
        checks.choice("auto", "flip", "exchange", "hop"),
        "proposal; auto: in a sector exchange of spins or hop of a boson, else flip (another value of one site)",
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


Sampler = Metropolis | Enumerate | Direct
