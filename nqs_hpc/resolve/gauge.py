"""The basis of the ansatz: signs of basis states that make the off-diagonal elements of a Hamiltonian negative.

What each Hamiltonian flips, and with which sign, is known before jax is loaded; `system.gauge` finds the signs.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from math import prod

import numpy as np
from numpy.typing import NDArray

from nqs_hpc import schema
from nqs_hpc.operators.pauli_strings import PauliString
from nqs_hpc.system.gauge import signs
from nqs_hpc.system.lattice import Lattice, bipartition, pair_couplings
from nqs_hpc.system.links import stars

MOST_SIGN_SITES = 12  # whose spins decide the sign of one element: 2^12 cases are tried


def signs_of(hamiltonian: schema.Hamiltonian, lattice: Lattice) -> NDArray[np.int8] | None:
    """The signs (N,) of a resolved Hamiltonian on the lattice of its sites: the ansatz is psi(s) prod_{i: -1} sigma_i;
    None where it is psi itself.
    """
    if isinstance(hamiltonian, schema.Heisenberg):
        if not hamiltonian.marshall:
            return None
        found = gauge(hamiltonian, lattice)
        return bipartition(lattice) if found is None else found
    if not hamiltonian.gauge:
        return None
    found = gauge(hamiltonian, lattice)
    assert found is not None, "the gauge of a resolved Hamiltonian exists"
    return found


def gauge(hamiltonian: schema.Hamiltonian, lattice: Lattice) -> NDArray[np.int8] | None:
    """The signs (N,) that make all off-diagonal elements negative or 0, all +1 where they are; None where none do."""
    elements = list(_elements(hamiltonian, lattice))
    if any(sign is None for _, sign in elements):
        return None
    return signs(lattice.n_sites, [(sites, sign) for sites, sign in elements if sign is not None])


def switched_off(hamiltonian: schema.Hamiltonian, lattice: Lattice) -> str | None:
    """The key that a user has switched off and that would make all off-diagonal elements negative; None otherwise."""
    found, taken = gauge(hamiltonian, lattice), signs_of(hamiltonian, lattice)
    if found is None or np.array_equal(found, np.ones(lattice.n_sites) if taken is None else taken):
        return None
    return "hamiltonian.marshall" if isinstance(hamiltonian, schema.Heisenberg) else "hamiltonian.gauge"


def why_not_positive(hamiltonian: schema.Hamiltonian, lattice: Lattice) -> str | None:
    """One line where the ground state of a resolved Hamiltonian need not be positive in the basis of the ansatz, so
    that a positive wave function is an approximation of unknown quality; None where it is positive.
    """
    key = switched_off(hamiltonian, lattice)
    if key is not None:
        what = f"has positive off-diagonal elements, and {key} is off"
        advice = f"{key}=auto makes them negative"
    elif gauge(hamiltonian, lattice) is None:
        what = (
            "has off-diagonal elements that no signs of the basis states make negative (frustration, or complex ones)"
        )
        advice = "ansatz.dtype=complex, or ansatz=modulus_phase, can have the signs it needs"
    else:
        return None
    return f"signs: this ansatz is positive, but the Hamiltonian {what}: its ground state need not be; {advice}"


def _elements(hamiltonian: schema.Hamiltonian, lattice: Lattice) -> Iterable[tuple[tuple[int, ...], int | None]]:
    """The sites that each off-diagonal element changes and its sign; None: complex, or it depends on the state."""
    one = range(lattice.n_sites)
    if isinstance(hamiltonian, schema.Ising):
        return [((i,), _sign(-hamiltonian.h)) for i in one if hamiltonian.h != 0]
    if isinstance(hamiltonian, schema.Rydberg):
        return [((i,), _sign(-hamiltonian.Omega)) for i in one]
    if isinstance(hamiltonian, schema.BoseHubbard):
        hops = pair_couplings(lattice, (hamiltonian.J,))
        return [(pair, _sign(-coupling)) for pair, coupling in hops.items() if coupling != 0]
    if isinstance(hamiltonian, schema.Heisenberg):
        exchanges = pair_couplings(lattice, hamiltonian.J)
        return [(pair, _sign(coupling)) for pair, coupling in exchanges.items() if coupling != 0]
    if isinstance(hamiltonian, schema.ToricCode):
        strings = [PauliString(-1.0, "X" * len(star), star) for star in stars(lattice)]
        for field, letter in ((hamiltonian.hx, "X"), (hamiltonian.hy, "Y")):
            strings += [PauliString(-field, letter, (i,)) for i in one if field != 0]
        return _of_strings(strings)
    if isinstance(hamiltonian, schema.Pauli):
        return _of_strings(hamiltonian.terms)
    return [((0,), None)]  # a Hamiltonian that nobody has told of: its signs are not known


def _of_strings(strings: Iterable[PauliString]) -> list[tuple[tuple[int, ...], int | None]]:
    """Of a sum of Pauli strings: the strings that flip the same sites are one element."""
    groups: dict[tuple[int, ...], list[tuple[tuple[int, ...], complex]]] = defaultdict(list)
    for coefficient, operators, sites in strings:
        flips = tuple(sorted(site for site, letter in zip(sites, operators, strict=True) if letter in "XY"))
        turns = tuple(site for site, letter in zip(sites, operators, strict=True) if letter in "YZ")
        if flips:
            groups[flips].append((turns, coefficient * (-1j) ** operators.count("Y")))
    found = [(flips, _sign_of(terms)) for flips, terms in sorted(groups.items())]
    return [(flips, sign) for flips, sign in found if sign != 0]


def _sign_of(terms: list[tuple[tuple[int, ...], complex]]) -> int | None:
    """The sign of sum_t c_t prod_{i in t} s_i, where it is real and one for all s for which it is not 0; 0 where it
    vanishes for all of them; else None.
    """
    sites = sorted({site for turns, _ in terms for site in turns})
    if len(sites) > MOST_SIGN_SITES:
        return None
    size = sum(abs(c) for _, c in terms)
    found = set()
    for spins in itertools.product((1, -1), repeat=len(sites)):
        s = dict(zip(sites, spins, strict=True))
        value = sum(c * prod(s[site] for site in turns) for turns, c in terms)
        if abs(value) > 1e-12 * size:
            found.add(None if abs(value.imag) > 1e-12 * size else _sign(value.real))
    return found.pop() if len(found) == 1 else None if found else 0


def _sign(value: float) -> int:
    return 1 if value > 0 else -1
