"""Rates and shifts as functions of the step: a number, or an optax schedule by name, with optax's argument names.

    0.05
    {schedule: cosine, init_value: 0.1, decay_steps: 300}
    {schedule: piecewise_constant, init_value: 0.1, boundaries_and_scales: {200: 0.5, 400: 0.1}}
    {schedule: sgdr, cosine_kwargs: [{init_value: 0, peak_value: 0.1, warmup_steps: 10, decay_steps: 100}, ...]}
    {schedule: join, schedules: [0.1, {schedule: exponential, ...}], boundaries: [100]}

Scales multiply the previous value. The parts of sgdr and join count their steps from their own beginning.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

from nqs_hpc.inputs.checks import Check, Invalid, boolean, choice, integer, list_of, number, positive


class Schedule(NamedTuple):
    """A rate or a shift as a function of the step: an optax schedule by name, with optax's argument names."""

    kind: str
    arguments: tuple[tuple[str, Any], ...]  # sorted by name

    def plain(self) -> Any:
        """In the form of the configuration."""
        given = {name: _plain(value) for name, value in self.arguments}
        return given["value"] if self.kind == "constant" else {"schedule": self.kind, **given}


class Scales(NamedTuple):
    """Factors that apply from given steps on."""

    entries: tuple[tuple[int, float], ...]  # (step, factor), sorted


class Cycles(NamedTuple):
    """The cycles of sgdr, each the arguments of a warmup_cosine."""

    of: tuple[Schedule, ...]


class Parts(NamedTuple):
    """The parts of join."""

    of: tuple[Schedule, ...]


def _plain(value: Any) -> Any:
    if isinstance(value, Scales):
        return dict(value.entries)
    if isinstance(value, Parts):
        return [part.plain() for part in value.of]
    if isinstance(value, Cycles):
        return [dict(cycle.arguments) for cycle in value.of]
    return list(value) if isinstance(value, tuple) else value


def _read_scales(value: Any) -> Scales:
    if not isinstance(value, Mapping) or not value:
        raise Invalid
    found = sorted((_count.read(step), _rate.read(factor)) for step, factor in value.items())
    if any(one[0] == other[0] for one, other in itertools.pairwise(found)):
        raise Invalid
    return Scales(tuple(found))


def _read_parts(value: Any) -> Parts:
    if not isinstance(value, list | tuple) or not value:
        raise Invalid
    return Parts(tuple(_read(part, _rate) for part in value))


def _read_cycles(value: Any) -> Cycles:
    if not isinstance(value, list | tuple) or not value or not all(isinstance(cycle, Mapping) for cycle in value):
        raise Invalid
    return Cycles(tuple(_of_kind("warmup_cosine", cycle) for cycle in value))


_rate, _count, _since = number(least=0), integer(least=1), integer(least=0)
_share = number(above=0, below=1)
_scales = Check("a mapping {STEP: FACTOR} of steps from 1 on, each once, and factors of at least 0", _read_scales)
_cycles = Check("a list of mappings, each the arguments of warmup_cosine", _read_cycles)
_parts = Check("a list of numbers of at least 0 or schedules", _read_parts)
_decay: dict[str, Check] = {
    "transition_steps": _count,
    "decay_rate": positive,
    "transition_begin": _since,
    "staircase": boolean,
    "end_value": _rate,
}
SCHEDULES: dict[str, dict[str, Check]] = {
    "constant": {"value": _rate},
    "linear": {"init_value": _rate, "end_value": _rate, "transition_steps": _count, "transition_begin": _since},
    "polynomial": {
        "init_value": _rate,
        "end_value": _rate,
        "power": positive,
        "transition_steps": _count,
        "transition_begin": _since,
    },
    "exponential": {"init_value": _rate, **_decay},
    "cosine": {"init_value": _rate, "decay_steps": _count, "alpha": number(least=0, most=1), "exponent": positive},
    "piecewise_constant": {"init_value": _rate, "boundaries_and_scales": _scales},
    "piecewise_interpolate": {
        "interpolate_type": choice("linear", "cosine"),
        "init_value": _rate,
        "boundaries_and_scales": _scales,
    },
    "warmup_constant": {"init_value": _rate, "peak_value": _rate, "warmup_steps": _count},
    "warmup_cosine": {
        "init_value": _rate,
        "peak_value": _rate,
        "warmup_steps": _since,
        "decay_steps": _count,
        "end_value": _rate,
        "exponent": positive,
    },
    "warmup_exponential": {"init_value": _rate, "peak_value": _rate, "warmup_steps": _count, **_decay},
    "linear_onecycle": {
        "transition_steps": _count,
        "peak_value": positive,
        "pct_start": _share,
        "pct_final": _share,
        "div_factor": positive,
        "final_div_factor": positive,
    },
    "cosine_onecycle": {
        "transition_steps": _count,
        "peak_value": positive,
        "pct_start": _share,
        "div_factor": positive,
        "final_div_factor": positive,
    },
    "sgdr": {"cosine_kwargs": _cycles},
    "join": {"schedules": _parts, "boundaries": list_of(_count)},
}
_OF_DECAY = {"transition_begin", "staircase", "end_value"}
OPTIONAL = {
    "linear": {"transition_begin"},
    "polynomial": {"transition_begin"},
    "exponential": _OF_DECAY,
    "cosine": {"alpha", "exponent"},
    "warmup_cosine": {"end_value", "exponent"},
    "warmup_exponential": _OF_DECAY,
    "linear_onecycle": {"pct_start", "pct_final", "div_factor", "final_div_factor"},
    "cosine_onecycle": {"pct_start", "div_factor", "final_div_factor"},
}


