"""The key ``observables``: what is measured beside the energy, each under a label of one's own, and how often.

    observables=[total_spin, magnetization]                     by their names
    observables.zz=pauli 'observables.zz.terms=["1.0 Z0 Z3"]'   by a label
    observables.every=10                                        while a ground state is looked for

In plain data it is one mapping, {every: null, LABEL: {name: pauli, terms: [...]}, ...}.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import named_choices
from nqs_hpc.choices.observable.base import Observable
from nqs_hpc.choices.task.base import Task
from nqs_hpc.config.inner import Assigned, fill_named
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Check, bad

KEY, EVERY = "observables", "every"
RESERVED = (EVERY, "energy")  # labels that name something else in results


@dataclasses.dataclass(frozen=True)
class Observables:
    """What is measured."""

    entries: tuple[tuple[str, Observable], ...]  # by label
    every: int | None = None  # steps of an optimization between two measurements; None: only at its end

    @property
    def measured(self) -> dict[str, Observable]:
        return dict(self.entries)

    def plain(self) -> dict[str, Any]:
        """The mapping that the key is in plain data, its choices as they are."""
        return {EVERY: self.every, **self.measured}


def _read(value: Any) -> Observables:
    if not isinstance(value, Mapping):
        raise checks.Invalid
    below = dict(value)
    every = checks.apply(checks.optional(checks.integer()), f"{KEY}.{EVERY}", below.pop(EVERY, None))
    return Observables(tuple(named_choices("observable", KEY, below, RESERVED).items()), every)


check = Check("a list of names, or a mapping {LABEL: choice of observable}", _read)


def fill_observables(
    before: Any, assigned: Assigned, defaults: Callable[[str, str], dict[str, Any]]
) -> tuple[dict[str, Any], Assigned]:
    """The mapping of plain data, its choices filled up from conf/, and what is left to assign. Raises InputError."""
    every = before.get(EVERY) if isinstance(before, Mapping) else None
    before = {label: one for label, one in before.items() if label != EVERY} if isinstance(before, Mapping) else before
    named: Assigned = []
    for given, value in assigned:
        if given == f"{KEY}.{EVERY}":
            every = value
        elif given == KEY and isinstance(value, Mapping) and EVERY in value:
            every = value[EVERY]
            named.append((given, {label: one for label, one in value.items() if label != EVERY}))
        else:
            named.append((given, value))
    found, left = fill_named(KEY, "observable", before, named, defaults)
    return {EVERY: every, **found}, left


def resolved(given: Observables, context: Context, task: Task) -> Observables:
    """Every observable in its final form; raises InputError if one fits neither the system nor the task."""
    if given.entries and not task.measures:
        raise bad(
            KEY, [label for label, _ in given.entries], f"nothing with task={task.name}, which measures no observables"
        )
    if given.every is not None and not (given.entries and task.optimizes):
        why = "nothing is measured" if task.optimizes else f"task={task.name} measures {task.when_measured}"
        raise bad(f"{KEY}.{EVERY}", given.every, f"null: {why}")
    for label, one in given.entries:
        if one.of_trajectories and not task.has_beginning:
            why = f"{one.name} compares the states of a trajectory with its first one"
            raise bad(f"{KEY}.{label}", one.name, f"an observable of one state, or task=dynamics: {why}")
        if one.of_sites and context.hilbert.paths:
            why = f"with hamiltonian={context.hamiltonian.name} a state is a path of total spins, not of single spins"
            raise bad(f"{KEY}.{label}", one.name, f"one that is not of single sites, such as formula: {why}")
    entries = tuple((label, one.resolved(context, f"{KEY}.{label}")) for label, one in given.entries)
    return dataclasses.replace(given, entries=entries)
