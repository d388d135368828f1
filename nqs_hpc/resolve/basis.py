"""The signs by which the basis of the ansatz differs from the physical one: the one place that says so."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nqs_hpc import schema
from nqs_hpc.resolve.hamiltonian import make_hilbert
from nqs_hpc.schema import Config
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice, bipartition


def basis_signs(hamiltonian: schema.Hamiltonian, lattice: Lattice) -> NDArray[np.int8] | None:
    """(N,) -1 where the sign of psi changes with the local value; None where the ansatz is psi itself.

    ``hamiltonian`` is resolved, ``lattice`` that of the sites.
    """
    if isinstance(hamiltonian, schema.Heisenberg) and hamiltonian.marshall:
        return bipartition(lattice)
    return None


def basis_of(config: Config, lattice: Lattice) -> Basis:
    """The basis of the ansatz of a configuration whose Hamiltonian and sector are resolved."""
    hilbert = make_hilbert(config.hamiltonian, lattice.n_sites, config.sector)
    return Basis(hilbert, basis_signs(config.hamiltonian, lattice), "hamiltonian.marshall")
