"""Hilbert spaces of N equal sites with constraints, and the numbering of their states.

A configuration s_N holds one of ``local_values`` on each site. Its code in base d = len(local_values) is sum_i digit_i
d^i, with digit_i the index of the value at site i. Spin 1/2 has local values (+1, -1), so a bit 0 is up; bosons have
their numbers, 0 to n_max. The number of states of a sector is the coefficient of x^total in (sum_v x^v)^N.

Constraints are: the total of all sites; blocks of sites, each with a total (fermions of either spin); exclusions, pairs
of sites of which at most one may be occupied, that is, hold a value other than the first local value (two excited
Rydberg atoms within the blockade, two fermions on one site of the t-J model); or, possibly with one total, partial sums
that are never negative (total spins of the first sites of a chain).
"""

from __future__ import annotations

from math import comb, gcd, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nqs_hpc.system import ballot, constraints
from nqs_hpc.system.constraints import Constraints, Group
from nqs_hpc.system.totals import even_step, has_total, reachable

# Conserved quantities: the total of all sites, that of each block, or none.
Total = int | tuple[int, ...] | None
MAX_ENUMERATED = 2**26  # larger spaces are not enumerated: 0.5 GiB of int64 codes


class Block(NamedTuple):
    """Some of the sites, whose local values sum to ``total``."""

    sites: tuple[int, ...]
    total: int


class Hilbert(NamedTuple):
    """All configurations of ``n_sites``, or those whose local values sum to ``total`` and which obey the constraints.

    `spaces.constrained` makes and checks blocks and exclusions. If blocks cover all sites, ``total`` is the sum of
    their totals; otherwise the sites outside of the blocks have the rest.
    """

    n_sites: int
    local_values: tuple[int, ...]  # distinct, each an int8
    total: int | None = None
    blocks: tuple[Block, ...] = ()  # disjoint
    excluded: tuple[tuple[int, int], ...] = ()  # pairs of sites of which at least one holds the first local value
    # whether the sites are modes of fermions: a state is a product of creation operators in the order of the sites, so
    # a permutation of sites gives the sign of sorting the occupied ones
    fermionic: bool = False
    layers: int = 1  # sites per place of the lattice: 2 for fermions with spin
    paths: bool = False  # whether the sites are steps +1 and -1, in order, of paths that never go below 0 (`ballot`)


def places(space: Hilbert) -> int:
    """The number of sites in an energy per site: for fermions with spin the orbitals, each with two modes."""
    return space.n_sites // space.layers


def degrees(space: Hilbert) -> int:
    """The degrees of freedom in a V-score: the number of fermions if it is fixed, else the number of places (as in the
    tables of Wu et al. 2024, doi:10.1126/science.adg9774).
    """
    return space.total if space.fermionic and space.total else places(space)


def spin_half(n_sites: int, total: int | None = None) -> Hilbert:
    """Spins +1 and -1; ``total`` is 2 S^z = sum_i s_i. ValueError if no state has that total."""
    space = Hilbert(n_sites, (1, -1), total)
    check(space)
    return space


def are_spins(space: Hilbert) -> bool:
    """Whether the sites hold spins of any length: the flip of all maps local values to local values."""
    return set(space.local_values) == {-v for v in space.local_values}


def is_whole(space: Hilbert) -> bool:
    """Whether every configuration is a state."""
    return space.total is None and not space.blocks and not is_restricted(space)


def is_restricted(space: Hilbert) -> bool:
    """Whether there is a constraint besides totals, which `violates` checks."""
    return bool(space.excluded) or space.paths


def has_one_total(space: Hilbert) -> bool:
    """Whether there is at most one total and no other constraint."""
    return not space.blocks and not is_restricted(space)


def one_total(total: Total) -> int | None:
    """The total of all sites, for spaces without blocks with totals."""
    assert total is None or isinstance(total, int)
    return total


def named_total(space: Hilbert) -> Total:
    """The conserved total in the form of the key `sector`: with blocks a number for each."""
    return tuple(block.total for block in space.blocks) if space.blocks else space.total


def only_total(space: Hilbert, who: str) -> int | None:
    """``space.total``, for code that supports no other constraint; ValueError beginning with ``who`` if there is
    one."""
    if not has_one_total(space):
        what = "of paths" if space.paths else "with blocks of sites or exclusions"
        raise ValueError(f"{who}: not available in a space {what}, only with one total")
    return space.total


def groups(space: Hilbert) -> tuple[Group, ...]:
    """The sites divided into sets with or without a total: the blocks, and the rest."""
    inside = {site for block in space.blocks for site in block.sites}
    rest = tuple(site for site in range(space.n_sites) if site not in inside)
    total = None if space.total is None else space.total - sum(block.total for block in space.blocks)
    return tuple(Group(*block) for block in space.blocks) + ((Group(rest, total),) if rest else ())


