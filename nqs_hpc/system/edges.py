"""The file behind lattice=edges: one bond a line, ``i j`` or ``i j order``.

Sites count from 0; the order is 1 where it is left out. ``#`` starts a comment, blank lines are skipped, either site of
a pair may come first. A pair may be given once at each order.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nqs_hpc import reading

LARGEST = 2**31 - 1  # sites are int32
VALID = "valid is 'i j' or 'i j order', two different sites counted from 0 and an order counted from 1"


def read_edges(path: str | Path) -> dict[int, NDArray[np.int32]]:
    """The bonds of a file by order, each (n_bonds, 2), as ``edges_lattice`` takes them.

    ValueError, in one line with the file and the line number, for a file that cannot be read or names no bond of order
    1, and for a line that is no bond: words, negative or too large numbers, self-loops, repeats.
    """
    try:
        # utf-8-sig: some editors put a byte-order mark in front; undecodable bytes end in a line that is refused
        text = reading.text(path, reading.SYSTEM, follow=True, errors="replace")
    except OSError as error:
        raise ValueError(f"lattice.file={path}: {error.strerror}") from None
    seen: dict[tuple[int, int, int], int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split("#", maxsplit=1)[0].split()
        if not words:
            continue
        where = f"lattice.file={path}, line {number}: {line.strip()[:60]!r}"
        if len(words) not in (2, 3) or not all(word.isascii() and word.isdigit() for word in words):
            raise ValueError(f"{where}; {VALID}")
        if max(len(word) for word in words) > 10 or max(map(int, words)) > LARGEST:
            raise ValueError(f"{where} has a number above {LARGEST}; {VALID}")
        i, j, order = *sorted(map(int, words[:2])), int(words[2]) if len(words) == 3 else 1
        if i == j:
            raise ValueError(f"{where} joins a site to itself; {VALID}")
        if order < 1:
            raise ValueError(f"{where} has order 0; {VALID}")
        if (i, j, order) in seen:
            raise ValueError(f"{where} repeats line {seen[i, j, order]}; every pair is given once at each order")
        seen[i, j, order] = number
    orders = sorted({order for _, _, order in seen})
    if 1 not in orders:
        found = f"orders {', '.join(map(str, orders))} but none" if orders else "no edges, so none"
        raise ValueError(f"lattice.file={path}: {found} of order 1, the nearest neighbours; {VALID}")
    return {n: np.array([(i, j) for i, j, order in sorted(seen) if order == n], dtype=np.int32) for n in orders}
