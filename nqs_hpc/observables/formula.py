"""Functions of the configuration, written as a formula of s: read by a grammar of few words, never run as code.

    mean(stagger * s)**4        sum(s * roll(s, 1)) / n        (s[0] == 1) * s[3]

Names: ``s``, the value of each site; ``x``, ``y``, ``z``, its position, and ``stagger``, the sign of its sublattice,
where the lattice has them; ``n``, the number of sites; ``pi``. Operators + - * / ** and one comparison; exponents are
numbers. ``s[3]`` is one site. Functions of each site, and of all sites: `EACH`, `ALL`; ``roll(a, k)`` gives site i the
value of site i - k.

Loads no jax: a configuration is checked with NumPy.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system.hilbert import Hilbert, base_state
from nqs_hpc.system.lattice import Lattice, bipartition

LONGEST = 400  # characters
DEEPEST = 200  # brackets and operators inside each other; a sum of many terms is nested too
LARGEST_POWER = 16
EACH = ("abs", "sqrt", "exp", "log", "cos", "sin", "tanh")  # of every site, or of a number
ALL = ("mean", "sum", "max", "min", "prod")  # of all sites, a number

_BINARY: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARED: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}

Names = Mapping[str, Any]  # arrays (N,) and numbers


class Formula:
    """A formula that has been read; ``formula(xp, names)`` is its value, with ``xp`` numpy or jax.numpy."""

    def __init__(self, text: str, node: ast.expr) -> None:
        self.text, self._node = text, node

    def __call__(self, xp: ModuleType, names: Names) -> Any:
        return _value(self._node, xp, names)


def names_of(lattice: Lattice) -> dict[str, Any]:
    """All names but s, with their values on the sites of a lattice."""
    found: dict[str, Any] = {"n": float(lattice.n_sites), "pi": math.pi}
    for axis, name in enumerate("xyz"[: lattice.positions.shape[1]]):
        found[name] = np.asarray(lattice.positions[:, axis], np.float64)
    try:
        stagger = bipartition(lattice)
    except ValueError:  # no nearest neighbours
        stagger = None
    if stagger is not None:
        found["stagger"] = stagger.astype(np.float64)
    return found


def read(text: str, names: Names, hilbert: Hilbert) -> Formula:
    """The formula of ``text`` in s and ``names``. ValueError, one line, where it is none, or where it is not one finite
    number of a configuration.
    """
    if len(text) > LONGEST:
        raise ValueError(f"{len(text)} characters are too many: at most {LONGEST} are possible")
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"it cannot be read at character {error.offset or 1}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError):
        raise ValueError("it cannot be read") from None
    _check(tree, {"s", *names}, hilbert.n_sites, 0)
    if not any(isinstance(node, ast.Name) and node.id == "s" for node in ast.walk(tree)):
        raise ValueError("it has no s, the value of each site")
    found = Formula(text, tree)
    for s_N in _tried(hilbert):
        with np.errstate(all="ignore"):
            try:
                value = np.asarray(found(np, {"s": s_N.astype(np.float64), **names}))
            except ArithmeticError:  # of numbers alone, 1 / 0
                value = np.asarray(np.nan)
        if value.shape != ():
            raise ValueError(
                f"it is one value a site, {value.shape[0]} in all; a number, as of mean, sum or s[0], is valid"
            )
        if not np.isfinite(value):
            raise ValueError(f"it is {value} for s = {s_N.tolist() if len(s_N) <= 12 else 'a state of the space'}")
    return found


def _tried(hilbert: Hilbert) -> list[NDArray[np.int8]]:
    """A few configurations: a state of the space and its values in another order; without a total also all sites alike,
    and the values in turn.
    """
    first = base_state(hilbert)
    others = [np.full(hilbert.n_sites, v, np.int8) for v in hilbert.local_values]
    others.append(np.resize(np.array(hilbert.local_values, np.int8), hilbert.n_sites))
    return [first, np.random.default_rng(0).permutation(first), *(others if hilbert.total is None else [])]


def _check(node: ast.AST, names: set[str], n_sites: int, depth: int) -> None:
    """ValueError for anything that does not belong in a formula."""
    if depth > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} deep")

    def inside(*nodes: ast.AST) -> None:
        for one in nodes:
            _check(one, names, n_sites, depth + 1)

    match node:
        case ast.Constant(value=value) if _is_number(value):
            return
        case ast.Name(id=name):
            if name not in names:
                known = ", ".join(sorted(names, key=lambda one: (one != "s", one)))
                raise _odd(node, f"{name} is not one of {known}")
        case ast.UnaryOp(op=ast.UAdd() | ast.USub(), operand=operand):
            inside(operand)
        case ast.BinOp(op=ast.Pow(), left=left, right=right):
            power = _number(right)
            if power is None or abs(power) > LARGEST_POWER:
                raise _odd(right, f"an exponent is a number from -{LARGEST_POWER} to {LARGEST_POWER}")
            inside(left)
        case ast.BinOp(op=op, left=left, right=right) if type(op) in _BINARY:
            inside(left, right)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARED:
            inside(left, right)
        case ast.Subscript(value=ast.Name() as name, slice=index):
            inside(name)
            site = _number(index)
            if name.id not in ("s", "x", "y", "z", "stagger") or site is None or site not in range(n_sites):
                raise _odd(node, f"one site is written s[i], with i from 0 to {n_sites - 1}")
        case ast.Call(func=ast.Name(id=name), args=[one], keywords=[]) if name in (*EACH, *ALL):
            inside(one)
        case ast.Call(func=ast.Name(id="roll"), args=[one, shift], keywords=[]):
            by = _number(shift)
            if by is None or by != int(by) or abs(by) > n_sites:
                raise _odd(shift, "roll(a, k) is by a whole number of sites")
            inside(one)
        case _:
            known = f"numbers, names, + - * / **, a comparison, s[i], {', '.join((*EACH, *ALL))}, roll(a, k)"
            raise _odd(node, f"{ast.unparse(node)[:40]!r} does not belong in a formula, which is made of {known}")


def _odd(node: ast.AST, what: str) -> ValueError:
    return ValueError(f"at character {getattr(node, 'col_offset', 0) + 1} {what}")


def _is_number(value: Any) -> bool:
    try:
        return type(value) in (int, float) and math.isfinite(float(value))
    except OverflowError:
        return False


def _number(node: ast.AST) -> float | None:
    """The number that is written there, None if there is something else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        below = _number(node.operand)
        return None if below is None else -below
    value: Any = node.value if isinstance(node, ast.Constant) else None
    if _is_number(value):
        return float(value)
    return None


