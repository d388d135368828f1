"""The basis of the ansatz: no positive element off the diagonal where a gauge exists, the spectrum as written, and the
line that says so where none does.
"""

import numpy as np
import pytest

from nqs_hpc.config.compose import compose
from nqs_hpc.config.signs import why_not_positive
from nqs_hpc.operators.basis_change import rotated
from nqs_hpc.operators.exact import lowest_states, sparse_matrix
from nqs_hpc.system.basis import Basis, signs_of_states
from nqs_hpc.system.hilbert import codes, decode

PAULI = "hamiltonian=pauli"


def pauli(*lines: str) -> str:
    """The override of a sum; each line is a coefficient, letters, and sites."""
    terms = []
    for line in lines:
        coefficient, letters, *sites = line.split()
        terms.append(f"{{coefficient: {coefficient}, operators: {letters}, sites: [{', '.join(sites)}]}}")
    return f"hamiltonian.terms=[{', '.join(terms)}]"


def parts(*overrides: str):
    config = compose(["sampler=enumerate", *overrides], 1)
    lattice = config.make_sites()
    return config.hamiltonian, lattice, config.hamiltonian.space(lattice.n_sites, config.sector)


GAUGED = {  # overrides -> the lowest energy by another way, where one is known in closed form
    "field": (["lattice.length=6", "hamiltonian.h=-1.0"], -2 / np.sin(np.pi / 12)),  # Pfeuty, ring at h = J
    "field_and_g": (["lattice.length=5", "hamiltonian.h=-0.7", "hamiltonian.g=0.3"], None),
    "square": (["lattice=square", "lattice.length=3", "hamiltonian.h=-2"], -22.6838),
    "drive": (["hamiltonian=rydberg", "lattice.length=5", "hamiltonian.Omega=-1.3"], None),
    "hopping": (["hamiltonian=bose_hubbard", "hamiltonian.J=-1", "lattice.length=4", "sector=4"], None),
    "stars": (["hamiltonian=toric_code", "lattice=square", "lattice.length=2", "hamiltonian.hx=-0.4"], None),
    "second_neighbours": (
        ["hamiltonian=heisenberg", "lattice.length=8", "hamiltonian.J=[0,1]"],
        -4.0,
    ),  # two rings of 4
    "ferromagnetic_second": (["hamiltonian=heisenberg", "lattice.length=8", "hamiltonian.J=[1,-0.4]"], None),
    "strings": ([PAULI, "lattice.length=4", pauli("1 XX 0 1", "1 YY 0 1", "0.5 X 2", "-2 XX 2 3", "1 ZZ 0 3")], None),
    "three_spins": ([PAULI, "lattice.length=4", pauli("1 XXX 0 1 2", "1 XXX 1 2 3", "-1 ZZ 0 1")], None),
}


@pytest.mark.parametrize("name", GAUGED)
def test_signs_make_all_elements_negative_and_keep_the_spectrum(name):
    overrides, energy = GAUGED[name]
    hamiltonian, lattice, hilbert = parts(*overrides)
    signs_N = hamiltonian.signs(lattice)
    assert signs_N is not None and (signs_N < 0).any()
    gauged = sparse_matrix(hamiltonian.operator(lattice), hilbert).toarray()
    written = sparse_matrix(hamiltonian.as_written().operator(lattice), hilbert).toarray()
    assert (written - np.diag(np.diag(written))).max() > 0.1  # something was to be done
    assert (gauged - np.diag(np.diag(gauged))).max() <= 1e-14
    u = signs_of_states(Basis(hilbert, signs_N), decode(hilbert, codes(hilbert)))
    np.testing.assert_allclose(gauged, u[:, None] * written * u[None, :], atol=1e-13)
    turned = rotated(hamiltonian.as_written().operator(lattice), signs_N, hilbert.local_values)
    np.testing.assert_allclose(sparse_matrix(turned, hilbert).toarray(), gauged, atol=1e-13)
    if energy is not None:
        assert np.linalg.eigvalsh(gauged)[0] == pytest.approx(energy, abs=1e-4)
    assert why_not_positive(hamiltonian, lattice) is None


FREE = {
    "ising": ["lattice.length=6"],
    "diagonal": ["lattice.length=6", "hamiltonian.h=0", "hamiltonian.J=-1", "sector=none"],
    "ferromagnet": ["hamiltonian=heisenberg", "lattice=triangular", "lattice.length=3", "hamiltonian.J=-1"],
    "rydberg": ["hamiltonian=rydberg", "lattice.length=4"],
    "bosons": ["hamiltonian=bose_hubbard", "lattice.length=4"],
    "toric_code": ["hamiltonian=toric_code", "lattice=square", "lattice.length=2", "hamiltonian.hx=0.4"],
}


