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

from collections.abc import Sequence

from nqs_hpc.system.directions import with_sense
from nqs_hpc.system.lattice import Lattice, bipartition, pair_couplings
from nqs_hpc.types import PauliString

LETTERS = "XYZ"
CROSS = (("YZ", "ZY"), ("ZX", "XZ"), ("XY", "YX"))  # the components of S_i x S_j, each a difference
Vector = tuple[float, float, float]


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
        groups = with_sense(lattice, 1)
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
