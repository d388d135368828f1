"""The mean energy of all states with given numbers of fermions, Tr H / D, that of infinite temperature.

Only products of Z have a trace. That of a product over some orbitals is a sum over what these hold, each weighted by
the number of ways in which the other fermions fill the other orbitals.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from itertools import product
from math import comb

from nqs_hpc.system.hilbert import Hilbert, groups
from nqs_hpc.types import PauliString


def mean_of_sector(strings: Iterable[PauliString], hilbert: Hilbert) -> float:
    """Tr H / D of a sum of Pauli strings over the states of ``hilbert``, of fermions whose numbers are fixed; without
    spin one block, with spin two of as many orbitals, which may exclude double occupation.
    """
    numbers = tuple(int(total) for _, total in groups(hilbert) if total is not None)
    n_spins, n_orbitals = len(numbers), hilbert.n_sites // len(numbers)
    is_double = not hilbert.excluded

    @cache
    def ways(n_free: int, left: tuple[int, ...]) -> int:
        """States of ``n_free`` orbitals with ``left`` fermions of each spin."""
        found, free = 1, n_free
        for n in left:
            if n < 0 or n > free:
                return 0
            found *= comb(free, n)
            free -= 0 if is_double else n
        return found

    everything = ways(n_orbitals, numbers)

    @cache
    def mean(signed: tuple[tuple[int, ...], ...]) -> float:
        """Of (-1)^n over the spins ``signed`` of each of some different orbitals."""
        total = 0
        for held in product(product((0, 1), repeat=n_spins), repeat=len(signed)):
            if not is_double and any(sum(n) > 1 for n in held):
                continue
            left = tuple(number - sum(n[spin] for n in held) for spin, number in enumerate(numbers))
            odd = sum(n[spin] for n, spins in zip(held, signed, strict=True) for spin in spins) % 2
            total += (-1) ** odd * ways(n_orbitals - len(signed), left)
        return total / everything

    energy = 0.0
    for coefficient, operators, sites in strings:
        if set(operators) <= {"Z"}:
            spins: dict[int, list[int]] = {}
            for site in sites:
                spins.setdefault(site % n_orbitals, []).append(site // n_orbitals)
            energy += coefficient * mean(tuple(sorted(tuple(sorted(one)) for one in spins.values())))
    return energy
