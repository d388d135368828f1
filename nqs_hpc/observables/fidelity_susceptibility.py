"""The fidelity susceptibility of a network that takes couplings gamma as input, by its own derivatives.

    |<psi(gamma)|psi(gamma + d)>| / (norms) = 1 - (1/2) sum_ij chi_ij d_i d_j + O(d^3),
    chi_ij = Re <O_i^* O_j> - Re <O_i>^* <O_j>,     O_i = d log psi(s; gamma) / d gamma_i,

means over |psi|^2. It grows faster than the number of sites where the ground state changes character, so it shows a
transition without an order parameter: You, Li and Gu 2007, Phys. Rev. E 76, 022101, arXiv:quant-ph/0701077; of networks
told couplings Rende et al. 2025, arXiv:2502.09488. It is that of the network, and of the ground state as far as the
network has learnt how that changes with gamma, which nothing teaches one that was trained at a single coupling.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.parallel.chunk import chunked_map
from nqs_hpc.types import Ansatz, Local, Observable, Output, Tree

LABEL = "χ_F"


def fidelity_susceptibility(couplings: Sequence[float], *, chunk: int | None) -> Observable:
    """At the couplings (G,) of the network: a number for one, the matrix (G, G) for several. Per square of the
    unit of couplings; of all sites together.
    """
    n = len(couplings)
    first, second = np.triu_indices(n)

    def prepare(ansatz: Ansatz) -> Any:
        bound = ansatz.bound
        assert bound is not None  # else the choice has refused it

        def values(params: Tree, s_BN: Array, time: Array | None = None) -> Array:
            del time
            at_G = jnp.asarray(couplings, jnp.float64)

            def slopes(s_N: Array) -> Array:
                return jax.jacfwd(lambda g_G: bound(g_G).log_psi(params, s_N))(at_G)

            o_BG = chunked_map(slopes, s_BN, chunk)
            o_BG = jnp.where(jnp.isfinite(o_BG), o_BG, 0)  # where psi is 0, which exact sums give no weight
            pairs_BP = jnp.real(o_BG[:, first].conj() * o_BG[:, second])
            return jnp.concatenate([o_BG, pairs_BP.astype(o_BG.dtype)], axis=1)

        return values

    def derived(means: NDArray[Any]) -> dict[str, NDArray[Any]]:
        o, pairs = means[..., :n], np.real(means[..., n:])
        upper = pairs - np.real(o[..., first].conj() * o[..., second])
        if n == 1:
            return {"": upper[..., 0]}
        chi = np.zeros((*means.shape[:-1], n, n))
        chi[..., first, second] = chi[..., second, first] = upper
        return {"": chi}

    shape = () if n == 1 else (n, n)
    axes = () if n == 1 else (("coupling", np.arange(n)),)
    output = Output(label=LABEL, shape=shape, axes=axes)
    return Observable(Local(prepare), (output,), derived, n_values=n + len(first), takes_params=True)
