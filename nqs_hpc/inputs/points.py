"""Lists of values of couplings, as a user gives them: {h: [0.5, 0.75, 1.0]}.

Several couplings have equally many values: the first values belong together, then the second, and so on. The values of
a coupling that is a list are lists, {J: [[1, 0], [1, 0.5]]}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from nqs_hpc.inputs.checks import Check, Invalid, number
from nqs_hpc.inputs.ramps import LARGEST, Value

MOST_POINTS = 100


class Points(NamedTuple):
    """The values of each coupling, sorted by name."""

    entries: tuple[tuple[str, tuple[Value, ...]], ...]

    @property
    def n(self) -> int:
        return len(self.entries[0][1])

    def each(self) -> list[dict[str, Value]]:
        """The couplings of each point."""
        return [{name: values[k] for name, values in self.entries} for k in range(self.n)]

    def plain(self) -> dict[str, Any]:
        """In the form of the configuration."""
        return {name: [list(one) if isinstance(one, tuple) else one for one in values] for name, values in self.entries}


_finite = number(least=-LARGEST, most=LARGEST)
_LIST = f"a list of its values, from 1 to {MOST_POINTS} numbers, or lists of the same length"


def _read(given: Any) -> Points:
    if isinstance(given, Points):
        return given
    if not isinstance(given, Mapping) or not given:
        raise Invalid
    entries = tuple(sorted((str(name), _values(str(name), values)) for name, values in given.items()))
    first, n = entries[0][0], len(entries[0][1])
    for name, values in entries[1:]:
        if len(values) != n:
            raise Invalid(name, given[name], f"as many values as those of {first}, {n}")
    found = Points(entries)
    if len({tuple(one.items()) for one in found.each()}) < n:
        raise Invalid(first, given[first], "each point once")
    return found


def _values(name: str, given: Any) -> tuple[Value, ...]:
    if not isinstance(given, list | tuple) or not 1 <= len(given) <= MOST_POINTS:
        raise Invalid(name, given, _LIST)
    found = tuple(_value(name, given, one) for one in given)
    if len({len(one) if isinstance(one, tuple) else 0 for one in found}) > 1:
        raise Invalid(name, given, _LIST)
    return found


def _value(name: str, given: Any, one: Any) -> Value:
    try:
        if isinstance(one, list | tuple):
            if not one:
                raise Invalid
            return tuple(float(_finite.read(entry)) for entry in one)
        return float(_finite.read(one))
    except Invalid:
        raise Invalid(name, given, _LIST) from None


points = Check(f"a mapping {{COUPLING: VALUES}}, VALUES {_LIST}", _read)
