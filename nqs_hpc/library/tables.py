"""Rows of plain data as columns: NumPy arrays by name, or a pandas DataFrame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nqs_hpc.inputs.checks import show

if TYPE_CHECKING:
    import pandas


def columns(rows: Sequence[Mapping[str, Any]], first: Iterable[str] = ()) -> dict[str, np.ndarray]:
    """Every key of the rows as a column (rows,), in order of appearance; those of ``first`` come first and always
    exist.

    Numbers become float64 with NaN for null or missing values; int64 if all are whole and none is missing, bool if all
    are booleans; everything else becomes text with "" for missing values.
    """
    names = dict.fromkeys([*first, *(name for row in rows for name in row)])
    return {name: _column([row.get(name) for row in rows]) for name in names}


def spread(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows with each list of numbers split into names: energies_0, energies_1, …"""
    found = []
    for row in rows:
        own: dict[str, Any] = {}
        for name, value in row.items():
            of_each = isinstance(value, list) and all(x is None or type(x) in (int, float) for x in value)
            own |= {f"{name}_{k}": x for k, x in enumerate(value)} if of_each else {name: value}
        found.append(own)
    return found


def _column(values: list[Any]) -> np.ndarray:
    kinds = {type(value) for value in values if value is not None}
    whole = None not in values
    if kinds == {bool} and whole:
        return np.array(values, dtype=bool)
    if kinds == {int} and whole and all(-(2**63) <= value < 2**63 for value in values):
        return np.array(values, dtype=np.int64)
    if kinds <= {bool, int, float}:
        return np.array([np.nan if value is None else _real(value) for value in values], dtype=np.float64)
    return np.array(["" if value is None else show(value) for value in values])


def _real(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number with hundreds of digits, which we never write
        return np.nan


def frame(table: Mapping[str, np.ndarray]) -> pandas.DataFrame:
    """A DataFrame of columns; ValueError if pandas is missing."""
    try:
        import pandas
    except ImportError:
        raise ValueError(
            "a DataFrame needs pandas: install the extra `pandas`, pip install 'nqs_hpc[pandas]'"
        ) from None
    return pandas.DataFrame(dict(table))
