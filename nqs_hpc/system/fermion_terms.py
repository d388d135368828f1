"""Sums of fermion operators as text: reading, writing in a normal form, and the operators of each line.

A line has a coefficient and operators of modes that count from 0; a mode with ^ is a creation operator:

    -1.0 [0^ 1]          as OpenFermion prints them, a + at the end of all lines but one; [] a constant
    -1.0 0^ 1            the same
    0.67 (1 1|2 2)       an integral in the chemists' notation, of real orbitals that count from 1, as in an FCIDUMP

A coefficient may be complex as Python writes it, (0.5+0.2j). An integral represents all those that are equal by the
eightfold symmetry of real orbitals, and all spins (R. J. Bartlett and M. Musial, Rev. Mod. Phys. 79, 291 (2007),
doi:10.1103/RevModPhys.79.291):

    H = sum_pq,s (p|q) c+_ps c_qs + 1/2 sum_pqrs,st (pq|rs) c+_ps c+_rt c_st c_qs.

Functions raise ValueError with one line that names the file and line, or the number of the term.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.inputs import reading
from nqs_hpc.system.fermion_strings import FermionString, written

HEAD = "FermionOperator:"  # the first line of a file of OpenFermion's save_operator
MOST_OPERATORS = 12  # per term, which is a sum of 2^12 Pauli strings
MOST_STRINGS = 2**18  # from integrals; more would take minutes to convert to Pauli strings
_LINE = "valid is a coefficient and operators, like -1.0 [0^ 1], or -1.5 [] for a constant"


class Integral(NamedTuple):
    """A value of (p|q) or (pq|rs), with orbitals counted from 0."""

    value: float
    orbitals: tuple[int, ...]  # 2 or 4


Term = FermionString | Integral


def read(path: str | Path) -> tuple[list[Term], bool]:
    """The terms of a text file, one per line, and whether it begins with OpenFermion's first line; # is a comment."""
    path = Path(path)
    try:
        text = reading.text(path, reading.SYSTEM, follow=True)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    lines = ((k, line.split("#")[0].strip()) for k, line in enumerate(text.splitlines(), 1))
    terms = [term(line, f"{path}, line {k}") for k, line in lines if line and (k > 1 or line != HEAD)]
    if not terms:
        raise ValueError(f"{path} holds no terms")
    return terms, text.startswith(HEAD)


def term(text: Any, where: str) -> Term:
    """One line of text."""
    if not isinstance(text, str):
        raise ValueError(f"{where}: {_short(text)} is not a line of text; {_LINE}")
    words = text.split("#", maxsplit=1)[0].strip()
    if words.startswith(("[", "(")) and not re.match(r"\([^()|]*[j)]", words):
        raise ValueError(f"{where}: the coefficient is missing before {_short(words)}; {_LINE}")
    integral = re.fullmatch(r"(\S+) ?\(([\d ]+)\|([\d ]+)\)(?: ?\+)?", words)
    if integral:
        return _integral(integral[1], integral[2], integral[3], where)
    in_brackets = re.fullmatch(r"(\S+) ?\[([^\[\]]*)\](?: ?\+)?", words)
    number, _, rest = words.partition(" ") if in_brackets is None else (in_brackets[1], "", in_brackets[2])
    factors = rest.split()
    if in_brackets is None and not factors:
        raise ValueError(f"{where}: {_short(text)} has no operators; {_LINE}")
    if len(factors) > MOST_OPERATORS:
        raise ValueError(f"{where}: {len(factors)} operators; valid are at most {MOST_OPERATORS} in one term")
    operators = []
    for factor in factors:
        if not re.fullmatch(r"[0-9]{1,10}\^?", factor):
            raise ValueError(f"{where}: {_short(factor)} is not a mode, like 0^ (creates) or 0; {_LINE}")
        operators.append((int(factor.rstrip("^")), factor.endswith("^")))
    if len(operators) % 2:
        raise ValueError(f"{where}: {len(operators)} operators; valid is an even number in each term")
    return FermionString(_coefficient(number, where), tuple(operators))


