"""What a choice knows about the rest of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from nqs_hpc.choices.keys import Float
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice

if TYPE_CHECKING:
    from nqs_hpc.choices.ansatz.base import Ansatz
    from nqs_hpc.choices.hamiltonian.base import Hamiltonian
    from nqs_hpc.choices.observable.base import Observable
    from nqs_hpc.choices.sampler.base import Sampler
    from nqs_hpc.choices.task.base import Task


class Context(NamedTuple):
    """Resolved choices, and the numbers they have to fit."""

    lattice: Lattice  # of the sites
    hilbert: Hilbert
    hamiltonian: Hamiltonian
    ansatz: Ansatz
    sampler: Sampler
    task: Task
    sector: int | tuple[int, ...] | None
    sector_is_auto: bool  # whether it follows from sector=auto
    is_symmetrized: bool  # whether the ansatz is summed over a group
    n_ranks: int
    memory_gib: float
    solve_dtype: Float
    observables: Mapping[str, Observable]  # resolved, for tasks
    network_dtype: Float = "float64"
