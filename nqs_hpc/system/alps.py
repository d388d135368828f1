"""Unit cells from a lattice library of ALPS (XML).

A LATTICEGRAPH joins a LATTICE (its dimension and basis vectors) and a UNITCELL: vertices with coordinates in the
basis vectors, and edges between vertices of two cells, each with a type. The types of edges, sorted, are the neighbour
orders 1, 2, ... Extents and boundaries in a LATTICEGRAPH are ignored: the keys of the lattice set them. B. Bauer et
al., J. Stat. Mech. P05001 (2011), doi:10.1088/1742-5468/2011/05/P05001.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from nqs_hpc.inputs.reading import printable
from nqs_hpc.system.alps_graph import root_of, whole
from nqs_hpc.system.unit_cell import UnitCell, cartesian, number

NAMED = 12  # names listed in a line


def read(text: str, name: str | None) -> UnitCell:
    """The unit cell of the lattice graph or unit cell ``name``; None if the file has only one. ValueError, one line, if
    the file has none, or its content is not a lattice.
    """
    root = root_of(text)
    of_lattice, unit = _chosen(root, name)
    unit = _referred(root, unit)
    lattice = _lattice(root, of_lattice, unit)
    vectors = _vectors(lattice)
    dim = len(vectors)
    vertices = unit.findall("VERTEX")
    n = whole(unit.get("vertices", str(max(len(vertices), 1))), "vertices")
    if not 1 <= n <= 4096 or len(vertices) not in (0, n):
        raise ValueError(f"UNITCELL: {n} vertices, and {len(vertices)} of them listed")
    places = [_numbers(vertex.findtext("COORDINATE"), dim, {}) for vertex in vertices] or [(0.0,) * dim] * n
    if len(set(places)) < n:
        named = printable(unit.get("name", ""), 40)
        valid = "valid is a COORDINATE for each, in the basis vectors"
        raise ValueError(f"vertices of UNITCELL {named} have the same coordinates; {valid}")
    edges = unit.findall("EDGE")
    kinds = [whole(edge.get("type", "0"), "type") for edge in edges]
    orders = {kind: order for order, kind in enumerate(sorted(set(kinds)), 1)}
    bonds = []
    for edge, kind in zip(edges, kinds, strict=True):
        (start, here), (end, there) = (_end(edge, tag, dim) for tag in ("SOURCE", "TARGET"))
        bonds.append((orders[kind], start, end, *(b - a for a, b in zip(here, there, strict=True))))
    return UnitCell(vectors, cartesian(places, vectors), tuple(bonds))


def _chosen(root: Element, name: str | None) -> tuple[Element | None, Element]:
    """The lattice graph, if there is one, and the unit cell."""
    every = [root, *root.findall("LATTICEGRAPH"), *root.findall("UNITCELL")]
    graphs = [one for one in every if one.tag == "LATTICEGRAPH"]
    units = [one for one in every if one.tag == "UNITCELL"]
    found = [one for one in [*graphs, *units] if one.get("name") == name] if name is not None else graphs or units
    if not graphs and not units:
        raise ValueError("it has no LATTICEGRAPH or UNITCELL (the bonds of a GRAPH are those of lattice=edges)")
    if not found or (name is None and len(found) > 1):
        names = [printable(one.get("name", ""), 40) for one in [*graphs, *units]]
        more = ", ..." if len(names) > NAMED else ""
        raise ValueError(f"lattice.unit={name}; valid is one of {', '.join(names[:NAMED])}{more}")
    first = found[0]
    if first.tag == "UNITCELL":
        return None, first
    unit = first.find("UNITCELL")
    if unit is None:
        raise ValueError("LATTICEGRAPH without a UNITCELL")
    return first, unit


def _referred(root: Element, element: Element) -> Element:
    """The element itself, or the element that it refers to."""
    name = element.get("ref")
    if name is None:
        return element
    for one in root.findall(element.tag):
        if one.get("name") == name:
            return one
    raise ValueError(f"{element.tag} {printable(name, 40)} is not in it")


def _lattice(root: Element, graph: Element | None, unit: Element) -> Element:
    """The LATTICE of a graph; for a unit cell without a graph the only LATTICE of its dimension."""
    if graph is not None:
        found = graph.find("FINITELATTICE")
        inner = graph.find("LATTICE") if found is None else _referred(root, found).find("LATTICE")
        if inner is None:
            raise ValueError("LATTICEGRAPH without a LATTICE")
        return _referred(root, inner)
    dim = unit.get("dimension")
    every = [one for one in root.findall("LATTICE") if dim is None or one.get("dimension") in (None, dim)]
    if len(every) != 1:
        raise ValueError(f"UNITCELL goes with {len(every)} of the LATTICEs; valid is the name of a LATTICEGRAPH")
    return every[0]


def _vectors(lattice: Element) -> tuple[tuple[float, ...], ...]:
    names: dict[str, float] = {}
    for one in lattice.findall("PARAMETER"):
        names[one.get("name", "")] = number(one.get("default", ""), names)
    found = lattice.findall("BASIS/VECTOR")
    if not 1 <= len(found) <= 3:
        raise ValueError(f"LATTICE: {len(found)} basis vectors; valid are 1 to 3")
    return tuple(_numbers(vector.text, len(found), names) for vector in found)


def _numbers(text: str | None, dim: int, names: Mapping[str, float]) -> tuple[float, ...]:
    words = (text or " 0" * dim).split()
    if len(words) != dim:
        raise ValueError(f"{printable(text or '', 40)!r} has {len(words)} numbers; valid are {dim}")
    return tuple(number(word, names) for word in words)


def _end(edge: Element, tag: str, dim: int) -> tuple[int, list[int]]:
    """The vertex, counted from 0, and the cell of an edge's end."""
    end = edge.find(tag)
    if end is None:
        raise ValueError(f"EDGE without a {tag}")
    words = end.get("offset", " 0" * dim).split()
    if len(words) != dim:
        raise ValueError(f"EDGE: offset {printable(end.get('offset', ''), 40)!r}; valid are {dim} whole numbers")
    return whole(end.get("vertex", "1"), "vertex") - 1, [whole(word, "offset") for word in words]
