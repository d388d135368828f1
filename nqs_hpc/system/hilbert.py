"""Hilbert spaces of N equal sites, optionally in the sector of a fixed total, and the numbering of their states.

A configuration s_N holds one of ``local_values`` on each site. Its code is the number whose digit i, in base d =
len(local_values), says which: code = sum_i digit_i d^i, little endian. Spin half has local values (+1, -1), so a bit 0
is up; bosons have their numbers, 0 to n_max. The number of states of a sector is the coefficient of x^total in
(sum_v x^v)^N.
"""

from __future__ import annotations

from itertools import pairwise
from math import comb, gcd
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAX_STATES = 2**26  # codes of more states are not enumerated: 0.5 GiB of int64


class Hilbert(NamedTuple):
    """All configurations of ``n_sites``, or those whose local values sum to ``total``."""

    n_sites: int
    local_values: tuple[int, ...]  # distinct, each an int8
    total: int | None = None


def spin_half(n_sites: int, total: int | None = None) -> Hilbert:
    """Spins +1 and -1; ``total`` is 2 S^z = sum_i s_i. ValueError where no state of the spins has that total."""
    space = Hilbert(n_sites, (1, -1), total)
    _check(space)
    return space


def bosons(n_sites: int, n_max: int, total: int | None = None) -> Hilbert:
    """At most ``n_max`` bosons a site; ``total`` is their number. ValueError where the sites cannot hold so many."""
    space = Hilbert(n_sites, tuple(range(n_max + 1)), total)
    _check(space)
    return space


def dimension(space: Hilbert) -> int:
    """The exact number of states; 0 where no state has the total."""
    n = space.n_sites
    everything: int = len(space.local_values) ** n
    if space.total is None:
        return everything
    low, high = min(space.local_values), max(space.local_values)
    if not n * low <= space.total <= n * high:
        return 0
    # The polynomial at x = 2^bits, which no coefficient reaches: its coefficients are the digits of one long integer.
    bits = everything.bit_length()
    series: int = sum(1 << bits * (v - low) for v in space.local_values) ** n
    return series >> bits * (space.total - n * low) & (1 << bits) - 1


def dimension_up_to(space: Hilbert, limit: int) -> int:
    """The exact number of states where that is at most ``limit``, else some number above it; quick for any lattice.

    Local values must be evenly spaced. With e the total above the lowest or, if that is less, below the highest, in
    steps: the counts rise with e up to the middle of the spectrum, and with e steps on different sites alone there are
    comb(N, e) of them.
    """
    n, d = space.n_sites, len(space.local_values)
    if space.total is None:
        return min(dimension(space), limit + 1)
    step = _step(space)
    assert step is not None
    above, odd = divmod(space.total - n * min(space.local_values), step)
    e = min(above, n * (d - 1) - above)
    if odd or e < 0:
        return 0
    least = comb(n, min(e, n // 2))
    if least > limit or d == 2:
        return least
    # inclusion-exclusion over the sites that hold more than they can; few terms, since e or n is small here
    return sum((-1) ** k * comb(n, k) * comb(e - k * d + n - 1, n - 1) for k in range(e // d + 1))


def codes(space: Hilbert) -> NDArray[np.int64]:
    """The codes of all states, sorted. ValueError above 2^26 states, for codes past int64, and for an empty sector."""
    _check(space)
    _check_int64(space)
    states = dimension(space)
    if states > MAX_STATES:
        raise ValueError(f"{states} states are too many to enumerate: valid are at most {MAX_STATES}")
    if space.total is None:
        return np.arange(states, dtype=np.int64)
    # The states are pairs of a high and a low half: of each half only as much is built as a state needs.
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
    """The codes (...) of configurations (..., N): the inverse of ``decode``. ValueError for codes past int64."""
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
    """A valid configuration (N,), the total spread evenly over the sites. ValueError where no state has the total."""
    _check(space)
    if space.total is None:
        return np.full(space.n_sites, space.local_values[0], dtype=np.int8)
    reachable = _reachable(space)
    s, left = [], space.total
    for sites in reversed(range(space.n_sites)):
        fits = [v for v in space.local_values if _has(reachable, space, sites, left - v)]
        s.append(min(fits, key=lambda v: abs(v * (sites + 1) - left)))
        left -= s[-1]
    return np.array(s, dtype=np.int8)


def _step(space: Hilbert) -> int | None:
    """The distance of evenly spaced local values, None where they are not, or there is only one."""
    values = sorted(space.local_values)
    steps = {b - a for a, b in pairwise(values)}
    return steps.pop() if len(steps) == 1 else None


def _reachable(space: Hilbert) -> list[int]:
    """For each number of sites from 0 to N the totals they can have: bit k for k above N times the lowest value."""
    low = min(space.local_values)
    sets = [1]
    for _ in range(space.n_sites):
        bits = 0
        for v in space.local_values:
            bits |= sets[-1] << (v - low)
        sets.append(bits)
    return sets


def _has(reachable: list[int], space: Hilbert, sites: int, total: int) -> bool:
    k = total - min(space.local_values) * sites
    return k >= 0 and bool(reachable[sites] >> k & 1)


def _prefixes(space: Hilbert, sites: int, total: int, after: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Codes, sorted, and totals of the configurations of ``sites`` from which ``after`` more could reach ``total``."""
    values = np.array(space.local_values, dtype=np.int64)
    code, sums = np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    for left in reversed(range(after, sites + after)):
        code = (code[:, None] * len(values) + np.arange(len(values))[None, :]).ravel()
        sums = (sums[:, None] + values[None, :]).ravel()
        keep = (values.min() * left <= total - sums) & (total - sums <= values.max() * left)
        code, sums = code[keep], sums[keep]
    return code, sums


def _check(space: Hilbert) -> None:
    values, n = space.local_values, space.n_sites
    assert n >= 1 and len(set(values)) == len(values), space
    low, high, even = min(values) * n, max(values) * n, _step(space)
    if space.total is None:
        return
    if even is not None:  # spins, bosons: without the sets of all totals, which take their time on large lattices
        valid = low <= space.total <= high and (space.total - low) % even == 0
    else:
        valid = _has(_reachable(space), space, n, space.total)
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
