"""The signs of off-diagonal elements, known before jax is loaded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.types import PauliString

MOST_SIGN_SITES = 12  # on which the sign of one element may depend: 2^12 cases are tried


def of_strings(strings: Iterable[PauliString]) -> list[tuple[tuple[int, ...], int | None]]:
    """The elements of a sum of Pauli strings: strings that flip the same sites form one element."""
    groups: dict[tuple[int, ...], list[tuple[tuple[int, ...], complex]]] = defaultdict(list)
    for coefficient, operators, sites in strings:
        flips = tuple(sorted(site for site, letter in zip(sites, operators, strict=True) if letter in "XY"))
        turns = tuple(site for site, letter in zip(sites, operators, strict=True) if letter in "YZ")
        if flips:
            groups[flips].append((turns, coefficient * (-1j) ** operators.count("Y")))
    found = [(flips, _sign_of(terms)) for flips, terms in sorted(groups.items())]
    return [(flips, sign) for flips, sign in found if sign != 0]


def _sign_of(terms: list[tuple[tuple[int, ...], complex]]) -> int | None:
    """The sign of sum_t c_t prod_{i in t} s_i if it is real and the same for all s for which the sum is not 0; 0 if the
    sum always vanishes; else None.
    """
    common = frozenset.intersection(*(frozenset(turns) for turns, _ in terms))
    if common:  # a factor of either sign, such as the spins that fermions hop over
        rest = [(tuple(site for site in turns if site not in common), c) for turns, c in terms]
        return None if _sign_of(rest) != 0 else 0
    sites = sorted({site for turns, _ in terms for site in turns})
    if len(sites) > MOST_SIGN_SITES:
        return None
    size = sum(abs(c) for _, c in terms)
    place = {site: k for k, site in enumerate(sites)}
    masks_T = np.array([sum(1 << place[site] for site in turns) for turns, _ in terms], dtype=np.uint32)
    down = np.arange(1 << len(sites), dtype=np.uint32)
    odd_ST = np.bitwise_count(down[:, None] & masks_T[None, :]) % 2
    values_S = (1.0 - 2.0 * odd_ST) @ np.array([c for _, c in terms])
    values_S = values_S[np.abs(values_S) > 1e-12 * size]
    if not len(values_S):
        return 0
    found = set(np.sign(values_S.real).tolist())
    return None if (np.abs(values_S.imag) > 1e-12 * size).any() or len(found) > 1 else int(found.pop())


def sign(value: float) -> int:
    return 1 if value > 0 else -1


def one_sign(signs_N: NDArray[np.int8] | None) -> int:
    """The common sign of all sites; 1 if there are no signs."""
    if signs_N is None:
        return 1
    assert np.all(signs_N == signs_N[0]), "signs that differ from site to site, of a term that is the same at all"
    return int(signs_N[0])
