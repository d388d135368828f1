"""Configurations with several constraints at once: their number, all of them, one of them.

The sites are divided into groups, each with or without a fixed total, and some pairs of sites exclude each other: at
most one of them may be occupied, that is, hold a value other than the first local value. Counting goes site by site (a
transfer matrix). Only two things matter about earlier sites: which of those that exclude a later site are occupied, and
the totals so far. Sites that exclude each other are close in the order, so on a chain this is one bit, on a lattice a
row of bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")

MOST_KEYS = 2**17  # occupations and totals kept at a time; more would take minutes


class Group(NamedTuple):
    sites: tuple[int, ...]
    total: int | None  # None: any


class Constraints(NamedTuple):
    n_sites: int
    values: tuple[int, ...]  # of each site; the first one means empty
    groups: tuple[Group, ...]  # every site is in one
    excluded: tuple[tuple[int, int], ...]


class _Place(NamedTuple):
    """What counting needs to know about one site, in the order of counting."""

    site: int
    group: int  # number among the groups with a total, -1 for none
    after: int  # number of later sites of the group
    earlier: int  # bits: partners taken before
    keep: int  # bits: sites that later ones exclude, this one included


Key = tuple[int, tuple[int, ...]]  # occupied sites, as bits; totals so far


def count(constraints: Constraints) -> int:
    """The exact number of configurations. ValueError if counting would take too long."""
    fixed = [group for group in constraints.groups if group.total is not None]
    layer: dict[Key, int] = {(0, (0,) * len(fixed)): 1}
    for place in _places(constraints):
        grown: dict[Key, int] = {}
        for key, ways in layer.items():
            for _, new in _steps(constraints, fixed, place, key):
                grown[new] = grown.get(new, 0) + ways
        layer = _bounded(grown)
    return sum(layer.values())


def one_state(constraints: Constraints) -> NDArray[np.int8] | None:
    """A configuration (N,); None if there is none. ValueError if the search would take too long."""
    fixed = [group for group in constraints.groups if group.total is not None]
    start: Key = (0, (0,) * len(fixed))
    layers: list[dict[Key, tuple[Key, int]]] = []  # the previous key of each, and the value between
    keys: list[Key] = [start]
    places = _places(constraints)
    for place in places:
        grown: dict[Key, tuple[Key, int]] = {}
        for key in keys:
            for value, new in _steps(constraints, fixed, place, key):
                grown.setdefault(new, (key, value))
        layers.append(_bounded(grown))
        keys = list(grown)
    if not keys:
        return None
    s_N, key = np.empty(constraints.n_sites, dtype=np.int8), keys[0]
    for place, layer in zip(reversed(places), reversed(layers), strict=True):
        key, s_N[place.site] = layer[key]
    return s_N


def all_codes(constraints: Constraints) -> NDArray[np.int64]:
    """The codes (`hilbert`) of all configurations, sorted. Their number is not limited."""
    values = np.array(constraints.values, dtype=np.int64)
    d, low, high = len(values), int(values.min()), int(values.max())
    number = _group_numbers(constraints)
    partners = _partners(constraints)
    sums = [np.zeros(1, dtype=np.int64) for _ in constraints.groups]
    left = [len(group.sites) for group in constraints.groups]
    code = np.zeros(1, dtype=np.int64)
    for site in reversed(range(constraints.n_sites)):
        code = (code[:, None] * d + np.arange(d)[None, :]).ravel()
        keep = np.ones(len(code), dtype=bool)
        for other in partners[site]:
            if other > site:
                keep &= (code % d == 0) | (code // d ** (other - site) % d == 0)
        g = number[site]
        sums = [np.repeat(x, d) for x in sums]
        sums[g] = sums[g] + values[code % d]
        left[g] -= 1
        total = constraints.groups[g].total
        if total is not None:
            keep &= (low * left[g] <= total - sums[g]) & (total - sums[g] <= high * left[g])
        code, sums = code[keep], [x[keep] for x in sums]
    return code


def independent_sites(constraints: Constraints) -> list[int]:
    """Sites of which no two exclude each other, chosen greedily: they may have any values if all others are empty."""
    partners, chosen = _partners(constraints), set[int]()
    for site in range(constraints.n_sites):
        if not chosen & partners[site]:
            chosen.add(site)
    return sorted(chosen)


def _steps(constraints: Constraints, fixed: Sequence[Group], place: _Place, key: Key) -> list[tuple[int, Key]]:
    """The values that the site can take after ``key``, with the keys they lead to."""
    occupied, sums = key
    low, high = min(constraints.values), max(constraints.values)
    found = []
    for value in constraints.values:
        is_occupied = value != constraints.values[0]
        if is_occupied and occupied & place.earlier:
            continue
        new = sums
        if place.group >= 0:
            total = fixed[place.group].total
            assert total is not None
            rest = total - sums[place.group] - value
            if not low * place.after <= rest <= high * place.after:
                continue
            new = (*sums[: place.group], sums[place.group] + value, *sums[place.group + 1 :])
        bits = (occupied | (is_occupied << place.site)) & place.keep
        found.append((value, (bits, new)))
    return found


def _bounded(layer: dict[Key, T]) -> dict[Key, T]:
    if len(layer) > MOST_KEYS:
        raise ValueError(
            "the states of this space cannot be counted: too many sites exclude each other across a cut of the lattice"
        )
    return layer


def _places(constraints: Constraints) -> list[_Place]:
    partners, number = _partners(constraints), _group_numbers(constraints)
    order = _order(constraints, partners)
    rank = {site: k for k, site in enumerate(order)}
    fixed = [g for g, group in enumerate(constraints.groups) if group.total is not None]
    left = {g: len(constraints.groups[g].sites) for g in fixed}
    last = {site: max((rank[other] for other in partners[site]), default=-1) for site in order}
    places, keep = [], 0
    for k, site in enumerate(order):
        g = number[site]
        if g in left:
            left[g] -= 1
        keep |= 1 << site
        for other in (site, *partners[site]):
            if rank[other] <= k and last[other] <= k:
                keep &= ~(1 << other)
        earlier = sum(1 << other for other in partners[site] if rank[other] < k)
        places.append(_Place(site, fixed.index(g) if g in left else -1, left.get(g, 0), earlier, keep))
    return places


def _order(constraints: Constraints, partners: list[set[int]]) -> list[int]:
    """Breadth-first order of the sites that exclude each other, so that few sites wait for a partner at a time."""
    order: list[int] = []
    seen: set[int] = set()
    for first in range(constraints.n_sites):
        if first in seen:
            continue
        seen.add(first)
        queue = [first]
        for site in queue:  # grows during the loop
            new = sorted(partners[site] - seen)
            seen.update(new)
            queue += new
        order += queue
    return order


def _partners(constraints: Constraints) -> list[set[int]]:
    partners: list[set[int]] = [set() for _ in range(constraints.n_sites)]
    for a, b in constraints.excluded:
        partners[a].add(b)
        partners[b].add(a)
    return partners


def _group_numbers(constraints: Constraints) -> list[int]:
    number = [0] * constraints.n_sites
    for g, group in enumerate(constraints.groups):
        for site in group.sites:
            number[site] = g
    return number
