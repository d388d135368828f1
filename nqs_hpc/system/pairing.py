"""The form factor of pairs of fermions: their sites and signs."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from nqs_hpc.system.lattice import Lattice, cells, neighbours, sites_at

WAVES = ("s", "extended_s", "d")


def form_factors(lattice: Lattice, wave: str) -> list[dict[int, float]]:
    """For each site the partner sites with the weights f, summed over steps that lead to the same site."""
    n = lattice.n_sites
    found: list[dict[int, float]] = [defaultdict(float) for _ in range(n)]
    if wave == "s":
        return [{i: 1.0} for i in range(n)]
    if wave == "extended_s" and lattice.name != "square":
        for a, b in neighbours(lattice, 1).tolist():
            found[a][b], found[b][a] = 1.0, 1.0
        return found
    if lattice.name != "square":
        raise ValueError(
            f"pairs of wave d are those of lattice=square with lattice.length or .extent; this is {lattice.told}"
        )
    cell = cells(lattice)
    for step, f in (((1, 0), 1.0), ((-1, 0), 1.0), ((0, 1), -1.0), ((0, -1), -1.0)):
        ends = sites_at(lattice, cell + np.array(step), 0)
        for i, j in enumerate(ends.tolist()):
            if j >= 0 and j != i:
                found[i][j] += f if wave == "d" else 1.0
    return found
