"""Signs of the basis states that make off-diagonal matrix elements negative.

With U(s) = prod_{i in A} sigma_i, sigma_i = s_i for a spin 1/2, (-1)^(S - m_i) for a longer spin and (-1)^n_i for n_i
bosons, U H U has the elements of H times -1 for each site of A that changes by a spin flip or an odd number of steps.
If all elements of U H U are negative or 0, its ground state is positive (Perron and Frobenius), and a real positive
wave function can represent it. Such a set A solves a system of linear equations over GF(2), one for each kind of move:
the number of its sites in A is odd where the element is positive, and even where it is negative. Marshall's rule for
antiferromagnets (W. Marshall, Proc. R. Soc. A 232, 48 (1955), doi:10.1098/rspa.1955.0200) is the solution on a
bipartite lattice.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system.graph import signed_colouring

Element = tuple[tuple[int, ...], int]  # the sites that change by an odd number of steps, and the sign of the element


def signs(n_sites: int, elements: Iterable[Element]) -> NDArray[np.int8] | None:
    """-1 on the sites of A, +1 elsewhere (N,), with A empty if nothing has to change; None if there is no such A.

    The first site of each connected part is +1 if possible.
    """
    rows = [(sites, sign) for sites, sign in elements if sites or sign > 0]
    if any(not sites for sites, _ in rows):  # a positive element that no signs change
        return None
    short = [(sites, sign > 0) for sites, sign in rows if len(sites) <= 2]
    long = [(sites, sign > 0) for sites, sign in rows if len(sites) > 2]
    found = _of_pairs(n_sites, short)
    if found is None or not long:
        return None if found is None else _as_signs(found)
    if all(sum(found[i] for i in sites) % 2 == odd for sites, odd in long):
        return _as_signs(found)
    eliminated = _eliminated(n_sites, short + long)
    return None if eliminated is None else _as_signs(eliminated)


def _as_signs(inside: list[int]) -> NDArray[np.int8]:
    return np.array([-1 if one else 1 for one in inside], dtype=np.int8)


def _of_pairs(n_sites: int, rows: list[tuple[tuple[int, ...], bool]]) -> list[int] | None:
    """The solution for rows of one or two sites; a single site forms a pair with an extra site that is not in A."""
    pairs = [(sites[0] + 1, sites[1] + 1) if len(sites) == 2 else (0, sites[0] + 1) for sites, _ in rows]
    colours = signed_colouring(n_sites + 1, pairs, [-1.0 if odd else 1.0 for _, odd in rows])
    return None if colours is None else [int(colour < 0) for colour in colours[1:]]


def _eliminated(n_sites: int, rows: list[tuple[tuple[int, ...], bool]]) -> list[int] | None:
    """The solution for rows of any length, by elimination; each row is an integer whose bit N is the right-hand
    side."""
    pivots: dict[int, int] = {}  # its highest site -> row
    for sites, odd in rows:
        row = sum(1 << site for site in sites)
        right = int(odd)
        while row:
            top = row.bit_length() - 1
            if top not in pivots:
                pivots[top] = row | right << n_sites
                break
            other = pivots[top]
            row ^= other & (1 << n_sites) - 1
            right ^= other >> n_sites
        if not row and right:
            return None
    inside = [0] * n_sites
    for top in sorted(pivots):  # rows below have been solved
        row = pivots[top]
        others = sum(inside[site] for site in range(top) if row >> site & 1)
        inside[top] = (others + (row >> n_sites)) % 2
    return inside
