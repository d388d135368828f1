"""Several copies of a lattice, one after the other: the modes of fermions with spin, first all up, then all down.

Site l N + i of ``layers`` copies is site i of copy l. Bonds join sites of one copy, and a symmetry of the lattice moves
all copies alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system.sites import Lattice


def layered(lattice: Lattice, n_layers: int) -> Lattice:
    """``n_layers`` copies of a single lattice."""
    assert lattice.layers == 1
    return lattice._replace(
        n_sites=n_layers * lattice.n_sites, positions=np.tile(lattice.positions, (n_layers, 1)), layers=n_layers
    )


def one_layer(lattice: Lattice) -> Lattice:
    """The single lattice of several copies."""
    if lattice.layers == 1:
        return lattice
    n = lattice.n_sites // lattice.layers
    return lattice._replace(n_sites=n, positions=lattice.positions[:n], layers=1)


def in_all_layers(sites: NDArray[np.integer], n_sites: int, n_layers: int) -> NDArray[np.int32]:
    """Sets of sites (n, ...) of one copy of ``n_sites`` in each of the copies: (n_layers n, ...)."""
    return np.concatenate([sites + layer * n_sites for layer in range(n_layers)]).astype(np.int32)


def of_all_layers(perms: NDArray[np.integer], n_layers: int) -> NDArray[np.int32]:
    """Permutations (G, N) of the sites of one copy, applied to all copies: (G, n_layers N)."""
    n_sites = perms.shape[1]
    return np.concatenate([perms + layer * n_sites for layer in range(n_layers)], axis=1).astype(np.int32)


def exchanged(n_sites: int) -> NDArray[np.int32]:
    """(N,) the permutation that exchanges two copies of N / 2 sites: the flip of the spin of fermions."""
    half = n_sites // 2
    return np.concatenate([np.arange(half) + half, np.arange(half)]).astype(np.int32)
