"""Blurred sampling: samples of |psi|^2 some of which a move to a neighbour takes to where psi is small, or 0.

With probability q a sample s is replaced by one of its K neighbours s_1, ..., s_K, all of them equally likely. With a
graph that is symmetric (`neighbours`) the blurred samples are of

    q_blur(s) = (1 - q) pi(s) + (q / K) sum_k pi(s_k),    pi = |psi|^2 / sum |psi|^2,

and have the weight

    w(s) = pi(s) / q_blur(s) = 1 / ((1 - q) + (q / K) sum_k |psi(s_k) / psi(s)|^2) <= 1 / (1 - q).

Local energies and log-derivatives grow as 1 / psi where psi is small: sums of products of two of them, as the forces of
an evolution in time are, have a part there that samples of |psi|^2 never see (A. Sinibaldi, C. Giuliani, G. Carleo and
F. Vicentini, Quantum 7, 1131 (2023)). Blurred sampling: Wan, Wiersema and Zhang, 2026, arXiv:2603.18148.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from nqs_hpc.parallel.chunk import chunked_map, even_part
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.keys import branch, words
from nqs_hpc.sampler.moves import below
from nqs_hpc.sampler.neighbours import Neighbours, adjacency
from nqs_hpc.sampler.reweighted import log_modulus, normalised
from nqs_hpc.types import Ansatz, Move, Operator, Sampler, Samples, Tree

# The ansatz and an operator -> (frozen, s_BN) -> local values (B,): `operators.local_values`, with chunks and memory.
LocalValues = Callable[[Ansatz, Operator], Callable[[Tree, Array], Array]]

HELD = 2**16  # moves that are held at a time where one of each sample is taken
OWN = 2**32 - 2  # instead of the number of a chain, the branch of the key under which samples are blurred


class BlurredState(NamedTuple):
    """This rank's chains, which never see what was blurred, and their global numbers."""

    chain_C: Array  # int32
    own: Tree


def blurred(
    sampler: Sampler,
    ansatz: Ansatz,
    neighbours: Neighbours,
    comm: Comm,
    *,
    q: float,
    power: float = 2.0,
    chunk: int | None,
    local_values: LocalValues,
) -> Sampler:
    """``sampler``, whose samples have equal weights, with samples that are blurred, and their weights.

    ``power``: the samples that it is given are of |psi|^power. Then pi is that in the formulas above, and the weights
    are |psi|^2 / q_blur. Weights sum to 1 over all ranks: one gather in each call of ``sample``. ``ansatz`` is that of
    |psi|. The weights cost as much as the local values of an operator with as many moves, which ``local_values`` makes.
    """
    assert sampler.chain_length > 0 and sampler.adapt is None and not sampler.weighted and 0 < q < 1
    length = sampler.chain_length
    c_local = sampler.n_samples // length // comm.size
    log_weights = weights(ansatz, neighbours, q=q, power=power, chunk=chunk, local_values=local_values)

    def init(key: Array, rank: Array | int = comm.rank) -> BlurredState:
        return BlurredState(rank * c_local + jnp.arange(c_local, dtype=jnp.int32), sampler.init(key, rank))

    def sample(key: Array, params: Tree, state: BlurredState) -> tuple[BlurredState, Samples, dict[str, Array]]:
        own, samples, info = sampler.sample(key, params, state.own)
        key = branch(key, OWN)
        chain_B, number_B = jnp.repeat(state.chain_C, length), jnp.tile(jnp.arange(length, dtype=jnp.int32), c_local)
        words_BW = jax.vmap(lambda chain, number: words(key, chain, number, 2))(chain_B, number_B)
        at_once = even_part(len(chain_B), max(1, min(chunk or len(chain_B), HELD // neighbours.n)))
        s_BN = chunked_map(lambda one: replaced(neighbours, q, *one), (words_BW, samples.s_BN), at_once)
        w_B = normalised(log_weights(params, s_BN), comm)
        return BlurredState(state.chain_C, own), Samples(s_BN, w_B), info

    return sampler._replace(init=init, sample=sample, weighted=True)


def weights(
    ansatz: Ansatz, neighbours: Neighbours, *, q: float, power: float, chunk: int | None, local_values: LocalValues
) -> Callable[[Tree, Array], Array]:
    """``(params, s_BN) -> (B,)`` float64, the logarithm of the weights of blurred samples, not normalised,

        |psi(s)|^(2 - power) / ((1 - q) + (q / K) sum_k |psi(s_k) / psi(s)|^power),

    -inf where psi is 0 to the bit.
    """
    sums = local_values(powered(ansatz, power), adjacency(neighbours))

    def log_weights(params: Tree, s_BN: Array) -> Array:
        sum_B = sums(ansatz.freeze(params), s_BN)
        log_B = log_modulus(ansatz, params, s_BN, chunk)
        found_B = -jnp.log((1.0 - q) + q / neighbours.n * sum_B)
        if power != 2:
            found_B = found_B + (2.0 - power) * log_B
        # ratios to a state where psi is 0 are not known
        return jnp.where(jnp.isneginf(log_B), -jnp.inf, found_B)

    return log_weights


def replaced(neighbours: Neighbours, q: float, words_W: Array, s_N: Array) -> Array:
    """The configuration after one blur, from two random uint32."""
    moves_KF, _ = neighbours.moves(s_N)
    k = below(words_W[1], neighbours.n)
    move = Move(moves_KF.sites[k], moves_KF.deltas[k])
    goes = (words_W[0].astype(jnp.float64) + 0.5) * 2.0**-32 < q
    return s_N.at[move.sites].add(jnp.where(goes, move.deltas, 0).astype(s_N.dtype))


def powered(ansatz: Ansatz, power: float) -> Ansatz:
    """|psi|^power, as far as local values ask: its ratios, in float64."""

    def of(log: Array) -> Array:
        return power * jnp.real(log).astype(jnp.float64)

    return ansatz._replace(
        kind="real",
        log_ratio=lambda *given: of(ansatz.log_ratio(*given)),
        log_ratios=lambda *given: of(ansatz.log_ratios(*given)),
    )
