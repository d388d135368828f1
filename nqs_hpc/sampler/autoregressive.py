"""Direct sampling of an autoregressive wave function: independent samples of |psi|^2, without Markov chains.

|psi(s)|^2 = prod_i p_i(s_i | s_<i): site by site a value is drawn from its conditional distribution, in one pass over
the sites (Sharir et al., Phys. Rev. Lett. 124, 020503 (2020), arXiv:1902.04057). The running cache of the wave function
holds what a site needs of those before it.

Every sample has a global number; with the step's key it fixes its random numbers, one word a site, so the samples are
the same at any rank count.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.parallel.chunk import chunked
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parallel.keys import words
from nqs_hpc.system.hilbert import Hilbert, only_total
from nqs_hpc.types import Ansatz, Sampler, Samples, Tree

# Samples drawn side by side: enough to fill vector registers, few enough for their caches to stay near the core, and
# at most so many numbers in these.
SAMPLES = 256
NUMBERS = 2**23


class AutoregressiveState(NamedTuple):
    sample_B: Array  # int32, global numbers of this rank's samples


def autoregressive(ansatz: Ansatz, hilbert: Hilbert, comm: Comm, *, n_samples: int) -> Sampler:
    """A sampler of ``n_samples`` independent configurations a call, over all ranks.

    The state never changes. info is empty. Raises ValueError for an ansatz without ``conditionals``,
    and for a space with more constraints than one total.
    """
    if ansatz.conditionals is None:
        raise ValueError("sampler=autoregressive: the ansatz has no conditionals; valid are autoregressive networks")
    only_total(hilbert, "sampler=autoregressive")  # conditionals know no other constraint
    conditionals = ansatz.conditionals
    assert n_samples % comm.size == 0
    n_local = n_samples // comm.size
    values = jnp.asarray(hilbert.local_values, jnp.int8)

    # The samples are the last axis of the running caches: the numbers of one site lie together.
    def site(frozen: Tree, running: Tree, i: Array, words_b: Array) -> tuple[Tree, Array]:
        log_p_bV, running = jax.vmap(conditionals.step, (None, -1, None), (0, -1))(frozen, running, i)
        drawn_b = jax.vmap(draw)(words_b, log_p_bV)
        running = jax.vmap(conditionals.extend, (None, -1, None, 0), -1)(frozen, running, i, drawn_b)
        return running, values[drawn_b]

    def pass_over_sites(frozen: Tree, key: Array, sample_b: Array) -> Array:
        words_bN = jax.vmap(lambda sample: words(key, sample, jnp.uint32(0), hilbert.n_sites))(sample_b)
        fresh = jax.tree.map(lambda x: jnp.repeat(x[..., None], len(sample_b), axis=-1), conditionals.begin(frozen))
        sites = (jnp.arange(hilbert.n_sites), words_bN.T)
        _, s_Nb = jax.lax.scan(lambda running, inputs: site(frozen, running, *inputs), fresh, sites)
        if conditionals.order is not None:
            s_Nb = s_Nb[np.argsort(conditionals.order)]
        return s_Nb.T

    def init(key: Array, rank: Array | int = comm.rank) -> AutoregressiveState:
        del key
        return AutoregressiveState(rank * n_local + jnp.arange(n_local, dtype=jnp.int32))

    def sample(
        key: Array, params: Tree, state: AutoregressiveState
    ) -> tuple[AutoregressiveState, Samples, dict[str, Array]]:
        frozen = ansatz.freeze(params)
        held = sum(leaf.size for leaf in jax.tree.leaves(jax.eval_shape(conditionals.begin, frozen)))
        at_once = max(1, min(SAMPLES, NUMBERS // held))
        s_BN = chunked(lambda sample_b: pass_over_sites(frozen, key, sample_b), state.sample_B, at_once)
        return state, Samples(s_BN, jnp.full(n_local, 1.0 / n_samples)), {}

    return Sampler(init, sample, n_samples=n_samples, chain_length=1, warmup_calls=0, independent=True)


def draw(word: Array, log_p_V: Array) -> Array:
    """Which value a uniform uint32 word picks, by the cumulative distribution; one of probability 0 never."""
    p_V = jnp.exp(log_p_V.astype(jnp.float64))
    cumulative = list(itertools.accumulate(p_V[v] for v in range(len(p_V))))
    # of the sum itself, not of 1: a rounding of it must not leave room behind the last value that is possible
    u = (word.astype(jnp.float64) + 0.5) * 2.0**-32 * cumulative[-1]
    return sum(((u >= c).astype(jnp.int32) for c in cumulative[:-1]), start=jnp.int32(0))
