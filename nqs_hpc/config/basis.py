"""The basis of the ansatz of a configuration."""

from __future__ import annotations

from nqs_hpc.config.schema import Config
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice


def basis_of(config: Config, lattice: Lattice) -> Basis:
    """Of a configuration whose Hamiltonian and sector are resolved; ``lattice`` is that of the sites."""
    hamiltonian = config.hamiltonian
    hilbert = hamiltonian.space(lattice.n_sites, config.sector)
    return Basis(hilbert, hamiltonian.signs(lattice), hamiltonian.signs_key, hamiltonian.fermions(lattice))
