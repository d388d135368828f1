"""Whether the signs of the ground state are taken into the basis of the ansatz, in words."""

from __future__ import annotations

import numpy as np

from nqs_hpc.choices.hamiltonian.base import Hamiltonian
from nqs_hpc.system.lattice import Lattice


def switched_off(hamiltonian: Hamiltonian, lattice: Lattice) -> str | None:
    """The key that a user has switched off and that would make all off-diagonal elements negative; None otherwise.

    Of a resolved Hamiltonian on the lattice of its sites.
    """
    found, taken = hamiltonian.positive_signs(lattice), hamiltonian.signs(lattice)
    if found is None or np.array_equal(found, np.ones(lattice.n_sites) if taken is None else taken):
        return None
    return hamiltonian.signs_key or None


# said instead of refused: where a symmetry makes the imaginary part vanish on the ground state, as that of small D on a
# ring of XX couplings does, a real wave function is exact, and elsewhere its energy is still an upper bound
NOT_REAL = (
    "signs: the Hamiltonian has complex elements, whose imaginary parts have no effect on the energy of a real wave "
    "function: this is a run of the real part of the Hamiltonian, and its ground state need not be that of the whole; "
    "ansatz.dtype=complex, or ansatz=modulus_phase, can have the phases it needs"
)


def why_not_positive(hamiltonian: Hamiltonian, lattice: Lattice) -> str | None:
    """One line where the ground state of a resolved Hamiltonian need not be positive in the basis of the ansatz, so
    that a positive wave function is an approximation of unknown quality; None if it is positive.
    """
    key, found = switched_off(hamiltonian, lattice), hamiltonian.positive_signs(lattice)
    if hamiltonian.fermions(lattice):
        if found is not None and (found > 0).all():
            return None
        what = "moves fermions past each other, which changes the sign of the wave function"
        advice = "ansatz=slater has these signs by construction, ansatz.dtype=complex can learn them"
    elif key is not None:
        what = f"has positive off-diagonal elements, and {key} is off"
        advice = f"{key}=auto makes them negative"
    elif found is None and hamiltonian.is_positive(lattice):
        return None
    elif found is None:
        what = (
            "has off-diagonal elements that no signs of the basis states make negative (frustration, or complex ones)"
        )
        advice = "ansatz.dtype=complex, or ansatz=modulus_phase, can have the signs it needs"
    else:
        return None
    return f"signs: this ansatz is positive, but the Hamiltonian {what}: its ground state need not be; {advice}"
