"""Couplings of the Hamiltonian that depend on time, of tasks with a key ``ramp`` (`inputs.ramps`)."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian.base import Hamiltonian
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad, unknown
from nqs_hpc.inputs.line import one_line
from nqs_hpc.inputs.ramps import Path, Ramp, extremes
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Operator

KEY = "task.ramp"


class _Number(NamedTuple):
    """An entry of a coupling, and between which numbers it lies."""

    key: str
    entry: int  # 0 where the coupling is a number
    path: Path
    least: float
    most: float


def driven(hamiltonian: Hamiltonian, ramp: Ramp | None) -> Hamiltonian:
    """The Hamiltonian as it was read, each coupling that depends on time at the value of largest modulus that it comes
    to; raises InputError where there is no such coupling, or it cannot have such values.

    No element vanishes there that does not vanish at all times, so what this one conserves, joins and lacks is right
    all along. Signs of basis states are those that make the elements at these couplings negative: where a coupling
    changes its sign the ground state at other times need not be positive, but the basis is as exact as any.
    """
    if ramp is None:
        return hamiltonian
    values: dict[str, Any] = {}
    known = hamiltonian.couplings()
    for key, path in ramp.entries:
        plain = dict(ramp.plain())[key]
        if key not in known:
            owner = f"hamiltonian={hamiltonian.name}"
            if key in {field.name for field in dataclasses.fields(hamiltonian) if "check" in field.metadata}:
                numbers = ", ".join(known) or "none"
                raise bad(f"{KEY}.{key}", plain, f"for couplings of {owner}, which are numbers: {numbers}")
            raise unknown(f"{KEY}.{key}", plain, key, owner, known)
        for value in extremes(path):
            try:
                known[key].read(list(value) if isinstance(value, tuple) else value)
            except checks.Invalid:
                raise bad(f"{KEY}.{key}", plain, f"for each value {known[key].valid}") from None
        largest = [max(one, key=abs) for one in zip(*map(_entries, extremes(path)), strict=True)]
        values[key] = tuple(largest) if isinstance(extremes(path)[0], tuple) else largest[0]
    return dataclasses.replace(hamiltonian, **values)


def operators(
    hamiltonian: Hamiltonian, lattice: Lattice, signs_N: NDArray[np.int8] | None, ramp: Ramp | None
) -> tuple[Operator, tuple[Operator, ...]]:
    """The matrix elements at time 0, and `types.Operator.at` any other, of a resolved `driven` Hamiltonian in the basis
    with these signs; and the operators whose symmetries it has at all times. Raises InputError.
    """
    numbers = _numbers(ramp)
    if not numbers:
        made = hamiltonian.make(lattice, signs_N)
        return made, (made,)
    assert ramp is not None
    from nqs_hpc.operators.ramped import Coupling, of_path, ramped

    def make(values: tuple[float, ...]) -> Operator:
        now = {key: list(_entries(extremes(path)[0])) for key, path in ramp.entries}  # with what does not change
        for number, value in zip(numbers, values, strict=True):
            now[number.key][number.entry] = value
        # a coupling that may be a list is one in a resolved Hamiltonian
        is_list = {key: isinstance(getattr(hamiltonian, key), tuple) for key in now}
        fixed: dict[str, Any] = {key: tuple(row) if is_list[key] else row[0] for key, row in now.items()}
        return dataclasses.replace(hamiltonian, **fixed).make(lattice, signs_N)

    couplings = [Coupling(of_path(one.path, one.entry), one.least, one.most) for one in numbers]
    space = hamiltonian.space(lattice.n_sites)
    found = one_line(KEY, ramp.plain(), lambda: ramped(make, couplings, space))
    return found.operator, found.corners


def _numbers(ramp: Ramp | None) -> list[_Number]:
    """The numbers that change in time."""
    found = []
    for key, path in ramp.entries if ramp is not None else ():
        for entry, column in enumerate(zip(*map(_entries, extremes(path)), strict=True)):
            if min(column) != max(column):
                found.append(_Number(key, entry, path, min(column), max(column)))
    return found


def _entries(value: float | tuple[float, ...]) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,)
