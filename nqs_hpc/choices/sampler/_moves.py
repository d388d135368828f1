"""Moves of Markov chains: whether they exist here, keep the sector, and together reach all of its states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nqs_hpc.choices.context import Context
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.mappings import Weights
from nqs_hpc.system.hilbert import Hilbert, Total
from nqs_hpc.system.lattice import Lattice, joined_pairs
from nqs_hpc.system.links import NAME as LINKS
from nqs_hpc.system.plaquettes import flipped_groups
from nqs_hpc.types import Operator

if TYPE_CHECKING:
    from nqs_hpc.sampler.moves import Mixture, Proposal

MOVES = ("flip", "exchange", "hop", "plaquette", "global_flip", "hamiltonian")


def resolved(given: Any, context: Context) -> Any:
    """The name of a move, or Weights of several; raises InputError, with the name of the move that does not fit."""
    hamiltonian, sector, lattice = context.hamiltonian, context.sector, context.lattice
    inside = "exchange" if _are_spins(context.hilbert) else "hop"
    basic = "flip" if sector is None else inside
    open_total = context.sector_is_auto and sector is None and hamiltonian.conserves()
    if given == "auto" and open_total and hamiltonian.joins(lattice):
        # The ground state has one total that nobody knows: moves of single sites find it, and within it they freeze.
        return Weights(tuple(sorted({"flip": 0.5, inside: 0.5}.items())))
    if given == "auto":
        return basic
    several = isinstance(given, Weights)
    weights = dict(given.entries) if several else {given: None}
    for name, weight in weights.items():
        if (why := _unfit(name, context)) is not None:
            raise bad(f"sampler.move.{name}" if several else "sampler.move", weight or name, f"auto or {basic}: {why}")
    if not any(_reaches_all(name, context) for name in weights):
        shown = weights if several else given
        beside = f"or a mapping {{NAME: weight}} with {basic} in it"
        raise bad("sampler.move", shown, f"auto or {basic}, {beside}: {_alone(given, sector)}")
    return given


def _are_spins(hilbert: Hilbert) -> bool:
    return set(hilbert.local_values) == {1, -1}


def _unfit(move: str, context: Context) -> str | None:
    """Why a move cannot be made here at all, None where it can."""
    sector, spins, what = context.sector, _are_spins(context.hilbert), context.hamiltonian.words
    if move == "flip" and sector is not None:
        return f"changing single sites would leave sector={sector}"
    if move == "hop" and spins:
        return "spins exchange, bosons hop"
    if move in ("plaquette", "global_flip") and not spins:
        return f"{move} is a move of spins, and these are {what}"
    if move == "plaquette" and sector is not None:
        return f"a plaquette that flips would leave sector={sector}"
    if move == "plaquette":
        try:
            flipped_groups(context.lattice)
        except ValueError as error:
            return str(error)
    if move == "global_flip" and sector not in (None, 0):
        return f"all spins that flip would leave sector={sector}"
    if move == "hamiltonian" and not context.hamiltonian.joins(context.lattice):
        return "the Hamiltonian is diagonal, and joins no states"
    return None


def _reaches_all(move: str, context: Context) -> bool:
    """Whether a move alone leads from every state to every other, in the sector where there is one."""
    sector = context.sector
    if move == "flip":
        return True
    if move in ("exchange", "hop"):
        return sector is not None and (move == "exchange") == _are_spins(context.hilbert)
    return move == "hamiltonian" and context.hamiltonian.joins_all(context.lattice, sector)


def _alone(given: Any, sector: Total) -> str:
    if isinstance(given, Weights):
        return "these together do not reach all states"
    if given in ("exchange", "hop") and sector is None:
        what = {"exchange": "an exchange of spins", "hop": "a hop of a boson"}[given]
        return f"{what} needs a sector, and sector is none"
    if given == "exchange":
        return "an exchange of bosons does not reach all states"
    return f"{given} alone does not reach all states, as far as is known"


def make(move: str | Weights, operator: Operator, lattice: Lattice, hilbert: Hilbert) -> Proposal | Mixture:
    from nqs_hpc.sampler.moves import Mixture

    if not isinstance(move, Weights):
        return _proposal(move, operator, lattice, hilbert)
    names, weights = zip(*move.entries, strict=True)
    return Mixture(names, tuple(_proposal(name, operator, lattice, hilbert) for name in names), weights)


def every(lattice: Lattice, hilbert: Hilbert) -> Proposal:
    """The moves of few sites that the space has, as one: other values of single sites, exchanges of any two, hops
    where more than two values share a total, stars of links.
    """
    from nqs_hpc.sampler.moves import exchange_any, flip, flip_groups, free_sites, one_of

    kinds = []
    if free_sites(hilbert):
        kinds.append(flip(hilbert))
    if hilbert.n_sites > 1:
        kinds.append(exchange_any(hilbert.n_sites))
    if len(hilbert.local_values) > 2 and len(free_sites(hilbert)) < hilbert.n_sites:
        kinds.append(_on_pairs("hop", lattice, hilbert))
    if lattice.name == LINKS and hilbert.total is None and not hilbert.blocks:
        kinds.append(flip_groups(flipped_groups(lattice)))
    return one_of(kinds)


def _proposal(move: str, operator: Operator, lattice: Lattice, hilbert: Hilbert) -> Proposal:
    from nqs_hpc.sampler.moves import flip, flip_groups, global_flip, hamiltonian

    match move:
        case "flip":
            return flip(hilbert)
        case "plaquette":
            return flip_groups(flipped_groups(lattice))
        case "global_flip":
            return global_flip(hilbert.n_sites)
        case "hamiltonian":
            return hamiltonian(operator)
    return _on_pairs(move, lattice, hilbert)


def _on_pairs(move: str, lattice: Lattice, hilbert: Hilbert) -> Proposal:
    from nqs_hpc.sampler.moves import exchange, hop

    pairs = joined_pairs(lattice)
    return exchange(pairs) if move == "exchange" else hop(pairs, hilbert)
