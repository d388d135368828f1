"""The facts and methods of every sampler."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Auto, Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice, joined_pairs
from nqs_hpc.types import Ansatz, Operator
from nqs_hpc.types import Sampler as Functions

if TYPE_CHECKING:
    from nqs_hpc.parallel.comm import Comm

MAX_STATES = 2**22  # of an exact sum
# The ladders of a second ensemble: their spread gives its error; with 32 ladders that error is known to an eighth.
LEAST_LADDERS, MOST_LADDERS = 32, 64
WARMUP = 100  # sweeps of a second ensemble if the first needs none


class SecondPlan(NamedTuple):
    """The ladders of a second ensemble, their proposals between two samples, and their warm-up sweeps."""

    n_chains: int
    sweep: int
    warmup: int


@dataclass(frozen=True)
class Sampler:
    name: str
    examples: ClassVar[Examples] = ({},)  # keys with which contract tests run it, on a chain of six sites
    is_exact: ClassVar[bool] = False  # whether it sums over all states, without statistical error
    of_several: ClassVar[bool] = False  # whether it can sample several wave functions together (`several`)
    blur: float | Auto | None = key(
        checks.optional(checks.either("auto", checks.number(above=0, below=1))),
        "probability that a sample is replaced by a neighbour and weighted, so that sums include states where psi is "
        "small or 0; null: never; auto: the task decides, null except for evolution in real time",
        physics="given",
    )

    @property
    def exponent(self) -> float:
        """The power p of the distribution |psi|^p that `make` samples."""
        return 2.0

    @property
    def is_weighted(self) -> bool:
        """Whether the weights of the samples differ (of a resolved choice, not counting exact sums)."""
        return self.blur is not None or self.exponent != 2

    def resolved(self, context: Context) -> Self:
        """The choice with every ``auto`` replaced; raises InputError if the sampler does not fit the states or the
        ranks."""
        blur = self.blur
        if blur == "auto":
            blur = None if self.is_exact else context.task.blur
        elif blur is not None and self.is_exact:
            raise bad("sampler.blur", blur, f"auto or null with sampler={self.name}, which sums over all states")
        return dataclasses.replace(self, blur=blur)

    def samples_a_step(self, hilbert: Hilbert) -> int:
        """Over all ranks."""
        raise NotImplementedError

    def check_samples(self, most: int, hilbert: Hilbert, why: str) -> None:
        """Raise InputError if a step has more than ``most`` samples; ``why`` gives the reason."""
        raise NotImplementedError

    def final_chain_length(self, final_samples: int) -> int:
        """Samples per chain of an evaluation with at least ``final_samples``; 0 for exact sums."""
        raise NotImplementedError

    def second(self, hilbert: Hilbert) -> SecondPlan | None:
        """How a second ensemble samples the same wave function; None if the sum is exact."""
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
        """Samples of |psi|^2, or |psi|^`exponent`, of equal weights; ``ansatz`` is that of |psi|."""
        raise NotImplementedError

    def check_several(self, n: int, context: Context) -> None:
        """Raise InputError if this many wave functions cannot be sampled together; called only if ``of_several``."""

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
        """Samples of ``ansatz`` at each of K lists of couplings, equally many of each (`types.Groups`)."""
        raise NotImplementedError

    def weighted(
        self,
        ansatz: Ansatz,
        lattice: Lattice,
        hilbert: Hilbert,
        comm: Comm,
        *,
        operator: Operator,
        chunk: int | None,
        memory: int,
    ) -> Functions:
        """The sampler of a resolved choice: the result of `make`, blurred and weighted if requested."""
        made = self.make(ansatz, lattice, hilbert, comm, operator=operator, chunk=chunk)
        if self.blur is None:
            if self.exponent == 2:
                return made
            from nqs_hpc.sampler.reweighted import reweighted

            return reweighted(made, ansatz, comm, power=self.exponent, chunk=chunk)
        from nqs_hpc.operators.local_values import local_energies
        from nqs_hpc.sampler.blurred import blurred
        from nqs_hpc.sampler.neighbours import neighbours

        assert self.blur != "auto"
        graph = one_line(
            "sampler.blur", self.blur, lambda: neighbours(operator, hilbert, lambda: joined_pairs(lattice))
        )
        return blurred(
            made,
            ansatz,
            graph,
            comm,
            q=self.blur,
            power=self.exponent,
            chunk=chunk,
            local_values=lambda of, adjacent: local_energies(of, adjacent, chunk=chunk, memory=memory),
        )
