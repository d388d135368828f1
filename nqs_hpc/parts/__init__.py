"""From a configuration to its parts. Config objects stop here."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import numpy as np

from nqs_hpc.ansatz.couplings import numbered
from nqs_hpc.ansatz.symmetrize import symmetrize
from nqs_hpc.choices.pieces import Pieces
from nqs_hpc.config.basis import basis_of
from nqs_hpc.config.schema import Config
from nqs_hpc.config.signs import switched_off
from nqs_hpc.config.symmetrize import make_symmetry, sector_of
from nqs_hpc.gradient.flat import flat
from nqs_hpc.inputs.checks import bad
from nqs_hpc.operators.infinite_temperature import mean_of_sector
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parts.others import other_state
from nqs_hpc.parts.plan import Plan, make_plan
from nqs_hpc.parts.shapes import parameter_shapes, rounded
from nqs_hpc.parts.symmetry import check_network, check_symmetry
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.characters import Symmetry
from nqs_hpc.system.fermion_strings import FermionString, jordan_wigner
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz, Operator, Sampler, Task


class Parts(NamedTuple):
    """Everything a run computes with."""

    lattice: Lattice  # its sites carry the spins or particles
    hilbert: Hilbert
    operator: Operator
    ansatz: Ansatz
    sampler: Sampler
    task: Task
    plan: Plan
    n_parameters: int  # real degrees of freedom
    symmetry: Symmetry | None  # the sector that the ansatz is of by construction, in its own basis
    pieces: Pieces  # what tasks and observables are made from
    others: tuple[tuple[Ansatz, Sampler], ...] = ()  # wave functions of other runs, whose parameters stay as they are

    @property
    def driver(self) -> Any:
        """The compiled pieces of a step of a ground state, for a loop of one's own (`tasks.vmc.Vmc`)."""
        return self.task.functions


def build(config: Config, comm: Comm, plan: Plan | None = None, *, ansatz: Ansatz | None = None) -> Parts:
    """The parts of a job on this rank.

    ``plan`` is that of an earlier start; without it ``auto`` is decided here. ``ansatz`` stands in for the one that the
    configuration names. Raises InputError where the Hamiltonian lacks a symmetry that is asked for.
    """
    lattice = config.make_sites()
    basis = basis_of(config, lattice)
    hilbert = basis.hilbert
    operator, of_all_times = config.task.operators(config.hamiltonian, lattice, basis.signs_N)
    operator = _compared(operator, basis.fermions, hilbert)
    several = config.task.points(config.hamiltonian)
    is_ours = ansatz is None
    if ansatz is None:
        ansatz = _ansatz(config, lattice, basis)
        _check_size(config, ansatz)
    symmetry = sector_of(config, lattice, basis)
    for one in of_all_times:
        if symmetry is not None:
            check_symmetry(config, symmetry, one, hilbert)
        if is_ours:
            check_network(config, lattice, one, basis)
    plan = plan or make_plan(config, ansatz, hilbert)

    made, couplings_KG = ansatz, None
    if several:
        couplings_KG = np.array([config.ansatz.told(one) for one in several], np.float64)
        made = numbered(ansatz, couplings_KG)
    optimizer, chunk, memory = config.optimizer, plan.chunk_size, int(config.memory_gib * 2**30)
    # proposals along its elements need those of one time at which none of them vanishes
    joining = operator if operator.at is None else config.hamiltonian.make(lattice, basis.signs_N)

    def sampler_of(one: Ansatz) -> Sampler:
        if couplings_KG is not None:
            return config.sampler.several(one, couplings_KG, lattice, hilbert, comm, operator=joining, chunk=chunk)
        return config.sampler.weighted(
            one.modulus or one, lattice, hilbert, comm, operator=joining, chunk=chunk, memory=memory
        )

    sampler = sampler_of(ansatz)
    waves = [_ansatz(wave.instead(config), lattice, basis) for _, wave in config.task.others()]
    others = tuple((one, sampler_of(one)) for one in waves)
    pieces = Pieces(
        lattice,
        hilbert,
        basis,
        symmetry,
        operator,
        ansatz,
        sampler,
        lambda: optimizer.make(
            made,
            comm,
            solver=plan.solver,
            blocks=plan.blocks,
            chunk=chunk,
            chain_length=sampler.chain_length,
            solve_dtype=config.precision.solve,
        ),
        comm,
        config.seed,
        chunk,
        memory,
        optimizer,
        config.sampler,
        lambda key, value: other_state(key, value, hilbert, _of_run),
        lambda: {label: one.make(pieces) for label, one in config.observables.measured.items()},
        config.observables.every,
        lambda: switched_off(config.hamiltonian, lattice) if made.kind == "real" else None,
        plan.solver,
        plan.blocks,
        config.precision.solve,
        lambda: others,
        lambda: tuple(_compared(one.make(lattice, basis.signs_N), one.fermions(lattice), hilbert) for one in several),
        config.ansatz.told(config.hamiltonian),
    )
    form = flat(parameter_shapes(ansatz), ansatz.kind)
    task = config.task.make(pieces)
    return Parts(lattice, hilbert, operator, ansatz, sampler, task, plan, form.n_real, symmetry, pieces, others)


def _compared(operator: Operator, fermions: tuple[FermionString, ...], hilbert: Hilbert) -> Operator:
    """With the energy at infinite temperature of its own number of fermions: those of others do not compare."""
    if not fermions or hilbert.total is None:
        return operator
    return operator._replace(e_infinity=mean_of_sector(jordan_wigner(fermions), hilbert))


def _of_run(config: Config) -> tuple[Ansatz, Basis]:
    """The ansatz of another run, and its basis."""
    lattice = config.make_sites()
    basis = basis_of(config, lattice)
    return _ansatz(config, lattice, basis), basis


def _check_size(config: Config, ansatz: Ansatz) -> None:
    """InputError where the parameters alone are more than a rank's memory: a slip, found before anything is made."""
    leaves = jax.tree.leaves(parameter_shapes(ansatz))
    number = sum(math.prod(leaf.shape) for leaf in leaves)
    gib = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves) / 2**30
    if gib > config.memory_gib:
        here = f"this one has {number:.3g} parameters, {gib:.3g} GiB"
        valid = f"a network that fits into memory_gib={config.memory_gib:g}; {here}"
        raise bad("ansatz", config.ansatz.name, valid)


def _ansatz(config: Config, lattice: Lattice, basis: Basis) -> Ansatz:
    """The ansatz, in the sector that ``symmetrize`` asks for."""
    plain = config.ansatz.make(lattice, basis, config.precision.network)
    if config.precision.network != "float64":
        plain = plain._replace(init=rounded(plain.init, config.ansatz.make(lattice, basis, "float64").init))
    symmetry = make_symmetry(config.symmetrize, lattice, basis)
    if symmetry is None:
        return plain
    assert config.symmetrize.mode is not None
    hilbert, mode = basis.hilbert, config.symmetrize.mode

    def summed(one: Ansatz) -> Ansatz:
        found = symmetrize(one, symmetry, mode=mode, local_values=hilbert.local_values, hilbert=hilbert)
        bound = one.bound
        return found if bound is None else found._replace(bound=lambda couplings_G: summed(bound(couplings_G)))

    return summed(plain)
