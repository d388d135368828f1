"""Sums over a group that project on a symmetry sector: their logarithm, and the states that are not in the sector.

If the characters of the elements that leave s invariant sum to 0, sum_g chi*(g) psi(g s) vanishes for every psi, while
rounding would leave some small number. Such s are found by a code of every g s, a sum of integers times s that is exact
in float64: equal codes mean equal states (except for one pair in 2^44 at 36 sites of spins). Any other sum counts as 0
if it is smaller than the rounding of its terms. Of fermions each g s comes with the sign of sorting
(`system.exchange`), in either sum.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.system.characters import Symmetry
from nqs_hpc.types import Kind

EXACT = 2**52  # integers up to this are exact in float64, and so are the sums below


def codes(symmetry: Symmetry, largest_value: int) -> NDArray[np.float64]:
    """(N, G): ``s_N @ codes`` are the codes of all g s, for local values of at most ``largest_value`` in modulus."""
    n_sites = symmetry.perms.shape[1]
    largest = EXACT // (n_sites * largest_value)
    integers_N = np.random.default_rng(0).integers(largest // 2, largest, n_sites).astype(np.float64)
    return (symmetry.flips[:, None] * integers_N[symmetry.perms]).T


def is_absent(code_G: Array, symmetry: Symmetry, odd_G: Array | None = None) -> Array:
    """Whether a state is not in the sector, from the codes of all g s; the first is its own. Where ``odd_G`` is true
    g s comes with the sign -1.
    """
    characters_G: Array | NDArray[np.float64] = symmetry.characters.real
    if odd_G is not None:
        characters_G = jnp.where(odd_G, -characters_G, characters_G)
    return jnp.sum(jnp.where(code_G == code_G[0], characters_G, 0.0)) < 0.5


def log_sum(
    log_G: Array, weights_G: NDArray[np.complex128], kind: Kind, absent: Array, odd_G: Array | None = None
) -> Array:
    """log sum_g w_g exp(log_g), with -w_g where ``odd_G`` is true; -inf, with derivatives 0, if ``absent`` or if the
    sum is only rounding.

    Real if ``kind`` is real. It uses real functions only: XLA's complex functions are several times as slow.
    """
    size_G, phase_G = jnp.real(log_G), jnp.imag(log_G) if jnp.iscomplexobj(log_G) else None
    dtype = size_G.dtype
    empty_G = jnp.isneginf(size_G)
    top = jax.lax.stop_gradient(jnp.max(size_G))
    top = jnp.where(jnp.isneginf(top), 0, top)
    # The inner where keeps the derivative at -inf, inf - inf, out of the unused branch.
    modulus_G = jnp.where(empty_G, 0, jnp.exp(jnp.where(empty_G, top, size_G) - top))
    u_G, v_G = (jnp.asarray(part, dtype) for part in (weights_G.real, weights_G.imag))
    if odd_G is not None:
        modulus_G = jnp.where(odd_G, -modulus_G, modulus_G)
    if phase_G is None:
        x = jnp.sum(u_G * modulus_G)
        y = jnp.sum(v_G * modulus_G) if weights_G.imag.any() else jnp.zeros_like(x)
    elif kind == "signed":
        x = jnp.sum(u_G * jnp.where(jnp.cos(phase_G) < 0, -modulus_G, modulus_G))
        y = jnp.zeros_like(x)
    else:
        phase_G = jnp.where(empty_G, 0, phase_G)
        cosine_G, sine_G = modulus_G * jnp.cos(phase_G), modulus_G * jnp.sin(phase_G)
        x = jnp.sum(u_G * cosine_G - v_G * sine_G)
        y = jnp.sum(u_G * sine_G + v_G * cosine_G)
    sizes_G = modulus_G if odd_G is None else jnp.abs(modulus_G)
    rounding = jnp.finfo(dtype).eps * jnp.sum(jnp.asarray(np.abs(weights_G), dtype) * sizes_G)
    square = x * x + y * y
    vanishes = absent | (square <= rounding * rounding)
    size = jnp.where(vanishes, -jnp.inf, jnp.log(jnp.where(vanishes, 1, square)) / 2 + top)
    if kind == "real":
        return size
    x, y = jnp.where(vanishes, 1, x), jnp.where(vanishes, 0, y)
    return jax.lax.complex(size, jnp.where(x < 0, jnp.pi, 0).astype(dtype) if kind == "signed" else jnp.arctan2(y, x))
