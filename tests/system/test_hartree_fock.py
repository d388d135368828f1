"""Hartree-Fock against closed forms, a published energy, and the energy of its determinant in the exact matrix."""

import itertools

import numpy as np
import pytest

from nqs_hpc.operators import exact
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.system.fermion_strings import FermionString, hop, jordan_wigner, number
from nqs_hpc.system.hartree_fock import hartree_fock
from nqs_hpc.system.hilbert import codes, decode
from nqs_hpc.system.orbitals import blocks_of
from nqs_hpc.system.spaces import fermions, spinless_fermions
from tests.contract.tried import configuration


def ring(length: int, U: float) -> tuple[FermionString, ...]:
    bonds = [(i, (i + 1) % length) for i in range(length if length > 2 else 1)]
    hops = [one for i, j in bonds for spin in (0, length) for one in hop(-1.0, spin + i, spin + j)]
    return (*hops, *(number(U, i, i + length) for i in range(length)))


def energy_of(strings, hilbert, found) -> float:
    """<Phi|H|Phi> / <Phi|Phi> in the exact matrix of all numbers of fermions, from minors of the orbitals."""
    blocks = blocks_of(hilbert)
    n, total = hilbert.n_sites, sum(filled for _, filled in blocks)
    phi = np.zeros((n, total), complex)
    if len(found.orbitals) == 1:
        one = found.orbitals[0]
        if len(one) == n:
            phi[:, :] = one
        else:
            for b, (sites, filled) in enumerate(blocks):
                phi[np.ix_(sites, range(b * filled, (b + 1) * filled))] = one
    else:
        first = 0
        for (sites, filled), orbitals in zip(blocks, found.orbitals, strict=True):
            phi[np.ix_(sites, range(first, first + filled))] = orbitals
            first += filled
    space = spinless_fermions(n, total)  # generalised orbitals mix the spins
    states = decode(space, codes(space))
    vector = np.array([np.linalg.det(phi[np.flatnonzero(s_N)]) for s_N in states])
    matrix = exact.sparse_matrix(pauli(n, jordan_wigner(strings), first=0), space)
    return float((vector.conj() @ (matrix @ vector)).real / (vector.conj() @ vector).real)


@pytest.mark.parametrize("U", [1.0, 4.0, 9.0])
def test_the_dimer(U):
    """Restricted -2 t + U / 2; unrestricted -2 t^2 / U where the moments order, at U > 2 t."""
    space = fermions(2, 1, 1)
    assert hartree_fock(ring(2, U), space, "restricted").energy == pytest.approx(-2 + U / 2, abs=1e-8)
    wanted = -2 / U if U > 2 else -2 + U / 2
    for kind in ("unrestricted", "generalised"):
        assert hartree_fock(ring(2, U), space, kind).energy == pytest.approx(wanted, abs=1e-7)


def test_the_hydrogen_molecule():
    """STO-3G at 0.7414 angstrom: -1.116684 hartree (Szabo and Ostlund 1989, as any program of quantum chemistry)."""
    molecule = {"name": "fermion", "fcidump": "package:h2_sto3g.fcidump"}
    config = configuration(lattice={"name": "chain", "length": 2, "pbc": False}, hamiltonian=molecule, ansatz="slater")
    lattice = config.make_sites()
    strings = config.hamiltonian.fermions(lattice)
    for kind in ("restricted", "unrestricted", "generalised"):
        found = hartree_fock(strings, config.hamiltonian.space(lattice.n_sites, config.sector), kind)
        assert found.energy == pytest.approx(-1.116684, abs=2e-5)


@pytest.mark.parametrize("kind", ["restricted", "unrestricted", "generalised"])
def test_its_energy_is_that_of_its_determinant(kind):
    """Of a Hamiltonian with hops, phases, and products of four operators in any order, and it is a minimum."""
    rng = np.random.default_rng(5)
    strings = list(ring(3, 5.0))
    for p, q, r, s in itertools.product(range(2), repeat=4):  # spin by spin, and its conjugate
        coefficient = 0.1 * complex(*rng.normal(size=2))
        one = ((p, True), (r, False), (q + 3, True), (s + 3, False))
        strings += [FermionString(coefficient, one)]
        strings += [FermionString(coefficient.conjugate(), tuple((m, not c) for m, c in reversed(one)))]
    space = fermions(3, 1, 1)
    found = hartree_fock(tuple(strings), space, kind)
    assert found.residual < 1e-4
    assert energy_of(strings, space, found) == pytest.approx(found.energy, abs=1e-8)
    lowest = exact.lowest_states(pauli(6, jordan_wigner(strings), first=0), spinless_fermions(6, 2))[0][0]
    assert found.energy >= lowest - 1e-9
    for _ in range(10):  # no determinant close by is lower, of the same kind
        turned = tuple(phi + 0.05 * rng.normal(size=phi.shape) for phi in found.orbitals)
        assert energy_of(strings, space, found._replace(orbitals=turned)) > found.energy - 1e-9


def test_fewer_of_one_spin_have_no_restricted_orbitals():
    with pytest.raises(ValueError, match="as many fermions of either spin"):
        hartree_fock(ring(4, 4.0), fermions(4, 3, 1), "restricted")
