"""optimizer=adam: Adam (`update.first_order`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nqs_hpc.choices.keys import Float, key
from nqs_hpc.choices.optimizer.base import Optimizer
from nqs_hpc.inputs import checks
from nqs_hpc.types import Ansatz, Update

if TYPE_CHECKING:
    from nqs_hpc.parallel.comm import Comm


@dataclass(frozen=True)
class Adam(Optimizer):
    by_coupling: ClassVar[bool] = True
    b1: float = key(checks.number(least=0, below=1), "decay of the mean of the gradient")
    b2: float = key(checks.number(least=0, below=1), "decay of the mean of its square")
    eps: float = key(checks.positive, "added to the denominator")

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
        from nqs_hpc.update.first_order import adam

        return self.clipped(adam(ansatz, comm, b1=self.b1, b2=self.b2, eps=self.eps, **self.common(chunk)))
