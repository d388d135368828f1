"""The signs of off-diagonal elements, known before jax is loaded."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from math import prod

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.types import PauliString

MOST_SIGN_SITES = 12  # whose spins decide the sign of one element: 2^12 cases are tried


def of_strings(strings: Iterable[PauliString]) -> list[tuple[tuple[int, ...], int | None]]:
    """Of a sum of Pauli strings: the strings that flip the same sites are one element."""
    groups: dict[tuple[int, ...], list[tuple[tuple[int, ...], complex]]] = defaultdict(list)
    for coefficient, operators, sites in strings:
        flips = tuple(sorted(site for site, letter in zip(sites, operators, strict=True) if letter in "XY"))
        turns = tuple(site for site, letter in zip(sites, operators, strict=True) if letter in "YZ")
        if flips:
            groups[flips].append((turns, coefficient * (-1j) ** operators.count("Y")))
    found = [(flips, _sign_of(terms)) for flips, terms in sorted(groups.items())]
    return [(flips, sign) for flips, sign in found if sign != 0]


def _sign_of(terms: list[tuple[tuple[int, ...], complex]]) -> int | None:
    """The sign of sum_t c_t prod_{i in t} s_i, where it is real and one for all s for which it is not 0; 0 where it
    vanishes for all of them; else None.
    """
    sites = sorted({site for turns, _ in terms for site in turns})
    if len(sites) > MOST_SIGN_SITES:
        return None
    size = sum(abs(c) for _, c in terms)
    found = set()
    for spins in itertools.product((1, -1), repeat=len(sites)):
        s = dict(zip(sites, spins, strict=True))
        value = sum(c * prod(s[site] for site in turns) for turns, c in terms)
        if abs(value) > 1e-12 * size:
            found.add(None if abs(value.imag) > 1e-12 * size else sign(value.real))
    return found.pop() if len(found) == 1 else None if found else 0


def sign(value: float) -> int:
    return 1 if value > 0 else -1


def one_sign(signs_N: NDArray[np.int8] | None) -> int:
    """The sign that all sites have; 1 where there are no signs."""
    if signs_N is None:
        return 1
    assert np.all(signs_N == signs_N[0]), "signs that differ from site to site, of a term that is the same at all"
    return int(signs_N[0])
