"""The facts and methods of every task."""

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
    """How a choice solves linear systems: `choices.optimizer.base.Optimizer` explains the fields."""

    @property
    def needs_jacobian(self) -> bool: ...

    def asked_solver(self) -> str | None: ...

    def asked_blocks(self) -> int | str | None: ...

    def chosen_solver(self, size: Size, wide: int, memory: float) -> str | None: ...


def check_series(context: Context, key: str, asked: int, n_samples: int | None = None) -> None:
    """Raise InputError if the local values of ``n_samples`` (None: as many as ``asked``) do not fit into memory.

    They are kept for the energy and for each result that is a number: twice while a step replaces them, and once more
    on the host. Exact sums are one call.
    """
    n_values = 1 + sum(one.few_values for one in context.observables.values())
    most = int(context.memory_gib * 2**30 / 64 / n_values)
    if not context.sampler.is_exact and (n_samples or asked) > most:
        why = f"the local values of all samples are kept within memory_gib={context.memory_gib:g}"
        raise bad(key, asked, f"at most {most}: {why}")


@dataclass(frozen=True)
class Task:
    name: str
    examples: ClassVar[Examples] = ({},)  # keys with which contract tests run it, on a chain of six sites
    prefix: ClassVar[str] = ""  # of the name of its runs
    optimizes: ClassVar[bool] = True  # whether it uses the optimizer
    shortens: ClassVar[bool] = False  # whether it supports optimizer.line_search
    measures: ClassVar[bool] = False  # whether it measures observables
    when_measured: ClassVar[str] = "in every step"  # if it measures and does not optimize
    has_beginning: ClassVar[bool] = False  # whether its states can be compared with the initial state of a trajectory
    source_key: ClassVar[str | None] = None  # the key that names a run whose system and wave function it takes over

    def resolved(self, context: Context) -> Self:
        """The choice with every key in its final form; raises InputError if the task does not fit the rest."""
        del context
        return self

    def source(self) -> tuple[str, str] | None:
        """The key and value that name the run whose configuration this job takes over; None: there is none."""
        if self.source_key is None:
            return None
        return f"task.{self.source_key}", getattr(self, self.source_key)

    def others(self) -> tuple[tuple[str, Any], ...]:
        """Runs whose wave functions the job uses: the path of each, and the data of its wave function
        (`config.lower.Wave`).
        """
        return ()

    def driven(self, hamiltonian: Hamiltonian) -> Hamiltonian:
        """The Hamiltonian, as read, whose facts (conserved quantities, connected states, signs) hold during the whole
        run; raises InputError. It differs from the given one if couplings depend on time.
        """
        return hamiltonian

    def operators(
        self, hamiltonian: Hamiltonian, lattice: Lattice, signs_N: NDArray[np.int8] | None
    ) -> tuple[Operator, tuple[Operator, ...]]:
        """The matrix elements of the run in the basis with these signs, and the operators whose common symmetries hold
        during the whole run; raises InputError.
        """
        made = hamiltonian.make(lattice, signs_N)
        return made, (made,)

    @property
    def swept(self) -> tuple[str, ...]:
        """The couplings of the Hamiltonian with several values in the run."""
        return ()

    @property
    def n_points(self) -> int:
        """The Hamiltonians of the run, each with a wave function of its own."""
        return 1

    def points(self, hamiltonian: Hamiltonian) -> tuple[Hamiltonian, ...]:
        """The Hamiltonians of a run with several values of couplings, made from the resolved one; () if there is only
        one.
        """
        del hamiltonian
        return ()

    def course(self) -> tuple[tuple[float, ...], bool] | None:
        """The times of a trajectory in ascending order, and whether they are imaginary; None for a task without
        evolution.
        """
        return None

    def start(self) -> tuple[str, Any] | None:
        """The key and value that give the initial state, instead of random parameters or those of ``init_from``; None:
        there is none.
        """
        return None

    @property
    def blur(self) -> float | None:
        """The value of ``sampler.blur=auto``: 0.3 if zeros of psi contribute to its sums; None: no blur."""
        return None

    @property
    def level(self) -> int:
        """The level of the sector that it looks for, counted with multiplicity from 0."""
        return 0

    def solving(self, optimizer: Optimizer) -> Solving | None:
        """The choice that says how linear systems are solved; None if there are none."""
        return optimizer if self.optimizes else None

    @property
    def total_steps(self) -> int | None:
        """The number of lines in metrics.jsonl of a finished run; None if that is not known beforehand."""
        raise NotImplementedError

    def is_met(self, summary: Mapping[str, Any]) -> bool:
        """Whether a run that ended with this summary.json (of any content) has nothing left to do for this task; called
        if ``total_steps`` is None.
        """
        del summary
        return True

    @property
    def samples_of_end(self) -> int | None:
        """The samples of the final evaluation, for tasks that can repeat it with more of them."""
        return None

    def make(self, pieces: Pieces) -> Functions:
        raise NotImplementedError
