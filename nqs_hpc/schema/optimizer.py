"""Optimizers: the keys of each."""
# ruff: noqa: RUF009 - key() and its like return dataclasses.field

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Schedule
from nqs_hpc.schema.keys import Auto, choice, key


@dataclass(frozen=True)
class Optimizer:
    """What all optimizers share."""

    name: str
    learning_rate: Schedule = key(checks.schedule(), "step size, a number or a schedule", physics=False)
    max_norm: float | None = key(
        checks.optional(checks.positive), "bound on the Euclidean norm of one step of the parameters", physics=False
    )
    average: float | None = key(
        checks.optional(checks.number(above=0, below=1)),
        "decay of a running mean of the parameters, used by the final evaluation",
    )
    max_rejected: int = key(checks.integer(), "rejected steps in a row before the run fails", physics=False)
    broadcast: bool = key(checks.boolean, "take rank 0's update on every rank, for mixed hardware", physics=False)


@choice("optimizer", "sgd")
@dataclass(frozen=True)
class Sgd(Optimizer):
    pass


@choice("optimizer", "adam")
@dataclass(frozen=True)
class Adam(Optimizer):
    b1: float = key(checks.number(least=0, below=1), "decay of the mean of the gradient")
    b2: float = key(checks.number(least=0, below=1), "decay of the mean of its square")
    eps: float = key(checks.positive, "added to the denominator")


_SHIFT = "added to the diagonal, a number or a schedule; 0 needs solver=eigh"
_BLOCKS = "parts the Jacobian of minsr is made in, in networks that need one (not rbm, mlp); auto: by memory_gib"
_STORED = "above 1, cg holds no Jacobian, asks the network again (not rbm, mlp, which need none); auto: by memory_gib"
_RCOND = "eigh drops eigenvalues below this times the largest"


@choice("optimizer", "sr")
@dataclass(frozen=True)
class Sr(Optimizer):
    diag_shift: Schedule = key(checks.schedule(zero=True), _SHIFT, physics=False)
    solver: Literal["auto", "cholesky", "eigh", "cg", "minsr"] = key(
        checks.choice("auto", "cholesky", "eigh", "cg", "minsr"),
        "in parameter space, matrix-free (cg) or in sample space (minsr); auto: the cheapest, decided at step 0",
        physics=False,
    )
    blocks: int | Auto = key(checks.either("auto", checks.integer()), _STORED, physics=False)
    rcond: float = key(checks.number(above=0, below=1), _RCOND)
    cg_tolerance: float = key(checks.number(above=0, below=1), "relative residual at which cg stops")
    cg_max_iterations: int = key(checks.integer(), "iterations after which cg stops")


@choice("optimizer", "minsr")
@dataclass(frozen=True)
class Minsr(Optimizer):
    diag_shift: Schedule = key(checks.schedule(zero=True), _SHIFT, physics=False)
    solver: Literal["auto", "cholesky", "eigh"] = key(
        checks.choice("auto", "cholesky", "eigh"), "linear solver; auto is cholesky", physics=False
    )
    blocks: int | Auto = key(checks.either("auto", checks.integer()), _BLOCKS, physics=False)
    rcond: float = key(checks.number(above=0, below=1), _RCOND)
    momentum: float | None = key(
        checks.optional(checks.number(least=0, below=1)), "SPRING's mu (Goldshlager et al. 2024, arXiv:2401.10190)"
    )
