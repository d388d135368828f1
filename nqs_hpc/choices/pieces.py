"""The parts from which a task is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from nqs_hpc.system.basis import Basis
from nqs_hpc.system.characters import Symmetry
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz, Observable, Operator, Sampler, Update

if TYPE_CHECKING:
    from nqs_hpc.choices.keys import Float
    from nqs_hpc.choices.optimizer.base import Optimizer
    from nqs_hpc.choices.sampler.base import Sampler as SamplerChoice
    from nqs_hpc.observables.states import State
    from nqs_hpc.parallel.comm import Comm


class Pieces(NamedTuple):
    """The functions of a job on this rank, and the choices that give numbers to a task."""

    lattice: Lattice  # its sites carry the spins or particles
    hilbert: Hilbert
    basis: Basis
    symmetry: Symmetry | None  # the sector of the ansatz by construction, in its own basis
    operator: Operator
    ansatz: Ansatz
    sampler: Sampler
    update: Callable[[], Update]  # only made if the task uses it
    comm: Comm
    seed: int
    chunk: int | None
    memory: int  # bytes that what is not bounded by chunks may plan with
    optimizer: Optimizer
    sampler_choice: SamplerChoice
    other: Callable[[str, str], State]  # key, its value: a run or checkpoint -> its wave function on the same sites
    observables: Callable[[], dict[str, Observable]]  # by label; not made for tasks that never ask
    every: int | None  # steps of an optimization between two measurements of them
    signs_off: Callable[
        [], str | None
    ]  # the key by which signs that the ground state needs are switched off, if one is
    solver: str | None  # as planned; None where nothing is solved
    blocks: int | None  # of the Jacobian
    solve_dtype: Float  # of linear systems
    # wave functions of other runs on the same configurations, with samplers of their squares
    others: Callable[[], tuple[tuple[Ansatz, Sampler], ...]] = tuple
    operators: Callable[[], tuple[Operator, ...]] = tuple  # of a run of several Hamiltonians each of them
    couplings: tuple[float, ...] = ()  # that the network is told of the Hamiltonian
