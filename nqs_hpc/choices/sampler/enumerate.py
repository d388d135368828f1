"""sampler=enumerate: the exact sum over all states (`sampler.enumerate`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.sampler.base import MAX_STATES, Sampler
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.hilbert import Hilbert, dimension, dimension_up_to
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz, Operator
from nqs_hpc.types import Sampler as Functions

if TYPE_CHECKING:
    from nqs_hpc.parallel.comm import Comm


@dataclass(frozen=True)
class Enumerate(Sampler):
    is_exact: ClassVar[bool] = True
    of_several: ClassVar[bool] = True

    def resolved(self, context: Context) -> Self:
        if dimension_up_to(context.hilbert, MAX_STATES) > MAX_STATES:
            n_sites = context.hilbert.n_sites
            valid = f"metropolis: {n_sites} sites have more than the {MAX_STATES} states of enumerate"
            raise bad("sampler", self.name, valid)
        return super().resolved(context)

    def samples_a_step(self, hilbert: Hilbert) -> int:
        return dimension(hilbert)

    def check_samples(self, most: int, hilbert: Hilbert, why: str) -> None:
        states = dimension_up_to(hilbert, MAX_STATES)
        if states > most:
            raise bad("sampler", self.name, f"metropolis, or fewer than these {states} states ({why})")

    def final_chain_length(self, final_samples: int) -> int:
        return 0

    def check_several(self, n: int, context: Context) -> None:
        most = MAX_STATES // n
        if dimension_up_to(context.hilbert, most) > most:
            valid = f"metropolis: {n} times the states of {context.hilbert.n_sites} sites are more than {MAX_STATES}"
            raise bad("sampler", self.name, valid)

    def several(
        self,
        ansatz: Ansatz,
        couplings_KG: NDArray[np.float64],
        lattice: Lattice,
        hilbert: Hilbert,
        comm: Comm,
        *,
        operator: Operator,
        chunk: int | None,
    ) -> Functions:
        from nqs_hpc.ansatz.couplings import carrying
        from nqs_hpc.sampler.each import enumeration_of_each

        return enumeration_of_each(carrying(ansatz), couplings_KG, hilbert, comm, chunk=chunk)

    def make(
        self,
        ansatz: Ansatz,
        lattice: Lattice,
        hilbert: Hilbert,
        comm: Comm,
        *,
        operator: Operator,
        chunk: int | None,
    ) -> Functions:
        from nqs_hpc.sampler.enumerate import enumeration

        return enumeration(ansatz, hilbert, comm, chunk=chunk)
