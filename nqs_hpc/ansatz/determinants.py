"""What wave functions of fermions share: the occupied modes in order, and logarithms of determinants.

The amplitude of |n> = c^dagger_{m_1} ... c^dagger_{m_n} |0>, m_1 < ... < m_n, in a Slater determinant of the orbitals
Phi (M, n) is det of the rows m_1 ... m_n of Phi. The derivative of its logarithm is

    d log det A / d A = (A^-1)^T,

from the same factors of A as the determinant: `log_det` and `log_det_of_rows` bring it with them. At a singular A,
where no derivative exists, it is 0: such a state has weight 0.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.ansatz.elimination import sign_and_size, sign_size_and_inverse


def occupied(s_N: Array, n: int) -> Array:
    """The numbers (n,) int32 of the occupied modes, ascending; ``n`` (static) of them."""
    return jnp.nonzero(s_N, size=n, fill_value=0)[0].astype(jnp.int32)


@jax.custom_jvp
def log_det(a_nn: Array) -> Array:
    """log det of a matrix, complex: of a real one the imaginary part is 0 or pi; -inf where it is singular."""
    return as_logarithm(*sign_and_size(a_nn))


@log_det.defjvp
def _log_det_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    value, inverse = log_det_and_inverse(*primals)
    tangent = jnp.sum(inverse.T * tangents[0])
    return value, tangent.astype(value.dtype)


def log_det_and_inverse(a_nn: Array) -> tuple[Array, Array]:
    """`log_det` and the inverse, from one elimination; the inverse of a singular matrix is given as 0."""
    sign, size, inverse = sign_size_and_inverse(a_nn)
    return as_logarithm(sign, size), inverse


def log_det_of_rows(phi_Mn: Array, s_M: Array) -> Array:
    """log of the determinant of the rows of ``phi_Mn`` that ``s_M`` (0 and 1, n of them 1) occupies."""
    return _log_det_of_rows(phi_Mn, jnp.asarray(s_M, jnp.int8).astype(phi_Mn.real.dtype))


@jax.custom_jvp
def _log_det_of_rows(phi_Mn: Array, s_M: Array) -> Array:
    return log_det(phi_Mn[occupied(s_M, phi_Mn.shape[1])])


@_log_det_of_rows.defjvp
def _log_det_of_rows_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Any]) -> tuple[Array, Array]:
    value, gradient_Mn = log_det_and_gradient(*primals)
    return value, jnp.sum(gradient_Mn * tangents[0]).astype(value.dtype)


def log_det_and_gradient(phi_Mn: Array, s_M: Array) -> tuple[Array, Array]:
    """`log_det_of_rows` and its derivative by ``phi_Mn``: rows of (A^-1)^T at the occupied modes, else 0."""
    n = phi_Mn.shape[1]
    value, inverse = log_det_and_inverse(phi_Mn[occupied(s_M, n)])
    # a gather of rows: a scatter of them, which the derivative of the gather above would be, is many times as slow
    place_M = jnp.clip(jnp.cumsum(s_M != 0) - 1, 0, n - 1)
    return value, jnp.where((s_M != 0)[:, None], inverse.T[place_M], 0)


def as_logarithm(sign: Array, log_modulus: Array) -> Array:
    """log of a number from its sign, or phase, and the logarithm of its modulus."""
    is_complex = jnp.iscomplexobj(sign)
    phase = jnp.angle(sign) if is_complex else jnp.where(sign < 0, np.pi, 0.0).astype(log_modulus.dtype)
    return jax.lax.complex(log_modulus, phase)
