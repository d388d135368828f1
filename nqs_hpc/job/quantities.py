"""The quantities of a run that the bar, the summary, `status` and `report` display.

A task declares them; the run writes the declaration into summary.json (`quantities`), from which readers display them
without knowing the task. Folders of older versions of this package declare nothing: they are ground states, with the
declaration GROUND_STATE of `tasks.ground_state`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nqs_hpc.inputs.numbers import with_error
from nqs_hpc.inputs.reading import printable
from nqs_hpc.types import Quantity

UNIT = "units of the couplings"  # of every energy
VALUE_AND_ERROR = "error"  # the format of a number with its error, -25.4906(12)
TASK = "ground_state"  # of runs without the name of their task
LONGEST = 40  # characters of a label or a unit
LONGEST_KEY = 100  # of a key: observables.LABEL.OUTPUT_error
MOST = 32  # quantities of a run that are displayed


GROUND_STATE = (
    Quantity("energy", "E", UNIT, VALUE_AND_ERROR, "energy_error"),
    Quantity("energy_variance", "var", f"({UNIT})²", ".3g"),
    Quantity("r_hat", "R-hat", "", ".3f"),
    Quantity("acceptance", "acc", "", ".2f"),
)


def declared(summary: Mapping[str, Any]) -> tuple[Quantity, ...]:
    """The quantities that a summary.json declares, GROUND_STATE if it declares none.

    The file may hold anything: entries without a key are left out, labels are made printable, and formats unknown to
    Python are replaced by six digits.
    """
    given = summary.get("quantities")
    if not isinstance(given, list):
        return GROUND_STATE
    found: dict[str, Quantity] = {}
    for one in given:
        if isinstance(one, dict) and _is_name(one.get("key")) and len(found) < MOST:
            found.setdefault(one["key"], _quantity(one))
    return tuple(found.values())


def as_text(quantity: Quantity, values: Mapping[str, Any]) -> str:
    """The value of a quantity in its format, taken from ``values`` by its key; "" if there is no number."""
    value = values.get(quantity.key)
    if value is None:
        return ""
    if quantity.format == VALUE_AND_ERROR:
        return with_error(value, None if quantity.error is None else values.get(quantity.error))
    return format(value, quantity.format)


def in_words(quantities: Sequence[Quantity], line: Mapping[str, Any]) -> str:
    """One line of labels with values: always the first quantity ("n/a" if it has no value), and the others that have
    one.
    """
    texts = [(one.label, as_text(one, line)) for one in quantities]
    return " ".join(f"{label} {text or 'n/a'}" for i, (label, text) in enumerate(texts) if text or i == 0)


def _quantity(given: Mapping[str, Any]) -> Quantity:
    key, error = given["key"], given.get("error")
    label, unit, wanted = (given.get(name) for name in ("label", "unit", "format"))
    return Quantity(
        key,
        (printable(label, LONGEST) if isinstance(label, str) else "") or printable(key, LONGEST),
        printable(unit, LONGEST) if isinstance(unit, str) else "",
        wanted if isinstance(wanted, str) and _is_format(wanted) else ".6g",
        error if _is_name(error) else None,
    )


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= LONGEST_KEY


def _is_format(wanted: str) -> bool:
    """Whether this is a number format that cannot fill the screen: widths and precisions have at most two digits."""
    if wanted == VALUE_AND_ERROR:
        return True
    try:
        return len(wanted) <= 8 and len(format(1e100, wanted)) < 200 and format(1.5, wanted).isprintable()
    except ValueError:
        return False
