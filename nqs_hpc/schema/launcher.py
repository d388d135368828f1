"""Launchers of a sweep (-m), which are Hydra's: no part of a Config."""
# ruff: noqa: RUF009 - key() and its like return dataclasses.field

from __future__ import annotations

from dataclasses import dataclass

from nqs_hpc.inputs import checks
from nqs_hpc.schema.keys import Auto, choice, key


@dataclass(frozen=True)
class Launcher:
    name: str
    dry_run: bool = key(checks.boolean, "print what would be started, and make nothing", physics=False)


@choice("hydra/launcher", "local")
@dataclass(frozen=True)
class Local(Launcher):
    n_jobs: int | Auto = key(
        checks.either("auto", checks.integer()), "points at a time; auto: as many as the cores hold", physics=False
    )
    n_ranks: int | None = key(
        checks.optional(checks.integer()), "MPI ranks of each; null: resources.ranks", physics=False
    )


@choice("hydra/launcher", "slurm")
@dataclass(frozen=True)
class Slurm(Launcher):
    array_parallelism: int | None = key(
        checks.optional(checks.integer()), "points of an array that run at a time; null: no bound", physics=False
    )
