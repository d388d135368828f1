"""The basis of the ansatz of a configuration."""

from __future__ import annotations

from nqs_hpc import schema
from nqs_hpc.resolve.gauge import signs_of
from nqs_hpc.resolve.hamiltonian import make_hilbert
from nqs_hpc.schema import Config
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice


def basis_of(config: Config, lattice: Lattice) -> Basis:
    """Of a configuration whose Hamiltonian and sector are resolved; ``lattice`` is that of the sites."""
    hilbert = make_hilbert(config.hamiltonian, lattice.n_sites, config.sector)
    key = "hamiltonian.marshall" if isinstance(config.hamiltonian, schema.Heisenberg) else "hamiltonian.gauge"
    return Basis(hilbert, signs_of(config.hamiltonian, lattice), key)
