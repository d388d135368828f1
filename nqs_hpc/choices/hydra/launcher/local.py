"""hydra/launcher=local: the points of a sweep run on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from nqs_hpc.choices.hydra.launcher.base import Launcher
from nqs_hpc.choices.keys import Auto, key
from nqs_hpc.inputs import checks


@dataclass(frozen=True)
class Local(Launcher):
    n_jobs: int | Auto = key(
        checks.either("auto", checks.integer()), "points at a time; auto: as many as fit on the cores", physics=False
    )
    n_ranks: int | None = key(
        checks.optional(checks.integer()), "MPI ranks of each point; null: resources.ranks", physics=False
    )
