"""The Shastry-Sutherland model of spins 1/2 on the square lattice,

    H = J sum_<ij> S_i . S_j + J' sum_dimers S_i . S_j,

whose dimers are diagonals of every second square, in turn of both kinds: on the squares with corner (x, y) of even x
and y from there to (x + 1, y + 1), on those of odd x and y from (x + 1, y) to (x, y + 1). On a torus every site is in
one dimer, and bonds come in pairs that lead from a site to both ends of a dimer. The spin of a singlet is 0, so the
product of singlets on all dimers is an eigenstate, of -3 J' / 8 a site, for any J (on a side of 2 with
``double_bonds``). It is the ground state where J is at most about 0.67 J'. B. S. Shastry and B. Sutherland, Physica
B+C 108, 1069 (1981), doi:10.1016/0378-4363(81)90838-X; P. Corboz and F. Mila, Phys. Rev. B 87, 115144 (2013),
arXiv:1212.2983. The matrix elements are those of `operators.heisenberg`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system.lattice import Lattice, cells, sites_at


def dimers(lattice: Lattice) -> NDArray[np.int32]:
    """The dimers (n, 2), i < j, of lattice=square; at open sides some sites have none.

    ValueError for another lattice, and where a periodic side has an odd extent.
    """
    if lattice.name != "square":
        raise ValueError(f"valid with lattice=square with lattice.length or .extent; this is {lattice.told}")
    odd = [length for length, closed in zip(lattice.extent, lattice.pbc, strict=True) if closed and length % 2]
    if odd:
        raise ValueError(f"valid are periodic sides of even extents: the dimers do not fit a side of {odd[0]}")
    corner = cells(lattice)
    found = []
    for parity, ends in ((0, ((0, 0), (1, 1))), (1, ((1, 0), (0, 1)))):
        own = corner[(corner % 2 == parity).all(axis=1)]
        found.append(np.stack([sites_at(lattice, own + np.array(end), 0) for end in ends], axis=1))
    pairs = np.sort(np.concatenate(found), axis=1)
    return np.unique(pairs[pairs[:, 0] >= 0], axis=0).astype(np.int32)
