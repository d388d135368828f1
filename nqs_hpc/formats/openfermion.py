"""OpenFermion's operators as text: str(operator), or the file of save_operator(..., plain_text=True), which begins with
``QubitOperator:`` or ``FermionOperator:``.

    -1.5 [] +                 2.0 [0^ 0 1^ 1] +
    -1.0 [Z0 Z1]              -1.0 [0^ 2]

The other format of save_operator is Python's marshal, which we do not read: a crafted file can crash the interpreter.
The grammar of a line is that of `operators.pauli_strings` and `system.fermion_terms`. J. R. McClean et al., Quantum
Sci. Technol. 5, 034014 (2020), arXiv:1710.07629.
"""

from __future__ import annotations

from collections.abc import Sequence

from nqs_hpc.system.fermion_strings import FermionString, written
from nqs_hpc.types import PauliString


def qubits(strings: Sequence[PauliString]) -> str:
    """The file of a QubitOperator, for load_operator(..., plain_text=True)."""
    lines = []
    for one in strings:
        factors = (f"{letter}{site}" for letter, site in zip(one.operators, one.sites, strict=True))
        lines.append(f"{one.coefficient!r} [{' '.join(factors)}]")
    return "QubitOperator:\n" + " +\n".join(lines)


def fermions(strings: Sequence[FermionString], n_orbitals: int | None) -> str:
    """The file of a FermionOperator. With ``n_orbitals``, modes are numbered first all up, then all down, and become 2p
    and 2p + 1 of orbital p, the numbering of OpenFermion; None: modes keep their numbers.
    """

    def numbered(mode: int) -> int:
        return mode if n_orbitals is None else 2 * (mode % n_orbitals) + mode // n_orbitals

    moved = [FermionString(c, tuple((numbered(mode), creates) for mode, creates in ops)) for c, ops in strings]
    return "FermionOperator:\n" + " +\n".join(map(written, moved))