def levels(schedule: Schedule) -> tuple[float, ...]:
    """Lower and upper bound of the schedule; it reaches or approaches both, except that a decay without floor never
    reaches 0.
    """
    given, kind = dict(schedule.arguments), schedule.kind
    if kind == "join":
        return tuple(value for part in given["schedules"].of for value in levels(part))
    if kind == "sgdr":
        return tuple(value for cycle in given["cosine_kwargs"].of for value in levels(cycle))
    if kind.endswith("onecycle"):
        first = given["peak_value"] / given.get("div_factor", 25.0)
        return first, given["peak_value"], first / given.get("final_div_factor", 1e4)
    values = [given[name] for name in ("value", "init_value", "end_value", "peak_value") if name in given]
    if kind == "cosine":
        values.append(given.get("alpha", 0.0) * given["init_value"])
    if kind == "warmup_cosine":
        values.append(given.get("end_value", 0.0))
    if kind.startswith("piecewise"):
        factors = [factor for _, factor in given["boundaries_and_scales"].entries]
        values += itertools.accumulate(factors, lambda value, factor: value * factor, initial=given["init_value"])
    return tuple(values)


def lowest(schedule: Schedule) -> float:
    """The lowest value that the schedule reaches, or approaches if it has a floor."""
    return float(min(levels(schedule)))


def schedule(*, zero: bool = False) -> Check:
    """A number or a mapping {schedule: KIND, ...}; returned as a Schedule. ``zero``: whether it may be 0 throughout."""
    plain = number(least=0) if zero else positive
    kinds = "|".join(SCHEDULES)

    def read(value: Any) -> Schedule:
        found = _read(value, plain)
        if not zero and not any(levels(found)):
            raise Invalid(valid="a schedule that is not 0 throughout")
        return found

    return Check(f"{plain.valid}, or {{schedule: {kinds}, ...}} with optax's argument names", read)


def _read(value: Any, plain: Check) -> Schedule:
    if not isinstance(value, Mapping):
        return Schedule("constant", (("value", plain.read(value)),))
    kind = value.get("schedule")
    if not isinstance(kind, str) or kind not in SCHEDULES:
        raise Invalid("schedule", kind, ", ".join(SCHEDULES))
    return _of_kind(kind, {name: given for name, given in value.items() if name != "schedule"})


def _of_kind(kind: str, given: Mapping[Any, Any]) -> Schedule:
    checks, left_out = SCHEDULES[kind], OPTIONAL.get(kind, set())
    for name, value in given.items():
        if name not in checks:
            raise Invalid(str(name), value, f"for schedule {kind}: {', '.join(checks)}")
    arguments = {}
    for name, check in checks.items():
        if name in given:
            try:
                arguments[name] = check.read(given[name])
            except Invalid as error:
                if error.below:  # in a schedule inside
                    raise Invalid(f"{name}.{error.below}", error.value, error.valid) from None
                raise Invalid(name, given[name], error.valid or check.valid) from None
        elif name not in left_out:
            raise Invalid(name, None, f"{check.valid}; schedule {kind} needs it")
    _check_together(kind, arguments)
    return Schedule(kind, tuple(sorted(arguments.items())))


def _check_together(kind: str, given: Mapping[str, Any]) -> None:
    if kind == "warmup_cosine" and given["decay_steps"] <= given["warmup_steps"]:
        raise Invalid("decay_steps", given["decay_steps"], "a whole number above warmup_steps")
    if kind == "join":
        boundaries, n = given["boundaries"], len(given["schedules"].of)
        if len(boundaries) != n - 1 or any(one >= other for one, other in itertools.pairwise(boundaries)):
            raise Invalid(
                "boundaries", boundaries, f"the {n - 1} steps at which the next of {n} schedules begins, rising"
            )
    if kind.endswith("onecycle"):
        # optax keeps these steps as keys of a table: equal ones would become one
        n = given["transition_steps"]
        turns = [int(given.get("pct_start", 0.3) * n), n]
        if kind == "linear_onecycle":
            turns.insert(1, int(given.get("pct_final", 0.85) * n))
        if turns[0] < 1 or any(one >= other for one, other in itertools.pairwise(turns)):
            valid = "large enough that the parts of the cycle, pct_start of it first, are a step long at least"
            raise Invalid("transition_steps", n, valid)
