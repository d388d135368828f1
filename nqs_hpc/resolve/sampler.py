"""Samplers: moves that keep the sector, numbers that the ranks can share."""

from __future__ import annotations

import dataclasses
from typing import Any

from nqs_hpc import schema
from nqs_hpc.inputs.checks import Range, bad
from nqs_hpc.resolve.moves import resolve_move
from nqs_hpc.schema import Config
from nqs_hpc.system.hilbert import Hilbert, dimension_up_to
from nqs_hpc.system.lattice import Lattice

MAX_STATES = 2**22  # of enumerate


def resolve_sampler(
    config: Config, lattice: Lattice, hilbert: Hilbert, n_ranks: int, auto_sector: bool
) -> schema.Sampler:
    """Every ``auto`` replaced; raises InputError where the sampler fits neither the states nor the ranks.

    ``lattice`` is that of the sites. ``auto_sector``: whether nobody but ``sector=auto`` has chosen the sector.
    """
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
        ansatz = config.ansatz
        modulus = ansatz.modulus if isinstance(ansatz, schema.ModulusPhase) else ansatz
        if not isinstance(modulus, schema.Autoregressive):
            key = "ansatz" if modulus is ansatz else "ansatz.modulus"
            valid = f"metropolis: {key}={modulus.name} is not autoregressive, as masked_dense and masked_conv are"
            raise bad("sampler", "autoregressive", valid)
        asked = config.symmetrize
        if asked.group is not None or asked.file is not None or asked.spin_flip is not None:
            raise bad("sampler", "autoregressive", "metropolis: a sum over a group (symmetrize) has no conditionals")
        if given.n_samples % n_ranks:
            raise bad("sampler.n_samples", given.n_samples, f"a multiple of the {n_ranks} ranks")
        return given

    move = resolve_move(given.move, config, lattice, auto_sector)
    if given.n_chains % n_ranks:
        raise bad("sampler.n_chains", given.n_chains, f"a multiple of the {n_ranks} ranks")
    if given.n_samples % given.n_chains:
        raise bad("sampler.n_samples", given.n_samples, f"a multiple of sampler.n_chains={given.n_chains}")
    return dataclasses.replace(given, move=move, sweep=_sweep(given, n_sites))


def _sweep(given: schema.Metropolis, n_sites: int) -> int | Range:
    sweep: Any = given.sweep
    if sweep == "auto":
        return n_sites
    if sweep == "adaptive" or isinstance(sweep, Range):
        if isinstance(given, schema.Tempering):
            raise bad("sampler.sweep", _plain(sweep), "auto, or a whole number, with sampler=tempering")
        if given.n_samples < 2 * given.n_chains:
            few = f"sampler.n_samples={given.n_samples} of sampler.n_chains={given.n_chains}"
            raise bad("sampler.sweep", _plain(sweep), f"auto, or a whole number, below two samples a chain ({few})")
        return Range(max(1, n_sites // 4), 16 * n_sites) if sweep == "adaptive" else sweep
    return int(sweep)


def _plain(sweep: str | Range) -> Any:
    return sweep._asdict() if isinstance(sweep, Range) else sweep
