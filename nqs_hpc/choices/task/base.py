"""What every task answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.hamiltonian.base import Hamiltonian
from nqs_hpc.choices.keys import Examples
from nqs_hpc.choices.optimizer.base import Optimizer
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Operator

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Task as Functions
    from nqs_hpc.update.cost import Size


class Solving(Protocol):
    """How a choice wants linear systems solved: `choices.optimizer.base.Optimizer` says what each means."""

    @property
    def needs_jacobian(self) -> bool: ...

    def asked_solver(self) -> str | None: ...

    def asked_blocks(self) -> int | str | None: ...

    def chosen_solver(self, size: Size, wide: int, memory: float) -> str | None: ...


def check_series(context: Context, key: str, asked: int, n_samples: int | None = None) -> None:
    """Raise InputError where the local values of ``n_samples`` (None: as many as ``asked``) do not fit into memory.

    They are kept, of the energy and of each result that is a number: twice while a step replaces them, and by the host
    once more. Exact sums are one call.
    """
    n_values = 1 + sum(one.few_values for one in context.observables.values())
    most = int(context.memory_gib * 2**30 / 64 / n_values)
    if not context.sampler.is_exact and (n_samples or asked) > most:
        why = f"the local values of all samples are kept within memory_gib={context.memory_gib:g}"
        raise bad(key, asked, f"at most {most}: {why}")


@dataclass(frozen=True)
class Task:
    name: str
    examples: ClassVar[Examples] = ({},)  # keys under which contract tests try it, on a chain of six sites
    prefix: ClassVar[str] = ""  # of the name of its runs
    optimizes: ClassVar[bool] = True  # whether the optimizer has anything to do
    shortens: ClassVar[bool] = False  # whether it tries fractions of a step, as optimizer.line_search asks
    measures: ClassVar[bool] = False  # whether it measures observables
    when_measured: ClassVar[str] = "in every step"  # where it does and optimizes nothing
    has_beginning: ClassVar[bool] = False  # whether its states can be compared with the first one of a trajectory
    source_key: ClassVar[str | None] = None  # which names a run whose system and wave function it takes over

    def resolved(self, context: Context) -> Self:
        """Every key in its final form; raises InputError where the task does not fit the rest."""
        del context
        return self

    def source(self) -> tuple[str, str] | None:
        """The key and the value that name the run whose configuration this job takes over; None: it takes none."""
        if self.source_key is None:
            return None
        return f"task.{self.source_key}", getattr(self, self.source_key)

    def others(self) -> tuple[tuple[str, Any], ...]:
        """Runs whose wave functions the job computes with: the path of each, and what it is made from
        (`config.lower.Wave`).
        """
        return ()

    def driven(self, hamiltonian: Hamiltonian) -> Hamiltonian:
        """The Hamiltonian, as it was read, whose facts (what it conserves, which states it joins, its signs) hold all
        along the run; raises InputError. Another one where couplings depend on time.
        """
        return hamiltonian

    def operators(
        self, hamiltonian: Hamiltonian, lattice: Lattice, signs_N: NDArray[np.int8] | None
    ) -> tuple[Operator, tuple[Operator, ...]]:
        """The matrix elements of the run, in the basis with these signs, and the operators that have a symmetry where
        those of the run have it all along; raises InputError.
        """
        made = hamiltonian.make(lattice, signs_N)
        return made, (made,)

    @property
    def swept(self) -> tuple[str, ...]:
        """The couplings of the Hamiltonian of which the run has several values."""
        return ()

    @property
    def n_points(self) -> int:
        """The Hamiltonians of the run, each with a wave function of its own."""
        return 1

    def points(self, hamiltonian: Hamiltonian) -> tuple[Hamiltonian, ...]:
        """The Hamiltonians of a run that has several, at the values of its couplings, of the resolved one; () where it
        has one.
        """
        del hamiltonian
        return ()

    def course(self) -> tuple[tuple[float, ...], bool] | None:
        """The times of a trajectory, going up from its beginning, and whether they are imaginary; None of a task that
        evolves nothing.
        """
        return None

    def start(self) -> tuple[str, Any] | None:
        """The key and its value that say which state the job begins with, in place of random parameters and of those
        that ``init_from`` names; None: neither.
        """
        return None

    @property
    def blur(self) -> float | None:
        """What ``sampler.blur=auto`` stands for: 0.3 where its sums have parts at zeros of psi; None: no blur."""
        return None

    @property
    def level(self) -> int:
        """Which level of the sector it looks for, counted with multiplicity from 0."""
        return 0

    def solving(self, optimizer: Optimizer) -> Solving | None:
        """What answers how linear systems are solved; None where there are none."""
        return optimizer if self.optimizes else None

    @property
    def total_steps(self) -> int | None:
        """The lines of metrics.jsonl of a run that is done; None where that is not known beforehand."""
        raise NotImplementedError

    def is_met(self, summary: Mapping[str, Any]) -> bool:
        """Whether a run that ended with this summary.json (of any content) has nothing left to do for such a task;
        asked where ``total_steps`` is None.
        """
        del summary
        return True

    @property
    def samples_of_end(self) -> int | None:
        """The samples that what ends a run is computed from, for tasks that can do that again with more of them."""
        return None

    def make(self, pieces: Pieces) -> Functions:
        raise NotImplementedError
