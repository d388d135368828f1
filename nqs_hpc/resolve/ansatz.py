"""Ansätze: whether they fit the lattice."""

from __future__ import annotations

from nqs_hpc import schema
from nqs_hpc.checks import bad
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice

GRIDS = ("chain", "square", "triangular")  # one site a cell, along at most two directions


def check_ansatz(given: schema.Ansatz, lattice: Lattice, hilbert: Hilbert) -> None:
    """Raise InputError where the ansatz does not fit the sites or what they hold."""
    n_sites = lattice.n_sites
    if isinstance(given, schema.Rbm) and round(given.alpha * n_sites) < 1:
        raise bad("ansatz.alpha", given.alpha, f"a number that gives at least one hidden unit on {n_sites} sites")
    if isinstance(given, schema.Mlp) and min(round(alpha * n_sites) for alpha in given.alphas) < 1:
        raise bad("ansatz.alphas", given.alphas, f"numbers that give at least one hidden unit on {n_sites} sites")
    if isinstance(given, schema.MaskedConv):
        if lattice.name not in GRIDS:
            raise bad("ansatz", given.name, f"masked_dense, or one of lattice={', '.join(GRIDS)}: sites in rows")
        if given.kernel > min(lattice.extent):
            valid = f"at most {min(lattice.extent)}, the smallest extent of the lattice: the rest would see nothing"
            raise bad("ansatz.kernel", given.kernel, valid)
