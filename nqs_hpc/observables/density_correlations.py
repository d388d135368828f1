"""Densities and their correlators of all pairs of sites, of what has no signs: no ratio is needed.

    C_ij = <n_i n_j>,     connected: C_ij - <n_i> <n_j>,     S(q) = 1/N sum_ij exp(i q . (r_i - r_j)) connected_ij.

Of bosons and fermions n is the number of particles of a site, of fermions with spin those of both spins on an orbital;
of two-valued spins n = (1 - sz) / 2, so that a spin down is a particle: an excited Rydberg atom.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.observables.correlations import matrix_output, structure_factor, symmetric, wave_output
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.layers import one_layer
from nqs_hpc.system.wave_vectors import wave_vectors
from nqs_hpc.types import Local, Observable, Output, Tree


def density_correlations(lattice: Lattice, hilbert: Hilbert) -> Observable:
    """``lattice`` is that of the sites, of fermions of the modes, whose orbitals are the N. Outputs: ``mean``, a
    number, ``density`` (N,), ``correlations`` and ``connected`` (N, N), and the array ``structure_factor`` (Q,) on
    periodic lattices.
    """
    layers, lattice = lattice.layers, one_layer(lattice)
    n = lattice.n_sites
    waves = wave_vectors(lattice)
    is_spin = set(hilbert.local_values) == {1, -1}
    i, j = np.triu_indices(n)

    def values(frozen: Tree, s_BN: Array, time: Array | None = None) -> Array:
        del frozen, time
        n_BN = (1 - s_BN.astype(float)) / 2 if is_spin else s_BN.astype(float)
        n_BN = jnp.sum(n_BN.reshape(-1, layers, n), axis=1)
        return jnp.concatenate([n_BN, n_BN[:, i] * n_BN[:, j]], axis=1)

    def derived(means: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
        density, two = np.real(means[..., :n]), np.real(means[..., n:])
        c_NN = symmetric(two[..., i != j], two[..., i == j])
        connected = c_NN - density[..., :, None] * density[..., None, :]
        found = {"mean": density.mean(axis=-1), "density": density, "correlations": c_NN, "connected": connected}
        return found if waves is None else found | {"structure_factor": structure_factor(connected, lattice, waves)}

    where = (("positions", lattice.positions),) if lattice.edges is None else ()
    outputs: tuple[Output, ...] = (
        Output("mean", label="⟨n⟩"),
        Output("density", label="⟨nᵢ⟩", shape=(n,), axes=(("sites", np.arange(n)), *where)),
        matrix_output("correlations", "⟨nᵢ nⱼ⟩", lattice),
        matrix_output("connected", "⟨nᵢ nⱼ⟩ − ⟨nᵢ⟩⟨nⱼ⟩", lattice),
    )
    if waves is not None:
        outputs += (wave_output("structure_factor", "S(q) of n", waves),)
    return Observable(Local(lambda ansatz: values), outputs, derived, n_values=n + len(i))