def _integral(number: str, left: str, right: str, where: str) -> Integral:
    numbers = [[int(word[:10]) for word in part.split()] for part in (left, right)]
    if tuple(map(len, numbers)) not in ((1, 1), (2, 2)) or not all(map(all, numbers)):
        raise ValueError(f"{where}: an integral is (1|2) or (1 2|3 4), of orbitals that count from 1")
    value = _coefficient(number, where)
    if value.imag:
        raise ValueError(f"{where}: an integral is real, and this one is {_short(number)}")
    return Integral(value.real, tuple(orbital - 1 for part in numbers for orbital in part))


def _coefficient(text: str, where: str) -> complex:
    try:
        # Python reads 1_0 as 10
        value = complex(math.nan) if "_" in text else complex(text)
    except ValueError:
        value = complex(math.nan)
    if not (math.isfinite(value.real) and math.isfinite(value.imag)):
        raise ValueError(f"{where}: coefficient {_short(text)} is not a finite number; {_LINE}")
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def as_text(one: Term) -> str:
    """The line that `term` reads."""
    if isinstance(one, FermionString):
        return written(one)
    names = [str(orbital + 1) for orbital in one.orbitals]
    half = len(names) // 2
    return f"{one.value!r} ({' '.join(names[:half])}|{' '.join(names[half:])})"


def merged(terms: Iterable[Term]) -> list[Term]:
    """Equal products and equal integrals added up, zeros left out, sorted. ValueError if nothing is left."""
    strings: dict[tuple[tuple[int, bool], ...], list[complex]] = {}
    integrals: dict[tuple[int, ...], list[float]] = {}
    for one in terms:
        if isinstance(one, FermionString):
            strings.setdefault(one.operators, []).append(complex(one.coefficient))
        else:
            integrals.setdefault(min(equal_ones(one.orbitals)), []).append(one.value)
    found: list[Term] = [
        FermionString(sum(values), operators)
        for operators, values in sorted(strings.items(), key=lambda item: (len(item[0]), item[0]))
        if abs(sum(values)) > 1e-14 * sum(map(abs, values))
    ]
    found += [
        Integral(math.fsum(values), orbitals)
        for orbitals, values in sorted(integrals.items(), key=lambda item: (len(item[0]), item[0]))
        if abs(sum(values)) > 1e-14 * sum(map(abs, values))
    ]
    if not found:
        raise ValueError("the terms add up to nothing")
    return found


def equal_ones(orbitals: tuple[int, ...], *, two_kinds: bool = False) -> set[tuple[int, ...]]:
    """The orbitals of all integrals equal to this one, for real orbitals. ``two_kinds``: whether the two electrons have
    different orbitals.
    """
    if len(orbitals) == 2:
        return {orbitals, orbitals[::-1]}
    p, q, r, s = orbitals
    halves = (((p, q), (q, p)), ((r, s), (s, r)))
    orders = (halves,) if two_kinds else (halves, halves[::-1])
    return {x + y for a, b in orders for x, y in itertools.product(a, b)}


def strings_of(terms: Iterable[Term], n_orbitals: int) -> tuple[FermionString, ...]:
    """The products of operators in the terms; orbital p of an integral has the modes p, up, and ``n_orbitals`` + p,
    down. ValueError if there are too many.
    """
    every = list(terms)
    found = [one for one in every if isinstance(one, FermionString)]
    integrals = [one for one in every if isinstance(one, Integral)]
    if not integrals:
        return tuple(found)
    found += one_body(integrals, n_orbitals)
    if all(len(one.orbitals) == 2 for one in integrals):
        return tuple(found)
    return tuple(found + two_body(integrals, n_orbitals))


def one_body(integrals: Sequence[Integral], n: int) -> list[FermionString]:
    entries = {at: one.value for one in integrals if len(one.orbitals) == 2 for at in equal_ones(one.orbitals)}
    return [
        FermionString(value, ((p + first, True), (q + first, False)))
        for (p, q), value in sorted(entries.items())
        for first in (0, n)
    ]


