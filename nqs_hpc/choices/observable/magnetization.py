"""The magnetization along an axis, its moments and Binder's cumulant (`observables.magnetization`)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.choices.observable.base import Observable
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system.lattice import Lattice, bipartition

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions


@dataclass(frozen=True)
class Magnetization(Observable):
    examples: ClassVar[Examples] = ({"staggered": True}, {"axis": "x"}, {"axis": "y", "staggered": True})
    few_values: ClassVar[int] = 4
    axis: str = key(
        checks.choice("x", "y", "z"),
        "z: m, |m|, m2, m4 and the Binder cumulant; x, y: only m, for spins 1/2; in units of Pauli matrices",
    )
    staggered: bool = key(
        checks.either("auto", checks.boolean),
        "with opposite signs on the two sublattices; auto: along z in a sector, which fixes the plain sum",
    )

    def resolved(self, context: Context, prefix: str) -> Self:
        values, words = context.hilbert.local_values, context.hamiltonian.words
        if max(values) != -min(values):
            raise bad(prefix, self.name, f"another observable, such as formula: the sites hold {words}, not spins")
        if self.axis != "z" and set(values) != {1, -1}:
            raise bad(f"{prefix}.axis", self.axis, "z: x and y need spins 1/2")
        given: object = self.staggered
        is_fixed = self.axis == "z" and context.hilbert.total is not None
        if given == "auto":
            return dataclasses.replace(self, staggered=is_fixed).resolved(context, prefix)
        if is_fixed and not given:
            why = f"sector={context.hilbert.total} fixes the sum of all spins"
            raise bad(f"{prefix}.staggered", False, f"auto or true, or sector=none: {why}")
        if given:
            found = one_line(f"{prefix}.staggered", True, lambda: bipartition(context.lattice))
            if found is None:
                few = "a run with sector=none" if is_fixed else "false"
                raise bad(f"{prefix}.staggered", True, f"{few}: the nearest neighbours do not form two sublattices")
        return self

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.observables.magnetization import magnetization_xy, magnetization_z

        label = f"m{'s' * self.staggered}_{self.axis}"
        if self.axis == "z":
            return magnetization_z(self._signs(pieces.lattice), label=label)
        return magnetization_xy(self.axis, self._signs(pieces.lattice), label=label)

    def _signs(self, lattice: Lattice) -> NDArray[np.int8]:
        found = bipartition(lattice) if self.staggered else None
        return np.ones(lattice.n_sites, np.int8) if found is None else found
