"""Couplings of bonds and fields of sites: numbers, or drawn at random by a seed (`system.disorder`)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices import keys
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.drawn import Drawn, number_or_drawn
from nqs_hpc.system.disorder import drawn
from nqs_hpc.system.lattice import Lattice, bond_weights, neighbours


def key(doc: str, *, by_order: bool = False, physics: bool | Literal["given"] = True) -> Any:
    """A key that is a number or `Drawn`, with ``by_order`` also a list of them; in a ramp only numbers."""
    drawn, number = number_or_drawn(), checks.number()
    if by_order:
        drawn, number = checks.one_or_list(drawn), checks.one_or_list(number)
    return keys.key(drawn, doc, physics=physics, in_time=number)


def of_sites(value: Any, lattice: Lattice, name: str) -> NDArray[np.float64]:
    """A field at each site (N,)."""
    return drawn(value, lattice.n_sites, name) if isinstance(value, Drawn) else np.full(lattice.n_sites, value)


def of_bonds(value: Any, lattice: Lattice, order: int, name: str) -> NDArray[np.float64]:
    """The coupling of each bond (n,) of `neighbours`, multiplied by its weight."""
    n_bonds, weights = len(neighbours(lattice, order)), bond_weights(lattice, order)
    values = drawn(value, n_bonds, f"{name}{order}") if isinstance(value, Drawn) else np.full(n_bonds, value)
    return values if weights is None else values * weights


def pair_couplings(by_order: Sequence[Any], lattice: Lattice, name: str) -> dict[tuple[int, int], float]:
    """The total coupling of each pair of sites, over all neighbour orders, as `system.lattice.pair_couplings`."""
    total: dict[tuple[int, int], float] = defaultdict(float)
    for order, value in enumerate(by_order, 1):
        if not isinstance(value, Drawn) and not value:  # this order may not exist on this lattice
            continue
        values = of_bonds(value, lattice, order, name)
        for (i, j), coupling in zip(neighbours(lattice, order).tolist(), values.tolist(), strict=True):
            total[i, j] += coupling
    return dict(total)


def lines(found: dict[str, tuple[Any, NDArray[np.float64]]]) -> list[str]:
    """A line for each drawn value, from (given, drawn numbers)."""
    return [
        f"couplings: {name} is drawn ({value.in_words()}), {len(x)} numbers from {x.min():.4g} to {x.max():.4g}"
        for name, (value, x) in found.items()
        if isinstance(value, Drawn) and len(x)
    ]
