"""The values of a run's quantities, from its summary and the newest lines of metrics.jsonl.

A run declares its quantities (`job.quantities`). If they include an energy, more follow from it and from the summary:
the energy per site, the distance from the exact energy, the V-score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nqs_hpc.report.values import number, section
from nqs_hpc.types import Quantity

Values = dict[str, float | None]

# The values of a row with an energy, in the order of CSV and JSON.
OF_ENERGY = (
    *("energy", "energy_error", "energy_variance"),
    *("energy_per_site", "energy_per_site_error", "v_score", "e_infinity", "reference", "relative_error"),
    *("r_hat", "tau", "acceptance"),
)

MOST_OBSERVABLES = 64  # of a run
LONGEST_NAME = 60  # characters: LABEL, or LABEL.OUTPUT


def values(
    summary: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]],
    quantities: Sequence[Quantity],
    n_sites: int | None,
    n_degrees: int | None = None,
) -> Values:
    """The declared quantities with their errors, by key; with an energy all of OF_ENERGY. None for what is not known.

    They are from the final evaluation if there is one, before that from the newest line of ``steps``: the summary of a
    running job may be half a minute old.
    """
    final = summary.get("final") is True
    known = _numbers(summary)
    leading = quantities[0].key if quantities else ""
    newest = next((one for one in reversed(steps) if number(one.get(leading)) is not None), None)
    line = None if final else newest
    source: Mapping[str, Any] = known if line is None else line
    keys = [key for one in quantities for key in (one.key, one.error) if key is not None]
    has_energy = "energy" in keys
    found = {key: number(source.get(key)) for key in ([*OF_ENERGY, *keys] if has_energy else keys)}
    if final and newest is not None:  # quantities that a final evaluation does not measure are those of the last step
        found |= {key: number(newest.get(key)) for key in keys if key not in known and key not in OF_ENERGY}
    found |= {key: value for key, value in measured_beside(summary).items() if key not in found}
    if not has_energy:
        return found
    zero = known.get("e_infinity")
    if zero is None and "e_infinity" not in summary:
        zero = e_infinity_of_older(known, n_sites)
    energy, reference = found["energy"], number(section(summary, "reference").get("energy"))
    gap = energy - reference if energy is not None and reference is not None else None
    v_score = (
        known.get("v_score") if line is None else _v_score(energy, found["energy_variance"], n_degrees or n_sites, zero)
    )
    return found | {
        "energy_per_site": _over(energy, n_sites),
        "energy_per_site_error": _over(found["energy_error"], n_sites),
        "v_score": v_score,
        "e_infinity": zero,
        "reference": reference,
        "relative_error": number(gap / abs(reference)) if gap is not None and reference else None,
    }


def measured_beside(summary: Mapping[str, Any]) -> Values:
    """Values and errors of the observables of a summary that are numbers, declared or not, at most MOST_OBSERVABLES: as
    observables.NAME and observables.NAME_error.
    """
    found: Values = {}
    for name, told in section(summary, "observables").items():
        value = number(told.get("mean")) if isinstance(told, dict) else None
        if value is not None and name.isprintable() and len(name) <= LONGEST_NAME and len(found) < 2 * MOST_OBSERVABLES:
            found |= {f"observables.{name}": value, f"observables.{name}_error": number(told.get("error"))}
    return found


def e_infinity_of_older(known: Values, n: int | None) -> float | None:
    """E_infinity for an older summary that lacks it, from its V-score N Var / (E - E_infinity)²; it lies above E."""
    energy, variance, v_score = known.get("energy"), known.get("energy_variance"), known.get("v_score")
    if energy is None or variance is None or not n or not v_score or variance / v_score < 0:
        return None
    zero = energy + math.sqrt(n * variance / v_score)
    if not math.isfinite(zero):
        return None
    return 0.0 if abs(zero) < 1e-9 * abs(energy) else zero  # rounding, if H has no trace


def _numbers(summary: Mapping[str, Any]) -> Values:
    """The numbers of a summary by key: of {"energy": {"mean": …, "error": …, "variance": …}} energy, energy_error and
    energy_variance; the same for each of its ``observables``.
    """
    numbers: Values = {}
    measured = section(summary, "observables")
    named = {f"observables.{label}": value for label, value in measured.items()}  # as in lines of metrics.jsonl
    for name, value in (measured | named | dict(summary)).items():
        numbers[name] = number(value)
        if isinstance(value, dict) and "mean" in value:
            numbers[name] = number(value["mean"])
            numbers |= {f"{name}_{key}": number(value.get(key)) for key in ("error", "variance") if key in value}
    return numbers


def _over(value: float | None, n: int | None) -> float | None:
    return value / n if value is not None and n else None


def _v_score(energy: float | None, variance: float | None, n: int | None, zero: float | None) -> float | None:
    if energy is None or variance is None or n is None or zero is None or energy == zero:
        return None
    return number(n * variance / (energy - zero) / (energy - zero))  # a square could overflow
