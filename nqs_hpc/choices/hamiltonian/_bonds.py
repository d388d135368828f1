"""The bonds that a Hamiltonian takes from its lattice: couplings by neighbour order, and lines about the bonds for the
start of a run.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Check
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system.families import size_in_words
from nqs_hpc.system.lattice import Lattice, bond_lengths, bond_weights, neighbours
from nqs_hpc.system.words import sites_in_words


def numbers() -> Check:
    """A number or a list of numbers; returned as a tuple."""
    several = checks.list_of(checks.number())
    valid = f"{checks.number().valid}, or a list of such"
    return Check(valid, lambda value: several.read(value if isinstance(value, list | tuple) else [value]))


def listed(value: float | tuple[float, ...]) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,)  # a number if it was not read but follows a ramp


def by_orders(name: str, values: float | tuple[float, ...], lattice: Lattice) -> tuple[float, ...]:
    """Couplings by neighbour order without trailing zeros; InputError if the lattice lacks such neighbours."""
    found = listed(values)
    while len(found) > 1 and found[-1] == 0:
        found = found[:-1]
    for order, value in enumerate(found, 1):
        if value:
            one_line(f"hamiltonian.{name}", values, lambda order=order: neighbours(lattice, order))  # type: ignore[misc]
    return found


def lines(name: str, orders: list[int], lattice: Lattice) -> list[str]:
    """Lines about the sites, the bonds of each of ``orders`` that hamiltonian=``name`` uses, and sites without
    bonds."""
    n_sites = lattice.n_sites
    where = "" if lattice.axes is None else f" in cells {size_in_words(lattice)}"
    parts, joined = [f"{n_sites} sites{where}"], np.zeros(n_sites, dtype=bool)
    for order in orders:
        bonds = neighbours(lattice, order)
        joined[bonds] = True
        what = f"{len(bonds)} bond{'s' * (len(bonds) > 1)}" if order == orders[0] else f"{len(bonds)}"
        details = "; ".join(word for word in (_distance(lattice, order), _counted(lattice, order)) if word)
        parts.append(f"{what} of order {order}" + (f" ({details})" if details else ""))
    found = [f"lattice: {', '.join(parts)}"]
    if orders and not joined.all():
        found.append(f"lattice: no bond joins {sites_in_words(np.flatnonzero(~joined).tolist())}, counted from 0")
    of_file = set(lattice.edges or ())
    if lattice.stated is not None and lattice.distances_from is None:
        of_file |= set(range(1, 1 + len(lattice.stated)))
    unused = sorted(of_file - set(orders))
    if unused:
        which = ", ".join(f"{len(neighbours(lattice, order))} of order {order}" for order in unused)
        found.append(f"lattice: bonds of the file that hamiltonian={name} does not use: {which}")
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
