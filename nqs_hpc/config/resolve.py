"""From checked single values to a whole that fits together: ``auto`` resolved, combinations checked.

Everything raises InputError with one line. Builds the lattice (the only place where site numbers can be checked) but
loads neither JAX nor MPI.
"""

from __future__ import annotations

import dataclasses
import os

from nqs_hpc.choices.context import Context
from nqs_hpc.config import observables
from nqs_hpc.config.basis import basis_of
from nqs_hpc.config.resources import resolve_resources
from nqs_hpc.config.schema import Config
from nqs_hpc.config.symmetrize import is_asked, resolve_symmetrize
from nqs_hpc.inputs.checks import bad, show
from nqs_hpc.system.hilbert import Total
from nqs_hpc.system.lattice import Lattice


def resolve(config: Config, n_ranks: int | None) -> Config:
    """The configuration with every ``auto`` replaced; raises InputError if its parts do not fit together.

    ``n_ranks`` None stands for resources.ranks.
    """
    for name in ("study", "chain"):
        if (value := getattr(config, name)) is not None:
            raise bad(name, value, "null for a single job; a sweep is python -m nqs_hpc -m study=NAME KEY=A,B ...")
    if config.init_from is not None:
        config = dataclasses.replace(config, init_from=os.path.normpath(config.init_from))
    as_read = config
    config = dataclasses.replace(config, lattice=config.lattice.resolved())
    given = config.lattice.make()
    read = config.task.driven(as_read.hamiltonian)
    hamiltonian = read.resolved(given)
    settled = config.lattice.settled(read, hamiltonian, before=as_read.lattice)
    config = dataclasses.replace(config, hamiltonian=hamiltonian, lattice=settled)
    lattice = hamiltonian.sites(given)
    config = dataclasses.replace(config, resources=resolve_resources(config.resources, lattice.n_sites))
    n_ranks = config.resources.ranks if n_ranks is None else n_ranks
    asked: object = config.sector
    config = dataclasses.replace(config, sector=_sector(config, lattice))
    hilbert = hamiltonian.space(lattice.n_sites, config.sector)
    physical = config
    ansatz = config.ansatz.resolved(lattice, lambda: basis_of(physical, lattice))
    ansatz = ansatz.knowing(hamiltonian, config.task.swept)
    context = Context(
        lattice,
        hilbert,
        hamiltonian,
        ansatz,
        config.sampler,
        config.task,
        config.sector,
        sector_is_auto=asked == "auto",
        is_symmetrized=is_asked(config.symmetrize),
        n_ranks=n_ranks,
        memory_gib=config.memory_gib,
        solve_dtype=config.precision.solve,
        network_dtype=config.precision.network,
        observables={},
    )
    sampler = config.sampler.resolved(context)
    config = dataclasses.replace(config, ansatz=ansatz, sampler=sampler)
    config = dataclasses.replace(config, symmetrize=resolve_symmetrize(config, lattice, hilbert))
    if config.task.optimizes:
        config.optimizer.check(context._replace(sampler=sampler))
    if config.task.source() is not None and config.init_from is not None:
        key, _ = config.task.source() or ("", "")
        raise bad("init_from", config.init_from, f"null with task={config.task.name}, whose parameters are of {key}")
    if config.init_from is not None and (start := config.task.start()) is not None:
        raise bad("init_from", config.init_from, f"null with {start[0]}={show(start[1])}, or {start[0]}=null")
    context = context._replace(sampler=sampler)
    measured = observables.resolved(config.observables, context, config.task)
    context = context._replace(observables=measured.measured)
    return dataclasses.replace(config, observables=measured, task=config.task.resolved(context))


def _sector(config: Config, lattice: Lattice) -> Total:
    """The conserved total, None for all states; raises InputError. ``lattice`` is that of the sites.

    ``auto`` takes a total only where the ground state has it (`choices.hamiltonian`).
    """
    given: object = config.sector
    hamiltonian = config.hamiltonian
    if given == "auto":
        return hamiltonian.ground_total(lattice) if hamiltonian.conserves() else None
    if given is None or given == "none":
        return None
    assert isinstance(given, int | tuple)
    hamiltonian.check_total(given, lattice.n_sites)
    return given
