"""Fields and random couplings of spin models, against Kronecker products of the numbers that are drawn."""

import numpy as np
import pytest

from nqs_hpc.config.compose import compose, from_plain
from nqs_hpc.config.identity import physics, to_plain
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.inputs.drawn import Drawn
from nqs_hpc.operators.exact import sparse_matrix
from nqs_hpc.system.disorder import drawn
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.system.lattice import neighbours

HEISENBERG = "hamiltonian=heisenberg"
SQUARE = ("lattice=square", "lattice.extent=[3,2]", "lattice.pbc=false")
SUBLATTICES = (1, -1, 1, -1, 1, -1)


def made(*words):
    """The matrix as written, that of the ansatz, and the configuration."""
    config = compose([*SQUARE, *words], 1)
    lattice, hamiltonian = config.make_sites(), config.hamiltonian
    as_written = sparse_matrix(hamiltonian.as_written().operator(lattice), spin_half(6)).toarray()
    return as_written, sparse_matrix(hamiltonian.operator(lattice), spin_half(6)).toarray(), config


def bonds(order):
    return neighbours(compose([*SQUARE], 1).make_sites(), order).tolist()


def exchange(kron, bond):
    return sum(kron(6, 2 * letter, tuple(bond)) for letter in "XYZ") / 4


def z(kron, fields):
    return sum(h * kron(6, "Z", (i,)) for i, h in enumerate(fields))


@pytest.mark.parametrize("h", [0.4, {"random": "uniform", "mean": 0.1, "width": 0.7, "seed": 5}])
def test_heisenberg_in_fields(kron, h):
    text = f"hamiltonian.h={h}".replace("'", "")
    found, _, _ = made(HEISENBERG, "hamiltonian.J=[1,0.3]", text, "hamiltonian.h_staggered=-0.2")
    fields = np.full(6, h) if isinstance(h, float) else drawn(Drawn(**h), 6, "h")
    wanted = sum(exchange(kron, bond) for bond in bonds(1)) + 0.3 * sum(exchange(kron, bond) for bond in bonds(2))
    wanted = wanted - z(kron, fields - 0.2 * np.array(SUBLATTICES)) / 2
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


def test_heisenberg_with_random_couplings(kron):
    one = {"random": "normal", "mean": 0.2, "width": 0.5, "seed": 9}
    text = f"hamiltonian.J=[{one},0.3]".replace("'", "")
    found, _, config = made(HEISENBERG, text)
    wanted = sum(J * exchange(kron, bond) for J, bond in zip(drawn(Drawn(**one), 7, "J1"), bonds(1), strict=True))
    wanted = wanted + 0.3 * sum(exchange(kron, bond) for bond in bonds(2))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
    assert from_plain(to_plain(config)) == config and to_plain(config)["hamiltonian"]["J"] == [one, 0.3]


def test_a_spin_glass_in_random_fields(kron):
    """Signs of basis states, site by site, make the elements of fields of both signs negative."""
    J, h, g = ({"random": kind, "mean": 0.0, "width": 0.8, "seed": 4} for kind in ("sign", "normal", "uniform"))
    words = [f"hamiltonian.{name}={value}".replace("'", "") for name, value in (("J", J), ("h", h), ("g", g))]
    found, turned, config = made(*words)
    wanted = 0
    for value, bond in zip(drawn(Drawn(**J), 7, "J1"), bonds(1), strict=True):
        wanted = wanted - value * kron(6, "ZZ", tuple(bond))
    for i, value in enumerate(drawn(Drawn(**h), 6, "h")):
        wanted = wanted - value * kron(6, "X", (i,))
    wanted = wanted - z(kron, drawn(Drawn(**g), 6, "g"))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
    assert config.hamiltonian.gauge and (turned - np.diag(np.diag(turned))).max() == 0
    np.testing.assert_allclose(np.linalg.eigvalsh(turned), np.linalg.eigvalsh(wanted), atol=1e-11)


def test_the_sector_in_a_field():
    """A field leaves the total open, unless it adds up to nothing; the spin alone has the least total."""

    def sector(*words):
        return compose([*SQUARE, HEISENBERG, *words], 1).sector

    assert sector() == sector("hamiltonian.h_staggered=0.4") == 0
    assert sector("hamiltonian.h=0.4") is None and sector("hamiltonian.h={random: sign, seed: 1}") is None
    assert sector("hamiltonian.h=0.4", "sector=2") == 2
    assert sector("hamiltonian.J={random: sign, seed: 1}") == 0


def test_runs_without_a_field_stay_what_they_are():
    plain = physics(compose([HEISENBERG], 1))["hamiltonian"]
    assert plain == {"name": "heisenberg", "J": [1.0], "delta": 1.0, "marshall": True}
    with_field = physics(compose([HEISENBERG, "hamiltonian.h={random: normal, seed: 3}"], 1))["hamiltonian"]
    assert with_field == plain | {"h": {"random": "normal", "mean": 0.0, "width": 1.0, "seed": 3}}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["hamiltonian.J={random: gauss}"], "hamiltonian.J.random=gauss is not valid; valid: normal, uniform, sign"),
        (["hamiltonian.h={random: sign, width: 0}"], "hamiltonian.h.width=0 is not valid; valid: a number above 0"),
        (["hamiltonian.g={mean: 2}"], "hamiltonian.g={mean: 2} is not valid; valid: a number, or drawn {random: "),
        ([HEISENBERG, "lattice=kagome", "hamiltonian.h_staggered=1"], "0: the nearest neighbours form no two sub"),
    ],
)
def test_one_line_for_what_is_not_valid(words, line):
    with pytest.raises(InputError) as caught:
        compose(words, 1)
    assert line in str(caught.value) and "\n" not in str(caught.value)
