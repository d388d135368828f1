"""Operators whose couplings depend on time, made from operators at fixed couplings.

A Hamiltonian is of first order in each of its couplings c = (c_1, ..., c_k), so it follows from its values at corners
c_i = +-a_i. With P a product of couplings and H_P what stands beside it,

    H(c) = sum_P P(c) H_P,

    affine:       H_i = (H(a) - H(a, c_i = -a_i)) / 2 a_i,   H_1 = (2 - k) H(a) / 2 + sum_i H(a, c_i = -a_i) / 2,
    multilinear:  H_P = 2^-k sum_signs prod_{i in P} (sign_i / a_i) H(signs a),   P any subset of the couplings.

The a_i are generic numbers other than 0, so all corners have the same moves: those of H(t) at any time, also where a
coupling passes 0, side by side with nothing. Only the factors P(c(t)) are data of a compiled program. The a_i have few
bits and the sums are of integers times H, so an element that is a coupling vanishes exactly where the coupling does.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.inputs.ramps import Cosine, Path
from nqs_hpc.operators.symmetric import some_states
from nqs_hpc.system.hilbert import Hilbert, base_state, members
from nqs_hpc.types import Move, Operator

MOST_AFFINE = 8  # couplings: k + 1 corners, and 2^k operators for bounds of the spectrum
MOST_MULTILINEAR = 4  # couplings: 2^k corners
STATES = 16  # that are asked whether corners agree
SAME = 1e-10  # relative, of elements of one operator made in two ways
FRACTIONS = (37, 91, 13, 59, 103, 5, 71, 119)  # of 128: corners between which sums of couplings do not cancel


class Coupling(NamedTuple):
    """A number that depends on time."""

    at: Callable[[Array], Array]  # time, which may be traced -> float64
    least: float
    most: float


class Ramped(NamedTuple):
    """An operator whose couplings depend on time, and those at fixed couplings that it is made from.

    What holds for each of the ``corners``, a symmetry say, holds at all times.
    """

    operator: Operator
    corners: tuple[Operator, ...]


Make = Callable[[tuple[float, ...]], Operator]


class _Form(NamedTuple):
    """H(c) = sum_P P(c) sum_C signs_PC H_C / divisors_P."""

    points: list[tuple[float, ...]]  # C: the couplings of each corner
    products: list[tuple[int, ...]]  # P: the numbers of the couplings multiplied
    signs_PC: NDArray[np.int64]
    divisors_P: NDArray[np.float64]


def ramped(make: Make, couplings: Sequence[Coupling], hilbert: Hilbert) -> Ramped:
    """H(c(t)) of ``make(c) -> Operator``, for whatever couplings c, on the configurations of ``hilbert``.

    Bounds of the spectrum hold at all times, ``e_infinity`` is that of time 0. Raises ValueError if the elements are
    not of first order in each coupling, or the couplings are too many.
    """
    k = len(couplings)
    if not 1 <= k <= MOST_AFFINE:
        raise ValueError(f"{k} numbers depend on time: from 1 to {MOST_AFFINE} can")
    sizes = [_size(one, FRACTIONS[i]) for i, one in enumerate(couplings)]
    rng = np.random.default_rng(0)
    found = some_states(hilbert, rng)
    s_BN = jnp.asarray(np.concatenate([base_state(hilbert)[None], found[members(hilbert, found)]])[:STATES])
    between = [tuple(float(a * x) for a, x in zip(sizes, rng.uniform(-1, 1, k), strict=True)) for _ in range(2)]
    forms = [_affine(sizes)] + ([_multilinear(sizes)] if 1 < k <= MOST_MULTILINEAR else [])
    third = [make(point) for point in between]
    for form in forms:
        corners = tuple(make(point) for point in form.points)
        if _agree(form, corners, between, third, s_BN):
            break
    else:
        raise ValueError(
            "its elements are not of first order in each of the couplings that depend on time, with the same moves at "
            f"all of them (products of couplings: at most {MOST_MULTILINEAR})"
        )
    boxes = itertools.product(*(dict.fromkeys((one.least, one.most)) for one in couplings))
    bounds_2 = np.array([make(point).bounds for point in boxes])
    bounds = (float(bounds_2[:, 0].min()), float(bounds_2[:, 1].max()))  # H(c) is a mean of those at the corners of c
    first = make(tuple(float(one.at(jnp.float64(0.0))) for one in couplings))
    facts = {"bounds": bounds, "e_infinity": first.e_infinity}
    return Ramped(_combined(form, corners, couplings, facts), corners)


def of_path(path: Path, entry: int = 0) -> Callable[[Array], Array]:
    """An entry of a coupling, the only one of a number, as a function of a time that may be traced."""

    def number(value: Any) -> float:
        return float(value[entry] if isinstance(value, tuple) else value)

    if isinstance(path, Cosine):
        mean, amplitude = number(path.mean), number(path.amplitude)
        return lambda time: mean + amplitude * jnp.cos(path.omega * time + path.phase)
    times, values = np.array(path.times), np.array([number(value) for value in path.values])
    return lambda time: jnp.interp(jnp.asarray(time, jnp.float64), jnp.asarray(times), jnp.asarray(values))


def of_list(values: Sequence[Any], entry: int = 0) -> Callable[[Array], Array]:
    """An entry of a coupling as a function of the number, instead of a time, of one of its values."""
    column = np.array([value[entry] if isinstance(value, tuple) else value for value in values], np.float64)
    return lambda number: jnp.asarray(column)[jnp.asarray(number).astype(jnp.int32)]


def _size(one: Coupling, fraction: int) -> float:
    """A number of few bits about as large as the coupling gets."""
    top = max(abs(one.least), abs(one.most))
    return math.ldexp(1 + fraction / 128, math.frexp(top)[1] - 1)


def _affine(sizes: Sequence[float]) -> _Form:
    k = len(sizes)
    points = [tuple(sizes), *(tuple(-a if j == i else a for j, a in enumerate(sizes)) for i in range(k))]
    signs_PC = np.zeros((k + 1, k + 1), dtype=np.int64)
    signs_PC[0] = [2 - k, *[1] * k]
    for i in range(k):
        signs_PC[1 + i, [0, 1 + i]] = 1, -1
    return _Form(points, [(), *((i,) for i in range(k))], signs_PC, np.array([2.0, *(2 * a for a in sizes)]))


def _multilinear(sizes: Sequence[float]) -> _Form:
    k = len(sizes)
    signs_CK = np.array(list(itertools.product((1, -1), repeat=k)))
    points = [tuple(float(sign * a) for sign, a in zip(row, sizes, strict=True)) for row in signs_CK]
    products = [P for n in range(k + 1) for P in itertools.combinations(range(k), n)]
    signs_PC = np.array([signs_CK[:, list(P)].prod(axis=1) for P in products])
    divisors_P = np.array([2.0**k * math.prod(sizes[i] for i in P) for P in products])
    return _Form(points, products, signs_PC, divisors_P)


def _mixed(form: _Form, factors: Sequence[Any], of_corners: Sequence[Array]) -> Array:
    """sum_P P(c) sum_C signs_PC x_C / divisors_P."""
    total: Any = 0.0
    for factor, signs_C, divisor in zip(factors, form.signs_PC, form.divisors_P, strict=True):
        part: Any = 0.0
        for sign, x in zip(signs_C.tolist(), of_corners, strict=True):
            part = part + (sign * x if sign else 0.0)
        total = total + factor * (part / divisor)
    return jnp.asarray(total)


def _factors(form: _Form, couplings: Sequence[Coupling], time: Array) -> list[Any]:
    """P(c(t)) of each product."""
    values = [one.at(time) for one in couplings]
    return [math.prod([values[i] for i in P], start=1.0) for P in form.products]


def _weight(form: _Form, couplings: Sequence[Coupling], corner: int) -> Callable[[Array], Array]:
    """What the operator at a corner counts in H(t)."""

    def weight(time: Array) -> Array:
        factors = _factors(form, couplings, time)
        return sum(
            factor * (sign / divisor)
            for factor, sign, divisor in zip(factors, form.signs_PC[:, corner], form.divisors_P, strict=True)
        )

    return weight


def _agree(
    form: _Form,
    corners: tuple[Operator, ...],
    points: list[tuple[float, ...]],
    third: list[Operator],
    s_BN: Array,
) -> bool:
    """Whether all operators have the same moves, and the corners make the elements of the operators at ``points``."""
    facts = {(one.n_connected, one.is_hermitian, one.connected_some is None) for one in [*corners, *third]}
    if len(facts) > 1:
        return False

    @jax.jit
    def rows(s_BN: Array) -> list[Any]:
        return [jax.vmap(lambda s_N, one=one: (one.diagonal(s_N), *one.connected(s_N)))(s_BN)
                for one in [*corners, *third]]  # fmt: skip

    found = jax.device_get(rows(s_BN))
    moves = found[0][1]
    for _, other, _ in found:
        if other.sites.shape != moves.sites.shape or (other.deltas != moves.deltas).any():
            return False
        if ((other.sites != moves.sites) & (moves.deltas != 0)).any():
            return False
    of_corners = found[: len(corners)]
    for point, (diagonal_B, _, elements_BK) in zip(points, found[len(corners) :], strict=True):
        factors = [math.prod(point[i] for i in P) for P in form.products]
        for which, wanted in ((0, diagonal_B), (2, elements_BK)):
            made = np.asarray(_mixed(form, factors, [row[which] for row in of_corners]))
            largest = max((float(np.abs(row[which]).max(initial=0.0)) for row in found), default=0.0)
            if np.abs(made - wanted).max(initial=0.0) > SAME * largest:
                return False
    return True


def _combined(
    form: _Form, corners: tuple[Operator, ...], couplings: Sequence[Coupling], facts: dict[str, Any]
) -> Operator:
    is_real = all(one.is_real for one in corners)
    is_hermitian = corners[0].is_hermitian
    terms = tuple((_weight(form, couplings, c), corner) for c, corner in enumerate(corners))
    somes = [one.connected_some for one in corners if one.connected_some is not None]

    def at(time: Array | float) -> Operator:
        factors = _factors(form, couplings, jnp.asarray(time, jnp.float64))

        def diagonal(s_N: Array) -> Array:
            return _mixed(form, factors, [one.diagonal(s_N) for one in corners])

        def mixed(found: list[tuple[Move, Array]]) -> tuple[Move, Array]:
            elements_K = _mixed(form, factors, [elements_K for _, elements_K in found])
            if not is_real:
                elements_K = elements_K.astype(jnp.complex128)
            sites, deltas = found[0][0]
            # the ratio of a move whose element vanishes now is not asked for, or is 1
            return Move(sites, jnp.where((elements_K != 0)[:, None], deltas, jnp.zeros_like(deltas))), elements_K

        def connected_some(s_N: Array, start: Array, size: int) -> tuple[Move, Array]:
            return mixed([some(s_N, start, size) for some in somes])

        return Operator(
            diagonal,
            lambda s_N: mixed([one.connected(s_N) for one in corners]),
            corners[0].n_connected,
            is_real,
            may_vanish=any(one.may_vanish for one in corners),
            is_hermitian=is_hermitian,
            at=at,
            connected_some=connected_some if somes else None,
            terms=terms,
            **facts,
        )

    return at(0.0)