@pytest.mark.parametrize("name", FREE)
def test_what_needs_no_signs_has_none(name):
    hamiltonian, lattice, _ = parts(*FREE[name])
    assert hamiltonian.signs(lattice) is None and why_not_positive(hamiltonian, lattice) is None


FRUSTRATED = {
    "odd_ring": ["hamiltonian=heisenberg", "lattice.length=9"],
    "triangular": ["hamiltonian=heisenberg", "lattice=triangular", "lattice.extent=[4,3]"],
    "second_neighbours": ["hamiltonian=heisenberg", "lattice=square", "hamiltonian.J=[1,1]"],
    "odd_ring_of_bosons": ["hamiltonian=bose_hubbard", "lattice.length=5", "hamiltonian.J=-1"],
    "complex_field": ["hamiltonian=toric_code", "lattice=square", "lattice.length=2", "hamiltonian.hy=0.2"],
    "open_stars": ["hamiltonian=toric_code", "lattice=square", "lattice.pbc=false",
                   "hamiltonian.hx=-0.2", "lattice.extent=[3,2]"],
    "cluster": [PAULI, "lattice.length=5", pauli("-1 ZXZ 0 1 2", "-1 ZXZ 1 2 3")],
    "complex": [PAULI, "lattice.length=4", pauli("1 Y 0", "1 X 0", "1 ZZ 0 1")],
}  # fmt: skip


@pytest.mark.parametrize("name", FRUSTRATED)
def test_frustration_is_said(name):
    hamiltonian, lattice, _ = parts(*FRUSTRATED[name])
    assert hamiltonian.positive_signs(lattice) is None
    line = why_not_positive(hamiltonian, lattice)
    assert "frustration" in line and "ansatz.dtype=complex" in line and "\n" not in line


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (["lattice.length=6", "hamiltonian.h=-1", "hamiltonian.gauge=false"], "hamiltonian.gauge"),
        (["lattice.length=6", "hamiltonian.h=-1", "hamiltonian.gauge=null"], "hamiltonian.gauge"),
        (["lattice.length=6", "hamiltonian=heisenberg", "hamiltonian.marshall=false"], "hamiltonian.marshall"),
    ],
)
def test_signs_that_are_switched_off_are_missed(overrides, key):
    hamiltonian, lattice, hilbert = parts(*overrides)
    assert hamiltonian.signs(lattice) is None and f"{key}=auto" in why_not_positive(hamiltonian, lattice)
    matrix = sparse_matrix(hamiltonian.operator(lattice), hilbert).toarray()
    assert (matrix - np.diag(np.diag(matrix))).max() > 0.1


BOUNDED = [
    ["lattice.length=6", "hamiltonian.h=-1.3", "hamiltonian.g=0.4"],
    ["hamiltonian=heisenberg", "lattice.length=6", "hamiltonian.J=[1,0.5]", "hamiltonian.delta=-1.7"],
    ["hamiltonian=rydberg", "lattice.length=5", "hamiltonian.delta=-2"],
    ["hamiltonian=bose_hubbard", "lattice.length=4", "hamiltonian.mu=0.7", "hamiltonian.U=-3", "sector=none"],
    ["hamiltonian=toric_code", "lattice=square", "lattice.length=2", "hamiltonian.hx=0.4", "hamiltonian.hy=0.3"],
    [PAULI, "lattice.length=4", pauli("1 Y 0", "1 X 0", "1 ZZ 0 1", "-0.5 XYZ 1 2 3")],
]


@pytest.mark.parametrize("overrides", BOUNDED, ids=lambda overrides: overrides[0])
def test_no_eigenvalue_lies_outside_of_the_bounds(overrides):
    hamiltonian, lattice, hilbert = parts(*overrides)
    operator = hamiltonian.operator(lattice)
    energies = np.linalg.eigvalsh(sparse_matrix(operator, hilbert._replace(total=None)).toarray())
    low, high = operator.bounds
    assert low - 1e-9 <= energies[0] and energies[-1] <= high + 1e-9
    assert high - low < 10 * (energies[-1] - energies[0])  # a bound that says something


def test_the_first_case_of_a_wrong_sign_has_its_right_energy():
    """-30.5796 of 24 sites at h = 1, by Pfeuty's sum over momenta; with h = -1 it was -20."""
    k = (np.arange(24) + 0.5) * 2 * np.pi / 24
    exact = -np.sqrt(2 + 2 * np.cos(k)).sum()
    assert exact == pytest.approx(-30.5796, abs=1e-4)
    hamiltonian, lattice, hilbert = parts("lattice.length=12", "hamiltonian.h=-1")
    k = (np.arange(12) + 0.5) * 2 * np.pi / 12
    energy = lowest_states(hamiltonian.operator(lattice), hilbert)[0][0]
    assert energy == pytest.approx(-np.sqrt(2 + 2 * np.cos(k)).sum(), abs=1e-9)
