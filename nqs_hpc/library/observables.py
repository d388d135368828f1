"""Operators given by the user, in the basis and the sector of a run's wave function.

With Marshall's rule, or another gauge (`system.gauge`), the ansatz is not psi but U psi, U = prod sz_i over some of
the sites, and an operator A becomes U A U, whose elements change sign with each spin they flip on these sites. psi
vanishes outside of a sector, but the ansatz, which was never trained there, does not: so elements that lead out of the
sector are set to 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nqs_hpc.config.compose import hamiltonian
from nqs_hpc.inputs.checks import bad
from nqs_hpc.operators import pauli_strings
from nqs_hpc.operators.basis_change import rotated
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.operators.projected import projected
from nqs_hpc.parts import Parts
from nqs_hpc.types import Operator


def observable(given: Any, parts: Parts, signs_N: np.ndarray | None, marshall: bool | None) -> Operator:
    """``given`` in the basis of a run's ansatz: None (its Hamiltonian), an Operator, a Hamiltonian as in the
    configuration, or a list of Pauli strings as in hamiltonian.terms.

    ``signs_N``: those of Marshall's rule or of hamiltonian.gauge, if the run has one on. ``marshall``: whether an
    Operator already contains them.
    Raises ValueError, one line.
    """
    if given is None or given is parts.operator:
        return parts.operator
    if isinstance(given, Operator):
        if signs_N is not None and marshall is None:
            raise ValueError(
                "marshall=null is not valid: the ansatz of this run is psi times signs of the basis states "
                "(hamiltonian.marshall or .gauge); valid with an Operator: true if its elements contain these signs, "
                "as those of build do, false if they do not"
            )
        operator = given
    else:
        operator, marshall = read(given, parts), False
    if signs_N is not None and not marshall:
        operator = rotated(operator, signs_N, parts.hilbert.local_values)
    return projected(operator, parts.hilbert)


def read(given: Any, parts: Parts) -> Operator:
    """The operator of a mapping or of lines, without signs of basis states."""
    values = parts.hilbert.local_values
    if isinstance(given, Mapping):
        config = hamiltonian(given, parts.lattice)
        space = config.space(parts.lattice.n_sites)
        if (wanted := space.local_values) != values:
            raise bad("operator", given, f"one for sites of {_words(values)}: this one is for {_words(wanted)}")
        if space.paths != parts.hilbert.paths:
            raise bad(
                "operator", given, "one in the basis of this run: one has paths of total spins, the other single sites"
            )
        return config.as_written().operator(parts.lattice)
    if isinstance(given, str):  # one line or several, as in a file
        given = [line for line in given.splitlines() if line.split("#", maxsplit=1)[0].strip()]
    if isinstance(given, list | tuple) and given:
        if parts.hilbert.paths:
            raise bad("operator", given, "an Operator or a mapping: here a state is a path of total spins")
        if values != (1, -1):
            raise bad(
                "operator", given, f"an Operator or a mapping: Pauli strings act on spins 1/2, not on {_words(values)}"
            )
        return pauli(parts.lattice.n_sites, pauli_strings.expand(given, parts.lattice))
    valid = "an Operator, a mapping such as {'name': 'ising', 'h': 1.0}, or lines such as '0.5 Z0 Z1'"
    raise bad("operator", given, valid)


def _words(local_values: tuple[int, ...]) -> str:
    if min(local_values) < 0:
        two_s = max(local_values)
        return f"spins {two_s // 2 if two_s % 2 == 0 else f'{two_s}/2'}"
    return f"0 to {max(local_values)} bosons"
