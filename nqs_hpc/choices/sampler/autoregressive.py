"""sampler=autoregressive: independent samples, drawn site by site (`sampler.autoregressive`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.choices.sampler._chains import refuse_one_state
from nqs_hpc.choices.sampler.base import Sampler
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz, Operator
from nqs_hpc.types import Sampler as Functions

if TYPE_CHECKING:
    from nqs_hpc.parallel.comm import Comm


@dataclass(frozen=True)
class Autoregressive(Sampler):
    examples: ClassVar[Examples] = ({"n_samples": 32},)
    n_samples: int = key(
        checks.integer(least=2), "independent samples per step over all ranks, a multiple of their number"
    )

    def resolved(self, context: Context) -> Self:
        refuse_one_state(context)
        below, modulus = context.ansatz.modulus_of()
        if not modulus.has_conditionals():
            able = "masked_dense, masked_conv, rnn, patched_transformer, antn and mps with open ends"
            not_so = f"ansatz{below}={modulus.name} is not autoregressive, as {able} are"
            raise bad("sampler", self.name, f"metropolis: {not_so}")
        if context.is_symmetrized:
            raise bad("sampler", self.name, "metropolis: a sum over a group (symmetrize) has no conditionals")
        if self.n_samples % context.n_ranks:
            raise bad("sampler.n_samples", self.n_samples, f"a multiple of the {context.n_ranks} ranks")
        return super().resolved(context)

    def samples_a_step(self, hilbert: Hilbert) -> int:
        return self.n_samples

    def check_samples(self, most: int, hilbert: Hilbert, why: str) -> None:
        if self.n_samples > most:
            raise bad("sampler.n_samples", self.n_samples, why)

    def final_chain_length(self, final_samples: int) -> int:
        """The number of calls, because samples are independent."""
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
        from nqs_hpc.sampler.autoregressive import autoregressive

        return autoregressive(ansatz, hilbert, comm, n_samples=self.n_samples)
