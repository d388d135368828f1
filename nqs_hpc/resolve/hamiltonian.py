"""Hamiltonians: what ``auto`` means on a lattice, terms read from files, and where the spins or bosons sit."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from nqs_hpc import schema
from nqs_hpc.inputs.checks import InputError, bad, show
from nqs_hpc.inputs.line import one_line
from nqs_hpc.operators import pauli_strings
from nqs_hpc.resolve.gauge import gauge
from nqs_hpc.resolve.lattice import make_lattice
from nqs_hpc.schema import Config
from nqs_hpc.system import lattice as lattices
from nqs_hpc.system.hilbert import Hilbert, bosons, spin_half
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.links import NAME as LINKS
from nqs_hpc.system.links import links

MAX_ATOMS = 2**13  # each interacts with all others: their matrix takes half a GiB


def make_sites(config: Config) -> Lattice:
    """The lattice whose sites carry the spins or bosons of a resolved configuration."""
    return site_lattice(config.hamiltonian, make_lattice(config.lattice))


def site_lattice(hamiltonian: schema.Hamiltonian, lattice: Lattice) -> Lattice:
    """``lattice``, or where the Hamiltonian has its spins on the links of that, the lattice of these."""
    if isinstance(hamiltonian, schema.ToricCode) and lattice.name != LINKS:
        return links(lattice)
    return lattice


def make_hilbert(hamiltonian: schema.Hamiltonian, n_sites: int, total: int | None) -> Hilbert:
    """What the sites of a Hamiltonian hold, in the sector of ``total``; ValueError where that cannot be had."""
    if isinstance(hamiltonian, schema.BoseHubbard):
        return bosons(n_sites, hamiltonian.n_max, total)
    return spin_half(n_sites, total)


def resolve_hamiltonian(given: schema.Hamiltonian, lattice: Lattice) -> schema.Hamiltonian:
    """Every ``auto`` replaced, terms read from their file and expanded; raises InputError.

    ``lattice`` is the one that is given, or that of the sites.
    """
    if isinstance(given, schema.Ising):
        if given.J == given.h == given.g == 0:
            raise bad("hamiltonian.J", given.J, "another number than 0 for one of hamiltonian.J, .h, .g")
        return _with_gauge(given, lattice)

    if isinstance(given, schema.Heisenberg):
        couplings = given.J if isinstance(given.J, tuple) else (given.J,)
        while couplings and couplings[-1] == 0:
            couplings = couplings[:-1]
        if not couplings:
            raise bad("hamiltonian.J", given.J, "a number other than 0, or a list with one")
        for order, coupling in enumerate(couplings, 1):
            if coupling:
                one_line("hamiltonian.J", given.J, lambda order=order: lattices.neighbours(lattice, order))  # type: ignore[misc]
        return _with_marshall(dataclasses.replace(given, J=couplings), lattice)

    if isinstance(given, schema.Rydberg):
        return _with_gauge(_rydberg(given, lattice), lattice)

    if isinstance(given, schema.ToricCode):
        if lattice.double_bonds:
            valid = "false with hamiltonian=toric_code, which has two links on the two bonds of a side of 2 as it is"
            raise bad("lattice.double_bonds", True, valid)
        return _with_gauge(given, one_line("hamiltonian", given.name, lambda: site_lattice(given, lattice)))

    if isinstance(given, schema.BoseHubbard):
        if given.J == given.U == given.mu == 0:
            raise bad("hamiltonian.J", given.J, "another number than 0 for one of hamiltonian.J, .U, .mu")
        return _with_gauge(given, lattice)

    if (given.terms is None) == (given.file is None):
        what = "neither is" if given.terms is None else "both are"
        raise InputError(
            f"hamiltonian.terms={show(given.terms)} with hamiltonian.file={show(given.file)} is not valid: {what} "
            "given; valid: exactly one of them"
        )
    if given.file is not None:
        file = given.file
        strings = one_line("hamiltonian.file", file, lambda: pauli_strings.expand(pauli_strings.read(file), lattice))
    else:
        strings = one_line("hamiltonian.terms", given.terms, lambda: pauli_strings.expand(given.terms, lattice))
    if not any(string.sites for string in strings):
        key, value = ("hamiltonian.terms", given.terms) if given.file is None else ("hamiltonian.file", given.file)
        raise bad(key, value, "terms with an operator X, Y or Z: these add up to a constant")
    return _with_gauge(dataclasses.replace(given, terms=strings), lattice)


def _with_marshall(given: schema.Heisenberg, lattice: Lattice) -> schema.Heisenberg:
    """Marshall's rule on or off. Frustrated couplings have no signs that make all elements negative; an antiferromagnet
    on two sublattices then has those of its nearest neighbours, which are right for weak other couplings.
    """
    found, two_sublattices = gauge(given, lattice), lattices.bipartition(lattice) is not None
    marshall: Any = given.marshall
    if marshall == "auto" and found is not None:
        marshall = bool((found < 0).any())
    elif marshall == "auto":
        weights = lattices.bond_weights(lattice, 1) if given.J[0] else None
        nearest = given.J[0] * (1.0 if weights is None else weights)
        marshall = bool(np.all(nearest > 0)) and two_sublattices
    elif marshall and found is None and not two_sublattices:
        raise bad("hamiltonian.marshall", True, "auto or false: the nearest neighbours do not form two sublattices")
    return dataclasses.replace(given, marshall=marshall)


def _with_gauge(given: Any, lattice: Lattice) -> Any:
    """The signs of basis states taken or not; ``lattice`` is that of the sites."""
    if not given.gauge:
        return dataclasses.replace(given, gauge=None)
    found = gauge(given, lattice)
    if given.gauge is True and found is None:
        raise bad("hamiltonian.gauge", True, "auto or false: no signs make all off-diagonal elements negative")
    return dataclasses.replace(given, gauge=True if found is not None and (found < 0).any() else None)


def _rydberg(given: schema.Rydberg, lattice: Lattice) -> schema.Rydberg:
    if lattice.edges is not None:
        valid = "another lattice, or lattice=points with a file of positions: atoms interact by distance"
        raise bad("lattice", lattice.name, f"with hamiltonian=rydberg {valid}")
    if lattice.double_bonds:
        valid = "false with hamiltonian=rydberg, where a pair of atoms counts once, by its nearest image"
        raise bad("lattice.double_bonds", True, valid)
    if lattice.n_sites > MAX_ATOMS:
        raise bad("hamiltonian", given.name, f"at most {MAX_ATOMS} atoms, and the lattice has {lattice.n_sites}")
    if given.Omega == 0:
        raise bad("hamiltonian.Omega", given.Omega, "a number other than 0: without a drive the atoms stay as they are")
    if given.cutoff is not None and not len(lattices.pairs_within(lattice, given.cutoff)[0]):
        nearest = float(lattices.pairs_within(lattice, None)[1].min())
        raise bad(
            "hamiltonian.cutoff", given.cutoff, f"null, or at least {nearest:g}, the distance of the nearest atoms"
        )
    return given


def conserves(hamiltonian: schema.Hamiltonian) -> bool:
    """Whether the Hamiltonian conserves the total of its local values: magnetisation, or particles."""
    if isinstance(hamiltonian, schema.Rydberg | schema.ToricCode):
        return False  # a drive; stars
    if isinstance(hamiltonian, schema.Ising):
        return hamiltonian.h == 0
    if isinstance(hamiltonian, schema.Pauli):
        return pauli_strings.conserves_magnetisation(hamiltonian.terms)
    return True
