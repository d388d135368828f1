"""Operators: from the keys of a Hamiltonian to its matrix elements."""

from __future__ import annotations

import numpy as np

from nqs_hpc import schema
from nqs_hpc.operators.bose_hubbard import bose_hubbard
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.operators.ising import ising
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.operators.pauli_strings import rotated
from nqs_hpc.operators.rydberg import rydberg
from nqs_hpc.operators.toric_code import toric_code
from nqs_hpc.resolve.gauge import signs_of
from nqs_hpc.system.lattice import Lattice, bond_weights, neighbours
from nqs_hpc.types import Operator


def make_operator(config: schema.Hamiltonian, lattice: Lattice) -> Operator:
    """The Hamiltonian in the basis of the ansatz (`resolve.gauge`); ``lattice`` is that of the sites."""
    signs_N = signs_of(config, lattice)
    match config:
        case schema.Ising():
            edges, weights = neighbours(lattice, 1), bond_weights(lattice, 1)
            h = abs(config.h) if config.gauge else config.h
            return ising(lattice.n_sites, edges, J=config.J, h=h, g=config.g, weights=weights)
        case schema.Heisenberg():
            # an order without coupling may not exist on this lattice
            orders = [n for n, coupling in enumerate(config.J, start=1) if coupling != 0]
            factors = [bond_weights(lattice, n) for n in orders]
            return heisenberg(
                lattice.n_sites,
                [neighbours(lattice, n) for n in orders],
                [config.J[n - 1] * (1.0 if x is None else x) for n, x in zip(orders, factors, strict=True)],
                delta=config.delta,
                marshall_signs=signs_N,
            )
        case schema.Pauli():
            return pauli(lattice.n_sites, rotated(config.terms, signs_N))
        case schema.Rydberg():
            Omega = abs(config.Omega) if config.gauge else config.Omega
            return rydberg(lattice, Omega=Omega, delta=config.delta, V=config.V, cutoff=config.cutoff)
        case schema.ToricCode():
            hx = abs(config.hx) if config.gauge else config.hx
            return toric_code(lattice, hx=hx, hy=config.hy, hz=config.hz)
        case schema.BoseHubbard():
            J, weights = config.J, bond_weights(lattice, 1)
            if config.gauge:  # of each bond
                J, weights = abs(J), None if weights is None else np.abs(weights)
            return bose_hubbard(
                lattice.n_sites,
                neighbours(lattice, 1),
                J=J,
                U=config.U,
                mu=config.mu,
                n_max=config.n_max,
                weights=weights,
            )
