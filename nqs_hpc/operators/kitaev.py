"""Kitaev's compass model, and what real magnets add to it, with Pauli matrices,

    H = - sum_g J_g sum_<ij>_g sg_i sg_j + J_H sum_<ij> s_i . s_j + Gamma sum_g sum_<ij>_g (sa_i sb_j + sb_i sa_j)
        - sum_i (hx sx_i + hy sy_i + hz sz_i).

g = x, y, z are the three directions of nearest neighbours (`system.directions`), a and b the two other letters than g.
On the honeycomb lattice J_H = Gamma = h = 0 is solved by free Majorana fermions: -0.7872986 a site for J = 1 in the
infinite system. A. Kitaev, Ann. Phys. 321, 2 (2006), arXiv:cond-mat/0506438; the Heisenberg term G. Jackeli and G.
Khaliullin, Phys. Rev. Lett. 102, 017205 (2009), arXiv:0809.4658; Gamma J. G. Rau, E. K.-H. Lee, H.-Y. Kee, Phys. Rev.
Lett. 112, 077204 (2014), arXiv:1310.7940. These write spins S = s / 2, so their couplings are 4 times, and their fields
twice, those of here, and K = -4 J_g.
"""

from __future__ import annotations

from collections.abc import Sequence

from nqs_hpc.system.directions import bonds_by_direction, joined_along
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import PauliString

LETTERS = "XYZ"


def kitaev_strings(
    lattice: Lattice,
    J: Sequence[float],
    *,
    heisenberg: float = 0.0,
    gamma: float = 0.0,
    fields: Sequence[float] = (0.0, 0.0, 0.0),
) -> list[PauliString]:
    """The sum for ``J`` = (Jx, Jy, Jz) and ``fields`` = (hx, hy, hz); complex elements where hy or ``gamma`` is not 0.

    On a small torus a pair of sites can be joined along several directions, and then has the bonds of each.
    """
    found = []
    for letter, coupling, along in zip(LETTERS, J, bonds_by_direction(lattice, 1), strict=True):
        a, b = (other for other in LETTERS if other != letter)
        for (i, j), count in joined_along(lattice, along).items():
            terms = {2 * other: heisenberg - (coupling if other == letter else 0.0) for other in LETTERS}
            terms |= {a + b: gamma, b + a: gamma}
            found += [PauliString(c * count, operators, (i, j)) for operators, c in terms.items() if c != 0]
    for field, letter in zip(fields, LETTERS, strict=True):
        found += [PauliString(-field, letter, (i,)) for i in range(lattice.n_sites) if field != 0]
    return found