def two_body(integrals: Sequence[Integral], n: int) -> list[FermionString]:
    """Two fermions of equal spin go from q < s to p < r with (pq|rs) - (ps|rq), of different spins with (pq|rs)."""
    used = sorted({orbital for one in integrals if len(one.orbitals) == 4 for orbital in one.orbitals})
    place = {orbital: k for k, orbital in enumerate(used)}
    m = len(used)
    if m > 128:
        raise ValueError(f"integrals of two fermions in {m} orbitals; valid are at most 128")
    g_pqrs = np.zeros((m, m, m, m))
    for one in integrals:
        if len(one.orbitals) == 4:
            for at in equal_ones(one.orbitals):
                g_pqrs[tuple(place[orbital] for orbital in at)] = one.value
    same_pqrs = _of_one_spin(g_pqrs)
    count = 2 * np.count_nonzero(same_pqrs) + np.count_nonzero(g_pqrs)
    if count > MOST_STRINGS:
        raise ValueError(f"the integrals come to {count} products of operators; valid are at most {MOST_STRINGS}")
    found = []
    for array, spins in ((same_pqrs, ((0, 0), (n, n))), (g_pqrs, ((0, n),))):
        found += _products(array, used, spins)
    return found


def _of_one_spin(g_pqrs: NDArray[np.float64]) -> NDArray[np.float64]:
    """(pq|rs) - (ps|rq) for p < r and q < s, else 0."""
    exchanged = g_pqrs.transpose(0, 3, 2, 1)
    pair = np.triu(np.ones(g_pqrs.shape[:2], dtype=bool), 1)
    same_pqrs = np.where(pair[:, None, :, None] & pair[None, :, None, :], g_pqrs - exchanged, 0.0)
    same_pqrs[np.abs(same_pqrs) <= 1e-14 * (np.abs(g_pqrs) + np.abs(exchanged))] = 0.0
    return same_pqrs


def of_each_spin(
    two: Sequence[Mapping[tuple[int, ...], float]], one: Sequence[Mapping[tuple[int, ...], float]], core: float, n: int
) -> list[Term]:
    """The products of operators for integrals in separate orbitals of each spin: (pq|rs) for up and up, down and down,
    up and down, and (p|q) for up and for down, with equal ones given once. ValueError if there are too many.
    """
    if n > 128:
        raise ValueError(f"integrals of two fermions in {n} orbitals; valid are at most 128")
    found = [FermionString(core, ())] if core else []
    for first, values in zip((0, n), one, strict=True):
        entries = {at: value for orbitals, value in values.items() for at in equal_ones(orbitals) if value}
        found += [FermionString(x, ((p + first, True), (q + first, False))) for (p, q), x in sorted(entries.items())]
    for (a, b), values in zip(((0, 0), (n, n), (0, n)), two, strict=True):
        g_pqrs = np.zeros((n, n, n, n))
        for orbitals, value in values.items():
            for at in equal_ones(orbitals, two_kinds=a != b):
                g_pqrs[at] = value
        g_pqrs = g_pqrs if a != b else _of_one_spin(g_pqrs)
        if len(found) + np.count_nonzero(g_pqrs) > MOST_STRINGS:
            raise ValueError(f"the integrals come to more products of operators than {MOST_STRINGS}")
        found += _products(g_pqrs, list(range(n)), [(a, b)])
    return list(found)


def _products(g_pqrs: NDArray[np.float64], used: list[int], spins: Iterable[tuple[int, int]]) -> list[FermionString]:
    places = np.argwhere(g_pqrs).tolist()
    return [
        FermionString(
            float(g_pqrs[p, q, r, s]),
            ((used[p] + a, True), (used[r] + b, True), (used[s] + b, False), (used[q] + a, False)),
        )
        for a, b in spins
        for p, q, r, s in places
    ]
