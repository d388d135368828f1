"""Recognises files of other programs by their lines, which are not read, so that the message names the format.

The exception is an edge list of NetworkX with empty dictionaries at the ends of lines, which is read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LONGEST = 200  # characters of a line that are examined

_ANYWHERE = (
    (r".*[\0\ufffd]", "a file that is not plain text in UTF-8"),
    (r"%%MatrixMarket", "a Matrix Market file"),
    (r"%", "a Matrix Market or KONECT file, with comments behind %"),
    (r"<", "XML, such as GraphML or a lattice of ALPS"),
    (r"(strict\s+)?(di)?graph\b", "a GML or DOT file"),
    (r"(Creator|Version)\b|(node|edge)\s*\[", "a GML file"),
    (r"\*\s*([Vv]ertices|[Ee]dges|[Aa]rcs|[Nn]etwork)", "a Pajek file"),
    (r"=+$", "a .def file of HPhi or mVMC"),
    (r">>(graph|sparse)6", "graph6"),
    (r"[\[({]", "JSON, or lists of Python"),
    (r"-?\d+\s+-?\d+\s*\{", "an edge list of NetworkX with data; nx.write_weighted_edgelist writes only numbers"),
    (r".*[,;]", "values separated by commas"),
    (r"[A-Z][a-z]?(\s+-?\d+\.?\d*([eE][+-]?\d+)?){3}$", "an XYZ file of atoms"),
    (r"c(\s|$)|p\s+\w+\s+\d|[ea]\s+\d+\s+\d", "a DIMACS file"),
)
_HEADER = r"[A-Za-z_]\w*(\s+[A-Za-z_]\w*)*$"


def looks_like(line: str, *, first: bool) -> str:
    """`` looks like …`` for a line in another format, or nothing; ``first``: whether all earlier lines were empty."""
    text = line.strip()[:LONGEST]
    for pattern, name in _ANYWHERE:
        if re.match(pattern, text):
            return f" looks like {name}"
    if first and re.match(_HEADER, text):
        return " looks like the header of a table, to be left out"
    if first and re.match(r"\d+$", text):
        return " looks like a number of sites, to be left out"
    return " looks like a line of an adjacency list" if re.match(r"\d+(\s+\d+)*$", text) else ""


def counts(rows: Sequence[Sequence[int]]) -> str:
    """`` looks like …`` if the first of these rows of whole numbers counts sites and bonds instead of being a bond, or
    nothing.

    The first row must agree with the numbers of sites and bonds in the rest.
    """
    if len(rows) < 2 or len(rows[0]) not in (2, 3):
        return ""
    n_sites, n_bonds = rows[0][:2]
    rest = rows[1:]
    numbers = [number for row in rest for number in row]
    ends = [number for row in rest for number in row[:2]]
    if len(rest) == n_sites and len(numbers) == 2 * n_bonds and set(numbers) == set(range(1, n_sites + 1)):
        return " looks like the header of a METIS file, n sites and m bonds, with a line of neighbours for each site"
    whole = sorted(set(ends)) in (list(range(n_sites)), list(range(1, n_sites + 1))) if len(ends) >= n_sites else False
    if len(rest) == n_bonds and whole:
        return " looks like a header, the numbers of sites and bonds, to be left out (a bond: not on the first line)"
    return ""
