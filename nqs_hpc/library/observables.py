"""Operators as a user writes them, in the basis and the sector in which a run knows its wave function.

With Marshall's rule, or another gauge (`system.gauge`), the ansatz is not psi but U psi, U = prod sz_i over some of
the sites, and an operator A becomes U A U, whose elements change sign with each spin they flip on these. In a sector
psi vanishes outside of it, where the ansatz, never asked there while it was trained, does not: elements that lead out
are 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc import schema
from nqs_hpc.checks import bad
from nqs_hpc.config import hamiltonian, make_hilbert
from nqs_hpc.operators import pauli_strings
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.operators.projected import changed, projected
from nqs_hpc.parts import Parts
from nqs_hpc.parts.operator import make_operator
from nqs_hpc.types import Move, Operator


def observable(given: Any, parts: Parts, signs_N: np.ndarray | None, marshall: bool | None) -> Operator:
    """``given`` as the ansatz of a run sees it: None (its Hamiltonian), an Operator, a Hamiltonian as in the
    configuration, or a list of Pauli strings, as hamiltonian.terms takes them.

    ``signs_N``: those of Marshall's rule or of hamiltonian.gauge, where the run has one on. ``marshall``: whether an
    Operator carries them.
    Raises ValueError, one line.
    """
    if given is None or given is parts.operator:
        return parts.operator
    if isinstance(given, Operator):
        if signs_N is not None and marshall is None:
            raise ValueError(
                "marshall=null is not valid: the ansatz of this run is psi times signs of the basis states "
                "(hamiltonian.marshall or .gauge); valid with an Operator: true where its elements carry these signs, "
                "as those of build do, false where it is as written"
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
        if (wanted := make_hilbert(config, parts.lattice.n_sites, None).local_values) != values:
            raise bad("operator", given, f"one for sites of {_words(values)}: this one is for {_words(wanted)}")
        return make_operator(as_written(config), parts.lattice)
    if isinstance(given, str):  # of one line or of several, as a file has them
        given = [line for line in given.splitlines() if line.split("#", maxsplit=1)[0].strip()]
    if isinstance(given, list | tuple) and given:
        if values != (1, -1):
            raise bad(
                "operator", given, f"an Operator or a mapping: Pauli strings act on spins, not on {_words(values)}"
            )
        return pauli(parts.lattice.n_sites, pauli_strings.expand(given, parts.lattice))
    valid = "an Operator, a mapping such as {'name': 'ising', 'h': 1.0}, or lines such as '0.5 Z0 Z1'"
    raise bad("operator", given, valid)


def as_written(config: schema.Hamiltonian) -> schema.Hamiltonian:
    """The Hamiltonian without signs of basis states."""
    key = {"marshall": False} if isinstance(config, schema.Heisenberg) else {"gauge": None}
    return dataclasses.replace(config, **key)


def _words(local_values: tuple[int, ...]) -> str:
    return "spins" if local_values == (1, -1) else f"0 to {max(local_values)} bosons"


def rotated(operator: Operator, signs_N: np.ndarray, local_values: tuple[int, ...]) -> Operator:
    """U A U with U = prod_i sigma_i over the sites whose sign (N,) is -1 (`system.gauge`)."""

    def elements(s_N: Array, moves_KF: Move, elements_K: Array) -> tuple[Move, Array]:
        del s_N
        # U changes sign with each step of a local value: the flip of a spin 1/2, one boson more or less
        changed_KF = moves_KF.deltas // abs(local_values[1] - local_values[0]) % 2 != 0
        odd_KF = changed_KF & (jnp.asarray(signs_N)[moves_KF.sites] < 0)
        return moves_KF, elements_K * (1 - 2 * (jnp.sum(odd_KF, axis=1) % 2))

    return changed(operator, elements)
