"""Operators of four sites around a plaquette: the cyclic exchange, or a product of Pauli matrices.

The exchange P carries the spin of each site to the next. Of spins 1/2 (D. J. Thouless, Proc. Phys. Soc. 86, 893 (1965),
doi:10.1088/0370-1328/86/5/301)

    P + P^-1 = 1/4 + sum_{a<b} S_a . S_b
               + 4 [(S_1 . S_2)(S_3 . S_4) + (S_2 . S_3)(S_4 . S_1) - (S_1 . S_3)(S_2 . S_4)].
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.operators.pauli_products import product, spin_product, times
from nqs_hpc.types import Observable, Output, PauliString

LABELS = {"ring": "⟨P + P⁻¹⟩", "X": "⟨Π σˣ⟩", "Z": "⟨Π σᶻ⟩"}


def plaquette(groups: Sequence[tuple[int, ...]], operator: str) -> Observable:
    """Of the sites of each plaquette in the order around it: the array ``plaquettes`` and the number ``mean``.

    ``operator``: ``ring``, the exchange of four spins 1/2, or ``X`` or ``Z``, a product of Pauli matrices.
    """
    of = {
        "ring": ring_exchange,
        "X": lambda sites: pauli_product("X", sites),
        "Z": lambda sites: pauli_product("Z", sites),
    }
    strings = tuple(of[operator](sites) for sites in groups)
    n, label = len(groups), LABELS[operator]
    width = max(map(len, groups))
    sites = np.array([[*group, *[-1] * (width - len(group))] for group in groups])  # a star at an open end has less

    def derived(means: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
        values = np.real(means)
        return {"mean": values.mean(axis=-1), "plaquettes": values}

    outputs = (Output("mean", label=label), Output("plaquettes", label=label, shape=(n,), axes=(("sites", sites),)))
    return Observable(strings=strings, outputs=outputs, derived=derived, n_values=n)


def ring_exchange(sites: Sequence[int]) -> tuple[PauliString, ...]:
    """P + P^-1 of four sites in the order around a plaquette."""
    a, b, c, d = sites
    twice = [
        (4.0, (a, b), (c, d)),
        (4.0, (b, c), (d, a)),
        (-4.0, (a, c), (b, d)),
    ]
    found = [PauliString(0.25, "", ())]
    for pair in combinations(sites, 2):
        found += spin_product(*pair)
    for factor, first, second in twice:
        found += times(factor, product(spin_product(*first), spin_product(*second)))
    return tuple(found)


def pauli_product(letter: str, sites: Sequence[int]) -> tuple[PauliString, ...]:
    return (PauliString(1.0, letter * len(sites), tuple(sorted(sites))),)
