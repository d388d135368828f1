"""One gather of an evaluation: local values of any number of observables from all ranks, with what else they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.parallel.comm import Comm
from nqs_hpc.types import Ansatz, Local, Samples, Tree


class Shared(NamedTuple):
    """What the ranks told each other in the one gather of an evaluation."""

    counts: dict[str, Array]  # the sampler's info, summed over ranks
    hash_R: Array  # of the parameters each rank used
    overlaps: Any = None  # with other wave functions, if there are some (`tasks.penalty.Overlaps`)


def gathered(
    comm: Comm, params: Tree, samples: Samples, counts: dict[str, Array], values: Sequence[Array]
) -> tuple[list[Array], Array, list[Array], Shared]:
    """This rank's local values (B,), those of all ranks' weights (A,) and values (A,), in the global order of chains.

    They are float64 or complex128 for any precision of the network. States of weight 0 (the pads of an
    enumeration, zeros of psi) count as 0.
    """
    own = []
    for value_B in values:
        value_B = jnp.where(samples.w_B > 0, value_B, 0)
        own.append(value_B.astype(jnp.complex128 if jnp.iscomplexobj(value_B) else jnp.float64))
    names = sorted(counts)
    n = samples.w_B.shape[0]
    scalars = jnp.stack([parameter_hash(params)] + [counts[name] for name in names])
    parts = [samples.w_B]
    for value_B in own:
        parts += [jnp.real(value_B)] + ([jnp.imag(value_B)] if jnp.iscomplexobj(value_B) else [])
    gathered = comm.gather(jnp.concatenate([scalars, *parts]))

    n_scalars = len(names) + 1
    columns = gathered[:, n_scalars:].reshape(comm.size, len(parts), n).transpose(1, 0, 2).reshape(len(parts), -1)
    found, k = [], 1
    for value_B in own:
        is_complex = jnp.iscomplexobj(value_B)
        found.append(jax.lax.complex(columns[k], columns[k + 1]) if is_complex else columns[k])
        k += 2 if is_complex else 1
    totals = {name: jnp.sum(gathered[:, 1 + i]) for i, name in enumerate(names)}
    return own, columns[0], found, Shared(totals, gathered[:, 0])


def measurement(ansatz: Ansatz, local: Sequence[Local], comm: Comm) -> Callable[..., tuple[Array, Array, Shared]]:
    """``(params, samples, counts) -> (values_AK, w_A, Shared)``: complex128 local values of all ranks, one gather."""
    prepared = [one.prepare(ansatz) for one in local]

    def measure(params: Tree, samples: Samples, counts: dict[str, Array]) -> tuple[Array, Array, Shared]:
        frozen = ansatz.freeze(params)
        values = [of(frozen, samples.s_BN) for of in prepared]
        _, w_A, found, shared = gathered(comm, params, samples, counts, values)
        return jnp.stack([value_A.astype(jnp.complex128) for value_A in found], axis=1), w_A, shared

    return measure


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


def check_hashes(hash_R: Array, step: int) -> None:
    """All ranks hold the same parameters, else the run is worth nothing: a fault that names the ranks."""
    odd = np.flatnonzero(np.asarray(hash_R) != np.asarray(hash_R)[0])
    if len(odd):
        raise RuntimeError(
            f"after {step} steps the parameters of ranks {odd.tolist()} differ from those of rank 0; "
            "on mixed nodes set optimizer.broadcast=true"
        )
