"""Values out of files that anything may have happened to: each is what was asked for, or None.

And text that comes from such files, fit for a terminal: on one line, without control characters.
"""

from __future__ import annotations

from typing import Any

from nqs_hpc.inputs.reading import LONGEST, printable

LARGEST = 1e100  # beyond, squares and the margins of a plot overflow


def number(value: Any) -> float | None:
    """A number that can have been measured; None for all else: NaN, infinities and near them, booleans."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        real = float(value)
    except OverflowError:  # an integer of hundreds of digits
        return None
    return real if abs(real) < LARGEST else None


def count(value: Any) -> int | None:
    """A whole number from 0 on, of a size that counts have."""
    return value if type(value) is int and 0 <= value < 2**63 else None


def text(value: Any, longest: int = LONGEST) -> str | None:
    """A text that says something, as `clean` leaves it; None for an empty one."""
    return (clean(value, longest) or None) if isinstance(value, str) else None


def section(data: Any, key: str) -> dict[str, Any]:
    """The mapping under ``key``; empty where there is none."""
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, dict) else {}


def items(data: Any, key: str) -> list[dict[str, Any]]:
    """The mappings in the list under ``key``; what else it holds is left out."""
    value = data.get(key) if isinstance(data, dict) else None
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


clean = printable  # text of a file as `status` and `report` show it
