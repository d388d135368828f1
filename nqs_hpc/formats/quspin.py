"""QuSpin's static lists as JSON: for each string of operators the couplings and the sites they act on,

    [["zz", [[1.0, 0, 1], [1.0, 1, 2]]], ["+-", [[0.5, 0, 1]]], ["-+", [[0.5, 0, 1]]], ["x", [[0.7, 2]]]]

The list does not define the letters; ``pauli`` of QuSpin's basis does: 1, its default, Pauli matrices with
s+ = sx + i sy; 0, spins S = sigma / 2 with S+ = Sx + i Sy; -1, Pauli matrices with s+ = (sx + i sy) / 2 (Weinberg and
Bukov, SciPost Phys. 7, 020 (2019), arXiv:1804.06782; spin_basis_general). Sites count from 0; a coupling may be a
list of its real and imaginary part. The sum must be Hermitian.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

from nqs_hpc.formats.products import Product, added, times
from nqs_hpc.inputs.reading import parse_json, printable
from nqs_hpc.types import PauliString

MOST = 12  # letters + and - of a string, each the sum of two Pauli matrices
_VALID = 'valid is ["zz", [[J, 0, 1], ...]], with letters I, x, y, z, +, -'


def letters_of(pauli: int) -> dict[str, tuple[tuple[complex, str], ...]]:
    """Each letter in Pauli matrices, for QuSpin's ``pauli``."""
    size, ladder = (0.5 if pauli == 0 else 1.0), (1.0 if pauli == 1 else 0.5)
    plain = {letter: ((size, letter.upper()),) for letter in "xyz"}
    raises, lowers = (((ladder, "X"), (factor * ladder, "Y")) for factor in (1j, -1j))
    return {"I": ((1.0, "I"),), **plain, "+": raises, "-": lowers}


def read(text: str, where: str, *, pauli: int) -> list[Product]:
    """The sum as products of Pauli matrices, each once. ValueError, one line, names ``where``."""
    try:
        data = parse_json(text)
    except ValueError as error:
        raise ValueError(f"{where} is not JSON: {printable(str(error), 120)}") from None
    if not isinstance(data, list) or not data:
        raise ValueError(f"{where} is not a list of QuSpin; {_VALID}")
    return added(_expanded(data, where, letters_of(pauli)), where)


def _expanded(
    data: list[Any], where: str, table: dict[str, tuple[tuple[complex, str], ...]]
) -> Iterator[tuple[complex, str, tuple[int, ...]]]:
    for k, entry in enumerate(data, 1):
        place = f"{where}, entry {k}"
        if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)):
            raise ValueError(f"{place}: {printable(str(entry), 60)}; {_VALID}")
        operators, rows = entry
        if odd := sorted(set(operators) - set(table)):
            raise ValueError(f"{place}: {printable(operators, 40)!r} has the letter {odd[0]!r}; {_VALID}")
        if not operators or operators.count("+") + operators.count("-") > MOST:
            raise ValueError(f"{place}: valid are 1 letter or more, and at most {MOST} of + and -")
        for row in rows if isinstance(rows, list) else [None]:
            if not isinstance(row, list) or len(row) != len(operators) + 1:
                raise ValueError(f"{place}: {printable(str(row), 60)} is not a coupling and {len(operators)} sites")
            coupling, sites = _coupling(row[0], place), row[1:]
            if any(type(site) is not int or not 0 <= site < 2**31 for site in sites):
                raise ValueError(f"{place}: {printable(str(row), 60)} has sites that are not whole numbers from 0")
            for parts in product(*(table[letter] for letter in operators)):
                phase, letters, places = times((letter, site) for (_, letter), site in zip(parts, sites, strict=True))
                yield coupling * phase * math.prod(factor for factor, _ in parts), letters, places


def _coupling(value: Any, where: str) -> complex:
    parts = value if isinstance(value, list) and len(value) == 2 else [value, 0.0]
    if all(type(part) in (int, float) and abs(part) < 1e300 for part in parts):
        return complex(parts[0], parts[1])
    raise ValueError(f"{where}: the coupling {printable(str(value), 40)} is not a number, or [real, imaginary]")


def written(strings: Sequence[PauliString], *, pauli: int) -> str:
    """The static list of a sum for a basis with ``pauli`` 1 (or -1, which is equivalent without + and -), or 0."""
    rows: dict[str, list[list[Any]]] = defaultdict(list)
    for one in strings:
        coefficient = one.coefficient * (2.0 ** len(one.sites) if pauli == 0 else 1.0)
        rows[one.operators.lower() or "I"].append([coefficient, *(one.sites or (0,))])
    return "[" + ",\n ".join(json.dumps([letters, own]) for letters, own in rows.items()) + "]\n"
