"""The bonds that a Hamiltonian takes from its lattice: which orders it uses, whether it is clear which bonds these are,
and how many there are, in words for the start of a run.
"""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from nqs_hpc import schema
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.resolve.lattice import make_lattice, sites_in_words
from nqs_hpc.schema import Config
from nqs_hpc.system import shells
from nqs_hpc.system.lattice import Lattice, bond_lengths, bond_weights, neighbours, pairs_within
from nqs_hpc.system.links import NAME as LINKS
from nqs_hpc.system.links import plaquettes, stars

MOST_ATOMS = 1024  # of which all pairs are compared a second time for what they say


def used_orders(hamiltonian: schema.Hamiltonian) -> list[int]:
    """The neighbour orders whose bonds the Hamiltonian takes from the lattice. Resolved Pauli strings name sites."""
    if isinstance(hamiltonian, schema.Heisenberg):
        couplings = hamiltonian.J if isinstance(hamiltonian.J, tuple) else (hamiltonian.J,)
        return [order for order, coupling in enumerate(couplings, 1) if coupling]
    if isinstance(hamiltonian, schema.Ising | schema.BoseHubbard):
        return [1] if hamiltonian.J else []
    return []


def settled(given: Config, config: Config) -> schema.Lattice:
    """The lattice of ``config``, whose Hamiltonian is resolved, with what its bonds decide; ``given``: as it was read.

    Raises InputError where bonds that have just been read from a file do not fit the Hamiltonian. Of a run they are
    taken as they are.
    """
    lattice, read = config.lattice, given.lattice
    if isinstance(lattice, schema.EdgesLattice) and isinstance(read, schema.EdgesLattice) and not read.edges:
        return _settled_edges(lattice, given.hamiltonian)
    if isinstance(lattice, schema.PointsLattice) and isinstance(read, schema.PointsLattice) and not read.positions:
        return _settled_points(lattice, config.hamiltonian, by_default=read.tolerance is None)
    return lattice


def _settled_edges(lattice: schema.EdgesLattice, given: schema.Hamiltonian) -> schema.EdgesLattice:
    if lattice.third_column != "auto":
        return lattice
    orders = {order for _, _, order in lattice.edges}
    couplings = given.J if isinstance(given, schema.Heisenberg) and isinstance(given.J, tuple) else (1.0,)
    # a coupling that is 0 is one, and Pauli terms say by themselves where they act
    unused = sorted(order for order in orders if order > len(couplings))
    if unused and not isinstance(given, schema.Pauli):
        name = f"order{'s' * (len(unused) > 1)} {', '.join(map(str, unused[:6]))}"
        why = f"{lattice.file} has bonds of {name}, which hamiltonian={given.name} does not use"
        raise bad("lattice.third_column", "auto", f"order or weight, whatever the third column is: {why}")
    return dataclasses.replace(lattice, third_column="order")


def _settled_points(
    lattice: schema.PointsLattice, hamiltonian: schema.Hamiltonian, *, by_default: bool
) -> schema.PointsLattice:
    made, orders = make_lattice(lattice), used_orders(hamiltonian)
    bonds = {n: one_line("lattice.file", lattice.file, lambda n=n: neighbours(made, n)) for n in orders}  # type: ignore[misc]
    if isinstance(hamiltonian, schema.Rydberg) and hamiltonian.cutoff is not None:
        _check_cutoff(made, hamiltonian.cutoff)
    if not by_default:
        return lattice
    # Exact positions have the same bonds by any tolerance, and their runs the name they always had.
    exact = make_lattice(dataclasses.replace(lattice, tolerance=None))
    if all(_same(exact, made, order) for order in {1, *bonds}):
        return dataclasses.replace(lattice, tolerance=None)
    return lattice


def _same(exact: Lattice, made: Lattice, order: int) -> bool:
    def bonds(lattice: Lattice) -> list[list[int]] | None:
        try:
            return neighbours(lattice, order).tolist()
        except ValueError:
            return None

    found = bonds(made)
    return found is None or found == bonds(exact)


def _check_cutoff(lattice: Lattice, cutoff: float) -> None:
    """Raise InputError where a cutoff takes some of the pairs of a shell and leaves others."""
    assert lattice.tolerance is not None
    lengths = shells.by_distance(lattice.positions)[1]
    starts = np.nonzero(np.diff(lengths) / lengths[:-1] > lattice.tolerance)[0] + 1
    inside = int(np.searchsorted(lengths, cutoff, side="right"))
    if 0 < inside < len(lengths) and inside not in starts:
        begin = max((int(start) for start in starts if start < inside), default=0)
        end = min((int(start) for start in starts if start > inside), default=len(lengths))
        low, high = lengths[begin], lengths[end - 1]
        cut = f"it divides pairs {low:.6g} to {high:.6g} apart, which are the same by lattice.tolerance"
        raise bad("hamiltonian.cutoff", cutoff, f"null, below {low:.6g}, or above {high:.6g}: {cut}")


