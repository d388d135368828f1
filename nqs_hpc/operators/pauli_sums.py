"""Local values of several sums of Pauli strings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jax import Array

from nqs_hpc.operators.basis_change import seen
from nqs_hpc.operators.local_values import local_values
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.system.basis import Basis
from nqs_hpc.types import Ansatz, Local, PauliString, Tree


def pauli_sums(sums: Sequence[Sequence[PauliString]], basis: Basis, *, chunk: int | None, memory: int) -> Local:
    """The local values (B, D) of D sums as they are written, in the basis and the space of the ansatz."""
    n = basis.hilbert.n_sites
    each = [local_values(seen(pauli(n, one), basis), chunk=chunk, memory=memory) for one in sums]

    def prepare(ansatz: Ansatz) -> Callable[..., Array]:
        of = [one.prepare(ansatz) for one in each]

        def values(frozen: Tree, s_BN: Array, time: Array | None = None) -> Array:
            return jnp.stack([one(frozen, s_BN, time) for one in of], axis=1)

        return values

    return Local(prepare)
