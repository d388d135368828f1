"""Groups of sites that a move flips together: the squares of the square lattice, the stars of its links.

The toric code's Hamiltonian flips stars (`links`).
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
        raise ValueError(
            f"plaquette is a move of lattice=square with lattice.length or .extent; this is {lattice.told}"
        )
    return sorted(tuple(sorted(square)) for square in squares(lattice))


def squares(lattice: Lattice) -> list[tuple[int, ...]]:
    """The four sites of each square of lattice=square in order around it, each set of sites once; ValueError if there
    is none.
    """
    if lattice.name != "square":
        raise ValueError(f"squares are those of lattice=square with lattice.length or .extent; this is {lattice.told}")
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    sites = sites_at(lattice, cells(lattice)[:, None, :] + corners[None, :, :], 0)
    found: dict[tuple[int, ...], tuple[int, ...]] = {}
    for square in sites.tolist():
        if min(square) >= 0 and len(set(square)) == 4:
            found.setdefault(tuple(sorted(square)), tuple(square))
    if not found:
        raise ValueError(f"lattice.extent={list(lattice.extent)} has no plaquette, which takes 2 sites each way")
    return list(found.values())