def words_of_bonds(config: Config, lattice: Lattice) -> list[str]:
    """Lines for the start of a run: the sites, the bonds of each order that the Hamiltonian uses, what has none.

    ``lattice`` is that of the sites.
    """
    n_sites, hamiltonian = lattice.n_sites, config.hamiltonian
    if isinstance(hamiltonian, schema.ToricCode):
        assert lattice.name == LINKS
        return [f"lattice: {n_sites} links, {len(stars(lattice))} stars, {len(plaquettes(lattice))} plaquettes"]
    if isinstance(hamiltonian, schema.Rydberg):
        return [f"lattice: {n_sites} sites{_words_of_atoms(hamiltonian, lattice)}"]
    if isinstance(hamiltonian, schema.Pauli):
        return _words_of_strings(hamiltonian, n_sites)
    orders = used_orders(hamiltonian)
    parts, joined = [f"{n_sites} sites"], np.zeros(n_sites, dtype=bool)
    for order in orders:
        bonds = neighbours(lattice, order)
        joined[bonds] = True
        what = f"{len(bonds)} bond{'s' * (len(bonds) > 1)}" if order == orders[0] else f"{len(bonds)}"
        details = "; ".join(word for word in (_distance(lattice, order), _counted(lattice, order)) if word)
        parts.append(f"{what} of order {order}" + (f" ({details})" if details else ""))
    lines = [f"lattice: {', '.join(parts)}"]
    if orders and not joined.all():
        lines.append(f"lattice: no bond joins {sites_in_words(_sites(~joined))}, counted from 0")
    unused = sorted(set(lattice.edges or ()) - set(orders))
    if unused:
        which = ", ".join(f"{len(neighbours(lattice, order))} of order {order}" for order in unused)
        lines.append(f"lattice: bonds of the file that hamiltonian={hamiltonian.name} does not use: {which}")
    return lines


def _sites(mask: NDArray[np.bool_]) -> list[int]:
    found: list[int] = np.flatnonzero(mask).tolist()
    return found


def _distance(lattice: Lattice, order: int) -> str:
    lengths = bond_lengths(lattice, order)
    if lengths is None:
        return ""
    low, high = (f"{length:#.5g}" for length in lengths)
    return f"distance {low}" if low == high else f"distance {low} to {high}"


def _counted(lattice: Lattice, order: int) -> str:
    weights = bond_weights(lattice, order)
    if weights is None:
        return ""
    if lattice.double_bonds:
        several = ", ".join(
            f"{n} of them {int(times)} times" for times, n in sorted(Counter(weights).items()) if times > 1
        )
        return several
    return f"weights {weights.min():g} to {weights.max():g}, sum {weights.sum():g}"


def _words_of_atoms(hamiltonian: schema.Rydberg, lattice: Lattice) -> str:
    if lattice.n_sites > MOST_ATOMS:
        return ""
    _, lengths = pairs_within(lattice, hamiltonian.cutoff)
    words = f", {len(lengths)} pairs of atoms {lengths.min():#.5g} to {lengths.max():#.5g} apart"
    if hamiltonian.cutoff is None:
        return words
    _, further = pairs_within(lattice, hamiltonian.cutoff * (1 + shells.TOLERANCE))
    if n := len(further) - len(lengths):
        words += f"; {n} more, {further[further > lengths.max()].min():.6g} apart, are just beyond "
        words += f"hamiltonian.cutoff={hamiltonian.cutoff:g}"
    return words


def _words_of_strings(hamiltonian: schema.Pauli, n_sites: int) -> list[str]:
    sizes = Counter(len(string.sites) for string in hamiltonian.terms)
    count = [
        f"{n} Pauli string{'s' * (n > 1)} of {size} site{'s' * (size > 1)}" for size, n in sorted(sizes.items()) if size
    ]
    constants = [string.coefficient for string in hamiltonian.terms if not string.sites]
    lines = [", ".join([f"lattice: {n_sites} sites", *count, *(f"a constant {c:g}" for c in constants)])]
    acted = np.zeros(n_sites, dtype=bool)
    for string in hamiltonian.terms:
        acted[list(string.sites)] = True
    if not acted.all():
        lines.append(f"lattice: no string acts on {sites_in_words(_sites(~acted))}, counted from 0")
    return lines
