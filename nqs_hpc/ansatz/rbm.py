"""Restricted Boltzmann machine.

    log psi(s) = sum_i a_i s_i + sum_j log 2 cosh(theta_j),    theta_j = b_j + sum_i s_i w_ij

Carleo and Troyer, Science 355, 602 (2017), arXiv:1606.02318. Real parameters give a positive wave function, complex
ones a holomorphic log psi.

How ratios are computed. With z = exp(2 theta), log cosh(theta) = -theta + log(1 + z) - log 2, and a move that adds d to
theta multiplies z by q = exp(2 d). The cache is z with its product over j, q comes from a table of every site and every
possible delta, and

    log psi(s') - log psi(s) = sum_f const(f) + log prod_j (1 + z_j q_j) - log prod_j (1 + z_j):

two multiplications per hidden unit and one logarithm for a ratio, no exponential in any loop, and for real parameters
no cancellation, since all terms are positive. Products are recomputed from each z, so that their rounding does not grow
along a chain. Two measures keep the products in the range of the floats. Each factor is multiplied by exp(-bound_j),
where bound_j = max over all s of |Re theta_j|, so that it lies between exp(-bound_j) and 2 exp(bound_j); and powers of
two are split off (exactly, on the bits) after each group of ``_ROWS`` factors. ``freeze`` decides from the bounds
whether this is enough. If it is not, for weights so large that some bound is above 168 or the mean of a group above 41
(float32: both 18), the cache is theta itself and a ratio takes one exponential per hidden unit:

    log cosh(theta) = y + log(1 + exp(-2 y)) - log 2,    y = +-theta with Re y >= 0.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.ansatz.activations import LOG_2, log_cosh, tanh
from nqs_hpc.ansatz.complete import complete
from nqs_hpc.ansatz.layers import normal, parameter_dtype, times_weight
from nqs_hpc.ansatz.names import FloatName, NumberName
from nqs_hpc.ansatz.product import fields_as, sites_of_units, strengths
from nqs_hpc.system.product_states import affine
from nqs_hpc.types import Ansatz, Factors, Move, Tree

# Products run over rows of hidden units, all lanes of a row at once in vector registers. Few rows keep a group's
# product in range, many rows leave fewer lanes to the slower end of the reduction. Arrays keep the units in one axis,
# row after row: XLA vectorises loops over a long last axis, but not over one as short as the lanes.
_ROWS = {"float64": 16, "float32": 4}
_LANES = 8
# This many mantissas, each below 2 sqrt(2) in modulus, can be multiplied without rescaling: 2**96 is a float32.
_MANTISSAS = 64

# (x,) for real x, (Re x, Im x) for complex x: XLA does not vectorise complex products.
Planes = tuple[Array, ...]


class RBMParams(NamedTuple):
    """The visible bias ``a`` and the hidden bias ``b`` are None if ``bias=False``."""

    w: Array  # (N, M)
    a: Array | None  # (N,)
    b: Array | None  # (M,)


class RBMFrozen(NamedTuple):
    """Tables for one set of parameters; D differences of local values, U hidden units including pads."""

    wide: Array  # bool: some product may leave the range, so that caches hold theta
    step: Planes  # (N D, U): q = exp(2 d), d = w_i delta; d itself if caches hold theta
    const: Array  # (N D,): a_i delta - sum_j d_j
    bound: Array  # (U,), real: no configuration has a larger |Re theta|
    offset: Array  # (U,), real: exp(-bound)
    w: Array  # (N, U)
    a: Array  # (N,)
    b: Array  # (U,)


class Product(NamedTuple):
    """mantissa * 2**exponent, for products of any number of factors."""

    mantissa: Planes
    exponent: Array  # int32


class RBMCache(NamedTuple):
    units: Planes  # (U,): z exp(-bound), or theta if products could leave the range
    product: Product  # of the factors of all units


def rbm(
    n_sites: int,
    *,
    n_hidden: int,
    dtype: NumberName = "real",
    bias: bool = True,
    init_scale: float = 0.01,
    local_values: tuple[int, ...] = (1, -1),
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """A restricted Boltzmann machine of kind ``real`` or, with dtype="complex", ``holomorphic``.

    Parameters start as normal numbers of standard deviation ``init_scale``. ``local_values`` are the values a site can
    take; they must be evenly spaced, since the tables are indexed by differences. Raises ValueError for sizes below 1
    and for local values that are not. As a product state each hidden unit is on one site (`ansatz.product`).
    """
    if n_sites < 1 or n_hidden < 1:
        raise ValueError(f"n_sites={n_sites}, n_hidden={n_hidden}: both must be at least 1")
    steps = set(np.diff(sorted(local_values)).tolist())
    if len(steps) != 1 or 0 in steps:
        raise ValueError(f"local_values={local_values}: at least two different values, evenly spaced")
    (spacing,) = steps
    n_local = len(local_values)
    deltas_D = spacing * np.arange(1 - n_local, n_local)
    largest = max(abs(v) for v in local_values)

    param_dtype = parameter_dtype(dtype, float_dtype)
    limits = jnp.finfo(param_dtype)
    # With a margin of 1/eps: near a zero of a complex cosh a factor can be that much smaller than its terms.
    log_range = float(np.log(limits.max) + np.log(limits.eps))
    lanes = _LANES * -(-n_hidden // (_LANES * _ROWS[float_dtype]))
    rows = -(-n_hidden // lanes)

    def pad(x: Array) -> Array:
        """(..., M) -> (..., U), padded with 0: a unit of theta 0 cancels from every ratio."""
        return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, rows * lanes - n_hidden)])

    def init(key: Array) -> RBMParams:
        key_w, key_a, key_b = jax.random.split(key, 3)
        return RBMParams(
            w=normal(key_w, (n_sites, n_hidden), init_scale, param_dtype),
            a=normal(key_a, (n_sites,), init_scale, param_dtype) if bias else None,
            b=normal(key_b, (n_hidden,), init_scale, param_dtype) if bias else None,
        )

    def log_psi(params: RBMParams, s_N: Array) -> Array:
        theta_M = times_weight(s_N, params.w)
        if params.b is not None:
            theta_M = theta_M + params.b
        hidden = jnp.sum(log_cosh(theta_M)) + n_hidden * LOG_2
        return hidden if params.a is None else hidden + times_weight(s_N, params.a)

    def freeze(params: RBMParams) -> RBMFrozen:
        w = params.w
        a = jnp.zeros(n_sites, param_dtype) if params.a is None else params.a
        b = jnp.zeros(n_hidden, param_dtype) if params.b is None else params.b
        bound = pad(jnp.abs(b.real) + largest * jnp.sum(jnp.abs(w.real), axis=0))
        # A difference of theta between two configurations is at most 2 bound, and q its exponential times 2.
        wide = (jnp.max(jnp.sum((bound + LOG_2).reshape(rows, lanes), axis=0)) > log_range) | (
            4 * jnp.max(bound) > log_range
        )
        deltas = jnp.asarray(deltas_D, param_dtype)
        d = pad((w[:, None, :] * deltas[None, :, None]).reshape(-1, n_hidden))
        return RBMFrozen(
            wide=wide,
            step=tuple(
                jnp.where(wide, *pair)
                for pair in zip(_planes(d), _exp(*(2 * plane for plane in _planes(d))), strict=True)
            ),
            const=(a[:, None] * deltas[None, :]).ravel() - jnp.sum(d, axis=-1),
            bound=bound,
            offset=jnp.exp(-bound),
            w=pad(w),
            a=a,
            b=pad(b),
        )

    def prepare(frozen: RBMFrozen, s_N: Array) -> RBMCache:
        theta = _planes(frozen.b + times_weight(s_N, frozen.w))
        z = _exp(2 * theta[0] - frozen.bound, *(2 * phase for phase in theta[1:]))
        units = tuple(jnp.where(frozen.wide, *pair) for pair in zip(theta, z, strict=True))
        return RBMCache(units, jax.lax.cond(frozen.wide, exponential_factors, factors, frozen, units))

    def index(move: Move) -> Array:
        """The places of a move's entries in the tables."""
        return move.sites * len(deltas_D) + move.deltas.astype(jnp.int32) // spacing + (n_local - 1)

    def factors(frozen: RBMFrozen, z: Planes) -> Product:
        return _product((frozen.offset + z[0], *z[1:]), lanes)

    def exponential_factors(frozen: RBMFrozen, theta: Planes) -> Product:
        del frozen
        return _product(_planes(1 + jnp.exp(-2 * _right_half(_join(theta)))), lanes)

    def moved(frozen: RBMFrozen, units: Planes, place_F: Array) -> Planes:
        # Both cases with one table, and a choice between two numbers: a branch would cost a copy of the units.
        for place in place_F:
            step = _at(frozen.step, place)
            units = tuple(
                jnp.where(frozen.wide, unit + d, product)
                for unit, d, product in zip(units, step, _times(units, step), strict=True)
            )
        return units

    def try_product(frozen: RBMFrozen, z: Planes, move: Move, place_F: Array) -> tuple[Array, Product]:
        del move
        # Row by row: XLA vectorises the lanes of an elementwise expression, but not those of a reduction over rows.
        # Only here, because each row adds several operations to trace and compile.
        old_and_q = [z, *(_at(frozen.step, place) for place in place_F)]
        new_rows = []
        for r in range(rows):
            offset, *parts = (_row(x, r, lanes) for x in ((frozen.offset,), *old_and_q))
            new = functools.reduce(_times, parts)
            new_rows.append((jax.lax.add(offset[0], new[0]), *new[1:]))
        return jnp.sum(_at(frozen.const, place_F)), _product_of_lanes(_tree(new_rows))

    def try_exponentials(frozen: RBMFrozen, theta: Planes, move: Move, place_F: Array) -> tuple[Array, Product]:
        new = moved(frozen, theta, place_F)
        linear = jnp.sum(frozen.a[move.sites] * move.deltas.astype(param_dtype))
        linear = linear + jnp.sum(_right_half(_join(new)) - _right_half(_join(theta)))
        return linear, exponential_factors(frozen, new)

    # The predicate is the same for all configurations: under vmap this stays a branch, and only one side is run.
    def attempt(frozen: RBMFrozen, s_N: Array, cache: RBMCache, move: Move) -> tuple[Array, Product]:
        del s_N
        # places are an operand, because XLA would otherwise recompute each of them for every unit
        linear, new = jax.lax.cond(frozen.wide, try_exponentials, try_product, frozen, cache.units, move, index(move))
        return _log_ratio(linear, new, cache.product), new

    def advance(
        frozen: RBMFrozen, s_N: Array, cache: RBMCache, move: Move, product: Product, accepted: Array | bool
    ) -> RBMCache:
        del s_N
        # A move of delta 0 multiplies by 1, which is cheaper than a choice between two sets of units.
        taken = Move(move.sites, jnp.where(accepted, move.deltas, 0))
        units = moved(frozen, cache.units, index(taken))
        return RBMCache(units, jax.tree.map(lambda new, old: jnp.where(accepted, new, old), product, cache.product))

    def shifted(params: RBMParams, fields_N: Array) -> RBMParams:
        assert params.a is not None
        return params._replace(a=params.a + fields_N.astype(param_dtype))

    def product_state(fields_N: NDArray[Any]) -> RBMParams:
        a_N = fields_as(fields_N, param_dtype)
        middle, half = affine(local_values)
        if not bias and (a_N.any() or middle):
            raise ValueError("without biases the network is even in all values: bias=true")
        r_M = strengths(n_hidden, param_dtype) / half
        w = jnp.zeros((n_sites, n_hidden), param_dtype)
        of_units = RBMParams(w.at[sites_of_units(n_sites, n_hidden), np.arange(n_hidden)].set(r_M), None, None)
        if not bias:
            return of_units
        return of_units._replace(a=jnp.asarray(a_N / half, param_dtype), b=jnp.asarray(-middle * r_M, param_dtype))

    # d log psi / dw = s (x) tanh(theta), d log psi / da = s, d log psi / db = tanh(theta)
    leaves = ((0, 1), (0,), (1,)) if bias else ((0, 1),)

    def parts(params: RBMParams, s_N: Array) -> tuple[Array, ...]:
        s_N = s_N.astype(limits.dtype)
        theta_M = times_weight(s_N, params.w)
        return s_N, tanh(theta_M if params.b is None else theta_M + params.b)

    return complete(
        init,
        log_psi,
        "real" if dtype == "real" else "holomorphic",
        freeze=freeze,
        prepare=prepare,
        attempt=attempt,
        advance=advance,
        factors=Factors(parts, leaves),
        shifted=shifted if bias else None,
        product_state=product_state,
    )


