"""task=foundation: the ground states at a list of couplings, by one network that takes them as inputs
(`tasks.foundation`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.hamiltonian.base import Hamiltonian
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.choices.pieces import Pieces
from nqs_hpc.choices.task import _ramp
from nqs_hpc.choices.task._second import second_of
from nqs_hpc.choices.task.ground_state import GroundState
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.points import Points, points
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Operator
from nqs_hpc.types import Task as Functions

KEY = "task.couplings"


@dataclass(frozen=True)
class Foundation(GroundState):
    examples: ClassVar[Examples] = ()  # it needs a network with couplings as inputs
    prefix: ClassVar[str] = "foundation-"
    measures: ClassVar[bool] = False
    shortens: ClassVar[bool] = False  # energies at other parameters would belong to one Hamiltonian
    couplings: Points = key(
        points,
        "values of couplings of the Hamiltonian, {h: [0.5, 0.75, 1.0]}, several couplings together; samples are "
        "divided equally between them",
    )

    @property
    def swept(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.couplings.entries)

    @property
    def n_points(self) -> int:
        return self.couplings.n

    def driven(self, hamiltonian: Hamiltonian) -> Hamiltonian:
        return _ramp.at_largest(hamiltonian, KEY, self.couplings.plain(), self.couplings.entries)

    def operators(
        self, hamiltonian: Hamiltonian, lattice: Lattice, signs_N: NDArray[np.int8] | None
    ) -> tuple[Operator, tuple[Operator, ...]]:
        return _ramp.operators_at(hamiltonian, lattice, signs_N, KEY, self.couplings)

    def points(self, hamiltonian: Hamiltonian) -> tuple[Hamiltonian, ...]:
        return tuple(_ramp.at_values(hamiltonian, dict(one)) for one in self.couplings.each())

    def resolved(self, context: Context) -> Self:
        n, plain, ansatz, sampler = self.couplings.n, self.couplings.plain(), context.ansatz, context.sampler
        of_it = f"with task={self.name}"
        if not ansatz.takes_couplings:
            raise bad("ansatz", ansatz.name, f"foundation_vit {of_it}: a network that is told the couplings")
        if not sampler.of_several:
            raise bad("sampler", sampler.name, f"metropolis, tempering or enumerate {of_it}")
        for name in ("blur", "power"):
            if (value := getattr(sampler, name, None)) is not None:
                raise bad(f"sampler.{name}", value, f"null {of_it}, whose samples are of |psi|^2 itself")
        sampler.check_several(n, context)
        self._check_states(context, plain)
        return super().resolved(context)

    def _check_states(self, context: Context, plain: dict[str, Any]) -> None:
        """Raise InputError if the ground states do not have the same sector and the same signs."""
        hamiltonian, lattice = context.hamiltonian, context.lattice
        taken, best = hamiltonian.signs(lattice), hamiltonian.positive_signs(lattice)
        taken = best if taken is None else taken
        for values, one in zip(self.couplings.each(), self.points(hamiltonian), strict=True):
            at = ", ".join(f"{name}={list(x) if isinstance(x, tuple) else f'{x:g}'}" for name, x in values.items())
            if context.sector_is_auto and one.conserves():
                total = one.ground_total(lattice)
                if total != context.sector:
                    word, other = ("none" if x is None else x for x in (total, context.sector))
                    why = f"at {at} that is {word}, at others {other}; or give a sector"
                    raise bad(KEY, plain, f"couplings whose ground states are of one sector: {why}")
            found = one.positive_signs(lattice)
            if found is not None and taken is not None and not np.array_equal(found, taken):
                why = (
                    f"at {at} other signs of the basis states make the elements negative than at the largest couplings"
                )
                raise bad(KEY, plain, f"couplings whose ground states have the same signs: {why}")

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.ansatz.couplings import carrying
        from nqs_hpc.tasks.foundation import Point, foundation

        options, operators = self._options(pieces), pieces.operators()
        system = options.pop("system")
        own = [
            Point(
                {f"hamiltonian.{name}": list(x) if isinstance(x, tuple) else x for name, x in values.items()},
                system._replace(bounds=operator.bounds, e_infinity=operator.e_infinity),
            )
            for values, operator in zip(self.couplings.each(), operators, strict=True)
        ]
        mean = float(np.mean([one.e_infinity for one in operators]))
        n_second = self.final_samples // 4 if self.second_samples == "auto" else self.second_samples
        told = pieces._replace(ansatz=carrying(pieces.ansatz))
        second = second_of(told, n_second and -(-n_second // self.couplings.n))
        options |= {"system": system._replace(e_infinity=mean), "second": second}
        return foundation(*self._positional(pieces), points=own, **options)
