"""How many orbitals hold two fermions, or none, of fermions with spin.

    d_i = <n_iu n_id>,     d = 1/N sum_i d_i,     moment = <(n_iu - n_id)^2> = <n_i> - 2 d_i  averaged over i,

without ratios. The interaction of the Hubbard model is U N d, and three quarters of ``moment`` is <S_i^2>, the square
of the spin of an orbital: J. E. Hirsch, Phys. Rev. B 31, 4403 (1985), doi:10.1103/PhysRevB.31.4403.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.layers import one_layer
from nqs_hpc.types import Local, Observable, Output, Tree


def double_occupancy(lattice: Lattice) -> Observable:
    """Outputs: the numbers ``mean``, d, ``empty``, the part of the orbitals that hold none, and ``moment``; the array
    ``sites`` (N,), d_i. ``lattice`` is that of the modes.
    """
    one = one_layer(lattice)
    n = one.n_sites
    where = (("positions", one.positions),) if one.edges is None else ()

    def values(frozen: Tree, s_BN: Array, time: Array | None = None) -> Array:
        del frozen, time
        up_BN, down_BN = (s_BN[:, half].astype(jnp.float64) for half in (slice(0, n), slice(n, 2 * n)))
        number_B = jnp.mean(up_BN + down_BN, axis=1)
        return jnp.concatenate([up_BN * down_BN, number_B[:, None]], axis=1)

    def derived(means: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
        of_sites, number = np.real(means[..., :n]), np.real(means[..., n])
        d = of_sites.mean(axis=-1)
        return {"mean": d, "empty": 1 - number + d, "moment": number - 2 * d, "sites": of_sites}

    outputs = (
        Output("mean", label="⟨n↑ n↓⟩"),
        Output("empty", label="⟨(1 − n↑)(1 − n↓)⟩"),
        Output("moment", label="⟨(n↑ − n↓)²⟩"),
        Output("sites", label="⟨nᵢ↑ nᵢ↓⟩", shape=(n,), axes=(("sites", np.arange(n)), *where)),
    )
    return Observable(Local(lambda ansatz: values), outputs, derived, n_values=n + 1)
