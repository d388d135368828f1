"""How long a step is: the fraction of it with the least energy, by the samples that made it.

The energies along a step delta are those of correlated sampling, with samples and weights w of psi_0 = psi(theta),

    r_f = |psi(theta + f delta) / psi_0|^2,  E_f = sum w r_f E_loc,f / sum w r_f,

so the noise that all have in common does not decide (Umrigar, Wilson and Wilkins 1988, doi:10.1103/PhysRevLett.60.1719;
for the length of a step Toulouse and Umrigar 2007, doi:10.1063/1.2437215). A fraction counts where at least ``KEPT`` of
the samples are left, (sum w r_f)^2 / sum w r_f^2 for weights of sum 1. Where none counts, the smallest is taken. The
samples made the step too: the fewer they are beside the parameters, the more the energies that they give to long steps
are too low.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.operators.local_values import MEMORY, local_energies
from nqs_hpc.parallel.chunk import chunked_map
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.types import Ansatz, Batch, Operator, Tree

KEPT = 0.5


def line_search(
    ansatz: Ansatz,
    operator: Operator,
    comm: Comm,
    *,
    fractions: Sequence[float],
    chunk: int | None,
    memory: int = MEMORY,
) -> Callable[[Tree, Tree, Batch], tuple[Tree, Array]]:
    """``(params, delta, batch) -> (delta, fraction)``: the step with the fraction of it that is taken. One gather of
    log weights and local energies, of which every rank computes the same.
    """
    e_loc = local_energies(ansatz, operator, chunk=chunk, memory=memory)
    tried = jnp.asarray(sorted(fractions), jnp.float64)

    def shortened(delta: Tree, fraction: Array) -> Tree:
        return jax.tree.map(lambda d: d * fraction.astype(d.real.dtype), delta)

    def search(params: Tree, delta: Tree, batch: Batch) -> tuple[Tree, Array]:
        s_BN = batch.samples.s_BN

        def log_modulus(params: Tree) -> Array:
            return chunked_map(lambda s_N: jnp.real(ansatz.log_psi(params, s_N)), s_BN, chunk).astype(jnp.float64)

        before_B = log_modulus(params)

        def at(fraction: Array) -> Array:
            moved = jax.tree.map(lambda p, d: p + d.astype(p.dtype), params, shortened(delta, fraction))
            energies_B = jnp.real(e_loc(ansatz.freeze(moved), s_BN)).astype(jnp.float64)
            return jnp.stack([2 * (log_modulus(moved) - before_B), energies_B])

        # (fractions, 2, B) of each rank -> (fractions, 2, A) in the global order of chains
        gathered = comm.gather(jax.lax.map(at, tried))
        all_f2A = jnp.moveaxis(gathered, 0, 2).reshape(*gathered.shape[1:3], -1)
        energies_f, kept_f = jax.vmap(lambda one: reweighted(one[0], one[1], batch.w_A))(all_f2A)
        counts = (kept_f >= KEPT) & jnp.isfinite(energies_f)  # not where the number is NaN
        best = jnp.argmin(jnp.where(counts, energies_f, jnp.inf))
        fraction = tried[best]
        return shortened(delta, fraction), fraction

    return search


def reweighted(log_ratio_A: Array, energies_A: Array, w_A: Array) -> tuple[Array, Array]:
    """The energy under weights w r, and the share of the samples that is left; of log r.

    Samples of weight 0 (pads of an enumeration, zeros of psi) count for nothing, whatever stands there.
    """
    has_weight = w_A > 0
    log_A = jnp.where(has_weight, log_ratio_A, -jnp.inf)
    ratio_A = jnp.where(has_weight, jnp.exp(log_A - jnp.max(log_A)), 0.0)
    total = jnp.sum(w_A * ratio_A)
    energy = jnp.sum(w_A * ratio_A * jnp.where(has_weight, energies_A, 0.0)) / total
    return energy, total**2 / (jnp.sum(w_A) * jnp.sum(w_A * ratio_A**2))
