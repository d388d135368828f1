"""optimizer=sgd: steps along the force (`update.first_order`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nqs_hpc.choices.keys import Float
from nqs_hpc.choices.optimizer.base import Optimizer
from nqs_hpc.types import Ansatz, Update

if TYPE_CHECKING:
    from nqs_hpc.parallel.comm import Comm


@dataclass(frozen=True)
class Sgd(Optimizer):
    by_coupling: ClassVar[bool] = True

    def make(
        self,
        ansatz: Ansatz,
        comm: Comm,
        *,
        solver: str | None,
        blocks: int | None,
        chunk: int | None,
        chain_length: int,
        solve_dtype: Float,
    ) -> Update:
        from nqs_hpc.update.first_order import sgd

        return self.clipped(sgd(ansatz, comm, **self.common(chunk)))
