"""The facts and keys of every launcher of a sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from nqs_hpc.choices.keys import key
from nqs_hpc.inputs import checks


@dataclass(frozen=True)
class Launcher:
    name: str
    is_queue: ClassVar[bool] = False  # whether points are submitted to Slurm; otherwise they run here
    dry_run: bool = key(checks.boolean, "print what would be started, without making anything", physics=False)
