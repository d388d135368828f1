"""Values from files that may be damaged: each is of the requested kind, or None.

Also text from such files in printable form: on one line, without control characters.
"""

from __future__ import annotations

from typing import Any

from nqs_hpc.inputs.reading import LONGEST, printable

LARGEST = 1e100  # beyond, squares and the margins of a plot overflow


def number(value: Any) -> float | None:
    """A number that can have been measured; None for NaN, infinities, huge numbers, booleans and everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        real = float(value)
    except OverflowError:  # an integer with hundreds of digits
        return None
    return real if abs(real) < LARGEST else None


def count(value: Any) -> int | None:
    """A whole number from 0 on, of a size plausible for counts."""
    return value if type(value) is int and 0 <= value < 2**63 else None


def text(value: Any, longest: int = LONGEST) -> str | None:
    """A nonempty text, after `clean`; None for an empty one."""
    return (clean(value, longest) or None) if isinstance(value, str) else None


def section(data: Any, key: str) -> dict[str, Any]:
    """The mapping under ``key``; empty if there is none."""
    value = data.get(key) if isinstance(data, dict) else None
    return value if isinstance(value, dict) else {}


def items(data: Any, key: str) -> list[dict[str, Any]]:
    """The mappings in the list under ``key``; other entries are left out."""
    value = data.get(key) if isinstance(data, dict) else None
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


clean = printable  # for text of files in `status` and `report`
