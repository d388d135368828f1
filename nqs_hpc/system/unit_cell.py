"""The unit cell of lattice=unit_cell.

A file in YAML or JSON is a mapping with ``vectors`` (D rows of D numbers, D at most 3), ``basis`` (a row for each site,
Cartesian, or in the vectors with ``fractional: true``), and ``bonds`` if they are not defined by distance: ``{from: 0,
to: 1, cell: [1, 0], order: 2}`` joins site 0 of every cell to site 1 of the next cell along the first vector; the
default ``cell`` is the same cell, the default ``order`` is 1. Numbers may be written as ``1/3`` or ``sqrt(3)/2``. The
unit of length is that of the file.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.inputs import reading
from nqs_hpc.system.families import UNIT_CELL, Factory, regular, shells_of
from nqs_hpc.system.lattice import by_distance
from nqs_hpc.system.vectors import reaching, shortened

MAX_BASIS = 32
CLOSEST, FARTHEST = 0.3, 1000.0  # distance of the nearest sites, in the unit of the file
CELLS_AWAY = 2  # coordinates of the basis in the vectors
RESOLVED, SHELLS = 1e-3, 8  # least relative difference between the first shells by distance, and their number
LONGEST = 80  # characters of a number
KEYS = ("vectors", "basis", "fractional", "bonds")

Row = tuple[float, ...]


class UnitCell(NamedTuple):
    """What a file holds."""

    vectors: tuple[Row, ...]
    basis: tuple[Row, ...]  # Cartesian
    bonds: tuple[
        tuple[int, ...], ...
    ]  # order, from, to, and the cell of the latter; none if distances define the orders


def of_mapping(data: Any) -> UnitCell:
    """A unit cell from plain data. ValueError if it is not valid."""
    valid = f"valid is a mapping of {', '.join(KEYS)}, of which the first two are needed"
    if not isinstance(data, Mapping) or not {"vectors", "basis"} <= set(data) <= set(KEYS):
        raise ValueError(valid)
    vectors, basis = rows(data["vectors"], "vectors"), rows(data["basis"], "basis")
    if not isinstance(fractional := data.get("fractional", False), bool):
        raise ValueError("fractional: valid is true or false")
    if fractional:
        basis = cartesian(basis, vectors)
    bonds = []
    given = data.get("bonds", [])
    if "bonds" in data and not given:
        raise ValueError("bonds: there are none; valid is a list of them, or no bonds: at all, for orders by distance")
    for bond in given if isinstance(given, list) else [None]:
        if not isinstance(bond, Mapping) or not {"from", "to"} <= set(bond) <= {"from", "to", "cell", "order"}:
            raise ValueError("bonds: valid is a list of {from: SITE, to: SITE, cell: [WHOLE NUMBERS], order: NUMBER}")
        cell = bond.get("cell", [0] * len(vectors))
        numbers = [bond.get("order", 1), bond["from"], bond["to"], *(cell if isinstance(cell, list) else [None])]
        if any(type(x) is not int for x in numbers):
            raise ValueError(f"bonds: {reading.printable(str(dict(bond)), 80)} is not of whole numbers")
        bonds.append(tuple(numbers))
    return UnitCell(vectors, basis, tuple(bonds))


def rows(data: Any, what: str) -> tuple[Row, ...]:
    """Rows of equally many numbers; ValueError that begins with ``what``."""
    if not isinstance(data, list) or not all(isinstance(row, list) for row in data) or not data:
        raise ValueError(f"{what}: valid is a list of rows of numbers")
    try:
        found = tuple(tuple(number(x) for x in row) for row in data)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from None
    if len({len(row) for row in found}) > 1:
        raise ValueError(f"{what}: its rows have different lengths")
    return found


def cartesian(basis: Sequence[Row], vectors: Sequence[Row]) -> tuple[Row, ...]:
    """Coordinates in the vectors, converted to Cartesian ones."""
    if len(vectors) != len(basis[0]):
        raise ValueError(f"basis: valid are {len(vectors)} coordinates for each site")
    return tuple(tuple(row) for row in (np.array(basis) @ np.array(vectors)).tolist())


def factory_of(vectors: Sequence[Row], basis: Sequence[Row], bonds: Sequence[Sequence[int]]) -> Factory:
    """The lattices of a unit cell; ValueError if it is not valid."""
    a_DD, b_bD = np.array(vectors, dtype=np.float64), np.array(basis, dtype=np.float64)
    dim = len(a_DD)
    if a_DD.shape != (dim, dim) or dim > 3:
        raise ValueError("vectors: valid are D rows of D numbers, D from 1 to 3")
    if b_bD.ndim != 2 or b_bD.shape[1] != dim or len(b_bD) > MAX_BASIS:
        raise ValueError(f"basis: valid are at most {MAX_BASIS} rows of {dim} numbers, as many as there are vectors")
    lengths = np.linalg.norm(a_DD, axis=1)
    largest = FARTHEST * (1 + max(lengths.max(), np.abs(b_bD).max()))
    if not largest < 1e9 or not np.linalg.matrix_rank(a_DD, tol=1e-6 * lengths.max()) == dim:
        raise ValueError("vectors: valid are independent ones")
    apart_bbD = (b_bD[None] - b_bD[:1, None]) @ np.linalg.inv(a_DD)
    if np.abs(apart_bbD).max() > CELLS_AWAY + 1e-6:
        raise ValueError(f"basis: valid are sites at most {CELLS_AWAY} cells away from the first")
    nearest = _nearest(a_DD, b_bD)
    if not CLOSEST * (1 - 1e-6) <= nearest <= FARTHEST:
        unit = f"a unit of length in which they are {CLOSEST:g} to {FARTHEST:g} apart, best about 1"
        raise ValueError(f"the nearest sites are {nearest:.3g} apart; valid is {unit}")
    if bonds:
        return regular(UNIT_CELL, a_DD, b_bD, _stated(bonds, len(b_bD), dim))
    found = regular(UNIT_CELL, a_DD, b_bD)
    _check_shells(a_DD, found)
    return found


def _stated(bonds: Sequence[Sequence[int]], n_basis: int, dim: int) -> Any:
    by_order: dict[int, list[tuple[int, int, Sequence[int]]]] = {}
    seen: set[tuple[int, int, int, tuple[int, ...]]] = set()
    for bond in bonds:
        told = f"bonds: {list(bond[1:3])} in cell {list(bond[3:])}, order {bond[0]}"
        if len(bond) != 3 + dim or not 1 <= bond[0] <= len(bonds) or not all(0 <= i < n_basis for i in bond[1:3]):
            orders = f"orders from 1, {dim} numbers for a cell"
            raise ValueError(f"{told}; valid are sites of the basis, 0 to {n_basis - 1}, {orders}")
        order, start, end, cell = bond[0], bond[1], bond[2], tuple(bond[3:])
        if max(map(abs, cell)) > FARTHEST:
            raise ValueError(f"{told}; valid are cells up to {FARTHEST:g} away")
        if start == end and not any(cell):
            raise ValueError(f"{told} joins a site to itself")
        if {(order, start, end, cell), (order, end, start, tuple(-x for x in cell))} & seen:
            raise ValueError(f"{told} is given twice")
        seen.add((order, start, end, cell))
        by_order.setdefault(order, []).append((start, end, cell))
    if sorted(by_order) != list(range(1, len(by_order) + 1)):
        raise ValueError(f"bonds: orders {', '.join(map(str, sorted(by_order)))}; valid are 1, 2, ... without a gap")
    return tuple(shells_of(by_order[order]) for order in sorted(by_order))


def _nearest(a_DD: NDArray[np.float64], b_bD: NDArray[np.float64]) -> float:
    """The smallest distance of two sites of the infinite lattice."""
    short_DD = shortened(a_DD) @ a_DD
    images = reaching(np.full(len(a_DD), 2)) @ short_DD
    least = float(np.linalg.norm(images[np.abs(images).max(axis=1) > 0], axis=1).min())
    for i, here in enumerate(b_bD):
        apart = b_bD[i + 1 :] - here
        apart = apart - np.rint(apart @ np.linalg.inv(short_DD)) @ short_DD
        if len(apart):
            least = min(least, float(np.linalg.norm(apart[:, None] + images[None], axis=-1).min()))
    return least


def _check_shells(a_DD: NDArray[np.float64], factory: Factory) -> None:
    """ValueError if two of the first distances differ so little that rounded coordinates may be the reason."""
    lattice = factory((2,) * len(a_DD), (False,) * len(a_DD))
    lengths = []
    for shell in islice(by_distance(lattice), SHELLS):
        step = lattice.basis[shell.end[0]] + shell.cell[0] @ lattice.vectors - lattice.basis[shell.start[0]]
        lengths.append(float(np.linalg.norm(step)))
    for one, other in pairwise(lengths):
        if other - one < RESOLVED * one:
            digits = "more digits, or numbers such as 1/3 and sqrt(3)/2; or bonds that the file states"
            raise ValueError(f"the distances {one:.7g} and {other:.7g} may be meant to be the same; valid are {digits}")


_OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def number(written: Any, names: Mapping[str, float] | None = None) -> float:
    """A number, or text with + - * /, sqrt, pi and ``names``. ValueError if the value is not finite."""
    if isinstance(written, int | float) and not isinstance(written, bool):
        found = float(written) if abs(written) < 1e300 else math.inf
    else:
        shown = reading.printable(str(written), 40)
        try:
            if not isinstance(written, str) or len(written) > LONGEST:
                raise ValueError
            known = {"pi": math.pi, "Pi": math.pi} | dict(names or {})
            found = _value(ast.parse(written.strip(), mode="eval").body, known)
        except (ValueError, SyntaxError, ArithmeticError, RecursionError, MemoryError):
            raise ValueError(f"{shown!r} is not a number") from None
    if not math.isfinite(found):
        raise ValueError(f"{reading.printable(str(written), 40)!r} is not a finite number")
    return found


def _value(node: ast.expr, names: Mapping[str, float]) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return float(node.value)
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _value(node.operand, names)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return float(_OPERATORS[type(node.op)](_value(node.left, names), _value(node.right, names)))
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "sqrt"
        and len(node.args) == 1
    ):
        return math.sqrt(_value(node.args[0], names))
    raise ValueError
