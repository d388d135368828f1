"""Products of sums of fermion operators, and what observables of fermions are made of.

    S^x_i = (c^+_iu c_id + c^+_id c_iu) / 2,    S^y_i = (c^+_iu c_id - c^+_id c_iu) / 2i,    S^z_i = (n_iu - n_id) / 2,

with u and d the spins: of N orbitals mode i is orbital i with spin up, mode N + i with spin down.
"""

from __future__ import annotations

from collections.abc import Iterable

from nqs_hpc.system.fermion_strings import FermionString, hop, jordan_wigner, number
from nqs_hpc.types import PauliString

Sum = tuple[FermionString, ...]


def product(first: Iterable[FermionString], second: Iterable[FermionString]) -> Sum:
    """A B."""
    second = tuple(second)
    return tuple(FermionString(a.coefficient * b.coefficient, a.operators + b.operators) for a in first for b in second)


def times(factor: complex, strings: Iterable[FermionString]) -> Sum:
    return tuple(string._replace(coefficient=factor * string.coefficient) for string in strings)


def adjoint(strings: Iterable[FermionString]) -> Sum:
    """A^+."""
    return tuple(
        FermionString(complex(c).conjugate(), tuple((mode, not creates) for mode, creates in reversed(operators)))
        for c, operators in strings
    )


def real_part(strings: Iterable[FermionString]) -> tuple[PauliString, ...]:
    """(A + A^+) / 2 in Pauli strings: its expectation value is the real part of that of A."""
    strings = tuple(strings)
    return jordan_wigner(times(0.5, (*strings, *adjoint(strings))))


def spin(axis: str, orbital: int, n_orbitals: int) -> Sum:
    """The component x, y or z of the spin of the fermions on an orbital, hbar = 1."""
    up, down = orbital, orbital + n_orbitals
    match axis:
        case "x":
            return hop(0.5, up, down)
        case "y":
            return hop(-0.5j, up, down)
    return number(0.5, up), number(-0.5, down)


def spin_squared(orbital: int, n_orbitals: int, factor: float = 1.0) -> Sum:
    """``factor`` (n_u - n_d)^2: 4/3 of the square of the spin of an orbital, 1 where it holds one fermion."""
    up, down = orbital, orbital + n_orbitals
    return number(factor, up), number(factor, down), number(-2 * factor, up, down)
