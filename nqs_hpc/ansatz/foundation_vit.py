"""Vision transformer that takes couplings of the Hamiltonian as input: one network for the ground states of many.

    psi(s; gamma, theta):   x_i = E s_i + E' gamma + e   instead of   x_i = E s_i + e   of `vit`,

the couplings gamma embedded with every patch, all else as there. Trained over a list of couplings it has one set of
parameters for all of them, and answers for those between: R. Rende, L. L. Viteritti, F. Becca, A. Scardicchio, A. Laio
and G. Carleo, "Foundation neural-network quantum states", Nat. Commun. (2025), arXiv:2502.09488.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array

from nqs_hpc.ansatz.vit import vit
from nqs_hpc.system.patches import Patches
from nqs_hpc.types import Ansatz


def foundation_vit(patches: Patches, *, couplings: Sequence[float], **options: Any) -> Ansatz:
    """A `vit` with its ``options`` that takes ``couplings`` as input, and with ``bound`` any others of the same number.

    They are data: nothing is differentiated by them, and they may be traced.
    """

    def bound(couplings_G: Array) -> Ansatz:
        assert len(couplings_G) == len(couplings)
        return vit(patches, couplings_G=couplings_G, **options)._replace(bound=bound)

    return bound(jnp.asarray(couplings, jnp.float64))
