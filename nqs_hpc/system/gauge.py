"""Signs of the basis states that make off-diagonal matrix elements negative.

With U(s) = prod_{i in A} sigma_i, sigma_i = s_i of a spin 1/2, (-1)^(S - m_i) of a longer one and (-1)^n_i of n_i
bosons, U H U has the elements of H times -1 for each site of A that changes by a spin flip or an odd number of steps.
Where all elements of U H U are negative or 0, its ground state is positive (Perron and Frobenius), and a real positive
wave function can represent it. Such a set A solves a system of linear equations over two elements, one for each kind of
move: the number of its sites in A is odd where the element is positive, and even where it is negative. Marshall's rule
for antiferromagnets (W. Marshall, Proc. R. Soc. A 232, 48 (1955), doi:10.1098/rspa.1955.0200) is the solution on a
bipartite lattice.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system.graph import signed_colouring

Element = tuple[tuple[int, ...], int]  # the sites that change by an odd number of steps, and the sign of the element


def signs(n_sites: int, elements: Iterable[Element]) -> NDArray[np.int8] | None:
    """-1 on the sites of A, +1 elsewhere (N,), with A empty where nothing has to change; None where there is no such A.

    Of each connected part the first site is +1 where that is possible.
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
    """The solution of rows of one or two sites; one alone is a pair with a site in front of all, which is not in A."""
    pairs = [(sites[0] + 1, sites[1] + 1) if len(sites) == 2 else (0, sites[0] + 1) for sites, _ in rows]
    colours = signed_colouring(n_sites + 1, pairs, [-1.0 if odd else 1.0 for _, odd in rows])
    return None if colours is None else [int(colour < 0) for colour in colours[1:]]


def _eliminated(n_sites: int, rows: list[tuple[tuple[int, ...], bool]]) -> list[int] | None:
    """The solution of rows of any length, by elimination; each row is one integer, its bit N the right-hand side."""
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
