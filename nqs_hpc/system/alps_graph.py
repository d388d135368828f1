"""Graphs of a lattice library of ALPS (XML): reads and writes sites and bonds without a unit cell.

    <GRAPH vertices="4"><EDGE type="0" source="1" target="2"/> ... </GRAPH>

B. Bauer et al., J. Stat. Mech. P05001 (2011), doi:10.1088/1742-5468/2011/05/P05001. Vertices count from 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.sax.saxutils import quoteattr

from nqs_hpc.inputs.reading import printable


def graph(text: str) -> list[tuple[int, int, int]]:
    """The edges (vertex, vertex, order) of the only GRAPH of a file, vertices from 0; the types of edges, sorted, are
    the orders 1, 2, ... ValueError, one line, if there is no such graph.
    """
    root = root_of(text)
    found = [one for one in (root, *root.findall("GRAPH")) if one.tag == "GRAPH"]
    if len(found) != 1:
        raise ValueError(f"{len(found)} GRAPHs in it; valid is a file with one")
    edges = found[0].findall("EDGE")
    n = whole(found[0].get("vertices", "0"), "vertices")
    kinds = [whole(edge.get("type", "0"), "type") for edge in edges]
    orders = {kind: order for order, kind in enumerate(sorted(set(kinds)), 1)}
    bonds = []
    for edge, kind in zip(edges, kinds, strict=True):
        ends = [whole(edge.get(name, "0"), name) for name in ("source", "target")]
        if min(ends) < 1 or (n and max(ends) > n):
            raise ValueError(f"EDGE from {ends[0]} to {ends[1]}; vertices are 1 to {n}")
        bonds.append((ends[0] - 1, ends[1] - 1, orders[kind]))
    return bonds


def written(name: str, n_sites: int, bonds: Sequence[tuple[int, int, int]]) -> str:
    """A lattice library with one GRAPH of the bonds (site, site, order): the type of an edge is its order minus 1."""
    edges = "".join(f'  <EDGE type="{order - 1}" source="{i + 1}" target="{j + 1}"/>\n' for i, j, order in bonds)
    vertices = "".join(f'  <VERTEX id="{site + 1}"/>\n' for site in range(n_sites))
    return f'<LATTICES>\n<GRAPH name={quoteattr(name)} vertices="{n_sites}">\n{vertices}{edges}</GRAPH>\n</LATTICES>\n'


def root_of(text: str) -> Element:
    """The root of a lattice library. A file with a document type or an entity is refused, so that nothing is expanded.
    ValueError, one line.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("it has a document type or an entity, which are not read")
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"it is not XML: {error}") from None


def whole(word: str, what: str) -> int:
    """A whole number; ValueError that begins with ``what``."""
    digits = word.strip().removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 7):
        raise ValueError(f"{what} {printable(word, 40)!r} is not a whole number")
    return int(word)
