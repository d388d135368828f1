"""Samplers: moves that keep the sector, numbers that the ranks can share."""

from __future__ import annotations

import dataclasses
from typing import Any

from nqs_hpc import schema
from nqs_hpc.checks import bad
from nqs_hpc.schema import Config
from nqs_hpc.system.hilbert import Hilbert, dimension_up_to

MAX_STATES = 2**22  # of enumerate

_MOVES = {"exchange": "an exchange of spins", "hop": "a hop of a boson"}


def resolve_sampler(config: Config, hilbert: Hilbert, n_ranks: int) -> schema.Sampler:
    """Every ``auto`` replaced; raises InputError where the sampler fits neither the states nor the ranks."""
    given, sector, n_sites = config.sampler, config.sector, hilbert.n_sites
    states = dimension_up_to(hilbert, MAX_STATES)
    if isinstance(given, schema.Enumerate):
        if states > MAX_STATES:
            raise bad(
                "sampler",
                "enumerate",
                f"metropolis: {n_sites} sites have more than the {MAX_STATES} states of enumerate",
            )
        return given

    if states == 1:
        raise bad("sector", sector, "a sector of more than one state, or sampler=enumerate")
    if isinstance(given, schema.Direct):
        if not isinstance(config.ansatz, schema.Autoregressive):
            valid = (
                f"metropolis: ansatz={config.ansatz.name} is not autoregressive, as masked_dense and masked_conv are"
            )
            raise bad("sampler", "autoregressive", valid)
        if given.n_samples % n_ranks:
            raise bad("sampler.n_samples", given.n_samples, f"a multiple of the {n_ranks} ranks")
        return given

    move: Any = given.move
    are_bosons = isinstance(config.hamiltonian, schema.BoseHubbard)
    kept = "hop" if are_bosons else "exchange"  # an exchange of bosons keeps how often each number occurs
    if move == "auto":
        move = "flip" if sector is None else kept
    elif move != "flip" and sector is None:
        raise bad("sampler.move", move, f"auto or flip: {_MOVES[move]} needs a sector, and sector is none")
    elif move == "flip" and sector is not None:
        raise bad("sampler.move", move, f"auto or {kept}: changing single sites would leave sector={sector}")
    elif sector is not None and move != kept:
        why = "an exchange of bosons does not reach all states" if are_bosons else "spins exchange, bosons hop"
        raise bad("sampler.move", move, f"auto or {kept}: {why}")
    if given.n_chains % n_ranks:
        raise bad("sampler.n_chains", given.n_chains, f"a multiple of the {n_ranks} ranks")
    if given.n_samples % given.n_chains:
        raise bad("sampler.n_samples", given.n_samples, f"a multiple of sampler.n_chains={given.n_chains}")
    sweep: Any = given.sweep
    return dataclasses.replace(given, move=move, sweep=n_sites if sweep == "auto" else sweep)
