"""Log-derivatives that are outer products: kernels and products with vectors without a Jacobian.

The derivative of log psi with respect to the weight of a dense layer is an outer product, O = a (x) b, of the layer's
input and the derivative with respect to its output. So <O, O'> = (a . a')(b . b'), the sample-space kernel is a product
of two small Gram matrices, and O v = a^T V b and O^dagger y = A^dagger diag(y) B^* are matrix products. An ansatz names
its parts and says which of them form the derivative of each leaf (`types.Factors`); for an RBM with t = tanh(theta) the
kernel is

    O O^dagger = (s s^T)(t t^dagger) + s s^T + t t^dagger     (elementwise),    N + M numbers per sample instead of N M
    + N + M.

The identity is that of Goodfellow (2015, arXiv:1510.01799) for gradient norms and of K-FAC (Martens and Grosse 2015,
arXiv:1503.05671).

Kernels need centred derivatives. We may subtract a constant from O first, because centring removes it anyway; with
parts split as a = a0 + da about their means, O - a0 (x) b0 = a (x) db + da (x) b0 avoids large cancellations.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array

from nqs_hpc.gradient.flat import Flat
from nqs_hpc.gradient.planes import product
from nqs_hpc.parallel.chunk import chunked_map
from nqs_hpc.types import Ansatz, Tree

Leaves = Sequence[tuple[int, ...]]


def part_rows(ansatz: Ansatz, params: Tree, s_BN: Array, chunk: int | None) -> tuple[Array, ...]:
    """The parts of this rank's samples, each (rows, width), with the rows of `jacobian`.

    In the two rows of a complex ansatz, Re O and Im O, a complex part gives its real and its imaginary part, and the
    real parts that it multiplies appear twice.
    """
    assert ansatz.factors is not None
    parts = chunked_map(lambda s_N: ansatz.factors.parts(params, s_N), s_BN, chunk)  # type: ignore[union-attr]
    if ansatz.kind != "complex":
        return parts
    for leaf in ansatz.factors.leaves:
        assert sum(jnp.iscomplexobj(parts[i]) for i in leaf) == 1
    return tuple(
        jnp.stack([part.real, part.imag] if jnp.iscomplexobj(part) else [part, part], axis=1).reshape(-1, part.shape[1])
        for part in parts
    )


def gram(leaves: Leaves, rows: Sequence[Array], columns: Sequence[Array], shifts: Sequence[Array]) -> Array:
    """(rows, columns): <O, O'> summed over leaves, up to terms that depend on only one index, which centring removes.

    ``rows`` and ``columns`` are parts of samples, ``shifts`` one vector for each part, best its mean.
    """
    grams, lows, row_terms, column_terms = [], [], [], []
    for row, column, shift in zip(rows, columns, shifts, strict=True):
        d_row, d_column = row - shift[None], column - shift[None]
        row_terms.append(d_row @ shift.conj())
        column_terms.append((d_column @ shift.conj()).conj())
        grams.append(product(d_row, d_column.conj().T))
        lows.append(row_terms[-1][:, None] + column_terms[-1][None, :] + jnp.vdot(shift, shift).real)
    total: Array | float = 0.0
    for leaf in leaves:
        if len(leaf) == 1:
            total = total + grams[leaf[0]]
            continue
        a, b = leaf
        total = total + grams[a] * (grams[b] + lows[b]) + lows[a] * grams[b]
        total = total + row_terms[b][:, None] * column_terms[a][None, :]
        total = total + row_terms[a][:, None] * column_terms[b][None, :]
    return jnp.asarray(total)


def times(leaves: Leaves, flat: Flat, parts: Sequence[Array], v_P: Array) -> Array:
    """(rows,): O v, for v in the flat form of the parameters."""
    total: Array | float = 0.0
    for leaf, v in zip(leaves, flat.split(v_P), strict=True):
        if len(leaf) == 1:
            total = total + product(parts[leaf[0]], v.ravel())
        else:
            a, b = leaf
            total = total + jnp.sum(product(parts[a], v) * parts[b], axis=1)
    return jnp.asarray(total)


def adjoint(leaves: Leaves, parts: Sequence[Array], y_rows: Array) -> Array:
    """(P,): O^dagger y over the rows given."""
    out = []
    for leaf in leaves:
        if len(leaf) == 1:
            out.append(product(parts[leaf[0]].conj().T, y_rows))
        else:
            a, b = leaf
            out.append(product(parts[a].conj().T, y_rows[:, None] * parts[b].conj()).ravel())
    return jnp.concatenate(out)
