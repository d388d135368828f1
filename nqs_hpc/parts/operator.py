"""Operators: from the keys of a Hamiltonian to its matrix elements."""

from __future__ import annotations

from nqs_hpc import schema
from nqs_hpc.operators.bose_hubbard import bose_hubbard
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.operators.ising import ising
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.operators.rydberg import rydberg
from nqs_hpc.operators.toric_code import toric_code
from nqs_hpc.system.lattice import Lattice, bipartition, bond_weights, neighbours
from nqs_hpc.types import Operator


def make_operator(config: schema.Hamiltonian, lattice: Lattice) -> Operator:
    """``lattice`` is that of the sites."""
    match config:
        case schema.Ising():
            edges, weights = neighbours(lattice, 1), bond_weights(lattice, 1)
            return ising(lattice.n_sites, edges, J=config.J, h=config.h, g=config.g, weights=weights)
        case schema.Heisenberg():
            # an order without coupling may not exist on this lattice
            orders = [n for n, coupling in enumerate(config.J, start=1) if coupling != 0]
            factors = [bond_weights(lattice, n) for n in orders]
            return heisenberg(
                lattice.n_sites,
                [neighbours(lattice, n) for n in orders],
                [config.J[n - 1] * (1.0 if x is None else x) for n, x in zip(orders, factors, strict=True)],
                delta=config.delta,
                marshall_signs=bipartition(lattice) if config.marshall else None,
            )
        case schema.Pauli():
            return pauli(lattice.n_sites, config.terms)
        case schema.Rydberg():
            return rydberg(lattice, Omega=config.Omega, delta=config.delta, V=config.V, cutoff=config.cutoff)
        case schema.ToricCode():
            return toric_code(lattice, hx=config.hx, hy=config.hy, hz=config.hz)
        case schema.BoseHubbard():
            return bose_hubbard(
                lattice.n_sites,
                neighbours(lattice, 1),
                J=config.J,
                U=config.U,
                mu=config.mu,
                n_max=config.n_max,
                weights=bond_weights(lattice, 1),
            )
