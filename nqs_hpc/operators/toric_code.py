"""The toric code in a field, spins on the links of the square lattice, with Pauli matrices,

    H = -sum_v prod_{i in v} sx_i - sum_p prod_{i in p} sz_i - hx sum_i sx_i - hy sum_i sy_i - hz sum_i sz_i.

v runs over the vertices, each with the four links that meet there; p over the faces, each with the four links around
it. An open side ends in vertices: their stars have three links, in a corner two, and no face is cut. So Lx x Ly open
vertices have 2 Lx Ly - Lx - Ly spins and (Lx - 1) (Ly - 1) faces, a torus 2 Lx Ly and Lx Ly. The energy of a star or
a face is the unit. A. Kitaev, Ann. Phys. 303, 2 (2003), arXiv:quant-ph/9707021; in fields with open sides D. Kufel et
al., Phys. Rev. Lett. 135, 056702 (2025), arXiv:2405.17541.
"""

from __future__ import annotations

from nqs_hpc.operators.pauli import pauli
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.links import plaquettes, stars
from nqs_hpc.types import Operator, PauliString


def toric_code(links: Lattice, *, hx: float = 0.0, hy: float = 0.0, hz: float = 0.0) -> Operator:
    """The toric code on the sites of ``links`` (`system.links`); complex where hy is not 0.

    K is the number of vertices, and with hx or hy that of links besides.
    """
    strings = [PauliString(-1.0, "X" * len(star), star) for star in stars(links)]
    strings += [PauliString(-1.0, "ZZZZ", face) for face in plaquettes(links)]
    for field, letter in ((hx, "X"), (hy, "Y"), (hz, "Z")):
        strings += [PauliString(-field, letter, (site,)) for site in range(links.n_sites) if field != 0]
    return pauli(links.n_sites, strings)
