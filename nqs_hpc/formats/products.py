"""Products of Pauli matrices with their coefficients, which the readers of this package return, and sums of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from nqs_hpc.inputs.reading import printable


class Product(NamedTuple):
    """A coefficient times a product of Pauli matrices."""

    coefficient: complex
    operators: str  # letters I, X, Y, Z, one per site
    sites: tuple[int, ...]
    where: str  # names the term in error lines
    is_dense: bool = False  # whether there is a letter for each site of the system


# the product of two Pauli matrices on one site: the factor and the letter
TIMES: dict[tuple[str, str], tuple[complex, str]] = {(a, a): (1, "I") for a in "IXYZ"}
TIMES |= {pair: (1, pair[0] if pair[1] == "I" else pair[1]) for a in "XYZ" for pair in ((a, "I"), ("I", a))}
for _a, _b, _c in ("XYZ", "YZX", "ZXY"):
    TIMES |= {(_a, _b): (1j, _c), (_b, _a): (-1j, _c)}


def times(factors: Iterable[tuple[str, int]]) -> tuple[complex, str, tuple[int, ...]]:
    """The product of Pauli matrices (letter, site) from left to right as phase, letters and ascending sites."""
    phase: complex = 1
    at: dict[int, str] = defaultdict(lambda: "I")
    for letter, site in factors:
        factor, at[site] = TIMES[at[site], letter]
        phase *= factor
    left = sorted((site, letter) for site, letter in at.items() if letter != "I")
    return phase, "".join(letter for _, letter in left), tuple(site for site, _ in left)


def added(products: Iterable[tuple[complex, str, tuple[int, ...]]], where: str) -> list[Product]:
    """The sum with each product once, without those that cancel. ValueError if a coefficient is not real."""
    total: dict[tuple[tuple[int, ...], str], complex] = defaultdict(complex)
    size: dict[tuple[tuple[int, ...], str], float] = defaultdict(float)
    for coefficient, letters, sites in products:
        total[sites, letters] += coefficient
        size[sites, letters] += abs(coefficient)
    found = []
    for (sites, letters), coefficient in total.items():
        if abs(coefficient) <= 1e-14 * size[sites, letters]:
            continue
        if abs(coefficient.imag) > 1e-14 * size[sites, letters]:
            named = " ".join(f"{letter}{site}" for letter, site in zip(letters, sites, strict=True)) or "the identity"
            value = f"({coefficient.real:g}{coefficient.imag:+g}j)"
            raise ValueError(f"{where}: the sum is not Hermitian: its coefficient of {printable(named, 60)} is {value}")
        found.append(Product(coefficient.real, letters, sites, where))
    return found
