"""Sums of products of fermion operators, and their Jordan-Wigner transformation to Pauli strings.

    H = sum_k c_k o_1 o_2 ... o_n,     o_i = c^dagger_m or c_m of a mode m.

A basis state is |n> = (c^dagger_0)^{n_0} (c^dagger_1)^{n_1} ... |0>: creation operators in the order of the modes. With
an occupied mode as Z = -1 (Jordan and Wigner, Z. Phys. 47, 631 (1928), doi:10.1007/BF01331938)

    c_m = 1/2 (X_m + i Y_m) prod_{k < m} Z_k .

Of fermions with spin on N orbitals mode i is orbital i with spin up, mode N + i with spin down.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import NamedTuple

from nqs_hpc.types import PauliString

TINY = 1e-13  # relative to the sum of the added moduli: smaller coefficients are zero


class FermionString(NamedTuple):
    """A product of creation and annihilation operators with its coefficient."""

    coefficient: complex
    operators: tuple[tuple[int, bool], ...]  # (mode, whether it creates) from left to right; none: a constant


class NotHermitian(ValueError):
    """A sum is not Hermitian; the Hermitian conjugate of its term ``string`` is missing."""

    def __init__(self, string: FermionString) -> None:
        super().__init__(f"the sum is not Hermitian: nothing in it is the Hermitian conjugate of {written(string)}")
        self.string = string


def jordan_wigner(strings: Iterable[FermionString]) -> tuple[PauliString, ...]:
    """The same sum in Pauli strings, with equal ones merged and those that cancel left out, sorted as in
    `pauli_strings`.

    Raises `NotHermitian` if a coefficient is not real.
    """
    return _jordan_wigner(tuple(strings))


@lru_cache(maxsize=8)  # several facts of a Hamiltonian use it
def _jordan_wigner(strings: tuple[FermionString, ...]) -> tuple[PauliString, ...]:
    total: dict[tuple[int, int], complex] = defaultdict(complex)
    size: dict[tuple[int, int], float] = defaultdict(float)
    for string in strings:
        for place, coefficient in _product(string).items():
            total[place] += coefficient
            size[place] += abs(coefficient)
    found = []
    for (x, z), coefficient in total.items():
        # X Z = -i Y
        real = coefficient * (1, -1j, -1, 1j)[(x & z).bit_count() % 4]
        if abs(real) <= TINY * size[x, z]:
            continue
        if abs(real.imag) > TINY * size[x, z]:
            raise NotHermitian(_largest_with((x, z), strings))
        sites = _bits(x | z)
        letters = "".join("IXZY"[(x >> m & 1) + 2 * (z >> m & 1)] for m in sites)
        found.append(PauliString(real.real, letters, sites))
    return tuple(sorted(found, key=lambda s: (len(s.sites), s.sites, s.operators)))


def _largest_with(place: tuple[int, int], strings: Iterable[FermionString]) -> FermionString:
    """The string with the largest contribution to a product of X and Z."""
    return max(strings, key=lambda string: abs(_product(string).get(place, 0.0)))


def _bits(mask: int) -> tuple[int, ...]:
    """The numbers of the bits that are set, the lowest first."""
    found = []
    while mask:
        low = mask & -mask
        found.append(low.bit_length() - 1)
        mask ^= low
    return tuple(found)


def _product(string: FermionString) -> dict[tuple[int, int], complex]:
    """The string as a sum of X^x Z^z, by the bit masks x and z of the modes."""
    found: dict[tuple[int, int], complex] = {(0, 0): complex(string.coefficient)}
    for mode, creates in string.operators:
        bit = 1 << mode
        below = bit - 1
        # c = X (1 - Z) / 2 and c^dagger = X (1 + Z) / 2 at the mode, times the Z below
        parts = ((bit, below, 0.5), (bit, below | bit, 0.5 if creates else -0.5))
        grown: dict[tuple[int, int], complex] = defaultdict(complex)
        for (x, z), coefficient in found.items():
            for other_x, other_z, factor in parts:
                sign = -1 if (z & other_x).bit_count() % 2 else 1
                grown[x ^ other_x, z ^ other_z] += sign * factor * coefficient
        found = grown
    return found


def normal_ordered(strings: Iterable[FermionString]) -> tuple[FermionString, ...]:
    """The same sum with creation operators on the left, modes ascending, and annihilation operators on the right, modes
    descending; each product once, those that cancel left out.
    """
    total: dict[tuple[tuple[int, bool], ...], complex] = defaultdict(complex)
    size: dict[tuple[tuple[int, bool], ...], float] = defaultdict(float)
    left = [(complex(string.coefficient), string.operators) for string in strings]
    while left:
        c, operators = left.pop()
        ranks = [(0, mode) if creates else (1, -mode) for mode, creates in operators]
        k = next((k for k in range(len(ranks) - 1) if ranks[k] >= ranks[k + 1]), None)
        if k is None:
            total[operators] += c
            size[operators] += abs(c)
            continue
        first, second = operators[k : k + 2]
        if first == second:  # the same operator twice
            continue
        left.append((-c, (*operators[:k], second, first, *operators[k + 2 :])))
        if first[0] == second[0]:  # c c+ = 1 - c+ c
            left.append((c, operators[:k] + operators[k + 2 :]))
    return tuple(FermionString(c, operators) for operators, c in total.items() if abs(c) > TINY * size[operators])


def hop(coefficient: complex, to: int, origin: int) -> tuple[FermionString, FermionString]:
    """``coefficient`` c^dagger_to c_origin and its Hermitian conjugate, of two different modes."""
    assert to != origin
    conjugate = complex(coefficient).conjugate()
    return (
        FermionString(coefficient, ((to, True), (origin, False))),
        FermionString(conjugate, ((origin, True), (to, False))),
    )


def number(coefficient: float, *modes: int) -> FermionString:
    """``coefficient`` times the product of the numbers n_m of some modes."""
    return FermionString(coefficient, tuple((mode, creates) for mode in modes for creates in (True, False)))


def conserves(string: FermionString, modes: Collection[int]) -> bool:
    """Whether the product conserves the number of fermions in ``modes``; a sum does if all its terms do."""
    return sum(1 if creates else -1 for mode, creates in string.operators if mode in modes) == 0


def of_numbers(string: FermionString) -> float | None:
    """The only nonzero eigenvalue of a product that changes no occupation, such as 2.0 n_0 n_1; None for any other
    product, and for a constant.
    """
    found = _product(string)
    if not string.operators or any(x for x, _ in found):
        return None
    n_modes = len({mode for mode, _ in string.operators})
    return found.get((0, 0), 0.0j).real * 2**n_modes  # its trace over these modes, in one state


def written(string: FermionString) -> str:
    """``-1.0 [0^ 1]``, as in a configuration and in OpenFermion; 0^ creates."""
    c = complex(string.coefficient)
    number = repr(c.real) if c.imag == 0 else repr(c)
    return f"{number} [{' '.join(f'{mode}^' if creates else str(mode) for mode, creates in string.operators)}]"
