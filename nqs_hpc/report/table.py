"""Rows as text: columns, cells, sorting and filtering, the same for terminal and page."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from nqs_hpc.inputs.checks import nearest
from nqs_hpc.inputs.numbers import with_error
from nqs_hpc.job.quantities import GROUND_STATE, TASK, as_text
from nqs_hpc.report.rows import Row, flat
from nqs_hpc.report.states import STATES, duration
from nqs_hpc.types import Quantity

TRUSTED = {"good": "done", "doubtful": "doubtful", "bad": "failed"}  # verdict -> state with the same colour


class Column(NamedTuple):
    """One column; ``cell`` is empty if the row has no value."""

    title: str
    cell: Callable[[Row], str]
    key: str  # the field of Row it sorts by, or a swept key
    is_number: bool = True  # aligned to the right


class Selection(NamedTuple):
    """The requested sorting and filters, as the user wrote them."""

    sort: str | None  # a key, with a minus in front for the largest first
    filters: list[tuple[str, str]]


def columns(rows: list[Row]) -> list[Column]:
    """The columns of a status: point, progress, results, without those that are empty in all ``rows``."""
    wanted = [
        Column("state", lambda row: row.state, "state", False),
        Column("step" if all(row.progress is None for row in rows) else "progress", steps, "step"),
        Column("energy", energy, "energy"),
        Column("trust", lambda row: row.trust or "", "trust", False),
        _value("V-score", "v_score", ".1e"),
        _value("R-hat", "r_hat", ".3f"),
        _value("acc.", "acceptance", ".2f"),
        *declared_columns(rows),
        Column("s/step", lambda row: three(row.seconds_per_step), "seconds_per_step"),
        Column("ETA", eta, "eta_seconds"),
        Column("restarts", lambda row: str(row.restarts or ""), "restarts"),
    ]
    return [*names(rows), *filled(wanted, rows)]


def declared_columns(rows: list[Row]) -> list[Column]:
    """A column for each declared quantity that has no standard column."""
    titles: dict[str, Quantity] = {}
    for row in rows:
        usual = {one.key for one in GROUND_STATE} if row.task == TASK else {"energy", "r_hat", "acceptance"}
        usual |= set() if row.progress is None else {row.progress.unit}
        for one in row.quantities:
            if one.key not in usual:
                titles.setdefault(one.key, one)
    return [
        Column(f"{one.label} [{one.unit}]" if one.unit else one.label, _declared(key), key)
        for key, one in titles.items()
    ]


def more_columns(rows: list[Row]) -> list[Column]:
    """Further columns for a page, besides `columns`."""
    wanted = [
        Column("sites", lambda row: short(row.n_sites, "d"), "n_sites"),
        Column("energy/site", energy_per_site, "energy_per_site"),
        _value("rel. error", "relative_error", "+.1e"),
        _value("variance", "energy_variance", ".1e"),
        _value("tau", "tau", ".2f"),
        Column("parameters", lambda row: short(row.n_parameters, "d"), "n_parameters"),
        Column("ranks", lambda row: short(row.n_ranks, "d"), "n_ranks"),
        Column("wall time", lambda row: "" if row.seconds is None else duration(row.seconds), "seconds"),
    ]
    shown = {column.key for column in declared_columns(rows)}
    return filled([column for column in wanted if column.key not in shown], rows)


def names(rows: list[Row]) -> list[Column]:
    """The columns that identify a row: its swept keys if all rows have them, else its name."""
    keys = list(dict.fromkeys(key for row in rows for key in row.swept))
    told_apart = len({tuple(row.swept.get(key) for key in keys) for row in rows}) == len(rows)
    if not keys or not told_apart or any(key not in row.swept for row in rows for key in keys):
        return [Column("point", lambda row: row.name, "name", False)]
    return [
        Column(title, lambda row, key=key: cell(row.swept[key]), key, _numeric(rows, key))  # type: ignore[misc]
        for key, title in short_keys(keys).items()
    ]


def short_keys(keys: list[str]) -> dict[str, str]:
    """Each key with its shortest unique ending: lattice.length becomes length."""
    last = Counter(key.rpartition(".")[2] for key in keys)
    return {key: key.rpartition(".")[2] if last[key.rpartition(".")[2]] == 1 else key for key in keys}


def filled(given: list[Column], rows: list[Row]) -> list[Column]:
    """The columns that are not empty."""
    return [column for column in given if any(column.cell(row) for row in rows)]


def steps(row: Row) -> str:
    """Steps made of steps requested, or the progress in another unit: time 0.3/1."""
    if row.progress is not None:
        total = "?" if row.progress.total is None else f"{row.progress.total:.4g}"
        return f"{row.progress.unit} {row.progress.done:.4g}/{total}"
    if row.step is None:
        return "" if row.n_steps is None else f"0/{row.n_steps}"
    return f"{row.step}/{'?' if row.n_steps is None else row.n_steps}"


def energy(row: Row) -> str:
    """The total energy with its error, empty if there is none."""
    return _with_error(row, "energy")


def energy_per_site(row: Row) -> str:
    """The same divided by the number of sites."""
    return _with_error(row, "energy_per_site")


def eta(row: Row) -> str:
    """The remaining time of points that are running."""
    return "" if row.eta_seconds is None else duration(row.eta_seconds)


def short(value: float | None, form: str) -> str:
    """A number in the format ``form``, empty for None."""
    return "" if value is None else format(value, form)


def three(value: float | None) -> str:
    """A number with three digits, including trailing zeros."""
    return "" if value is None else f"{value:#.3g}".rstrip(".")


def cell(value: str | float | None) -> str:
    """A swept value."""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def totals(rows: list[Row]) -> str:
    """The number of points in each state: "6 points: 4 done, 1 running, 1 failed"."""
    counted = Counter(row.state for row in rows)
    counts = ", ".join(f"{counted[state]} {state}" for state in STATES if counted[state])
    return f"{len(rows)} point{'s' * (len(rows) != 1)}: {counts}"


def select(rows: list[Row], wanted: Selection) -> list[Row]:
    """The rows that pass all filters, sorted; ValueError, one line, for a key that no row has."""
    fields = dict.fromkeys(key for row in rows for key in flat(row))
    valid = [*fields, *dict.fromkeys(key for row in rows for key in row.swept)]
    for key, text in wanted.filters:
        name = _known(key, "--filter", valid)
        if name == "state" and text.lower() not in STATES:
            raise ValueError(f"--filter {key}={text} is not valid; valid: {', '.join(STATES)}")
        rows = [row for row in rows if _equal(value(row, name), text)]
    if wanted.sort is None:
        return rows
    key = _known(wanted.sort.removeprefix("-"), "--sort", valid)
    there = [row for row in rows if value(row, key) is not None]
    missing = [row for row in rows if value(row, key) is None]
    return sorted(there, key=lambda row: _order(value(row, key)), reverse=wanted.sort.startswith("-")) + missing


def value(row: Row, key: str) -> Any:
    """The value of a swept key, a field or a quantity in a row; None if it has no such key."""
    return row.swept[key] if key in row.swept else flat(row).get(key)


def _value(title: str, key: str, form: str) -> Column:
    return Column(title, lambda row: short(row.get(key), form), key)


def _declared(key: str) -> Callable[[Row], str]:
    def text(row: Row) -> str:
        return next((as_text(one, row.values) for one in row.quantities if one.key == key), "")

    return text


def _with_error(row: Row, key: str) -> str:
    found = row.get(key)
    return "" if found is None else with_error(found, row.get(f"{key}_error"))


def _known(key: str, option: str, valid: list[str]) -> str:
    """The full name of a key; the user may give only its last part."""
    found = [name for name in valid if name == key] or [name for name in valid if name.endswith(f".{key}")]
    if len(found) != 1:
        near = "" if found else nearest(key, valid)
        raise ValueError(f"{option} {key} is not valid; {near}valid: {', '.join(found or valid)}")
    return found[0]


def _equal(found: Any, text: str) -> bool:
    if found is None:
        return text in ("", "null")
    if isinstance(found, int | float) and not isinstance(found, bool):
        try:
            return float(text) == found
        except ValueError:
            return False
    return text.lower() == str(found).lower()


def _order(found: Any) -> tuple[int, float, str]:
    is_number = isinstance(found, int | float)
    return (0, float(found), "") if is_number and math.isfinite(found) else (1, 0.0, str(found))


def _numeric(rows: list[Row], key: str) -> bool:
    return all(row.swept[key] is None or isinstance(row.swept[key], int | float) for row in rows)
