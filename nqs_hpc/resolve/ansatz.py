"""Ansätze: whether they fit the lattice."""

from __future__ import annotations

from nqs_hpc import schema
from nqs_hpc.checks import bad
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice


def check_ansatz(given: schema.Ansatz, lattice: Lattice, hilbert: Hilbert) -> None:
    """Raise InputError where the ansatz does not fit the sites or what they hold."""
    n_sites = lattice.n_sites
    if isinstance(given, schema.ByModule) and given.name == "equinox" and "key" in given.arguments:
        raise bad("ansatz.arguments.key", given.arguments["key"], "other arguments: the key comes from the seed")
    if isinstance(given, schema.Rbm) and round(given.alpha * n_sites) < 1:
        raise bad("ansatz.alpha", given.alpha, f"a number that gives at least one hidden unit on {n_sites} sites")
    if isinstance(given, schema.Mlp) and min(round(alpha * n_sites) for alpha in given.alphas) < 1:
        raise bad("ansatz.alphas", given.alphas, f"numbers that give at least one hidden unit on {n_sites} sites")
