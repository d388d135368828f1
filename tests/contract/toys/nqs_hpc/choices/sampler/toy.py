"""sampler=toy (`sampler.toy`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.choices.sampler.base import Sampler
from nqs_hpc.inputs import checks
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz, Operator
from nqs_hpc.types import Sampler as Functions

if TYPE_CHECKING:
    from nqs_hpc.parallel.comm import Comm


@dataclass(frozen=True)
class Toy(Sampler):
    examples: ClassVar[Examples] = ({"n_samples": 32},)
    n_samples: int = key(checks.integer(), "samples of the toy over all ranks")

    def samples_a_step(self, hilbert: Hilbert) -> int:
        return self.n_samples

    def check_samples(self, most: int, hilbert: Hilbert, why: str) -> None:
        if self.n_samples > most:
            raise checks.bad("sampler.n_samples", self.n_samples, why)

    def final_chain_length(self, final_samples: int) -> int:
        return -(-final_samples // self.n_samples)

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
        from nqs_hpc.sampler.toy import toy

        return toy(ansatz, hilbert, comm, self.n_samples)
