"""Whether an operator commutes with permutations of sites and spin flips, by its matrix elements.

H commutes with g where (H f_g)(s) = (H f)(g s) for every function f of states, f_g(s) = f(g s). A random f and some
random states s tell: equal sums of elements with random weights are equal elements. Of fermions f(g s) and (H f)(g s)
both come with the sign of sorting (`system.exchange`).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system.characters import Symmetry
from nqs_hpc.system.exchange import masks, odd
from nqs_hpc.system.hilbert import Hilbert, base_state, groups, has_one_total, is_whole, members
from nqs_hpc.types import Operator

# States are so many that a term which acts where two sites differ acts on this many of them, wherever it lies.
HITS, MOST_STATES = 16, 4096
TOLERANCE = 1e-9  # relative to the sum of the elements' moduli
PAIRS = 2**20  # matrix elements evaluated at a time


def some_states(hilbert: Hilbert, rng: np.random.Generator) -> NDArray[np.int8]:
    """(B, N) random states of each block with its total; what is excluded is not looked at."""
    values = np.array(hilbert.local_values, dtype=np.int8)
    if is_whole(hilbert):
        return rng.choice(values, (2 * HITS, hilbert.n_sites))
    base_N = base_state(hilbert)
    differ = np.mean(base_N[:, None] != base_N[None, :])
    n_states = min(MOST_STATES, int(np.ceil(HITS / max(differ, 1 / MOST_STATES))))
    s_BN = np.tile(base_N, (n_states, 1))
    for sites, total in groups(hilbert):
        block = s_BN[:, list(sites)]
        s_BN[:, list(sites)] = rng.permuted(block, axis=1) if total is not None else rng.choice(values, block.shape)
    return s_BN


def broken(operator: Operator, hilbert: Hilbert, symmetry: Symmetry) -> int | None:
    """The number of the first element that does not leave the operator, or the space, as it is; None if all do."""
    rng = np.random.default_rng(0)
    n = hilbert.n_sites
    s_BN = some_states(hilbert, rng)
    weights_N = rng.normal(size=n)
    back_GN = np.argsort(symmetry.perms, axis=1)
    if not has_one_total(hilbert):
        s_BN = np.concatenate([base_state(hilbert)[None], s_BN[members(hilbert, s_BN)]])
        for g, (back_N, flip) in enumerate(zip(back_GN, symmetry.flips, strict=True)):
            if not members(hilbert, flip * s_BN[:, back_N]).all():
                return g

    def f(s_N: jax.Array) -> jax.Array:
        return jnp.sin(s_N.astype(jnp.float64) @ weights_N + 1.0)

    def difference(element: tuple[jax.Array, ...]) -> jax.Array:
        back_N, flip, *later = element

        def carried(s_N: jax.Array) -> jax.Array:
            return (flip * s_N[back_N]).astype(s_N.dtype)

        def signed(value: jax.Array, s_N: jax.Array) -> jax.Array:
            return jnp.where(odd(later[0][None], s_N)[0], -value, value) if later else value

        def of_state(s_N: jax.Array) -> jax.Array:
            there, size = applied(carried(s_N), f)
            here, _ = applied(s_N, lambda s_N: signed(f(carried(s_N)), s_N))
            return jnp.abs(signed(there, s_N) - here) / size

        return jnp.max(jax.vmap(of_state)(jnp.asarray(s_BN)))

    def applied(s_N: jax.Array, g: Callable[[jax.Array], jax.Array]) -> tuple[jax.Array, jax.Array]:
        """(H g)(s), and the sum of the elements' moduli."""
        moves, elements_K = operator.connected(s_N)

        def reached(sites: jax.Array, deltas: jax.Array) -> jax.Array:
            return g(s_N.at[sites].add(deltas.astype(s_N.dtype)))

        diagonal = operator.diagonal(s_N)
        total = diagonal * g(s_N) + jnp.sum(elements_K * jax.vmap(reached)(moves.sites, moves.deltas))
        return total, 1e-300 + jnp.abs(diagonal) + jnp.sum(jnp.abs(elements_K))

    elements: tuple[jax.Array, ...] = (jnp.asarray(back_GN), jnp.asarray(symmetry.flips))
    if hilbert.fermionic:
        elements = (*elements, jnp.asarray(masks(symmetry.perms)))
    at_once = max(1, PAIRS // (len(s_BN) * n * max(1, operator.n_connected)))
    of_all = jax.jit(lambda elements: jax.lax.map(difference, elements, batch_size=min(at_once, len(back_GN))))
    change_G = np.asarray(of_all(elements))
    return int(np.argmax(change_G > TOLERANCE)) if (change_G > TOLERANCE).any() else None
