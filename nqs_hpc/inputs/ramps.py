"""Couplings as functions of time, as a user gives them: linear pieces, a table from a file, or a cosine.

    {h: [[0, 6.09], [2, 0]]}                      linear between times, constant before the first and after the last
    {J: [[0, [1, 0]], [2, [1, 0.5]]]}             the same for a coupling that is a list
    {h: FILE}                                     text of lines ``time value`` (of a list: one column an entry)
    {g: {mean: 0, amplitude: 0.3, omega: 2}}      mean + amplitude cos(omega t + phase)

A table becomes linear pieces when it is read, so that a restart does not need the file.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from nqs_hpc.inputs import reading
from nqs_hpc.inputs.checks import Check, Invalid, number

Value = float | tuple[float, ...]  # of a coupling; a tuple for a coupling that is a list

MOST_BYTES = 2**20  # of a table
MOST_TIMES = 10_000


class Linear(NamedTuple):
    """Linear between ``times``, which increase; constant outside of them."""

    times: tuple[float, ...]
    values: tuple[Value, ...]


class Cosine(NamedTuple):
    """mean + amplitude cos(omega t + phase)."""

    mean: Value
    amplitude: Value
    omega: float
    phase: float


Path = Linear | Cosine


class Ramp(NamedTuple):
    """The couplings that depend on time, sorted by name."""

    entries: tuple[tuple[str, Path], ...]

    def plain(self) -> dict[str, Any]:
        """In the form of the configuration, with the content of files."""
        return {name: _plain(path) for name, path in self.entries}


def extremes(path: Path) -> tuple[Value, ...]:
    """Bounds of the coupling at all times, entry by entry if it is a list."""
    if isinstance(path, Linear):
        return path.values
    mean, amplitude = _entries(path.mean), _entries(path.amplitude)
    most, least = (tuple(m + sign * abs(a) for m, a in zip(mean, amplitude, strict=True)) for sign in (1, -1))
    return (most, least) if isinstance(path.mean, tuple) else (most[0], least[0])


def value_at(path: Path, time: float) -> Value:
    """The coupling at a time, on the host (in a compiled program: `operators.ramped`)."""
    if isinstance(path, Cosine):
        factor = math.cos(path.omega * time + path.phase)
        found = [m + a * factor for m, a in zip(_entries(path.mean), _entries(path.amplitude), strict=True)]
        return tuple(found) if isinstance(path.mean, tuple) else found[0]
    after = bisect.bisect_right(path.times, time)
    if after == 0 or after == len(path.times):
        return path.values[0 if after == 0 else -1]
    start, end = path.times[after - 1], path.times[after]
    x = (time - start) / (end - start)
    low, high = path.values[after - 1], path.values[after]
    found = [(1 - x) * a + x * b for a, b in zip(_entries(low), _entries(high), strict=True)]
    return tuple(found) if isinstance(low, tuple) else found[0]


def _entries(value: Value) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,)


def _plain(path: Path) -> Any:
    def bare(value: Value) -> Any:
        return list(value) if isinstance(value, tuple) else value

    if isinstance(path, Cosine):
        return {name: bare(value) for name, value in path._asdict().items()}
    return [[time, bare(value)] for time, value in zip(path.times, path.values, strict=True)]


LARGEST = 1e12  # for couplings, frequencies and phases: differences of larger ones are no longer meaningful
_finite = number(least=-LARGEST, most=LARGEST)
_PIECES = "a list [[TIME, VALUE], ...] of times that go up and finite values, the same number of them at each time"
_TABLE = "a text file of lines TIME VALUE, times going up"
_COSINE = "{mean: VALUE, amplitude: VALUE, omega: NUMBER, phase: NUMBER}"
_NAMES = ("mean", "amplitude", "omega", "phase")


def _read(given: Any) -> Ramp | None:
    if isinstance(given, Ramp):
        return given
    if given is None or given == {}:
        return None
    if not isinstance(given, Mapping):
        raise Invalid
    return Ramp(tuple(sorted((str(name), _path(str(name), value)) for name, value in given.items())))


def _path(name: str, given: Any) -> Path:
    if isinstance(given, Mapping):
        return _cosine(name, given)
    if isinstance(given, str):
        return _pieces(name, given, _table(name, given), _TABLE)
    if not isinstance(given, list | tuple):
        raise Invalid(name, given, f"{_PIECES}; {_TABLE}; or {_COSINE}")
    return _pieces(name, given, given, _PIECES)


def _pieces(name: str, given: Any, rows: Any, valid: str) -> Linear:
    """``rows`` [[time, value], ...] in normal form; ``given`` is the input of the user."""
    if not rows:
        raise Invalid(name, given, f"{valid}; there is no time in it")
    if len(rows) > MOST_TIMES:
        raise Invalid(name, given, f"{valid}; at most {MOST_TIMES} of them")
    times: list[float] = []
    values: list[Value] = []
    for row in rows:
        if not isinstance(row, list | tuple) or len(row) != 2:
            raise Invalid(name, given, valid)
        time = _number(name, given, row[0], valid)
        if times and time <= times[-1]:
            how = "is there twice" if time == times[-1] else f"comes after {times[-1]:g}"
            raise Invalid(name, given, f"times that go up, and {time:g} {how}")
        times.append(time)
        values.append(_value(name, given, row[1], valid))
    if len({len(value) if isinstance(value, tuple) else 0 for value in values}) > 1:
        raise Invalid(name, given, valid)
    return Linear(tuple(times), tuple(values))


def _cosine(name: str, given: Mapping[Any, Any]) -> Cosine:
    for below in given:
        if below not in _NAMES:
            raise Invalid(f"{name}.{below}", given[below], f"for the names of a cosine {', '.join(_NAMES)}")
    for below in ("mean", "amplitude", "omega"):
        if below not in given:
            raise Invalid(name, dict(given), f"{_COSINE}, phase 0 where it is not given; {below} is missing")
    mean, amplitude = (_value(f"{name}.{below}", given[below], given[below], _finite.valid) for below in _NAMES[:2])
    omega, phase = (
        _number(f"{name}.{below}", given.get(below, 0.0), given.get(below, 0.0), _finite.valid) for below in _NAMES[2:]
    )
    if isinstance(mean, tuple) != isinstance(amplitude, tuple) or len(_entries(mean)) != len(_entries(amplitude)):
        raise Invalid(f"{name}.amplitude", given["amplitude"], "as many values as those of mean")
    return Cosine(mean, amplitude, omega, phase)


def _table(name: str, file: str) -> list[list[Any]]:
    """The rows of a file: lines of numbers, the time first; # begins a comment."""
    try:
        content = reading.text(file, MOST_BYTES)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise Invalid(name, file, f"{_TABLE} ({reading.printable(str(why), 300)})") from None
    rows: list[list[Any]] = []
    width = 0
    for count, line in enumerate(content.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) < 2 or width not in (0, len(words)):
            raise Invalid(name, file, f"{_TABLE}; line {count} is {reading.printable(line, 60)!r}")
        width = len(words)
        rows.append([words[0], words[1] if width == 2 else words[1:]])
        if len(rows) > MOST_TIMES:
            raise Invalid(name, file, f"{_TABLE}; at most {MOST_TIMES} of them")
    return rows


def _value(name: str, given: Any, value: Any, valid: str) -> Value:
    if not isinstance(value, list | tuple):
        return _number(name, given, value, valid)
    if not value:
        raise Invalid(name, given, valid)
    return tuple(_number(name, given, entry, valid) for entry in value)


def _number(name: str, given: Any, value: Any, valid: str) -> float:
    try:
        return float(_finite.read(value))
    except Invalid:
        raise Invalid(name, given, f"{valid}; {reading.printable(str(value), 40)} is not one") from None


ramp = Check(
    f"null, or a mapping {{COUPLING: its values in time}}, each {_PIECES}; {_TABLE}; or {_COSINE}",
    _read,
)
