"""Ring exchange of spins 1/2 around the squares of the square lattice, beside exchange of neighbours,

    H = sum_n J_n sum_<ij>_n S_i . S_j + K sum_squares (P + P^-1),

where P moves the spins of sites 1, 2, 3, 4 around a square by one. With all six pairs of a square it is

    P + P^-1 = 1/4 + sum_pairs S_i . S_j + 4 ((S_1 . S_2)(S_3 . S_4) + (S_1 . S_4)(S_2 . S_3) - (S_1 . S_3)(S_2 . S_4)).

D. J. Thouless, Proc. Phys. Soc. 86, 893 (1965), doi:10.1088/0370-1328/86/5/301; A. Läuchli et al., Phys. Rev. Lett. 95,
137206 (2005), arXiv:cond-mat/0412035.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations

from nqs_hpc.system.lattice import Lattice, pair_couplings
from nqs_hpc.system.plaquettes import squares
from nqs_hpc.types import PauliString

LETTERS = "XYZ"


def ring_exchange_strings(lattice: Lattice, J: Sequence[float], K: float) -> list[PauliString]:
    """The sum for ``J`` by neighbour order, equal strings added up. ValueError for a lattice without squares."""
    total: dict[tuple[tuple[int, ...], str], float] = defaultdict(float)
    for pair, coupling in pair_couplings(lattice, J).items():
        for letter in LETTERS:
            total[pair, 2 * letter] += coupling / 4
    for one, two, three, four in squares(lattice) if K else ():
        total[(), ""] += K / 4
        for i, j in combinations(sorted((one, two, three, four)), 2):
            for letter in LETTERS:
                total[(i, j), 2 * letter] += K / 4
        for sign, first, second in (
            (1, (one, two), (three, four)),
            (1, (one, four), (two, three)),
            (-1, (one, three), (two, four)),
        ):
            for a in LETTERS:
                for b in LETTERS:
                    placed = sorted(zip((*first, *second), 2 * a + 2 * b, strict=True))
                    total[tuple(i for i, _ in placed), "".join(x for _, x in placed)] += sign * K / 4
    return [PauliString(c, operators, sites) for (sites, operators), c in total.items() if c != 0]
