"""What every sampler answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Examples
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz, Operator
from nqs_hpc.types import Sampler as Functions

if TYPE_CHECKING:
    from nqs_hpc.parallel.comm import Comm

MAX_STATES = 2**22  # that are summed over
# The ladders of a second ensemble: their spread gives its error, with an error of an eighth from 32 of them.
LEAST_LADDERS, MOST_LADDERS = 32, 64
WARMUP = 100  # sweeps of a second ensemble, where the first needs none


class SecondPlan(NamedTuple):
    """The ladders of a second ensemble, their proposals between two samples, and their sweeps before the first."""

    n_chains: int
    sweep: int
    warmup: int


@dataclass(frozen=True)
class Sampler:
    name: str
    examples: ClassVar[Examples] = ({},)  # keys under which contract tests try it, on a chain of six sites
    is_exact: ClassVar[bool] = False  # whether all states are summed over, without statistical error

    def resolved(self, context: Context) -> Self:
        """Every ``auto`` replaced; raises InputError where the sampler fits neither the states nor the ranks."""
        del context
        return self

    def samples_a_step(self, hilbert: Hilbert) -> int:
        """Over all ranks."""
        raise NotImplementedError

    def check_samples(self, most: int, hilbert: Hilbert, why: str) -> None:
        """Raise InputError where a step has more than ``most`` samples; ``why`` says what needs that."""
        raise NotImplementedError

    def final_chain_length(self, final_samples: int) -> int:
        """Samples a chain of an evaluation of at least ``final_samples``; 0 for exact sums."""
        raise NotImplementedError

    def second(self, hilbert: Hilbert) -> SecondPlan | None:
        """How a second ensemble samples the same wave function; None where the sum is exact."""
        return None if self.is_exact else SecondPlan(MOST_LADDERS, hilbert.n_sites, WARMUP)

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
        """``ansatz`` is that of |psi|."""
        raise NotImplementedError
