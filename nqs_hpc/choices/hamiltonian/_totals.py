"""The conserved total of a ground state, from the couplings of pairs.

For H = sum_b Jxy_b (xx + yy) + Jz_b zz on connected bonds b it is known in these cases:

    Jz_b = Jxy_b on all bonds             every multiplet has a state of the least total, 0 (1 for an odd number)
    |Jz_b| <= |Jxy_b|, and signs on       the least total: D. C. Mattis, Phys. Rev. Lett. 42, 503 (1979),
    the sites that make all Jxy_b < 0     doi:10.1103/PhysRevLett.42.503
    |Jz_b| >= |Jxy_b|, and c_i = +-1      |sum_i c_i|: seen along x, after a turn by pi of all sites with c_i = -1, no
    with Jz_b c_i c_j < 0 on all bonds    element is positive, so the ground states overlap with the two states of the
                                          bonds' lowest zz energy, s = c and s = -c

They hold for spins of any length S, with m_i = c_i S instead of s = c. They also hold with a term D sum_i (Sz_i)^2,
whose elements along x are not positive: the second case for D >= 0, the last for D <= 0.

In the last case c = 1 everywhere is a ferromagnet, whose ground states have many totals: then we fix none. We also fix
none if a field couples to the total, if H has no element off the diagonal, or if D competes with couplings of
sublattices of different size. For other Hamiltonians we take the least total if no zz coupling is ferromagnetic, which
is usual but not proven. In small spaces the run compares all totals and reports the result (`parts.reference`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from nqs_hpc.system.graph import signed_colouring
from nqs_hpc.types import PauliString

NOISE = 1e-12  # relative to the largest coupling: smaller differences are rounding errors

Bonds = dict[tuple[int, int], tuple[float, float]]  # the couplings Jxy and Jz of a pair of sites


def of_bonds(bonds: Bonds, n_sites: int, *, alone: bool = True, two_s: int = 1, single_ion: float = 0.0) -> int | None:
    """The total of a ground state from the couplings of pairs; None: all totals.

    ``alone``: whether these are the whole Hamiltonian, with ``single_ion`` sum_i (Sz_i)^2 of spins ``two_s`` / 2.
    """
    size = NOISE * max((max(abs(xy), abs(z)) for xy, z in bonds.values()), default=0.0)
    live = {pair: (xy, z) for pair, (xy, z) in bonds.items() if max(abs(xy), abs(z)) > size}
    if live and all(z <= size - abs(xy) for xy, z in live.values()) and single_ion <= 0:
        return None  # a ferromagnet
    least = n_sites * two_s % 2
    if alone and single_ion == 0 and all(abs(xy - z) <= size for xy, z in live.values()):
        return least
    in_plane = alone and single_ion >= 0 and all(abs(z) <= abs(xy) + size for xy, z in live.values())
    if in_plane and signed_colouring(n_sites, live, [-xy for xy, _ in live.values()]) is not None:
        return least
    colours = signed_colouring(n_sites, live, [-z for _, z in live.values()])
    if alone and single_ion <= 0 and all(abs(z) >= abs(xy) - size for xy, z in live.values()) and colours is not None:
        return two_s * abs(int(colours.sum(dtype=int)))
    if single_ion != 0 and (colours is None or colours.sum(dtype=int) != 0):
        return None
    return None if any(z < -size for _, z in live.values()) else least


def pairs(strings: Sequence[PauliString]) -> Bonds:
    """The couplings of pairs in a sum that conserves the total, so XX and YY have the same coefficient."""
    found: dict[tuple[int, int], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for coefficient, operators, sites in strings:
        if operators in ("XX", "ZZ"):
            found[sites[0], sites[1]][operators == "ZZ"] += coefficient
    return {pair: (xy, z) for pair, (xy, z) in found.items()}


def is_diagonal(strings: Sequence[PauliString]) -> bool:
    return not any(set(string.operators) & set("XY") for string in strings)


def favours_a_total(strings: Sequence[PauliString]) -> bool:
    """Whether a flip of all spins changes the sum; fields on single sites that add up to 0 do not count."""
    fields = [string.coefficient for string in strings if string.operators == "Z"]
    if abs(sum(fields)) > NOISE * sum(map(abs, fields)):
        return True
    return any(sum(letter in "YZ" for letter in string.operators) % 2 for string in strings if string.operators != "Z")


def of_strings(strings: Sequence[PauliString], n_sites: int) -> int | None:
    """The total of a ground state of a sum that conserves it; None: all totals."""
    if favours_a_total(strings) or is_diagonal(strings):
        return None
    alone = all(string.operators in ("XX", "YY", "ZZ", "") for string in strings)
    return of_bonds(pairs(strings), n_sites, alone=alone)
