"""Samples of one distribution with the weights that make them samples of |psi|^2, and samples of |psi|^p.

Samples s of a distribution g have the weights w(s) = |psi(s)|^2 / g(s), so that sum w f / sum w is the mean of f over
|psi|^2. Of g = |psi|^p they are |psi|^(2 - p): a smaller p visits states in which psi is small more often (A. Misery,
L. Gravina, A. Santini and F. Vicentini, "Looking elsewhere: improving variational Monte Carlo gradients by importance
sampling", 2025, arXiv:2507.05352).
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array

from nqs_hpc.parallel.chunk import chunked_map
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.types import Ansatz, Sampler, Samples, Tree


def reweighted(sampler: Sampler, ansatz: Ansatz, comm: Comm, *, power: float, chunk: int | None) -> Sampler:
    """``sampler``, whose samples are of |psi|^power and have equal weights, with the weights |psi|^(2 - power).

    They sum to 1 over all ranks: one gather in each call of ``sample``. ``ansatz`` is that of |psi|.
    """
    assert sampler.chain_length > 0 and sampler.adapt is None

    def sample(key: Array, params: Tree, state: Tree) -> tuple[Tree, Samples, dict[str, Array]]:
        state, samples, info = sampler.sample(key, params, state)
        log_B = log_modulus(ansatz, params, samples.s_BN, chunk)
        return state, Samples(samples.s_BN, normalised((2.0 - power) * log_B, comm)), info

    return sampler._replace(sample=sample, weighted=True)


def log_modulus(ansatz: Ansatz, params: Tree, s_BN: Array, chunk: int | None) -> Array:
    """log |psi(s)|, (B,) float64; -inf where psi is 0 to the bit."""
    log_B = chunked_map(lambda s_N: jnp.real(ansatz.log_psi(params, s_N)), s_BN, chunk)
    return log_B.astype(jnp.float64)


def normalised(log_w_B: Array, comm: Comm) -> Array:
    """The weights (B,) of this rank's samples, float64, which sum to 1 over all ranks. One gather.

    Their sum is taken in the global order of samples, the same at any rank count. NaN where no sample has a weight.
    """
    log_w_A = comm.gather(log_w_B).ravel()
    top = jnp.max(log_w_A)
    return jnp.exp(log_w_B - top) / jnp.sum(jnp.exp(log_w_A - top))
