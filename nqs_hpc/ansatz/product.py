"""What networks need to be a product state (`system.product_states`) from which they can move.

Hidden units on single sites. A unit of strength r on site i multiplies psi by cosh(r x_i) = cosh(r): a constant, to
the bit, whatever r. Its log-derivative by the weight to another site k is tanh(r) x_k x_i, that by its bias
tanh(r) x_i, so units on all sites put all pairs of sites among the log-derivatives. Units of strength 0, in which psi
is the same state, have none of them: such an RBM stays a product state for all times. Units of equal strength on one
site have equal velocities and stay equal, so no two strengths are the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nqs_hpc.system.product_states import reduced

LEAST, MOST = 0.1, 0.2  # strengths of the units: large enough for a force, small enough for log cosh to be a parabola
_GOLDEN, _SILVER = (5**0.5 - 1) / 2, 2**0.5 - 1  # their multiples fill an interval evenly


def fields_as(fields_N: ArrayLike, dtype: np.dtype) -> NDArray[Any]:
    """The fields (N,) in the dtype of parameters. ValueError if they have phases that real ones have not got."""
    a_N = reduced(fields_N)
    if dtype.kind == "c":
        return a_N.astype(dtype)
    if a_N.imag.any():
        raise ValueError("a state with phases needs a network with phases: dtype=complex, or modulus_phase")
    return a_N.real.astype(dtype)


def strengths(n_units: int, dtype: np.dtype) -> NDArray[Any]:
    """(n_units,) distinct numbers with moduli between `LEAST` and `MOST`; complex ones with phases of the right half
    plane, since r and -r are the same unit.
    """
    number = np.arange(1, n_units + 1)
    modulus = LEAST + (MOST - LEAST) * (number * _GOLDEN % 1)
    if dtype.kind != "c":
        return modulus.astype(dtype)
    return (modulus * np.exp(1j * np.pi * (number * _SILVER % 1 - 0.5))).astype(dtype)


def sites_of_units(n_sites: int, n_units: int) -> NDArray[np.int64]:
    """(n_units,) one site for each unit: each site once before any of them twice, the last few evenly apart."""
    whole, last = divmod(n_units, n_sites)
    rest = np.arange(last, dtype=np.int64) * n_sites // max(last, 1)
    return np.concatenate([np.tile(np.arange(n_sites, dtype=np.int64), whole), rest])