def _planes(x: Array) -> Planes:
    return (x,) if jnp.isrealobj(x) else (x.real, x.imag)


def _join(x: Planes) -> Array:
    return x[0] if len(x) == 1 else jax.lax.complex(*x)


def _exp(size: Array, phase: Array | None = None) -> Planes:
    """exp(size + i phase), with real functions, because XLA's complex exponential takes several times as long."""
    modulus = jnp.exp(size)
    return (modulus,) if phase is None else (modulus * jnp.cos(phase), modulus * jnp.sin(phase))


def _times(x: Planes, y: Planes) -> Planes:
    mul = jax.lax.mul
    if len(x) == 1:
        return (mul(x[0], y[0]),)
    return jax.lax.sub(mul(x[0], y[0]), mul(x[1], y[1])), jax.lax.add(mul(x[0], y[1]), mul(x[1], y[0]))


def _at(table: Tree, place: Array) -> Tree:
    return jax.tree.map(lambda x: x.at[place].get(mode="promise_in_bounds"), table)


def _right_half(x: Array) -> Array:
    return jnp.where(x.real < 0, -x, x)


def _split(x: Planes) -> tuple[Planes, Array]:
    """x = mantissa * 2**exponent exactly, elementwise; the largest plane of the mantissa is in [1, 2), or 0."""
    size = functools.reduce(jnp.maximum, [jnp.abs(plane) for plane in x])
    limits = jnp.finfo(size.dtype)
    bias = limits.maxexp - 1
    bits = jax.lax.bitcast_convert_type(size, jnp.uint64 if limits.bits == 64 else jnp.uint32)
    biased = bits >> limits.nmant
    scale = jax.lax.bitcast_convert_type((2 * bias - biased) << limits.nmant, size.dtype)
    return tuple(plane * scale for plane in x), biased.astype(jnp.int32) - bias


