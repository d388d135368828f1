"""Wave functions of a few numbers that a network gives: orbitals, rows of determinants.

    y_j(n) = b_j + W_j x(n),     log psi(n) = f(y_1, y_2, ..., c, n),

with features x (`features`) and further parameters c. All parameters are real. Each y_j has a weight from all features,
or from those of the row that each of its rows belongs to.

Log-derivatives are products where the layers of the network are dense: that by W_j is x times what f gives for y_j.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.ansatz.features import Features
from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.ansatz.layers import normal
from nqs_hpc.types import Ansatz, Factors, Tree


class Head(NamedTuple):
    """Numbers that a network gives: ``start`` (rows, columns) real is what they are without it.

    ``rows`` (rows,): the row of the features on which each depends; None: on all features.
    """

    start: NDArray[np.floating]
    rows: NDArray[np.int32] | None = None


class Networked(NamedTuple):
    """``given(frozen, s_N)``: the y and the c in their shapes, by frozen parameters of ``ansatz``."""

    ansatz: Ansatz
    given: Callable[[Tree, Array], tuple[tuple[Array, ...], tuple[Array, ...]]]


class NetworkedParams(NamedTuple):
    net: Tree
    weights: tuple[Array, ...]  # of each head (width, rows columns), or by rows (rows, width, columns)
    biases: tuple[Array, ...]  # (rows columns,)
    fixed: tuple[Array, ...]  # the further parameters, each one vector


def networked(
    features: Features,
    heads: Sequence[Head],
    fixed: Sequence[NDArray[np.floating]],
    value: Callable[[tuple[Array, ...], tuple[Array, ...], Array], Array],
    *,
    is_complex: bool,
    noise: float,
    head_scale: float,
    dtype: np.dtype,
) -> Networked:
    """The ansatz ``value(y, c, s_N)``, complex, of y (rows, columns) each and c in the shapes of ``fixed``.

    Of kind ``complex``, or ``signed`` where the imaginary part of ``value`` is 0 or pi. Weights start as normal numbers
    of standard deviation ``head_scale`` over the root of their number for one output; biases and c as given plus normal
    numbers of standard deviation ``noise``.
    """
    by_row = [head.rows is not None for head in heads]
    shapes = [head.start.shape for head in heads]
    n_inputs = [features.width if rows else features.width * features.n_rows for rows in by_row]

    def init(key: Array) -> NetworkedParams:
        net, *keys = jax.random.split(key, 1 + 2 * len(heads) + len(fixed))
        of_weights, of_others = keys[: len(heads)], keys[len(heads) :]
        weights = []
        for one, (n_rows, n_columns), width, rows in zip(of_weights, shapes, n_inputs, by_row, strict=True):
            shape = (n_rows, width, n_columns) if rows else (width, n_rows * n_columns)
            weights.append(normal(one, shape, head_scale / width**0.5, dtype))
        begun = [
            jnp.asarray(start.ravel(), dtype) + normal(one, (start.size,), noise, dtype)
            for one, start in zip(of_others, [*(head.start for head in heads), *fixed], strict=True)
        ]
        return NetworkedParams(
            features.init(net), tuple(weights), tuple(begun[: len(heads)]), tuple(begun[len(heads) :])
        )

    def outputs(params: NetworkedParams, x: Array) -> tuple[Array, ...]:
        found = []
        for head, weight, bias in zip(heads, params.weights, params.biases, strict=True):
            if head.rows is None:
                y = (x.reshape(-1) @ weight).reshape(head.start.shape)
            else:
                y = jnp.einsum("rc,rck->rk", x[head.rows], weight)
            found.append(y + bias.reshape(head.start.shape))
        return tuple(found)

    def shaped(vectors: Sequence[Array]) -> tuple[Array, ...]:
        return tuple(v.reshape(c.shape) for v, c in zip(vectors, fixed, strict=True))

    def log_psi(params: NetworkedParams, s_N: Array) -> Array:
        return value(outputs(params, features.apply(params.net, s_N)), shaped(params.fixed), s_N)

    def freeze(params: NetworkedParams) -> NetworkedParams:
        return params._replace(net=features.freeze(params.net))

    def given(frozen: NetworkedParams, s_N: Array) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        return outputs(frozen, features.frozen(frozen.net, s_N)), shaped(frozen.fixed)

    def of_frozen(frozen: NetworkedParams, s_N: Array) -> Array:
        return value(*given(frozen, s_N), s_N)

    def parts(params: NetworkedParams, s_N: Array) -> tuple[Array, ...]:
        """The inputs of all layers, the features, and what comes back to the outputs of all layers, the y and the c."""
        assert features.traced is not None
        x, inputs, back_to_layers = features.traced(params.net, s_N)

        def both(x: Array, biases: tuple[Array, ...], others: tuple[Array, ...]) -> Array:
            z = value(outputs(params._replace(biases=biases), x), shaped(others), s_N)
            return jnp.stack([jnp.real(z), jnp.imag(z)]) if is_complex else jnp.real(z)[None]

        z, pullback = jax.vjp(both, x, params.biases, params.fixed)
        found = []
        for unit in jnp.eye(len(z), dtype=z.dtype):
            to_x, to_biases, to_others = pullback(unit)
            found.append((*back_to_layers(to_x), *to_biases, *to_others))
        back = [jax.lax.complex(*of_one) if is_complex else of_one[0] for of_one in zip(*found, strict=True)]
        return (*inputs, x, *back)

    n, n_heads = features.n_layers, len(heads)
    first = 2 * n + 1  # of the parts that belong to the heads
    leaves = (
        *(leaf for i in range(n) for leaf in ((i, n + 1 + i), (n + 1 + i,))),
        *((n, first + j) for j in range(n_heads)),
        *((first + j,) for j in range(n_heads + len(fixed))),
    )
    dense = features.traced is not None and not any(by_row)
    whole = full_evaluation(init, of_frozen, "complex" if is_complex else "signed", freeze=freeze)
    ansatz = whole._replace(log_psi=log_psi, factors=Factors(parts, leaves) if dense else None)
    return Networked(ansatz, given)
