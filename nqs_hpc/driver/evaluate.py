"""One evaluation of the wave function: samples, local energies, the energy with its error, the same on every rank.

E = sum_s w(s) E_loc(s)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.operators.local_values import local_energies
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.stats.estimate import estimate
from nqs_hpc.types import Ansatz, Batch, Operator, Samples, Tree


class Shared(NamedTuple):
    """What the ranks told each other in the one gather of an evaluation."""

    counts: dict[str, Array]  # the sampler's info, summed over ranks
    hash_R: Array  # of the parameters each rank used


def evaluation(
    ansatz: Ansatz, operator: Operator, comm: Comm, *, chain_length: int, chunk: int | None
) -> Callable[..., tuple[Batch, Shared]]:
    """``(params, samples, counts, rank=own) -> (Batch, Shared)``; one gather of all local energies and scalars.

    The energies are accumulated in float64 or complex128 whatever the precision of the network. States of weight 0 (the
    pads of an enumeration, zeros of psi) count as 0.
    """
    e_loc = local_energies(ansatz, operator, chunk=chunk)

    def evaluate(
        params: Tree, samples: Samples, counts: dict[str, Array], rank: Array | int = comm.rank
    ) -> tuple[Batch, Shared]:
        frozen = ansatz.freeze(params)
        e_loc_B = e_loc(frozen, samples.s_BN)
        e_loc_B = jnp.where(samples.w_B > 0, e_loc_B, 0)
        is_complex = jnp.iscomplexobj(e_loc_B)
        e_loc_B = e_loc_B.astype(jnp.complex128 if is_complex else jnp.float64)

        names = sorted(counts)
        n = e_loc_B.shape[0]
        scalars = jnp.stack([parameter_hash(params)] + [counts[name] for name in names])
        parts = [samples.w_B, jnp.real(e_loc_B)] + ([jnp.imag(e_loc_B)] if is_complex else [])
        gathered = comm.gather(jnp.concatenate([scalars, *parts]))

        n_scalars = len(names) + 1
        columns = gathered[:, n_scalars:].reshape(comm.size, len(parts), n).transpose(1, 0, 2).reshape(len(parts), -1)
        w_A = columns[0]
        e_loc_A = jax.lax.complex(columns[1], columns[2]) if is_complex else columns[1]
        totals = {name: jnp.sum(gathered[:, 1 + i]) for i, name in enumerate(names)}
        batch = Batch(
            jnp.asarray(rank, jnp.int32), samples, e_loc_B, e_loc_A, w_A, estimate(e_loc_A, w_A, chain_length)
        )
        return batch, Shared(totals, gathered[:, 0])

    return evaluate


def parameter_hash(params: Tree) -> Array:
    """A number below 2^32, as float64, that tells apart parameters that differ in any bit (but for 1 in 2^32)."""
    total = jnp.uint32(0)
    for i, leaf in enumerate(jax.tree.leaves(params)):
        for part in [jnp.real(leaf), jnp.imag(leaf)] if jnp.iscomplexobj(leaf) else [leaf]:
            words = jax.lax.bitcast_convert_type(part.ravel(), jnp.uint32).ravel()
            places = jnp.arange(words.size, dtype=jnp.uint32) * jnp.uint32(0x9E3779B1)
            mixed = _mix(_mix(words) ^ places)  # mixed twice, so that changes of several words do not cancel
            total = _mix(total + jnp.uint32(i)) + jnp.sum(mixed, dtype=jnp.uint32)
    return total.astype(jnp.float64)


def _mix(x: Array) -> Array:
    """The finaliser of MurmurHash3: a permutation of 32-bit words in which every bit moves every other."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)
