"""Anisotropic exchange and the Dzyaloshinskii-Moriya coupling of spins 1/2 in fields, S = sigma / 2,

    H = sum_n sum_<ij>_n (Jx_n Sx_i Sx_j + Jy_n Sy_i Sy_j + Jz_n Sz_i Sz_j) + sum_<i->j> D_ij . (S_i x S_j)
        - sum_i (hx Sx_i + hy Sy_i + hz Sz_i) - h_staggered sum_i e_i Sz_i.

<ij>_n are the n-th neighbours and <i->j> the nearest ones, from i to j along their direction (`system.directions`), or
with lattice=edges as a line of the file names them; e = +1 on the sublattice of site 0 and -1 on the other. A product
with one Sy has imaginary elements: the elements are real where hy = Dx = Dz = 0. I. Dzyaloshinsky, J. Phys. Chem.
Solids 4, 241 (1958), doi:10.1016/0022-3697(58)90076-3; T. Moriya, Phys. Rev. 120, 91 (1960),
doi:10.1103/PhysRev.120.91.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from nqs_hpc.system.directions import Directed, bonds_by_direction
from nqs_hpc.system.lattice import Lattice, bipartition, bond_weights, neighbours, pair_couplings
from nqs_hpc.types import PauliString

LETTERS = "XYZ"
CROSS = (("YZ", "ZY"), ("ZX", "XZ"), ("XY", "YX"))  # the components of S_i x S_j, each a difference
Vector = tuple[float, float, float]


def with_sense(lattice: Lattice) -> list[Directed]:
    """The nearest neighbours with their sense: along each of the directions, with lattice=edges all together.

    ValueError where a pair of sites is joined in several ways, unless ``double_bonds`` counts all of them.
    """
    if lattice.edges is not None:
        bonds, turned = neighbours(lattice, 1), (lattice.turned or {}).get(1)
        if turned is not None:
            bonds = np.where(turned[:, None], bonds[:, ::-1], bonds)
        weights = bond_weights(lattice, 1)
        return [Directed(np.zeros(0), bonds, np.ones(len(bonds)) if weights is None else weights)]
    found = bonds_by_direction(lattice, 1)
    ways = Counter((min(bond), max(bond)) for along in found for bond in along.bonds.tolist())
    twice = [pair for pair, n in ways.items() if n > 1]
    if twice and not lattice.double_bonds:
        raise ValueError(
            f"sites {twice[0][0]} and {twice[0][1]} are joined both inside and across a side of the lattice; valid are "
            "larger extents, or lattice.double_bonds=true, which counts both"
        )
    return found


def xyz_strings(
    lattice: Lattice,
    couplings: Sequence[Sequence[float]],
    *,
    D: Sequence[Vector] = (),
    fields: Sequence[float] = (0.0, 0.0, 0.0),
    staggered: float = 0.0,
) -> list[PauliString]:
    """The sum for ``couplings`` = (Jx, Jy, Jz), each by neighbour order, and ``fields`` = (hx, hy, hz).

    ``D``: a vector for all nearest neighbours, or one for each entry of `with_sense`. A bond counts by its weight.
    """
    found = []
    for letter, by_order in zip(LETTERS, couplings, strict=True):
        total = pair_couplings(lattice, by_order)
        found += [PauliString(coupling / 4, 2 * letter, pair) for pair, coupling in total.items() if coupling != 0]
    if D:
        groups = with_sense(lattice)
        for vector, along in zip(D if len(D) > 1 else list(D) * len(groups), groups, strict=True):
            for (i, j), count in zip(along.bonds.tolist(), along.counts.tolist(), strict=True):
                pair, sense = ((i, j), count) if i < j else ((j, i), -count)
                for component, (plus, minus) in zip(vector, CROSS, strict=True):
                    if component != 0:
                        c = sense * component / 4
                        found += [PauliString(c, plus, pair), PauliString(-c, minus, pair)]
    for field, letter in zip(fields, LETTERS, strict=True):
        found += [PauliString(-field / 2, letter, (i,)) for i in range(lattice.n_sites) if field != 0]
    if staggered:
        signs_N = bipartition(lattice)
        assert signs_N is not None
        found += [PauliString(-staggered * int(sign) / 2, "Z", (i,)) for i, sign in enumerate(signs_N)]
    return found
