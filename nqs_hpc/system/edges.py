"""The file of lattice=edges: one bond per line, ``i j`` or ``i j x``.

The third column is the neighbour order of a bond (default 1), or the weight of the bond, a factor of its coupling.
Sites count from 0, or from 1 with lattice.first_site=1. ``#`` starts a comment, blank lines are skipped, either site of
a pair may come first. A pair may appear once at each order, and only once with weights. The order of the sites is the
sense of the bond, for couplings that have one.

Data that NetworkX writes after a bond are accepted if they are empty, {}, or, with weights, {'weight': x}. A file of
ALPS with one GRAPH is read as bonds with orders (`alps_graph`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.inputs import reading
from nqs_hpc.system import alps_graph, formats

LARGEST = 2**31 - 1  # sites are int32


class Bonds(NamedTuple):
    """The content of a file, sites counted from 0."""

    edges: tuple[tuple[int, int, int], ...]  # site, larger site, order; by order, then by sites
    weights: tuple[float, ...] | None  # one per bond
    turned: tuple[int, ...]  # the numbers of the bonds whose larger site comes first in the file


def read_edges(path: str | Path) -> dict[int, NDArray[np.int32]]:
    """The bonds of a file by order, each (n_bonds, 2), for ``edges_lattice``; see `read_bonds`."""
    edges = read_bonds(path).edges
    orders = sorted({order for _, _, order in edges})
    return {n: np.array([(i, j) for i, j, order in edges if order == n], dtype=np.int32) for n in orders}


def read_bonds(path: str | Path, *, weighted: bool = False, first_site: int = 0) -> Bonds:
    """The bonds of a file; its third column holds weights if ``weighted``, else orders.

    ValueError, in one line with the file and the line number, for a file that cannot be read or names no bond of order
    1, and for a line that is not a bond: words, negative or too large numbers, self-loops, repeats, lines of other
    formats.
    """
    third = "weight" if weighted else "order"
    valid = f"valid is 'i j weight', two different sites counted from {first_site} and a finite number other than 0"
    if not weighted:
        valid = (
            f"valid is 'i j' or 'i j order', two different sites counted from {first_site} and an order counted from 1"
        )
    hint = "" if weighted else " (weights: lattice.third_column=weight)"
    try:
        # utf-8-sig: some editors write a byte-order mark; undecodable bytes lead to a line that is refused
        text = reading.text(path, reading.SYSTEM, follow=True, errors="replace")
    except OSError as error:
        raise ValueError(f"lattice.file={path}: {error.strerror}") from None
    what = "line"
    if text.lstrip().startswith("<") and "<GRAPH" in text:
        what, rows, first_site = "edge", _of_alps(path, text, weighted, valid), 0
    else:
        rows = [
            (number, line, words)
            for number, line in enumerate(text.split("\n"), start=1)
            if (words := _words(line.split("#", maxsplit=1)[0].strip(), weighted))
        ]
        _refuse_counts(path, rows, valid)
    seen: dict[tuple[int, int, int], int] = {}
    weights: dict[tuple[int, int, int], float] = {}
    turned = set()
    for number, line, words in rows:
        where = f"lattice.file={path}, {what} {number}: {line.strip()[:60]!r}"
        whole = words[:2] if weighted else words
        if len(words) not in ((3,) if weighted else (2, 3)) or not all(w.isascii() and w.isdigit() for w in whole):
            looks = formats.looks_like(line, first=not seen)
            raise ValueError(f"{where}{looks}; {valid}{hint if len(words) == 3 and not looks else ''}")
        if max(len(word) for word in whole) > 10 or max(map(int, whole)) > LARGEST:
            raise ValueError(f"{where} has a number above {LARGEST}; {valid}")
        first, second = (int(word) - first_site for word in words[:2])
        i, j = sorted((first, second))
        order = 1 if weighted or len(words) == 2 else int(words[2])
        if i < 0:
            raise ValueError(f"{where} names site 0, and lattice.first_site=1; {valid}")
        if i == j:
            raise ValueError(f"{where} joins a site to itself; {valid}")
        if order < 1:
            raise ValueError(f"{where} has order 0; {valid}{hint}")
        if (i, j, order) in seen:
            each = "every pair is given once" if weighted else "every pair is given once at each order"
            raise ValueError(f"{where} repeats {what} {seen[i, j, order]}; {each}, in one direction")
        seen[i, j, order] = number
        if first > second:
            turned.add((i, j, order))
        if weighted:
            weights[i, j, order] = _weight(words[2], f"{where} has no {third}; {valid}")
    orders = sorted({order for _, _, order in seen})
    if 1 not in orders:
        found = f"orders {', '.join(map(str, orders))} but none" if orders else "no edges, so none"
        raise ValueError(f"lattice.file={path}: {found} of order 1, the nearest neighbours; {valid}{hint}")
    edges = sorted(seen, key=lambda bond: (bond[2], bond[:2]))
    in_file = tuple(number for number, bond in enumerate(edges) if bond in turned)
    return Bonds(tuple(edges), tuple(weights[bond] for bond in edges) if weighted else None, in_file)


# NetworkX's write_edgelist ends lines with the data of a bond, {} if there are none
_WEIGHT = re.compile(r"\{'weight': (?:np\.float64\()?([^{}(),:]+)\)?\}$")


def _words(line: str, weighted: bool) -> list[str]:
    found = _WEIGHT.search(line) if weighted else None
    return [*line[: found.start()].split(), found[1]] if found else line.removesuffix("{}").split()


def _of_alps(path: str | Path, text: str, weighted: bool, valid: str) -> list[tuple[int, str, list[str]]]:
    """The edges of a GRAPH of ALPS as lines of our format; types become neighbour orders."""
    try:
        if weighted:
            raise ValueError("its edges have types, which are orders, and no weights")
        found = alps_graph.graph(text)
    except ValueError as error:
        raise ValueError(f"lattice.file={path}, a graph of ALPS: {error}; else {valid}") from None
    return [(k, f"{i + 1} {j + 1}", [str(i), str(j), str(order)]) for k, (i, j, order) in enumerate(found, start=1)]


def written(n_sites: int, bonds: Sequence[tuple[int, int, int]], weights: Sequence[float] | None) -> str:
    """The file of bonds (site, site, order), also readable by NetworkX; with ``weights`` all orders are 1."""
    if weights is not None:
        head, lines = "i j weight", [f"{i} {j} {w!r}" for (i, j, _), w in zip(bonds, weights, strict=True)]
    elif any(order != 1 for _, _, order in bonds):
        head, lines = "i j order", [f"{i} {j} {order}" for i, j, order in bonds]
    else:
        head, lines = "i j", [f"{i} {j}" for i, j, _ in bonds]
    return f"# {n_sites} sites, {len(bonds)} bonds: {head}\n" + "".join(f"{line}\n" for line in lines)


def _weight(word: str, fault: str) -> float:
    try:
        weight = math.nan if "_" in word else float(word)  # Python reads 1_0 as 10
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight) or weight == 0:
        raise ValueError(fault)
    return weight


def _refuse_counts(path: str | Path, rows: list[tuple[int, str, list[str]]], valid: str) -> None:
    """Raise if the first line counts sites and bonds, because it would be read as one more bond."""
    numbers = [[int(w) if w.isascii() and w.isdigit() and len(w) <= 10 else -1 for w in words] for _, _, words in rows]
    if looks := formats.counts(numbers):
        number, line, _ = rows[0]
        raise ValueError(f"lattice.file={path}, line {number}: {line.strip()[:60]!r}{looks}; {valid}")
