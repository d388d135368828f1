"""The Haldane-Shastry chain: spins 1/2 on a ring, coupled by the inverse square of their chords,

    H = J sum_{i<j} S_i . S_j / d_ij^2,    d_ij = N / pi |sin(pi (i - j) / N)|.

For J > 0 and even N its ground state is known: with Marshall's signs it is the product of the chords of all pairs of
equal spins, squared, which in the sector of zero magnetisation is the Jastrow wave function

    log psi(s) = 1/2 sum_{i<j} s_i s_j log |sin(pi (i - j) / N)|,    E = -J pi^2 (N + 5 / N) / 24.

F. D. M. Haldane, Phys. Rev. Lett. 60, 635 (1988), doi:10.1103/PhysRevLett.60.635; B. S. Shastry, Phys. Rev. Lett. 60,
639 (1988), doi:10.1103/PhysRevLett.60.639.
"""

from __future__ import annotations

import numpy as np

from nqs_hpc.operators.long_range import long_range
from nqs_hpc.types import Operator


def haldane_shastry(n_sites: int, *, J: float, signs: np.ndarray | None = None) -> Operator:
    """The ring of ``n_sites`` >= 2 spins; energies are totals. ``signs`` (N,), +1 and -1, gives U H U with U = prod_i
    sz_i over the sites with -1. K is the number of pairs.
    """
    pairs = np.array(np.triu_indices(n_sites, 1), dtype=np.int32).T
    d_P = n_sites / np.pi * np.sin(np.pi * (pairs[:, 1] - pairs[:, 0]) / n_sites)
    return long_range(n_sites, pairs, 1 / d_P**2, Jz=J / 4, Jxy=J / 4, signs=signs)
