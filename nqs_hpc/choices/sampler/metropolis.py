"""sampler=metropolis: Markov chains by local moves (`sampler.metropolis`, `sampler.adaptive`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nqs_hpc.choices.keys import Examples
from nqs_hpc.choices.sampler._chains import Chains
from nqs_hpc.inputs.mappings import Range
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz, Operator
from nqs_hpc.types import Sampler as Functions

if TYPE_CHECKING:
    from nqs_hpc.parallel.comm import Comm


@dataclass(frozen=True)
class Metropolis(Chains):
    examples: ClassVar[Examples] = ({"n_chains": 8, "n_samples": 32, "warmup": 8},)

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
        from nqs_hpc.sampler.adaptive import Bounds
        from nqs_hpc.sampler.metropolis import metropolis

        return metropolis(
            ansatz,
            self.moves(operator, lattice, hilbert),
            hilbert,
            comm,
            n_chains=self.n_chains,
            n_samples=self.n_samples,
            sweep=Bounds(*self.sweep) if isinstance(self.sweep, Range) else self.sweep,
            warmup=self.warmup,
            power=self.exponent,
        )
