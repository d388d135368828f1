"""optimizer=march: minsr with momentum in an adaptive metric (`update.march`)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from nqs_hpc.choices.keys import Float, key
from nqs_hpc.choices.optimizer._natural import Blocks, blocks_key
from nqs_hpc.choices.optimizer.minsr import Minsr
from nqs_hpc.inputs import checks
from nqs_hpc.types import Ansatz, Update

if TYPE_CHECKING:
    from nqs_hpc.parallel.comm import Comm

MADE = "number of parts in which the Jacobian is made, which march needs for every network; auto: by memory_gib"


@dataclass(frozen=True)
class March(Minsr):
    needs_jacobian: ClassVar[bool] = True
    blocks: Blocks = blocks_key(MADE)
    momentum: float = key(checks.number(least=0, below=1), "mu, the fraction of the previous direction that is kept")
    beta: float = key(checks.number(least=0, below=1), "decay of the mean square of the changes of direction")

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
        from nqs_hpc.update.march import march

        given = self.of_kernel(solver, chunk, blocks, solve_dtype) | {"beta": self.beta}
        return self.trusted(partial(march, ansatz, comm), given | self.filter(chain_length))
