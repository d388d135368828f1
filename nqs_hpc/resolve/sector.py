"""The sector: which conserved total is sampled.

``auto`` takes a total only where the ground state has it. For H = sum_b Jxy_b (xx + yy) + Jz_b zz on bonds b that is
known in these cases, for connected bonds:

    Jz_b = Jxy_b on all bonds             every multiplet has a state of the least total, 0 (1 for an odd number)
    |Jz_b| <= |Jxy_b|, and signs on       the least total: D. C. Mattis, Phys. Rev. Lett. 42, 503 (1979),
    the sites that make all Jxy_b < 0     doi:10.1103/PhysRevLett.42.503
    |Jz_b| >= |Jxy_b|, and c_i = +-1      |sum_i c_i|: seen along x, after a turn by pi of all sites with c_i = -1, no
    with Jz_b c_i c_j < 0 on all bonds    element is positive, so the ground states overlap with the two states of the
                                          bonds' lowest zz energy, s = c and s = -c

Of the last case c = 1 throughout is a ferromagnet, whose ground states have many totals: there ``auto`` is none, as
where a field couples to the total, or where H has no element off the diagonal. Other Hamiltonians have the least total
where no zz coupling is ferromagnetic: what is usual, not what is proven. Where the space is small the run compares all
totals and says so (`parts.reference`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from nqs_hpc import schema
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.operators.pauli_strings import PauliString
from nqs_hpc.resolve.hamiltonian import conserves, make_hilbert
from nqs_hpc.schema import Config
from nqs_hpc.system.graph import signed_colouring
from nqs_hpc.system.lattice import Lattice, pair_couplings

NOISE = 1e-12  # of the largest coupling, below which a difference of couplings is one of rounding

Bonds = dict[tuple[int, int], tuple[float, float]]  # the couplings Jxy and Jz of a pair of sites


def resolve_sector(config: Config, lattice: Lattice) -> int | None:
    """The conserved total, None for all states; raises InputError. ``lattice`` is that of the sites."""
    given: Any = config.sector
    hamiltonian, n_sites = config.hamiltonian, lattice.n_sites
    if given == "auto":
        return _auto(hamiltonian, lattice) if conserves(hamiltonian) else None
    if given is None or given == "none":
        return None
    if not conserves(hamiltonian):
        why = " with h other than 0" if hamiltonian.name == "ising" else ""
        raise bad(
            "sector",
            given,
            f"auto or none: hamiltonian={hamiltonian.name}{why} does not conserve the total magnetisation",
        )
    if isinstance(hamiltonian, schema.BoseHubbard) and not 0 <= given <= hamiltonian.n_max * n_sites:
        most = f"{hamiltonian.n_max * n_sites} bosons, hamiltonian.n_max={hamiltonian.n_max} on each of {n_sites} sites"
        raise bad("sector", given, f"auto, none, or 0 to {most}")
    one_line("sector", given, lambda: make_hilbert(hamiltonian, n_sites, given))
    return int(given)


def _auto(hamiltonian: schema.Hamiltonian, lattice: Lattice) -> int | None:
    """The total of a ground state, None for all; of a Hamiltonian that conserves it."""
    n_sites = lattice.n_sites
    if isinstance(hamiltonian, schema.BoseHubbard):
        if hamiltonian.mu != 0:  # it decides how many there are
            return None
        return n_sites if hamiltonian.n_max > 1 else n_sites // 2
    if isinstance(hamiltonian, schema.Heisenberg):
        if hamiltonian.delta == 1 and lattice.weights is None:  # its bonds need not be looked at
            return None if all(coupling <= 0 for coupling in hamiltonian.J) else n_sites % 2
        return _of_bonds(_bonds(hamiltonian, lattice), n_sites)
    if isinstance(hamiltonian, schema.Pauli):
        if _favours_a_total(hamiltonian.terms) or _is_diagonal(hamiltonian.terms):
            return None
        alone = all(string.operators in ("XX", "YY", "ZZ", "") for string in hamiltonian.terms)
        return _of_bonds(_pairs(hamiltonian.terms), n_sites, alone=alone)
    return None  # ising without a transverse field: diagonal, and a sweep in h stays in one space


def _of_bonds(bonds: Bonds, n_sites: int, *, alone: bool = True) -> int | None:
    """As `_auto`, of the couplings of pairs; ``alone``: whether these are the whole Hamiltonian."""
    size = NOISE * max((max(abs(xy), abs(z)) for xy, z in bonds.values()), default=0.0)
    live = {pair: (xy, z) for pair, (xy, z) in bonds.items() if max(abs(xy), abs(z)) > size}
    if live and all(z <= size - abs(xy) for xy, z in live.values()):
        return None  # a ferromagnet
    least = n_sites % 2
    if alone and all(abs(xy - z) <= size for xy, z in live.values()):
        return least
    in_plane = alone and all(abs(z) <= abs(xy) + size for xy, z in live.values())
    if in_plane and signed_colouring(n_sites, live, [-xy for xy, _ in live.values()]) is not None:
        return least
    if alone and all(abs(z) >= abs(xy) - size for xy, z in live.values()):
        colours = signed_colouring(n_sites, live, [-z for _, z in live.values()])
        if colours is not None:
            return abs(int(colours.sum(dtype=int)))
    return None if any(z < -size for _, z in live.values()) else least


def _bonds(hamiltonian: schema.Heisenberg, lattice: Lattice) -> Bonds:
    total = pair_couplings(lattice, hamiltonian.J)
    return {pair: (coupling, coupling * hamiltonian.delta) for pair, coupling in total.items()}


def _pairs(strings: Sequence[PauliString]) -> Bonds:
    """The couplings of pairs in a sum that conserves the total, where XX and YY have one coefficient."""
    found: dict[tuple[int, int], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for coefficient, operators, sites in strings:
        if operators in ("XX", "ZZ"):
            found[sites[0], sites[1]][operators == "ZZ"] += coefficient
    return {pair: (xy, z) for pair, (xy, z) in found.items()}


def _is_diagonal(strings: Sequence[PauliString]) -> bool:
    return not any(set(string.operators) & set("XY") for string in strings)


def _favours_a_total(strings: Sequence[PauliString]) -> bool:
    """Whether the sum is another one for flipped spins, but for fields on single sites that add up to nothing."""
    fields = [string.coefficient for string in strings if string.operators == "Z"]
    if abs(sum(fields)) > NOISE * sum(map(abs, fields)):
        return True
    return any(sum(letter in "YZ" for letter in string.operators) % 2 for string in strings if string.operators != "Z")