def _value(node: ast.AST, xp: ModuleType, names: Names) -> Any:
    """The value of a node that `_check` has let pass; a comparison is 1 or 0."""

    def of(one: ast.AST) -> Any:
        return _value(one, xp, names)

    match node:
        case ast.Constant(value=value):
            return float(value)  # type: ignore[arg-type]
        case ast.Name(id=name):
            return names[name]
        case ast.UnaryOp(op=op, operand=operand):
            return -of(operand) if isinstance(op, ast.USub) else of(operand)
        case ast.BinOp(op=ast.Pow(), left=left, right=right):
            power = _number(right)
            assert power is not None
            return xp.asarray(of(left)) ** (int(power) if power == int(power) else power)
        case ast.BinOp(op=op, left=left, right=right):
            return _BINARY[type(op)](of(left), of(right))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return xp.where(_COMPARED[type(op)](of(left), of(right)), 1.0, 0.0)
        case ast.Subscript(value=ast.Name(id=name), slice=index):
            site = _number(index)
            assert site is not None
            return names[name][int(site)]
        case ast.Call(func=ast.Name(id="roll"), args=[one, shift]):
            by = _number(shift)
            assert by is not None
            return xp.roll(xp.asarray(of(one)), int(by))
        case ast.Call(func=ast.Name(id=name), args=[one]):
            return getattr(xp, name)(xp.asarray(of(one)))
    raise AssertionError(ast.dump(node))


def local_formula(found: Formula, names: Names, chunk: int | None) -> Any:
    """`types.Local` of a formula: (B,) real, the same for any wave function."""
    import jax.numpy as jnp  # late: this file is loaded before jax

    from nqs_hpc.parallel.chunk import chunked_map
    from nqs_hpc.types import Local

    def value(s_N: Any) -> Any:
        return found(jnp, {"s": s_N.astype(jnp.float64), **{name: jnp.asarray(one) for name, one in names.items()}})

    def values(frozen: Any, s_BN: Any, time: Any = None) -> Any:
        del frozen, time
        return chunked_map(value, s_BN, chunk)

    return Local(lambda ansatz: values)
