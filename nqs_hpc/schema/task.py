"""Tasks: the keys of each."""

from __future__ import annotations

from dataclasses import dataclass

from nqs_hpc.inputs import checks
from nqs_hpc.schema.keys import choice, key


@choice("task", "ground_state")
@dataclass(frozen=True)
class GroundState:
    name: str
    n_steps: int = key(checks.integer(), "updates of the parameters", physics=False)
    final_samples: int = key(
        checks.integer(), "samples of the final evaluation, rounded up to whole chains of at least 64", physics=False
    )
