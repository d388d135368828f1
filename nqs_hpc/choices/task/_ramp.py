"""Couplings of the Hamiltonian with several values: as functions of time, in tasks with a key ``ramp``
(`inputs.ramps`), or from a list (`inputs.points`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian.base import Hamiltonian
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad, unknown
from nqs_hpc.inputs.line import one_line
from nqs_hpc.inputs.points import Points
from nqs_hpc.inputs.ramps import Path, Ramp, Value, extremes
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Operator

KEY = "task.ramp"


class _Number(NamedTuple):
    """An entry of a coupling and its range."""

    key: str
    entry: int  # 0 if the coupling is a number
    path: Any  # `inputs.ramps.Path`, or the values of a list
    least: float
    most: float


def driven(hamiltonian: Hamiltonian, ramp: Ramp | None) -> Hamiltonian:
    """The Hamiltonian as read, with each coupling that depends on time at its value of largest modulus; raises
    InputError if there is no such coupling, or it cannot have these values.

    An element that vanishes there vanishes at all times, so the facts of this Hamiltonian (what it conserves and
    connects) hold at all times. Signs of basis states are those that make the elements at these couplings negative: if
    a coupling changes its sign, the ground state at other times need not be positive, but the basis is still exact.
    """
    if ramp is None:
        return hamiltonian
    return at_largest(hamiltonian, KEY, ramp.plain(), ((key, extremes(path)) for key, path in ramp.entries))


def at_largest(
    hamiltonian: Hamiltonian, of: str, plain: dict[str, Any], entries: Iterable[tuple[str, Sequence[Value]]]
) -> Hamiltonian:
    """As `driven`, for lists of values; ``of`` is the key that gives them, ``plain`` its value."""
    values: dict[str, Any] = {}
    known = hamiltonian.couplings()
    for key, every in entries:
        if key not in known:
            owner = f"hamiltonian={hamiltonian.name}"
            if key in {field.name for field in dataclasses.fields(hamiltonian) if "check" in field.metadata}:
                numbers = ", ".join(known) or "none"
                raise bad(f"{of}.{key}", plain[key], f"for couplings of {owner}, which are numbers: {numbers}")
            raise unknown(f"{of}.{key}", plain[key], key, owner, known)
        for value in every:
            try:
                known[key].read(list(value) if isinstance(value, tuple) else value)
            except checks.Invalid:
                raise bad(f"{of}.{key}", plain[key], f"for each value {known[key].valid}") from None
        largest = [max(one, key=abs) for one in zip(*map(_entries, every), strict=True)]
        values[key] = tuple(largest) if isinstance(every[0], tuple) else largest[0]
    return dataclasses.replace(hamiltonian, **values)


def operators(
    hamiltonian: Hamiltonian, lattice: Lattice, signs_N: NDArray[np.int8] | None, ramp: Ramp | None
) -> tuple[Operator, tuple[Operator, ...]]:
    """The matrix elements of a resolved `driven` Hamiltonian in the basis with these signs, at time 0 and, by
    `types.Operator.at`, at any other; and the operators whose common symmetries it has at all times. Raises InputError.
    """
    if ramp is None:
        made = hamiltonian.make(lattice, signs_N)
        return made, (made,)
    from nqs_hpc.operators.ramped import of_path

    firsts = {key: extremes(path)[0] for key, path in ramp.entries}  # with the constant couplings
    numbers = [one for key, path in ramp.entries for one in _numbers(key, path, extremes(path))]
    return _made(hamiltonian, lattice, signs_N, KEY, ramp.plain(), firsts, numbers, of_path)


def operators_at(
    hamiltonian: Hamiltonian, lattice: Lattice, signs_N: NDArray[np.int8] | None, of: str, points: Points
) -> tuple[Operator, tuple[Operator, ...]]:
    """As `operators`, with the number of a point in place of the time."""
    from nqs_hpc.operators.ramped import of_list

    firsts = {key: values[0] for key, values in points.entries}
    numbers = [one for key, values in points.entries for one in _numbers(key, values, values)]
    return _made(hamiltonian, lattice, signs_N, of, points.plain(), firsts, numbers, of_list)


def _made(
    hamiltonian: Hamiltonian,
    lattice: Lattice,
    signs_N: NDArray[np.int8] | None,
    of: str,
    plain: dict[str, Any],
    firsts: dict[str, Value],
    numbers: list[_Number],
    function: Callable[[Any, int], Any],
) -> tuple[Operator, tuple[Operator, ...]]:
    def make(values: tuple[float, ...]) -> Operator:
        now = {key: list(_entries(first)) for key, first in firsts.items()}
        for number, value in zip(numbers, values, strict=True):
            now[number.key][number.entry] = value
        return at_values(hamiltonian, now).make(lattice, signs_N)

    if not numbers:
        made = make(())
        return made, (made,)
    from nqs_hpc.operators.ramped import Coupling, ramped

    couplings = [Coupling(function(one.path, one.entry), one.least, one.most) for one in numbers]
    space = hamiltonian.space(lattice.n_sites)
    found = one_line(of, plain, lambda: ramped(make, couplings, space))
    return found.operator, found.corners


def at_values(hamiltonian: Hamiltonian, values: dict[str, Any]) -> Hamiltonian:
    """A resolved Hamiltonian with other couplings, numbers or sequences of them."""
    # in a resolved Hamiltonian couplings that may be lists are lists
    is_list = {key: isinstance(getattr(hamiltonian, key), tuple) for key in values}
    rows = {key: tuple(row) if isinstance(row, list | tuple) else (row,) for key, row in values.items()}
    fixed: dict[str, Any] = {key: row if is_list[key] else row[0] for key, row in rows.items()}
    return dataclasses.replace(hamiltonian, **fixed)


def _numbers(key: str, path: Path | Sequence[Value], values: Sequence[Value]) -> list[_Number]:
    """The numbers of a coupling that change."""
    found = []
    for entry, column in enumerate(zip(*map(_entries, values), strict=True)):
        if min(column) != max(column):
            found.append(_Number(key, entry, path, min(column), max(column)))
    return found


def _entries(value: float | tuple[float, ...]) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,)
