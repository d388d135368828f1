"""Ansätze: whether they fit the lattice, and their keys by direction."""

from __future__ import annotations

import dataclasses

from nqs_hpc import schema
from nqs_hpc.checks import bad
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.patches import patches


def resolve_ansatz(given: schema.Ansatz, lattice: Lattice, hilbert: Hilbert) -> schema.Ansatz:
    """One number for all directions spelt out; InputError where the ansatz does not fit the sites or what they hold."""
    n_sites = lattice.n_sites
    if isinstance(given, schema.Rbm) and round(given.alpha * n_sites) < 1:
        raise bad("ansatz.alpha", given.alpha, f"a number that gives at least one hidden unit on {n_sites} sites")
    if isinstance(given, schema.Mlp) and min(round(alpha * n_sites) for alpha in given.alphas) < 1:
        raise bad("ansatz.alphas", given.alphas, f"numbers that give at least one hidden unit on {n_sites} sites")
    if isinstance(given, schema.Vit):
        try:
            patches(lattice, given.patch)
        except ValueError as error:
            raise bad("ansatz.patch", given.patch, str(error)) from None
        if given.width % given.heads:
            raise bad("ansatz.heads", given.heads, f"a divisor of ansatz.width={given.width}")
        if isinstance(given.patch, int):
            return dataclasses.replace(given, patch=(given.patch,) * len(lattice.extent))
    return given
