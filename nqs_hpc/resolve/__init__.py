"""From checked single values to a whole that fits together: ``auto`` resolved, combinations checked.

Everything raises InputError with one line. Builds the lattice (the only place where site numbers can be checked) but
loads neither JAX nor MPI.
"""

from __future__ import annotations

import dataclasses
import os

from nqs_hpc.inputs.checks import bad
from nqs_hpc.resolve.ansatz import resolve_ansatz
from nqs_hpc.resolve.basis import basis_of
from nqs_hpc.resolve.bonds import settled
from nqs_hpc.resolve.hamiltonian import make_hilbert, resolve_hamiltonian, site_lattice
from nqs_hpc.resolve.lattice import make_lattice, resolve_lattice
from nqs_hpc.resolve.optimizer import check_optimizer
from nqs_hpc.resolve.resources import resolve_resources
from nqs_hpc.resolve.sampler import resolve_sampler
from nqs_hpc.resolve.sector import resolve_sector
from nqs_hpc.resolve.symmetry import resolve_symmetrize
from nqs_hpc.schema import Config


def resolve(config: Config, n_ranks: int | None) -> Config:
    """The configuration with every ``auto`` replaced; raises InputError where its parts do not fit together.

    ``n_ranks`` None stands for resources.ranks.
    """
    for name in ("study", "chain"):
        if (value := getattr(config, name)) is not None:
            raise bad(name, value, "null for a single job; a sweep is python -m nqs_hpc -m study=NAME KEY=A,B ...")
    if config.init_from is not None:
        config = dataclasses.replace(config, init_from=os.path.normpath(config.init_from))
    as_read = config
    config = dataclasses.replace(config, lattice=resolve_lattice(config.lattice))
    given = make_lattice(config.lattice)
    hamiltonian = resolve_hamiltonian(config.hamiltonian, given)
    config = dataclasses.replace(config, hamiltonian=hamiltonian)
    config = dataclasses.replace(config, lattice=settled(as_read, config))
    lattice = site_lattice(hamiltonian, given)
    config = dataclasses.replace(config, resources=resolve_resources(config.resources, lattice.n_sites))
    n_ranks = config.resources.ranks if n_ranks is None else n_ranks
    asked: object = config.sector
    config = dataclasses.replace(config, sector=resolve_sector(config, lattice))
    hilbert = make_hilbert(hamiltonian, lattice.n_sites, config.sector)
    physical = config
    config = dataclasses.replace(
        config, ansatz=resolve_ansatz(config.ansatz, lattice, lambda: basis_of(physical, lattice))
    )
    config = dataclasses.replace(config, sampler=resolve_sampler(config, lattice, hilbert, n_ranks, asked == "auto"))
    config = dataclasses.replace(config, symmetrize=resolve_symmetrize(config, lattice, hilbert))
    check_optimizer(config, hilbert)
    return config
