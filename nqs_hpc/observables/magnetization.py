"""Moments of the magnetization along z and Binder's cumulant, and the magnetization along x and y.

    m(s) = 1/N sum_i eta_i s_i,        U = 1 - <m^4> / (3 <m^2>^2),

in units of Pauli matrices, s_i = 2 S^z_i, which is +1 or -1 for spins 1/2; eta_i = 1, or the sign of the sublattice of
site i. U is 2/3 where m has one modulus (order), 0 where m is normally distributed: Binder, Z. Phys. B 43, 119 (1981),
doi:10.1007/BF01293604.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.types import Local, Observable, Output, PauliString, Tree


def magnetization_z(signs_N: NDArray[np.int8], *, label: str = "m") -> Observable:
    """Outputs m, abs, m2, m4 and binder, numbers; diagonal, so without ratios."""

    def values(frozen: Tree, s_BN: Array, time: Array | None = None) -> Array:
        del frozen, time
        m_B = s_BN.astype(jnp.float64) @ jnp.asarray(signs_N, jnp.float64) / s_BN.shape[1]
        return jnp.stack([m_B, jnp.abs(m_B), m_B**2, m_B**4], axis=1)

    outputs = (
        Output("m", label=label),
        Output("abs", label=f"|{label}|"),
        Output("m2", label=f"{label}²"),
        Output("m4", label=f"{label}⁴"),
        Output("binder", label=f"Binder cumulant of {label}"),
    )
    return Observable(Local(lambda ansatz: values), outputs, moments, n_values=4)


def moments(means: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """From the means of m, |m|, m^2 and m^4, (..., 4)."""
    m, modulus, m2, m4 = (np.real(means[..., i]) for i in range(4))
    return {"m": m, "abs": modulus, "m2": m2, "m4": m4, "binder": 1 - m4 / (3 * m2**2)}


def magnetization_xy(axis: str, signs_N: NDArray[np.int8], *, label: str = "m") -> Observable:
    """m along x or y of spins 1/2, one number, as a sum of Pauli matrices."""
    n = len(signs_N)
    terms = tuple(PauliString(float(sign) / n, axis.upper(), (i,)) for i, sign in enumerate(signs_N.tolist()))
    return Observable(strings=(terms,), outputs=(Output(label=label),))
