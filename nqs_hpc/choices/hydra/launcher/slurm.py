"""hydra/launcher=slurm: the points of a sweep are submitted to Slurm, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nqs_hpc.choices.hydra.launcher.base import Launcher
from nqs_hpc.choices.keys import key
from nqs_hpc.inputs import checks


@dataclass(frozen=True)
class Slurm(Launcher):
    is_queue: ClassVar[bool] = True
    array_parallelism: int | None = key(
        checks.optional(checks.integer()), "points of an array that run at a time; null: no limit", physics=False
    )
