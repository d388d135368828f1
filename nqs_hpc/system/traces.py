"""The number of states of a symmetry sector, d / |G| sum_g chi*(g) Tr g, without enumeration.

The trace of g counts the states invariant under g, each with its sign. Such a state has one value on each cycle of g.
For fermions an occupied cycle of length l gives the sign (-1)^(l-1) of a cyclic exchange. With x_b for each fermion, or
unit of the total, in block b, and a_b sites of a cycle in the block, the trace is the coefficient of the totals in

    prod_cycles sum_v (sign of v) prod_b x_b^(a_b v),

where cycles that exclude each other form one factor. With a flip of all spins values alternate around cycles of even
length and are 0 on the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system.characters import Symmetry
from nqs_hpc.system.hilbert import Hilbert, groups, only_total

MOST_JOINED = 12  # cycles that exclude each other; their values are tried one by one

Totals = tuple[int, ...]  # of the groups with a fixed total
Factor = tuple[tuple[Totals, int], ...]  # totals and ways, with their sign


def sector_dimension(symmetry: Symmetry, hilbert: Hilbert) -> int:
    """The number of states of the sector.

    Above 2^53 states the last digits are rounded. ValueError as in `traces`, and OverflowError beyond 1e308 states.
    """
    return dimension_of(symmetry, traces(symmetry.perms, symmetry.flips, hilbert))


def dimension_of(symmetry: Symmetry, trace_G: Sequence[int]) -> int:
    """`sector_dimension` with given traces of the elements."""
    total = sum(np.conj(character) * n for character, n in zip(symmetry.characters, map(float, trace_G), strict=True))
    return round(total.real * symmetry.dimension / len(symmetry.perms))


def traces(perms: NDArray[np.integer], flips: NDArray[np.integer], hilbert: Hilbert) -> list[int]:
    """The trace of each element (G, N), (G,) in a space that they map onto itself.

    ValueError if many cycles exclude each other, and for flips in spaces with blocks or exclusions.
    """
    known: dict[tuple[Factor, ...], int] = {}  # elements with equal cycles have the same trace
    found = []
    for perm, flip in zip(perms, flips, strict=True):
        cycles = _cycles(perm)
        if flip < 0:
            only_total(hilbert, "symmetrize with a flip of all spins")
            odd = 1 if 0 in hilbert.local_values else 0
            ways = (len(hilbert.local_values) if len(cycle) % 2 == 0 else odd for cycle in cycles)
            found.append(prod(ways) if not hilbert.total else 0)
            continue
        key = tuple(sorted(_factors(cycles, hilbert)))
        if key not in known:
            known[key] = _coefficient(key, hilbert)
        found.append(known[key])
    return found


def _coefficient(factors: tuple[Factor, ...], hilbert: Hilbert) -> int:
    """The coefficient of the totals of a space in a product of factors."""
    wanted = tuple(total for _, total in groups(hilbert) if total is not None)
    sums: dict[Totals, int] = {(0,) * len(wanted): 1}
    for factor in factors:
        grown: dict[Totals, int] = {}
        for totals, ways in factor:
            for before, so_far in sums.items():
                after = tuple(a + b for a, b in zip(before, totals, strict=True))
                grown[after] = grown.get(after, 0) + so_far * ways
        sums = grown
    return sums.get(wanted, 0)


def _factors(cycles: list[list[int]], hilbert: Hilbert) -> Iterator[Factor]:
    """The factor of each set of cycles that exclude each other; most sets are a single cycle."""
    of_site = {site: number for number, cycle in enumerate(cycles) for site in cycle}
    joined: dict[int, set[int]] = {number: set() for number in range(len(cycles))}
    for a, b in hilbert.excluded:
        joined[of_site[a]].add(of_site[b])
        joined[of_site[b]].add(of_site[a])
    block = {site: number for number, (sites, total) in enumerate(_fixed(hilbert)) for site in sites}
    n_blocks = len(_fixed(hilbert))
    counts = [tuple(sum(block.get(site) == number for site in cycle) for number in range(n_blocks)) for cycle in cycles]
    left = set(joined)
    while left:
        members = [left.pop()]
        for number in members:  # grows during the loop
            new = sorted(joined[number] & left)
            left.difference_update(new)
            members += new
        if len(members) > MOST_JOINED:
            raise ValueError("the states of a sector cannot be counted where many sites exclude each other")
        yield _factor(members, cycles, counts, joined, hilbert)


def _factor(
    members: list[int],
    cycles: list[list[int]],
    counts: list[Totals],
    joined: dict[int, set[int]],
    hilbert: Hilbert,
) -> Factor:
    empty = hilbert.local_values[0]
    ways: dict[Totals, int] = {}
    for values in product(hilbert.local_values, repeat=len(members)):
        occupied = {number for number, value in zip(members, values, strict=True) if value != empty}
        if any(joined[number] & occupied for number in occupied):
            continue
        sign = -1 if hilbert.fermionic and sum(len(cycles[number]) - 1 for number in occupied) % 2 else 1
        pairs = list(zip(members, values, strict=True))
        totals = tuple(sum(counts[number][b] * value for number, value in pairs) for b in range(len(counts[0])))
        ways[totals] = ways.get(totals, 0) + sign
    return tuple(sorted(ways.items()))


def _fixed(hilbert: Hilbert) -> list[tuple[tuple[int, ...], int]]:
    return [(sites, total) for sites, total in groups(hilbert) if total is not None]


def _cycles(perm: NDArray[np.integer]) -> list[list[int]]:
    found, left = [], set(range(len(perm)))
    while left:
        start = left.pop()
        cycle, site = [start], int(perm[start])
        while site != start:
            left.remove(site)
            cycle.append(site)
            site = int(perm[site])
        found.append(cycle)
    return found
