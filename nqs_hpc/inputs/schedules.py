"""Rates and shifts over the steps: a number, or a schedule of optax by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nqs_hpc.inputs.checks import Check, Invalid, integer, number, positive


class Schedule(NamedTuple):
    """A rate or a shift over the steps: an optax schedule by name, with optax's own argument names."""

    kind: str
    arguments: tuple[tuple[str, float | int], ...]  # sorted by name


_rate, _count = number(least=0), integer(least=1)
SCHEDULES: dict[str, dict[str, Check]] = {
    "constant": {"value": _rate},
    "linear": {"init_value": _rate, "end_value": _rate, "transition_steps": _count},
    "exponential": {"init_value": _rate, "transition_steps": _count, "decay_rate": positive, "end_value": _rate},
    "cosine": {"init_value": _rate, "decay_steps": _count, "alpha": number(least=0, most=1)},
    "polynomial": {"init_value": _rate, "end_value": _rate, "power": positive, "transition_steps": _count},
    "warmup_cosine": {
        "init_value": _rate,
        "peak_value": _rate,
        "warmup_steps": integer(least=0),
        "decay_steps": _count,
        "end_value": _rate,
    },
}
OPTIONAL = {"exponential": {"end_value"}, "cosine": {"alpha"}, "warmup_cosine": {"end_value"}}
_VALUES = ("value", "init_value", "end_value", "peak_value")


def lowest(schedule: Schedule) -> float:
    """The lowest value the schedule comes to, or tends to where it has no floor."""
    given = dict(schedule.arguments)
    values = [given[name] for name in _VALUES if name in given]
    if schedule.kind == "cosine":
        values.append(given.get("alpha", 0.0) * given["init_value"])
    if schedule.kind == "warmup_cosine":
        values.append(given.get("end_value", 0.0))
    return float(min(values))


def schedule(*, zero: bool = False) -> Check:
    """A number or a mapping {schedule: KIND, ...}; comes back as a Schedule. ``zero``: may vanish throughout."""
    plain = number(least=0) if zero else positive
    kinds = ", ".join(SCHEDULES)

    def read(value: Any) -> Schedule:
        if not isinstance(value, Mapping):
            return Schedule("constant", (("value", plain.read(value)),))
        kind = value.get("schedule")
        if not isinstance(kind, str) or kind not in SCHEDULES:
            raise Invalid("schedule", kind, kinds)
        checks, left_out = SCHEDULES[kind], OPTIONAL.get(kind, set())
        for name, given in value.items():
            if name != "schedule" and name not in checks:
                raise Invalid(str(name), given, f"for schedule {kind}: {', '.join(checks)}")
        arguments = {}
        for name, check in checks.items():
            if name in value:
                try:
                    arguments[name] = check.read(value[name])
                except Invalid:
                    raise Invalid(name, value[name], check.valid) from None
            elif name not in left_out:
                raise Invalid(name, None, f"{check.valid}; schedule {kind} needs it")
        if not zero and not any(arguments.get(name) for name in _VALUES):
            raise Invalid(valid="a schedule that is not 0 throughout")
        if kind == "warmup_cosine" and arguments["decay_steps"] <= arguments["warmup_steps"]:
            raise Invalid("decay_steps", arguments["decay_steps"], "a whole number above warmup_steps")
        return Schedule(kind, tuple(sorted(arguments.items())))

    return Check(f"{plain.valid}, or {{schedule: {kinds.replace(', ', '|')}, ...}} with optax's argument names", read)
