"""Groups of sites that a move flips together: the squares of the square lattice, the stars of its links.

A star is what the toric code's Hamiltonian flips (`links`).
"""

from __future__ import annotations

import numpy as np

from nqs_hpc.system.lattice import Lattice, cells, sites_at
from nqs_hpc.system.links import NAME as LINKS
from nqs_hpc.system.links import stars


def flipped_groups(lattice: Lattice) -> list[tuple[int, ...]]:
    """Each group once; ValueError for a lattice that has none.

    On a side of extent 2 two squares can have the same sites.
    """
    if lattice.name == LINKS:
        return stars(lattice)
    if lattice.name != "square":
        raise ValueError(f"plaquette is a move of lattice=square, and this is lattice={lattice.name}")
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    sites = sites_at(lattice, cells(lattice)[:, None, :] + corners[None, :, :], 0)
    groups = {tuple(sorted(group)) for group in sites.tolist() if min(group) >= 0 and len(set(group)) == 4}
    if not groups:
        raise ValueError(f"lattice.extent={list(lattice.extent)} has no plaquette, which takes 2 sites each way")
    return sorted(groups)
