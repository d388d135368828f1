"""What wave functions of fermions share: the occupied modes in order, and logarithms of determinants.

The amplitude of |n> = c^dagger_{m_1} ... c^dagger_{m_n} |0>, m_1 < ... < m_n, in a Slater determinant of the orbitals
Phi (M, n) is det of the rows m_1 ... m_n of Phi.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array


def occupied(s_N: Array, n: int) -> Array:
    """The numbers (n,) int32 of the occupied modes, ascending; ``n`` (static) of them."""
    return jnp.nonzero(s_N, size=n, fill_value=0)[0].astype(jnp.int32)


def log_det(a_nn: Array) -> Array:
    """log det of a matrix, complex: of a real one the imaginary part is 0 or pi; -inf where it is singular."""
    sign, log_modulus = jnp.linalg.slogdet(a_nn)
    return as_logarithm(sign, log_modulus)


def as_logarithm(sign: Array, log_modulus: Array) -> Array:
    """log of a number from its sign, or phase, and the logarithm of its modulus."""
    is_complex = jnp.iscomplexobj(sign)
    phase = jnp.angle(sign) if is_complex else jnp.where(sign < 0, np.pi, 0.0).astype(log_modulus.dtype)
    return jnp.asarray(log_modulus + 1j * phase)