def violates(space: Hilbert, s: Any) -> Any:
    """Whether configurations (..., N), in NumPy or jax, violate a constraint that is not a total: both sites of an
    excluded pair are occupied, or the path goes below 0: (...) bool.
    """
    if space.paths:
        return ballot.is_negative(s)
    pairs = np.array(space.excluded, dtype=np.int32).reshape(-1, 2)
    occupied = s != space.local_values[0]
    return (occupied[..., pairs[:, 0]] & occupied[..., pairs[:, 1]]).any(axis=-1)


def members(space: Hilbert, s: ArrayLike) -> NDArray[np.bool_]:
    """Which configurations (..., N) are states of the space: (...) bool."""
    values = np.asarray(s)
    inside = np.isin(values, space.local_values).all(axis=-1)
    for sites, total in groups(space):
        if total is not None:
            inside = inside & (values[..., list(sites)].sum(axis=-1, dtype=np.int64) == total)
    return np.asarray(inside & ~violates(space, values))


def bosons(n_sites: int, n_max: int, total: int | None = None) -> Hilbert:
    """At most ``n_max`` bosons per site; ``total`` is their number. ValueError if the sites cannot hold that many."""
    space = Hilbert(n_sites, tuple(range(n_max + 1)), total)
    check(space)
    return space


def dimension(space: Hilbert) -> int:
    """The exact number of states; 0 if no state satisfies the constraints. ValueError if exclusions make counting too
    slow.
    """
    if space.paths:
        return ballot.count(space.n_sites, space.total)
    if space.excluded:
        return constraints.count(_constraints(space))
    if space.blocks:
        return prod(map(dimension, _parts(space)))
    n = space.n_sites
    everything: int = len(space.local_values) ** n
    if space.total is None:
        return everything
    low, high = min(space.local_values), max(space.local_values)
    if not n * low <= space.total <= n * high:
        return 0
    # The polynomial at x = 2^bits, larger than any coefficient: the coefficients are the digits of one long integer.
    bits = everything.bit_length()
    series: int = sum(1 << bits * (v - low) for v in space.local_values) ** n
    return series >> bits * (space.total - n * low) & (1 << bits) - 1


