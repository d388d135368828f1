"""From a configuration to its parts: the only files that know names. Config objects stop here.

A new lattice, Hamiltonian, ansatz, sampler or optimizer is one file of its own, one case here, one YAML, one dataclass.
"""

from __future__ import annotations

from typing import NamedTuple

from nqs_hpc import schema
from nqs_hpc.config.compose import make_sites
from nqs_hpc.driver.ground_state import GroundState, ground_state
from nqs_hpc.gradient.flat import flat
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parts.ansatz import make_ansatz, parameter_shapes, symmetrized
from nqs_hpc.parts.operator import make_operator
from nqs_hpc.parts.plan import Plan, make_plan
from nqs_hpc.parts.sampler import make_sampler
from nqs_hpc.parts.symmetry import check_network, check_symmetry
from nqs_hpc.parts.update import make_update
from nqs_hpc.resolve.basis import basis_of
from nqs_hpc.resolve.symmetry import sector_of
from nqs_hpc.system.characters import Symmetry
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz, Operator, Sampler, Update


class Parts(NamedTuple):
    """Everything a run computes with."""

    lattice: Lattice  # its sites carry the spins or bosons
    hilbert: Hilbert
    operator: Operator
    ansatz: Ansatz
    sampler: Sampler
    update: Update
    driver: GroundState
    plan: Plan
    n_parameters: int  # real degrees of freedom
    symmetry: Symmetry | None  # the sector that the ansatz is of by construction, in its own basis


def build(config: schema.Config, comm: Comm, plan: Plan | None = None, *, ansatz: Ansatz | None = None) -> Parts:
    """The parts of a job on this rank.

    ``plan`` is that of an earlier start; without it ``auto`` is decided here. ``ansatz`` stands in for the one that the
    configuration names. Raises InputError where the Hamiltonian has not the symmetries asked for.
    """
    lattice = make_sites(config)
    basis = basis_of(config, lattice)
    hilbert = basis.hilbert
    operator = make_operator(config.hamiltonian, lattice)
    is_ours = ansatz is None
    if ansatz is None:
        plain = make_ansatz(config.ansatz, lattice, basis, config.precision.network)
        ansatz = symmetrized(config.symmetrize, plain, lattice, basis)
    symmetry = sector_of(config, lattice, basis)
    if symmetry is not None:
        check_symmetry(config, symmetry, operator, hilbert)
    if is_ours:
        check_network(config, lattice, operator, basis)
    plan = plan or make_plan(config, ansatz, hilbert)

    sampler = make_sampler(config.sampler, ansatz, lattice, hilbert, comm, operator=operator, chunk=plan.chunk_size)
    update = make_update(config, ansatz, comm, plan)
    driver = ground_state(
        ansatz,
        operator,
        sampler,
        update,
        comm,
        seed=config.seed,
        chunk=plan.chunk_size,
        average=config.optimizer.average,
        broadcast=config.optimizer.broadcast,
    )
    form = flat(parameter_shapes(ansatz), ansatz.kind)
    return Parts(lattice, hilbert, operator, ansatz, sampler, update, driver, plan, form.n_real, symmetry)
