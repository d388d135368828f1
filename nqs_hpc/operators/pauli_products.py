"""Products of sums of Pauli strings: of each site sx sy = i sz, and so on in a circle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from nqs_hpc.types import PauliString

# (a, b) -> letter of a b and the power of i before it; "" is 1
OF_TWO = {
    ("X", "Y"): ("Z", 1),
    ("Y", "Z"): ("X", 1),
    ("Z", "X"): ("Y", 1),
    ("Y", "X"): ("Z", 3),
    ("Z", "Y"): ("X", 3),
    ("X", "Z"): ("Y", 3),
}


def spin_product(i: int, j: int) -> tuple[PauliString, ...]:
    """S_i . S_j of spins 1/2 on different sites."""
    return tuple(PauliString(0.25, letter * 2, (min(i, j), max(i, j))) for letter in "XYZ")


def product(first: Iterable[PauliString], second: Iterable[PauliString]) -> tuple[PauliString, ...]:
    """(A B + B A) / 2, the product of two Hermitian sums where they commute. Its expectation value is the real part of
    that of A B; strings of A and B that anticommute are left out, for they cancel.
    """
    second = tuple(second)
    found: dict[tuple[str, tuple[int, ...]], float] = defaultdict(float)
    for a in first:
        for b in second:
            letters, power = dict(zip(a.sites, a.operators, strict=True)), 0
            for site, letter in zip(b.sites, b.operators, strict=True):
                before = letters.pop(site, "")
                after, more = OF_TWO.get((before, letter), ("" if before == letter else before + letter, 0))
                power += more
                if after:
                    letters[site] = after
            if power % 2 == 0:  # else the strings anticommute
                sites = tuple(sorted(letters))
                c = a.coefficient * b.coefficient * (-1) ** (power // 2)
                found["".join(letters[site] for site in sites), sites] += c
    return tuple(PauliString(c, letters, sites) for (letters, sites), c in found.items() if c)


def times(factor: float, strings: Iterable[PauliString]) -> tuple[PauliString, ...]:
    return tuple(string._replace(coefficient=factor * string.coefficient) for string in strings)
