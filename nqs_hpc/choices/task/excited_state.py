"""task=excited_state: the next level above states that other runs have found (`tasks.excited_state`)."""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Auto, Examples, derived, key
from nqs_hpc.choices.pieces import Pieces
from nqs_hpc.choices.task.ground_state import GroundState
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Check, Invalid, bad
from nqs_hpc.types import Task as Functions

MOST = 16  # wave functions, each with its own chains
AUTO = 5.0  # times (E_infinity - E_low) / n_sites


def _paths(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST or not all(isinstance(p, str) for p in value):
        raise Invalid
    found = tuple(os.path.normpath(checks.path.read(path)) for path in value)
    if len(set(found)) < len(found):
        raise Invalid
    return found


@dataclass(frozen=True)
class ExcitedState(GroundState):
    """Resolved: ``waves`` are the data of the wave functions of the runs ``below`` (`config.lower`)."""

    examples: ClassVar[Examples] = ()  # it needs a run
    prefix: ClassVar[str] = "excited-"
    shortens: ClassVar[bool] = False  # energies at other parameters would need the overlaps there
    below: tuple[str, ...] = key(
        Check(f"a list of at most {MOST} different run folders, or checkpoints step_….h5", _paths, names="run"),
        "runs of the states below: of the ground state, and of the excited states before this one",
    )
    penalty: float | Auto = key(
        checks.either("auto", checks.positive),
        "energy cost of a full overlap with each of them; must exceed the distance of this level from theirs; auto: "
        "5 (E_infinity - E_low) / sites, E_low a lower bound of the spectrum",
    )
    waves: tuple[Any, ...] = derived()
    known: int = derived(physics=False)  # how many of them are in the sector of this run

    def resolved(self, context: Context) -> Self:
        return dataclasses.replace(super().resolved(context), waves=(), known=0)

    def others(self) -> tuple[tuple[str, Any], ...]:
        return tuple(zip(self.below, self.waves, strict=True)) if self.waves else ()

    @property
    def level(self) -> int:
        return self.known

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.tasks.excited_state import excited_state
        from nqs_hpc.tasks.penalty import Lower

        others, penalty = pieces.others(), self._penalty(pieces)
        for path, (ansatz, _) in zip(self.below, others, strict=True):
            if pieces.ansatz.kind == ansatz.kind == "real":
                why = "both wave functions are positive in one basis, so their overlap cannot vanish"
                raise bad("task.below", path, f"with this ansatz none: {why}; take ansatz.dtype=complex")
        return excited_state(
            *self._positional(pieces),
            lower=[Lower(ansatz, sampler, penalty) for ansatz, sampler in others],
            names=self.below,
            level=self.level,
            **self._options(pieces),
        )

    def _penalty(self, pieces: Pieces) -> float:
        """A Pauli matrix on one site changes only the terms that act on it, each bond being counted at two sites, so it
        changes the energy by at most 4 (E_infinity - E) / n_sites: above a ground state there is a level within that
        distance.
        """
        if self.penalty != "auto":
            return self.penalty
        operator = pieces.operator
        found = AUTO * (operator.e_infinity - operator.bounds[0]) / pieces.lattice.n_sites
        if not 0 < found < math.inf:
            raise bad("task.penalty", "auto", "a number: no bound of the spectrum is known")
        return found
