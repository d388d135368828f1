"""All states with their exact weights |psi|^2 / sum |psi|^2: sums without statistical error, for small systems and
tests.

The states are distributed over the ranks in equal parts, padded with a valid state of weight 0. The normalisation is a
log-sum-exp over ranks, in one gather.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.parallel.chunk import chunked_map
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.system.hilbert import Hilbert, codes
from nqs_hpc.types import Ansatz, Sampler, Samples, Tree


def enumeration(ansatz: Ansatz, hilbert: Hilbert, comm: Comm, *, chunk: int | None = None) -> Sampler:
    """A sampler that returns every state of the Hilbert space, in the order of its code, on each call.

    It has no state and no random numbers. info is empty.
    """
    codes_B, is_state_B = dealt(hilbert, comm)

    def init(key: Array, rank: Array | int = comm.rank) -> tuple[()]:
        del key, rank
        return ()

    def sample(key: Array, params: Tree, state: tuple[()]) -> tuple[tuple[()], Samples, dict[str, Array]]:
        del key
        s_BN = digits(hilbert, jnp.asarray(codes_B))
        log_w_B = 2.0 * jnp.real(chunked_map(lambda s_N: ansatz.log_psi(params, s_N), s_BN, chunk)).astype(jnp.float64)
        log_w_B = jnp.where(jnp.asarray(is_state_B), log_w_B, -jnp.inf)
        own = jnp.max(log_w_B)
        total = jnp.sum(jnp.exp(log_w_B - jnp.where(jnp.isneginf(own), 0.0, own)))
        top_R, total_R = comm.gather(jnp.stack([own, total])).T
        top = jnp.max(top_R)
        return state, Samples(s_BN, jnp.exp(log_w_B - top) / jnp.sum(total_R * jnp.exp(top_R - top))), {}

    return Sampler(init, sample, n_samples=len(codes_B) * comm.size, chain_length=0, warmup_calls=0)


def dealt(hilbert: Hilbert, comm: Comm) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The codes (B,) of this rank's states; True where one is a state, False where it is a pad."""
    all_codes = codes(hilbert)
    share = -(-len(all_codes) // comm.size)
    mine = all_codes[comm.rank * share : (comm.rank + 1) * share]
    n_pads = share - len(mine)
    return np.concatenate([mine, np.full(n_pads, all_codes[0])]), np.arange(share) < len(mine)


def digits(hilbert: Hilbert, codes_B: Array) -> Array:
    """(B, N) int8 configurations of integer codes: site i holds the value of digit i.

    `system.hilbert.decode` in jax.
    """
    base = len(hilbert.local_values)
    powers_N = jnp.asarray([base**i for i in range(hilbert.n_sites)], codes_B.dtype)
    return jnp.asarray(hilbert.local_values, jnp.int8)[codes_B[:, None] // powers_N[None] % base]