def dimension_up_to(space: Hilbert, limit: int) -> int:
    """The exact number of states if it is at most ``limit``, else some number above it; fast for any lattice.

    Local values must be evenly spaced. Let e be the distance of the total from the nearest extreme, in steps: the
    number of states increases with e up to the middle, and steps on e different sites give comb(N, e) states. With
    exclusions a lower bound is tried first: the states in which only sites that do not exclude each other are occupied.
    """
    if space.paths:
        return dimension(space)
    if space.excluded:
        free = constraints.independent_sites(_constraints(space))
        least = prod(dimension_up_to(part, limit) for part in _with_others_empty(space, free))
        return least if least > limit else dimension(space)
    if space.blocks:
        return prod(dimension_up_to(part, limit) for part in _parts(space))
    n, d = space.n_sites, len(space.local_values)
    if space.total is None:
        return min(dimension(space), limit + 1)
    step = even_step(space.local_values)
    assert step is not None
    above, odd = divmod(space.total - n * min(space.local_values), step)
    e = min(above, n * (d - 1) - above)
    if odd or e < 0:
        return 0
    least = comb(n, min(e, n // 2))
    if least > limit or d == 2:
        return least
    # inclusion-exclusion over sites with too many steps; few terms, because e or n is small here
    return sum((-1) ** k * comb(n, k) * comb(e - k * d + n - 1, n - 1) for k in range(e // d + 1))


def codes(space: Hilbert) -> NDArray[np.int64]:
    """The codes of all states, sorted. ValueError above 2^26 states, for codes beyond int64, and for an empty space."""
    check(space)
    _check_int64(space)
    states = dimension(space)
    if states > MAX_ENUMERATED:
        raise ValueError(f"{states} states are too many to enumerate: valid are at most {MAX_ENUMERATED}")
    if space.paths:
        return ballot.codes(space.n_sites, space.total)
    if space.blocks or space.excluded:
        return _not_empty(space, constraints.all_codes(_constraints(space)))
    if space.total is None:
        return np.arange(states, dtype=np.int64)
    # States are pairs of a high and a low half; of each half only those that occur in a state are made.
    d, n_low = len(space.local_values), space.n_sites // 2
    high, totals = _prefixes(space, space.n_sites - n_low, space.total, n_low)
    low = {left: _prefixes(space, n_low, left, 0)[0] for left in set((space.total - totals).tolist())}
    return np.concatenate([c * d**n_low + low[space.total - t] for c, t in zip(high, totals.tolist(), strict=True)])


def decode(space: Hilbert, codes: ArrayLike) -> NDArray[np.int8]:
    """The configurations (..., N) int8 of codes (...)."""
    rest = np.asarray(codes, dtype=np.int64)
    d, n = len(space.local_values), space.n_sites
    width = max(1, int(np.log(4096) / np.log(max(d, 2))))  # digits looked up at once
    digits = np.arange(d**width)[:, None] // (d ** np.arange(width))[None, :] % d
    table = np.array(space.local_values, dtype=np.int8)[digits]
    s = np.empty((*rest.shape, n), dtype=np.int8)
    for first in range(0, n, width):
        last = min(first + width, n)
        rest, block = np.divmod(rest, d**width)
        s[..., first:last] = table[block, : last - first]
    return s


def encode(space: Hilbert, s: ArrayLike) -> NDArray[np.int64]:
    """The codes (...) of configurations (..., N): the inverse of ``decode``. ValueError for codes beyond int64."""
    _check_int64(space)
    s_N = np.asarray(s)
    low = min(space.local_values)
    digit = np.zeros(max(space.local_values) - low + 1, dtype=np.int64)
    digit[np.array(space.local_values) - low] = np.arange(len(space.local_values))
    code = np.zeros(s_N.shape[:-1], dtype=np.int64)
    for site in reversed(range(space.n_sites)):
        code = code * len(space.local_values) + digit[s_N[..., site].astype(np.int64) - low]
    return code


def base_state(space: Hilbert) -> NDArray[np.int8]:
    """A valid configuration (N,), with totals spread evenly over their sites if there are no exclusions. ValueError if
    there is none.
    """
    check(space)
    if space.paths:
        return ballot.flattest(space.n_sites, space.total)
    if space.excluded and any(group.total is not None for group in groups(space)):
        found = constraints.one_state(_constraints(space))
        return _not_empty(space, np.empty(0, dtype=np.int8) if found is None else found)
    if space.blocks:
        s_N = np.empty(space.n_sites, dtype=np.int8)
        for group, part in zip(groups(space), _parts(space), strict=True):
            s_N[list(group.sites)] = base_state(part)
        return s_N
    if space.total is None:
        return np.full(space.n_sites, space.local_values[0], dtype=np.int8)
    sets = reachable(space.local_values, space.n_sites)
    s, left = [], space.total
    for sites in reversed(range(space.n_sites)):
        fits = [v for v in space.local_values if has_total(sets, space.local_values, sites, left - v)]
        s.append(min(fits, key=lambda v: abs(v * (sites + 1) - left)))
        left -= s[-1]
    return np.array(s, dtype=np.int8)


def _constraints(space: Hilbert) -> Constraints:
    return Constraints(space.n_sites, space.local_values, groups(space), space.excluded)


def _parts(space: Hilbert) -> list[Hilbert]:
    """A separate space for each group."""
    return [Hilbert(len(group.sites), space.local_values, group.total) for group in groups(space)]


def _with_others_empty(space: Hilbert, sites: list[int]) -> list[Hilbert]:
    """Spaces of only ``sites``, group by group, while all other sites hold the first local value."""
    made, chosen = [], set(sites)
    for group in groups(space):
        inside = len(chosen & set(group.sites))
        total = None if group.total is None else group.total - (len(group.sites) - inside) * space.local_values[0]
        if inside:
            made.append(Hilbert(inside, space.local_values, total))
        elif total not in (None, 0):
            return [Hilbert(1, space.local_values, max(space.local_values) + 1)]  # no state
    return made


def _not_empty(space: Hilbert, found: NDArray[Any]) -> NDArray[Any]:
    if len(found) == 0:
        raise ValueError(f"no state of {space.n_sites} sites has the totals given and obeys the exclusions")
    return found


def _prefixes(space: Hilbert, sites: int, total: int, after: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Codes, sorted, and totals of the configurations of ``sites`` from which ``after`` more sites can reach
    ``total``."""
    values = np.array(space.local_values, dtype=np.int64)
    code, sums = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    for left in reversed(range(after, sites + after)):
        code = (code[:, None] * len(values) + np.arange(len(values))[None, :]).ravel()
        sums = (sums[:, None] + values[None, :]).ravel()
        keep = (values.min() * left <= total - sums) & (total - sums <= values.max() * left)
        code, sums = code[keep], sums[keep]
    return code, sums


def check(space: Hilbert) -> None:
    """ValueError if no state has the totals; exclusions are not checked."""
    values, n = space.local_values, space.n_sites
    assert n >= 1 and len(set(values)) == len(values), space
    if space.blocks:
        for part in _parts(space):
            check(part)
        return
    low, high, even = (n % 2 if space.paths else min(values) * n), max(values) * n, even_step(values)
    if space.total is None:
        return
    if even is not None:  # spins, bosons: without the sets of all totals, which are slow for large lattices
        valid = low <= space.total <= high and (space.total - low) % even == 0
    else:
        valid = has_total(reachable(values, n), values, n, space.total)
    if valid:
        return
    step = gcd(*(v - min(values) for v in values)) or 1
    gap = ", save a few near the ends" if low <= space.total <= high and (space.total - low) % step == 0 else ""
    raise ValueError(
        f"sector={space.total}: {n} sites with local values {', '.join(map(str, values))} "
        f"have totals from {low} to {high} in steps of {step}{gap}"
    )


def _check_int64(space: Hilbert) -> None:
    if len(space.local_values) ** space.n_sites > 2**63:
        raise ValueError(
            f"{space.n_sites} sites of {len(space.local_values)} states are too many to number: codes are int64"
        )
