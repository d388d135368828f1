"""Moves of Markov chains: whether they exist here, keep the sector, and together reach all of its states."""

from __future__ import annotations

from typing import Any

import numpy as np

from nqs_hpc import schema
from nqs_hpc.inputs.checks import Weights, bad
from nqs_hpc.resolve.hamiltonian import conserves
from nqs_hpc.schema import Config
from nqs_hpc.system.graph import connected
from nqs_hpc.system.lattice import Lattice, pair_couplings
from nqs_hpc.system.plaquettes import flipped_groups


def resolve_move(given: Any, config: Config, lattice: Lattice, auto_sector: bool) -> Any:
    """The name of a move, or Weights of several; raises InputError, with the name of the move that does not fit.

    ``lattice`` is that of the sites. ``auto_sector`` as of `resolve_sampler`.
    """
    sector = config.sector
    inside = "hop" if _are_bosons(config) else "exchange"
    basic = "flip" if sector is None else inside
    if given == "auto" and auto_sector and sector is None and conserves(config.hamiltonian) and _joins(config, lattice):
        # The ground state has one total that nobody knows: moves of single sites find it, and within it they freeze.
        return Weights(tuple(sorted({"flip": 0.5, inside: 0.5}.items())))
    if given == "auto":
        return basic
    several = isinstance(given, Weights)
    weights = dict(given.entries) if several else {given: None}
    for name, weight in weights.items():
        if (why := _unfit(name, config, lattice)) is not None:
            raise bad(f"sampler.move.{name}" if several else "sampler.move", weight or name, f"auto or {basic}: {why}")
    if not any(_reaches_all(name, config, lattice) for name in weights):
        shown = weights if several else given
        beside = f"or a mapping {{NAME: weight}} with {basic} in it"
        raise bad("sampler.move", shown, f"auto or {basic}, {beside}: {_alone(given, config)}")
    return given


def _are_bosons(config: Config) -> bool:
    return isinstance(config.hamiltonian, schema.BoseHubbard)


def _unfit(move: str, config: Config, lattice: Lattice) -> str | None:
    """Why a move cannot be made here at all, None where it can."""
    sector, bosons = config.sector, _are_bosons(config)
    if move == "flip" and sector is not None:
        return f"changing single sites would leave sector={sector}"
    if move == "hop" and not bosons:
        return "spins exchange, bosons hop"
    if move in ("plaquette", "global_flip") and bosons:
        return f"{move} is a move of spins"
    if move == "plaquette" and sector is not None:
        return f"a plaquette that flips would leave sector={sector}"
    if move == "plaquette":
        try:
            flipped_groups(lattice)
        except ValueError as error:
            return str(error)
    if move == "global_flip" and sector not in (None, 0):
        return f"all spins that flip would leave sector={sector}"
    if move == "hamiltonian" and not _joins(config, lattice):
        return "the Hamiltonian is diagonal, and joins no states"
    return None


def _reaches_all(move: str, config: Config, lattice: Lattice) -> bool:
    """Whether a move alone leads from every state to every other, in the sector where there is one."""
    sector, hamiltonian = config.sector, config.hamiltonian
    if move == "flip":
        return True
    if move in ("exchange", "hop"):
        return sector is not None and (move == "hop") == _are_bosons(config)
    if move != "hamiltonian":
        return False
    if isinstance(hamiltonian, schema.Ising | schema.Rydberg):
        return True
    if isinstance(hamiltonian, schema.ToricCode):
        return hamiltonian.hx != 0 or hamiltonian.hy != 0
    if isinstance(hamiltonian, schema.Heisenberg | schema.BoseHubbard):
        return sector is not None and connected(lattice.n_sites, _bonds(hamiltonian, lattice))
    return False  # of Pauli strings that is not known


def _joins(config: Config, lattice: Lattice) -> bool:
    """Whether the Hamiltonian has an element off the diagonal."""
    hamiltonian = config.hamiltonian
    if isinstance(hamiltonian, schema.Ising):
        return hamiltonian.h != 0
    if isinstance(hamiltonian, schema.Pauli):
        return any(set(string.operators) & set("XY") for string in hamiltonian.terms)
    if isinstance(hamiltonian, schema.Heisenberg | schema.BoseHubbard):
        return len(_bonds(hamiltonian, lattice)) > 0
    return True


def _bonds(hamiltonian: schema.Heisenberg | schema.BoseHubbard, lattice: Lattice) -> np.ndarray:
    """The pairs of sites (n, 2) between which spins or bosons go; on small tori couplings of two orders can cancel."""
    couplings = hamiltonian.J if isinstance(hamiltonian, schema.Heisenberg) else (hamiltonian.J,)
    total = pair_couplings(lattice, couplings)
    return np.array([pair for pair, coupling in total.items() if coupling != 0], dtype=np.int32).reshape(-1, 2)


def _alone(given: Any, config: Config) -> str:
    if isinstance(given, Weights):
        return "these together do not reach all states"
    if given in ("exchange", "hop") and config.sector is None:
        what = {"exchange": "an exchange of spins", "hop": "a hop of a boson"}[given]
        return f"{what} needs a sector, and sector is none"
    if given == "exchange":
        return "an exchange of bosons does not reach all states"
    return f"{given} alone does not reach all states, as far as is known"
