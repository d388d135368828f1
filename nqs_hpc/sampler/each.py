"""Samples of several wave functions together, psi_k = psi(s; gamma_k) of one network that takes couplings as input.

Chains belong to one of them for good: with global numbers c = 0 ... n_chains - 1 chain c is of wave function

    k(c) = floor(c K / n_chains),

so the ranks hold whole blocks of chains, and k follows from where a chain lies, at any number of ranks. Each block is
moved by a sampler of its own wave function, all with one program; the numbers of a chain are those of its global
number, as elsewhere. Sums over all states are taken for each wave function in turn.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.parallel.chunk import chunked_map
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.sampler.enumerate import dealt, digits
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.types import Ansatz, Groups, Sampler, Samples, Tree, WithCouplings


def groups_of_chains(couplings_KG: NDArray[Any], n_ranks: int) -> Groups:
    """How blocks of chains lie on ranks, of which one number divides the other."""
    n = len(couplings_KG)
    assert n % n_ranks == 0 or n_ranks % n == 0
    n_local = max(1, n // n_ranks)

    def numbers(rank: Array) -> Array:
        blocks = rank * n_local + jnp.arange(n_local, dtype=jnp.int32)
        return blocks * n // (n_ranks * n_local)

    return Groups(couplings_KG, n_local, numbers)


def chains_of_each(block: Sampler, groups: Groups, comm: Comm) -> Sampler:
    """The chains of all blocks; ``block`` is a sampler of the chains of one, without collectives, whose parameters are
    `types.WithCouplings` and whose ``rank`` is the number of the block. What it learns is one for all.

    info: that of all blocks, and accepted and proposed moves of each wave function as ``accepted_at_k`` and
    ``proposed_at_k``.
    """
    n_blocks = comm.size * groups.n_local
    n_samples = n_blocks * block.n_samples
    couplings_KG = np.asarray(groups.couplings_KG, np.float64)

    def flat(tree: Tree) -> Tree:
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), tree)

    def in_blocks(tree: Tree) -> Tree:
        return jax.tree.map(lambda x: x.reshape(groups.n_local, -1, *x.shape[1:]), tree)

    def own(rank: Array | int) -> Array:
        return rank * groups.n_local + jnp.arange(groups.n_local, dtype=jnp.int32)

    def init(key: Array, rank: Array | int = comm.rank) -> Tree:
        return flat(jax.vmap(lambda number: block.init(key, number))(own(rank)))

    def sample(key: Array, params: Tree, state: Tree) -> tuple[Tree, Samples, dict[str, Array]]:
        chains = in_blocks(state)
        # from the numbers of its chains a rank knows its blocks, and all ranks share one program
        first_b = chains.chain_C[:, 0]
        number_b = first_b * groups.n // (n_blocks * chains.chain_C.shape[1])

        def of_block(inputs: tuple[Array, Tree]) -> tuple[Tree, Samples, dict[str, Array]]:
            couplings_G, chains = inputs
            return block.sample(key, WithCouplings(params, couplings_G), chains)

        # a walk whose length is data is a loop that cannot be mapped: then one block after the other
        mapped = jax.vmap(of_block) if block.adapt is None else functools.partial(jax.lax.map, of_block)
        moved, samples, info_b = mapped((jnp.asarray(couplings_KG)[number_b], chains))
        info = {name: jnp.sum(x_b, axis=0) for name, x_b in info_b.items()}
        for name in ("accepted", "proposed"):
            each_K = jnp.zeros(groups.n, jnp.float64).at[number_b].add(info_b[name])
            info |= {f"{name}_at_{k}": each_K[k] for k in range(groups.n)}
        s_BN = flat(samples.s_BN)
        return flat(moved), Samples(s_BN, jnp.full(len(s_BN), 1.0 / n_samples)), info

    def adapt(state: Tree, e_loc_A: Array, counts: dict[str, Array]) -> tuple[Tree, dict[str, Array]]:
        assert block.adapt is not None
        e_loc_K = groups.split(e_loc_A)
        return block.adapt(state, (e_loc_K - jnp.mean(e_loc_K, axis=1, keepdims=True)).ravel(), counts)

    return block._replace(
        init=init,
        sample=sample,
        n_samples=n_samples,
        adapt=None if block.adapt is None else adapt,
        groups=groups,
    )


def enumeration_of_each(
    ansatz: Ansatz, couplings_KG: NDArray[Any], hilbert: Hilbert, comm: Comm, *, chunk: int | None = None
) -> Sampler:
    """All states with their exact weights |psi_k|^2 / (K sum |psi_k|^2), those of one wave function after the other on
    each rank. ``ansatz`` has `types.WithCouplings` as parameters. As `sampler.enumerate`: one gather.
    """
    n = len(couplings_KG)
    codes_B, is_state_B = dealt(hilbert, comm)
    groups = Groups(couplings_KG, n, lambda rank: jnp.arange(n, dtype=jnp.int32), parts=comm.size)

    def init(key: Array, rank: Array | int = comm.rank) -> tuple[()]:
        del key, rank
        return ()

    def sample(key: Array, params: Tree, state: tuple[()]) -> tuple[tuple[()], Samples, dict[str, Array]]:
        del key
        s_BN = digits(hilbert, jnp.asarray(codes_B))

        def log_weights(couplings_G: Array) -> Array:
            log_psi = chunked_map(lambda s_N: ansatz.log_psi(WithCouplings(params, couplings_G), s_N), s_BN, chunk)
            return 2.0 * jnp.real(log_psi).astype(jnp.float64)

        log_w_KB = jax.lax.map(log_weights, jnp.asarray(couplings_KG, jnp.float64))
        log_w_KB = jnp.where(jnp.asarray(is_state_B)[None], log_w_KB, -jnp.inf)
        own_K = jnp.max(log_w_KB, axis=1)
        total_K = jnp.sum(jnp.exp(log_w_KB - jnp.where(jnp.isneginf(own_K), 0.0, own_K)[:, None]), axis=1)
        top_RK, total_RK = comm.gather(jnp.stack([own_K, total_K])).swapaxes(0, 1)
        top_K = jnp.max(top_RK, axis=0)
        norm_K = n * jnp.sum(total_RK * jnp.exp(top_RK - top_K[None]), axis=0)
        w_KB = jnp.exp(log_w_KB - top_K[:, None]) / norm_K[:, None]
        return state, Samples(jnp.tile(s_BN, (n, 1)), w_KB.ravel()), {}

    return Sampler(init, sample, n_samples=n * len(codes_B) * comm.size, chain_length=0, warmup_calls=0, groups=groups)
