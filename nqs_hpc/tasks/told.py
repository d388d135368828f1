"""What is told of observables: in lines of metrics.jsonl, in summary.json, as quantities that are displayed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nqs_hpc.tasks.final import WORST_R_HAT, Final
from nqs_hpc.tasks.observing import name_of
from nqs_hpc.types import Observable, Output, Quantity, Result

SHOWN = 3  # numbers of observables on a line of a terminal, beside the energy


def line_of(numbers: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Values and errors by name as a line of metrics.jsonl has them."""
    line: dict[str, float] = {}
    for name, (value, error) in numbers.items():
        line |= {f"observables.{name}": value, f"observables.{name}_error": error}
    return line


def numbers_of(results: Iterable[Result]) -> dict[str, tuple[float, float]]:
    """Value and error, by name, of each result that is a number."""
    return {one.name: (float(one.value), float(one.error)) for one in results if one.output.shape == ()}


def told(results: Iterable[Result]) -> dict[str, dict[str, Any]]:
    """The ``observables`` of summary.json: of a number its value with what is known of it, tau in samples, R-hat null
    below 16 samples a chain; of an array its shape; observables.h5 holds the array.
    """
    found: dict[str, dict[str, Any]] = {}
    for one in results:
        unit = one.output.unit
        if one.output.shape:
            found[one.name] = {"shape": list(one.output.shape), "unit": unit}
            continue
        nothing = {"variance": None, "r_hat": None, "tau": None, "n_eff": None}
        found[one.name] = {
            "mean": float(one.value),
            "error": float(one.error),
            "unit": unit,
            **nothing,
            **(one.statistics or {}),
        }
    return found


def disagreeing(results: Iterable[Result]) -> tuple[str, ...]:
    """A line for each result whose chains do not agree; one that is the same number on all samples has no R-hat."""
    r_hats = {one.name: (one.statistics or {}).get("r_hat") for one in results if np.any(one.error != 0)}
    return tuple(
        f"R-hat of {name} {r_hat:.3f}: its chains do not agree"
        for name, r_hat in r_hats.items()
        if r_hat is not None and not r_hat < WORST_R_HAT
    )


def energy_result(final: Final, unit: str) -> Result:
    """The energy among the results."""
    value, error = np.asarray(final.mean.real), np.asarray(final.error)
    return Result("energy", value, error, Output(unit=unit, label="E"), {"variance": final.variance})


def quantities(observables: Mapping[str, Observable]) -> tuple[Quantity, ...]:
    """The first results that are numbers, as a run displays them; their label is their name. A report has all."""
    return numbers(observables)[:SHOWN]


def numbers(observables: Mapping[str, Observable]) -> tuple[Quantity, ...]:
    """All results that are numbers."""
    return tuple(
        Quantity(f"observables.{name}", name, output.unit, "error", f"observables.{name}_error")
        for label, one in observables.items()
        for output in one.outputs
        if output.shape == () and (name := name_of(label, output))
    )
