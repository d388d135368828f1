"""Independent samples of |psi|^2 among all states, each drawn from the weights of all."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.parallel.comm import Comm
from nqs_hpc.system.hilbert import Hilbert, codes, decode
from nqs_hpc.types import Ansatz, Sampler, Samples, Tree


def toy(ansatz: Ansatz, hilbert: Hilbert, comm: Comm, n_samples: int) -> Sampler:
    states, share = decode(hilbert, codes(hilbert)), n_samples // comm.size

    def init(key: Array, rank: Array | int = comm.rank) -> Array:
        return rank * share + jnp.arange(share, dtype=jnp.int32)

    def sample(key: Array, params: Tree, number_B: Array) -> tuple[Array, Samples, dict[str, Array]]:
        log_p = 2 * jax.vmap(lambda s_N: ansatz.log_psi(params, s_N).real)(jnp.asarray(states))
        whole = jax.random.wrap_key_data(jnp.asarray(key, jnp.uint32))
        drawn_B = jax.vmap(lambda i: jax.random.categorical(jax.random.fold_in(whole, i), log_p))(number_B)
        return number_B, Samples(jnp.asarray(states)[drawn_B], jnp.full(share, 1 / n_samples)), {}

    return Sampler(init, sample, n_samples=n_samples, chain_length=1, warmup_calls=0, independent=True)
