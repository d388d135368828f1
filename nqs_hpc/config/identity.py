"""What makes a run this run and no other: its configuration as plain data, its physics, its name and its folder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nqs_hpc.config.observables import Observables
from nqs_hpc.config.schema import Config
from nqs_hpc.inputs.checks import show
from nqs_hpc.inputs.mappings import Range, Weights
from nqs_hpc.inputs.points import Points
from nqs_hpc.inputs.ramps import Ramp
from nqs_hpc.inputs.reading import printable
from nqs_hpc.inputs.schedules import Schedule
from nqs_hpc.types import PauliString


def to_plain(value: Any) -> Any:
    """A Config, or any part of it, as dicts, lists and scalars: what config.yaml and checkpoints hold."""
    if isinstance(value, Weights):
        return dict(value.entries)
    if isinstance(value, Range):
        return value._asdict()
    if isinstance(value, Points | Ramp | Schedule):
        return value.plain()
    if isinstance(value, PauliString):
        return {"coefficient": value.coefficient, "operators": value.operators or "I", "sites": list(value.sites)}
    if isinstance(value, Observables):
        return to_plain(value.plain())
    if dataclasses.is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [to_plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {name: to_plain(below) for name, below in value.items()}
    return value


def physics(config: Config) -> dict[str, Any]:
    """What makes it this run and no other, as plain data: not the rates, the length, nor how and where it runs.

    Files (lattice.file, hamiltonian.file) count by what they hold.
    """

    def part(value: Any) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for field in dataclasses.fields(value):
            below = getattr(value, field.name)
            if isinstance(below, Observables):
                continue
            if dataclasses.is_dataclass(below):
                kept |= {field.name: inside} if (inside := part(below)) else {}
            elif (counts := field.metadata.get("physics", True)) is True or (
                counts == "given" and below not in (None, False, ())
            ):
                kept[field.name] = to_plain(below)
        return kept

    kept = part(config)
    observables = config.observables.measured
    # what is measured beside an optimization does not change it
    return kept if config.task.optimizes or not observables else kept | {"observables": to_plain(observables)}


def run_name(config: Config) -> str:
    """``<experiment or lattice-hamiltonian-ansatz>-<8 hex of the physics>``."""
    text = json.dumps(physics(config), sort_keys=True, separators=(",", ":"), allow_nan=False)
    words = config.experiment or f"{config.lattice.name}-{config.hamiltonian.name}-{config.ansatz.name}"
    return f"{config.task.prefix}{words}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def run_folder(config: Config) -> Path:
    """Where the run lives, absolute: run_dir, else runs/NAME under the current folder. Makes nothing."""
    if config.run_dir is not None:
        return Path.cwd() / config.run_dir
    return Path.cwd() / "runs" / run_name(config)


def differences(before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Where two results of ``physics`` differ: lines ``key: a -> b``."""
    lines: list[str] = []
    for name in dict.fromkeys([*before, *after]):
        key = f"{prefix}{printable(str(name))}"
        old, new = before.get(name, "(absent)"), after.get(name, "(absent)")
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            lines += differences(old, new, f"{key}.")
        elif old != new:
            lines.append(f"{key}: {show(old)} -> {show(new)}")
    return lines