def _row(x: Planes, r: int, lanes: int) -> Planes:
    return tuple(jax.lax.slice_in_dim(plane, r * lanes, (r + 1) * lanes) for plane in x)


def _product(x: Planes, lanes: int) -> Product:
    """The product of (U,) factors."""
    rows = tuple(plane.reshape(-1, lanes) for plane in x)
    return _product_of_lanes(tuple(jax.lax.reduce(rows, _one(rows), _times, (0,))))


def _product_of_lanes(lanes: Planes) -> Product:
    """The product over lanes, each of which is a product over its rows."""
    # Split before the lanes are multiplied: a reduction may take any order, and a product of two can leave the range.
    mantissa, exponent = _split(lanes)
    one = _one(mantissa)
    while exponent.size > _MANTISSAS:
        rows = -(-exponent.size // _MANTISSAS)
        pads = -exponent.size % rows
        padded = (jnp.pad(plane, (0, pads), constant_values=v) for plane, v in zip(mantissa, (1, 0), strict=False))
        grouped = tuple(plane.reshape(rows, -1) for plane in padded)
        mantissa, excess = _split(tuple(jax.lax.reduce(grouped, one, _times, (0,))))
        exponent = jnp.sum(jnp.pad(exponent, (0, pads)).reshape(rows, -1), axis=0, dtype=jnp.int32) + excess

    def combine(left: Product, right: Product) -> Product:
        return Product(_times(left.mantissa, right.mantissa), left.exponent + right.exponent)

    # One reduction of both: with two, XLA would recompute all factors, lane by lane, in each.
    mantissa, exponent = jax.lax.reduce(Product(mantissa, exponent), Product(one, jnp.int32(0)), combine, (0,))
    mantissa, excess = _split(mantissa)
    return Product(mantissa, exponent + excess)


def _one(x: Planes) -> Planes:
    return tuple(jnp.full((), v, x[0].dtype) for v in (1, 0)[: len(x)])


def _tree(rows: list[Planes]) -> Planes:
    """The product of rows, pairwise."""
    while len(rows) > 1:
        rows = [functools.reduce(_times, rows[i : i + 2]) for i in range(0, len(rows), 2)]
    return rows[0]


def _log_ratio(linear: Array, new: Product, old: Product) -> Array:
    """linear + log(new / old); 0 if old is 0, so that a chain leaves psi = 0 by any move."""
    numerator, denominator = _join(new.mantissa), _join(old.mantissa)
    empty = denominator == 0
    # Exponents are subtracted as integers, so that a ratio near 1 of huge products keeps its digits.
    quotient = jnp.log(numerator / jnp.where(empty, 1, denominator)) + (new.exponent - old.exponent) * LOG_2
    return jnp.where(empty, 0, quotient + linear)
