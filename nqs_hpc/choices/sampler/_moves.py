"""Moves of Markov chains: whether they exist here, keep the sector, and together reach all its states."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.context import Context
from nqs_hpc.inputs.checks import bad, show
from nqs_hpc.inputs.line import one_line
from nqs_hpc.inputs.mappings import Weights
from nqs_hpc.system.graph import connected
from nqs_hpc.system.hilbert import Hilbert, Total, are_spins
from nqs_hpc.system.lattice import Lattice, joined_pairs, neighbours
from nqs_hpc.system.layers import one_layer
from nqs_hpc.system.links import NAME as LINKS
from nqs_hpc.system.plaquettes import flipped_groups
from nqs_hpc.types import Operator

if TYPE_CHECKING:
    from nqs_hpc.sampler.moves import Mixture, Proposal

MOVES = ("flip", "exchange", "hop", "pair_hop", "heat_bath", "plaquette", "global_flip", "hamiltonian")
ALONG_PAIRS = ("exchange", "hop", "pair_hop")  # with two sites each
ANY = "any"  # two sites at any distance

Reach = int | str | None  # the largest neighbour order of the two sites of a move; None: nearest neighbours


def resolved(given: Any, reach: Reach, context: Context) -> Any:
    """The name of a move, or Weights of several; raises InputError, which names the move that does not fit."""
    found = _resolved(given, reach, context)
    names = dict(found.entries) if isinstance(found, Weights) else (found,)
    if reach is not None:
        if not any(name in ALONG_PAIRS or (name == "heat_bath" and context.sector is not None) for name in names):
            shown = dict(found.entries) if isinstance(found, Weights) else found
            few = f"sampler.move={show(shown)} has no two sites that exchange, or between which particles hop"
            raise bad("sampler.move_range", reach, f"null: {few}")
        one_line("sampler.move_range", reach, lambda: _pairs(one_layer(context.lattice), reach))
    return found


def _resolved(given: Any, reach: Reach, context: Context) -> Any:
    hamiltonian, sector, lattice = context.hamiltonian, context.sector, context.lattice
    inside = "exchange" if _are_halves(context.hilbert) else "hop"
    basic = "flip" if sector is None else inside
    if sector is not None and context.hilbert.fermionic:
        suited = _of_fermions_in_a_sector(context)
        if given == "auto":
            return suited
        if not _reaches_all("hop", reach, context):
            basic = suited if isinstance(suited, str) else "{hop: 3, exchange: 1}"
    open_total = context.sector_is_auto and sector is None and hamiltonian.conserves()
    if given == "auto" and open_total and hamiltonian.joins(lattice):
        # The total of the ground state is unknown: moves of single sites find it, but freeze within it.
        return Weights(tuple(sorted({"flip": 0.5, inside: 0.5}.items())))
    if given == "auto":
        return basic
    several = isinstance(given, Weights)
    weights = dict(given.entries) if several else {given: None}
    for name, weight in weights.items():
        if (why := _unfit(name, context)) is not None:
            raise bad(f"sampler.move.{name}" if several else "sampler.move", weight or name, f"auto or {basic}: {why}")
    if not _together(tuple(weights), reach, context):
        shown = weights if several else given
        beside = f"or a mapping {{NAME: weight}} with {basic} in it"
        raise bad("sampler.move", shown, f"auto or {basic}, {beside}: {_alone(given, sector)}")
    return given


def _of_fermions_in_a_sector(context: Context) -> str | Weights:
    """Hops, which cost the least, with enough exchanges to relax the spins if U is repulsive, and with pair hops if it
    is attractive: in Hubbard models the slowest modes of |psi|^2 decay up to ten times as fast with these (4x2 sites, U
    = 12), and never much slower (U = 1).
    """
    sector, n = context.sector, context.hilbert.n_sites // 2
    weights = {"hop": 3.0, "exchange": 1.0, "pair_hop": 1.0 if context.hamiltonian.binds_pairs() else 0.0}
    both = isinstance(sector, tuple) and all(0 < number < n for number in sector)
    if not both:
        weights = {"hop": 3.0}
    kept = {name: weight for name, weight in sorted(weights.items()) if weight and _stuck(name, context) is None}
    if not kept or len(kept) == 1:
        return next(iter(kept), "hop")
    total = sum(kept.values())
    return Weights(tuple((name, weight / total) for name, weight in kept.items()))


def _are_halves(hilbert: Hilbert) -> bool:
    """Whether the sites hold spins 1/2."""
    return set(hilbert.local_values) == {1, -1}


def _unfit(move: str, context: Context) -> str | None:
    """Why a move is impossible here, None if it is possible."""
    sector, spins, what = context.sector, _are_halves(context.hilbert), context.hamiltonian.words
    if move == "flip" and sector is not None:
        return f"changing single sites would leave sector={show(sector)}"
    if move == "hop" and spins:
        return "spins 1/2 exchange, longer ones, bosons and fermions hop"
    if move in ("hop", "exchange", "pair_hop") and context.hilbert.fermionic and (why := _stuck(move, context)):
        return why
    if move == "pair_hop" and not context.hilbert.fermionic:
        return f"pair_hop is a move of fermions with spin, and these are {what}"
    if move == "heat_bath" and len(context.hilbert.local_values) == 2:
        same = "hop" if context.hilbert.fermionic or not spins else "exchange"
        return f"for sites with two values it equals {'flip' if sector is None else same}, which costs less"
    if (move == "plaquette" and not spins) or (move == "global_flip" and not are_spins(context.hilbert)):
        return f"{move} is a move of spins{' 1/2' * (move == 'plaquette')}, and these are {what}"
    if move == "plaquette" and sector is not None:
        return f"the flip of a plaquette would leave sector={show(sector)}"
    if move == "plaquette":
        try:
            flipped_groups(context.lattice)
        except ValueError as error:
            return str(error)
    if move == "global_flip" and context.hilbert.paths:
        return "a path with all its steps reversed is not a path"
    if move == "global_flip" and sector not in (None, 0):
        return f"the flip of all spins would leave sector={show(sector)}"
    if move == "hamiltonian" and not context.hamiltonian.joins(context.lattice):
        return "the Hamiltonian is diagonal and connects no states"
    return None


def _stuck(move: str, context: Context) -> str | None:
    """Why a move of fermions along pairs never changes anything, None if it does."""
    hilbert = context.hilbert
    if move in ("exchange", "pair_hop") and context.lattice.layers != 2:
        return "these fermions have no spin"
    if move == "pair_hop" and hilbert.excluded:
        return "no site holds two fermions"
    if move == "hop" and hilbert.excluded and hilbert.total == hilbert.n_sites // 2:
        return "no site is empty, so that fermions can only exchange"
    return None


def _together(names: tuple[str, ...], reach: Reach, context: Context) -> bool:
    """Whether moves together connect all states, in the sector if there is one."""
    if any(_reaches_all(name, reach, context) for name in names):
        return True
    # without doubly occupied sites hops keep the order of the spins along a chain: exchanges change it, hops move holes
    of_both = context.hilbert.fermionic and context.sector is not None and {"exchange", "hop"} <= set(names)
    return of_both and bool(context.hilbert.excluded)


def _reaches_all(move: str, reach: Reach, context: Context) -> bool:
    """Whether a single kind of move does."""
    sector, hilbert = context.sector, context.hilbert
    if move in ("flip", "heat_bath"):
        return True
    if hilbert.fermionic and move in ALONG_PAIRS:
        if sector is None or move == "pair_hop" or _stuck(move, context):
            return False
        of_one_spin = not isinstance(sector, tuple) or min(sector) == 0
        if move == "hop":  # to an empty site anywhere: this brings the fermions into any order
            return not hilbert.excluded or of_one_spin or reach == ANY
        return bool(hilbert.excluded) and _stuck("hop", context) is not None
    if move in ("exchange", "hop"):
        return sector is not None and (move == "exchange") == _are_halves(context.hilbert)
    return move == "hamiltonian" and context.hamiltonian.joins_all(context.lattice, sector)


def _alone(given: Any, sector: Total) -> str:
    if isinstance(given, Weights):
        return "together they do not reach all states"
    if given in ("exchange", "hop") and sector is None:
        what = {"exchange": "an exchange of spins", "hop": "a hop of a particle"}[given]
        return f"{what} needs a sector, and sector is none"
    if given == "exchange":
        return "an exchange of particles does not reach all states"
    return f"{given} by itself does not reach all states, as far as is known"


def make(
    move: str | Weights, reach: Reach, operator: Operator, lattice: Lattice, hilbert: Hilbert
) -> Proposal | Mixture:
    from nqs_hpc.sampler.moves import Mixture

    if not isinstance(move, Weights):
        return _proposal(move, reach, operator, lattice, hilbert)
    names, weights = zip(*move.entries, strict=True)
    return Mixture(names, tuple(_proposal(name, reach, operator, lattice, hilbert) for name in names), weights)


def every(lattice: Lattice, hilbert: Hilbert) -> Proposal:
    """All moves of few sites in the space, as one proposal: other values of single sites, exchanges of any two sites,
    hops if more than two values share a total, stars of links; for fermions hops, exchanges and pair hops.
    """
    from nqs_hpc.sampler.moves import exchange_any, flip, flip_groups, free_sites, one_of

    kinds = []
    if free_sites(hilbert):
        kinds.append(flip(hilbert))
    if hilbert.fermionic:
        kinds.append(_of_fermions("hop", ANY, lattice, hilbert))
        if lattice.layers == 2:
            kinds.append(_of_fermions("exchange", ANY, lattice, hilbert))
        if lattice.layers == 2 and not hilbert.excluded:
            kinds.append(_of_fermions("pair_hop", ANY, lattice, hilbert))
        return one_of(kinds)
    if hilbert.n_sites > 1:
        kinds.append(exchange_any(hilbert.n_sites))
    if len(hilbert.local_values) > 2 and len(free_sites(hilbert)) < hilbert.n_sites:
        kinds.append(_on_pairs("hop", None, lattice, hilbert))
    if lattice.name == LINKS and hilbert.total is None and not hilbert.blocks:
        kinds.append(flip_groups(flipped_groups(lattice)))
    return one_of(kinds)


def _proposal(move: str, reach: Reach, operator: Operator, lattice: Lattice, hilbert: Hilbert) -> Proposal:
    from nqs_hpc.sampler.moves import flip, flip_groups, free_sites, global_flip, hamiltonian

    match move:
        case "flip":
            return flip(hilbert)
        case "plaquette":
            return flip_groups(flipped_groups(lattice))
        case "global_flip":
            return global_flip(hilbert.n_sites)
        case "heat_bath":
            from nqs_hpc.sampler.heat_bath import redrawn_pair, redrawn_site

            return redrawn_site(hilbert) if free_sites(hilbert) else redrawn_pair(_pairs(lattice, reach), hilbert)
        case "hamiltonian":
            return hamiltonian(operator)
    make_one = _of_fermions if hilbert.fermionic else _on_pairs
    return make_one(move, reach, lattice, hilbert)


def _on_pairs(move: str, reach: Reach, lattice: Lattice, hilbert: Hilbert) -> Proposal:
    from nqs_hpc.sampler.moves import exchange, hop

    pairs = _pairs(lattice, reach)
    return exchange(pairs) if move == "exchange" else hop(pairs, hilbert)


def _of_fermions(move: str, reach: Reach, lattice: Lattice, hilbert: Hilbert) -> Proposal:
    from nqs_hpc.sampler.particles import exchange_spins, hop_fermion, hop_pair, table_of

    one = one_layer(lattice)
    table = None if reach == ANY else table_of(_pairs(one, reach), one.n_sites)
    if move == "hop":
        return hop_fermion(table, layers=lattice.layers, double=not hilbert.excluded)
    return exchange_spins(table) if move == "exchange" else hop_pair(table)


def _pairs(lattice: Lattice, reach: Reach) -> NDArray[np.int32]:
    """The pairs of sites of a move, (n, 2): neighbours up to order ``reach``; all pairs if these do not connect all
    sites. ValueError for an order that the lattice lacks.
    """
    if reach is None:
        return joined_pairs(lattice)
    everything = np.array(np.triu_indices(lattice.n_sites, 1), dtype=np.int32).T
    if reach == ANY:
        return everything
    assert isinstance(reach, int)
    orders = [neighbours(lattice, order) for order in range(1, reach + 1)]
    pairs = np.unique(np.concatenate(orders), axis=0)
    return pairs if connected(lattice.n_sites, pairs) else everything
