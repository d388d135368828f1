"""Spins of any length: Kronecker products of their matrices, known energies, which moves and totals they take."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.config.compose import compose
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.operators.exact import lowest_states, sparse_matrix
from nqs_hpc.parts import build
from nqs_hpc.system.lattice import neighbours
from nqs_hpc.system.spaces import spin
from nqs_hpc.tasks.evaluation import evaluation
from tests.systems import SERIAL, amplitudes, spin_matrices

SPIN, BLBQ = "hamiltonian=spin_s", "hamiltonian=blbq"


def by_hand(n, two_s, bonds, *, J=1.0, K=0.0, delta=1.0, D=0.0, E=0.0, h=0.0):
    """``bonds`` {(i, j): factor}; site 0 is the fastest digit."""
    one, (x, y, z) = np.eye(two_s + 1), spin_matrices(two_s)

    def at(i, matrix):
        return functools.reduce(np.kron, [matrix if k == i else one for k in reversed(range(n))])

    total = sum(at(i, D * z @ z + E * (x @ x - y @ y) - h * z) for i in range(n))
    for (i, j), factor in bonds.items():
        xy, zz = at(i, x) @ at(j, x) + at(i, y) @ at(j, y), at(i, z) @ at(j, z)
        total = total + factor * (J * (xy + delta * zz) + K * (xy + zz) @ (xy + zz))
    assert np.abs(total.imag).max() < 1e-13
    return total.real


def made(*words):
    config = compose(["sampler=enumerate", *words], 1)
    return config, config.make_sites()


def ring(n):
    return {(i, (i + 1) % n): 1.0 for i in range(n)}


def next_ring(n):
    return {(i, (i + 2) % n): 1.0 for i in range(n)}


OPEN_3, RING_5 = {(0, 1): 1.0, (1, 2): 1.0}, ring(5) | {pair: 0.4 for pair in next_ring(5)}
OF_3, OF_5 = ["lattice.length=3", "lattice.pbc=false"], ["lattice.length=5"]
CASES = {
    "spin 1, all terms": (
        [SPIN, *OF_3, *(f"hamiltonian.{x}" for x in ("J=0.7", "delta=0.4", "D=0.3", "E=0.2", "h=0.1"))],
        (3, 2, OPEN_3, {"J": 0.7, "delta": 0.4, "D": 0.3, "E": 0.2, "h": 0.1}),
    ),
    "spin 3/2": ([SPIN, *OF_3, "hamiltonian.S=1.5", "hamiltonian.E=-0.5"], (3, 3, OPEN_3, {"E": -0.5})),
    "spin 1/2 in a field": ([SPIN, *OF_3, "hamiltonian.S=0.5", "hamiltonian.h=0.3"], (3, 1, OPEN_3, {"h": 0.3})),
    "spin 2": ([SPIN, *OF_3, "hamiltonian.S=2", "hamiltonian.D=-0.2"], (3, 4, OPEN_3, {"D": -0.2})),
    "by order": ([SPIN, *OF_5, "hamiltonian.J=[1,0.4]"], (5, 2, RING_5, {})),
    "J and K": ([BLBQ, *OF_3, "hamiltonian.J=0.6", "hamiltonian.K=-0.3"], (3, 2, OPEN_3, {"J": 0.6, "K": -0.3})),
    "theta": (
        [BLBQ, *OF_3, "hamiltonian.theta=0.7"],
        (3, 2, OPEN_3, {"J": np.cos(0.7 * np.pi), "K": np.sin(0.7 * np.pi)}),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_matrix_is_the_sum_of_kronecker_products(case):
    words, (n, two_s, bonds, values) = CASES[case]
    config, lattice = made(*words, "sector=none")
    operator, wanted = config.hamiltonian.as_written().operator(lattice), by_hand(n, two_s, bonds, **values)
    found = sparse_matrix(operator, spin(n, two_s)).toarray()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-13 * np.abs(wanted).max())
    assert operator.e_infinity == pytest.approx(np.trace(wanted) / len(wanted), abs=1e-12)
    levels = np.linalg.eigvalsh(wanted)
    assert operator.bounds[0] <= levels[0] + 1e-12 and levels[-1] <= operator.bounds[1] + 1e-12


@pytest.mark.parametrize(
    ("words", "energy"),
    [
        ([BLBQ, "hamiltonian.J=1", f"hamiltonian.K={1 / 3}"], -4.0),  # AKLT, -2/3 a bond
        ([BLBQ, "hamiltonian.J=1", "hamiltonian.K=-1"], -24.8774099),
        # the bond J P_2 + const: at tan theta = 1/3 the AKLT point again, scaled by 3 / sqrt(10)
        ([BLBQ, f"hamiltonian.theta={np.arctan(1 / 3) / np.pi}"], -4 * 3 / np.sqrt(10)),
        # a permutation of neighbours, 1 + P = S.S + (S.S)^2: ferromagnetic, -(1 + 1) a bond
        ([BLBQ, "hamiltonian.J=-1", "hamiltonian.K=-1"], -12.0),
        ([SPIN, "hamiltonian.J=-1"], -6.0),
    ],
)
def test_energies_of_rings_of_six(words, energy):
    config, lattice = made(*words, "lattice.length=6")
    hilbert = config.hamiltonian.space(6, 0)
    assert lowest_states(config.hamiltonian.operator(lattice), hilbert)[0][0] == pytest.approx(energy, abs=1e-7)


def test_marshalls_rule_of_longer_spins():
    """No positive elements, on a chain, with weak ferromagnetic second neighbours and with D; the levels stay."""
    for words, n in (
        ([SPIN, "hamiltonian.S=1.5"], 4),
        ([SPIN, "hamiltonian.J=[1,-0.3]", "hamiltonian.D=0.5"], 6),
        ([BLBQ, "hamiltonian.K=-0.5"], 4),
    ):
        config, lattice = made(*words, f"lattice.length={n}")
        chosen = config.hamiltonian
        assert chosen.gauge and np.array_equal(chosen.signs(lattice), np.resize([1, -1], n))
        hilbert = chosen.space(n, 0)
        turned, plain = (sparse_matrix(x.operator(lattice), hilbert) for x in (chosen, chosen.as_written()))
        assert (turned.toarray() - np.diag(turned.diagonal())).max() <= 0
        wanted, found = (np.linalg.eigvalsh(x.toarray()) for x in (plain, turned))
        np.testing.assert_allclose(found, wanted, atol=1e-11)


@pytest.mark.parametrize(
    ("words", "gauge", "sector", "move"),
    [
        ([SPIN], True, 0, "hop"),
        ([SPIN, "hamiltonian.S=0.5"], True, 0, "exchange"),
        ([SPIN, "hamiltonian.S=1.5", "lattice.length=5", "lattice.pbc=false"], True, 1, "hop"),
        ([SPIN, "hamiltonian.E=-0.1"], True, None, "flip"),
        ([SPIN, "hamiltonian.E=0.1"], True, None, "flip"),  # nearly: its own elements are positive, whatever the signs
        ([SPIN, "hamiltonian.J=[1,0.5]"], True, 0, "hop"),  # nearly
        ([SPIN, "hamiltonian.J=[-1,0.5]"], None, 0, "hop"),
        ([SPIN, "hamiltonian.delta=2", "hamiltonian.D=-1", "lattice.length=5", "lattice.pbc=false"], True, 2, "hop"),
        ([BLBQ], True, 0, "hop"),
        ([BLBQ, "hamiltonian.K=0.3333"], True, 0, "hop"),  # nearly
        ([BLBQ, "hamiltonian.theta=-0.6"], None, 0, "hop"),
        ([BLBQ, "hamiltonian.J=0", "hamiltonian.K=-1"], True, 0, "hop"),
    ],
)
def test_what_is_chosen(words, gauge, sector, move):
    config = compose([*words, *([] if "lattice.length=5" in words else ["lattice.length=6"])], 1)
    assert (config.hamiltonian.gauge, config.sector, config.sampler.move) == (gauge, sector, move)


def test_angles_are_couplings_to_the_bit():
    for theta, wanted in {0.5: (0.0, 1.0), -0.5: (0.0, -1.0), 1: (-1.0, 0.0), 0.25: (0.5**0.5, 0.5**0.5)}.items():
        found = made(BLBQ, "lattice.length=4", f"hamiltonian.theta={theta}")[0].hamiltonian
        np.testing.assert_allclose((found.J, found.K), wanted, atol=1e-15)
        assert found.theta is None
        assert found.K == found.J or 0.0 in (found.J, found.K)
        alone = ["lattice.length=4", "sampler.move=hamiltonian", f"hamiltonian.theta={theta}"]
        if theta != 1:  # places of spins change, or nothing of a spin beside a 0: not all states are reached
            with pytest.raises(InputError, match="hamiltonian by itself does not reach all states"):
                compose([BLBQ, *alone], 1)


def test_local_energies_of_a_network_on_spins_1():
    """Against the matrix, where fields and E change single sites."""
    words = [*CASES["spin 1, all terms"][0], "hamiltonian.gauge=false", "sector=none", "ansatz.dtype=complex"]
    config, _ = made(*words, "ansatz.init_scale=0.3")
    parts = build(config, SERIAL)
    params = parts.ansatz.init(jax.random.key(3))
    _, samples, counts = parts.sampler.sample(jnp.zeros(2, jnp.uint32), params, ())
    measured = evaluation(parts.ansatz, parts.operator, SERIAL, chain_length=0, chunk=None)
    batch, _ = jax.jit(measured)(params, samples, counts)
    psi = amplitudes(parts.ansatz, params, np.asarray(samples.s_BN))
    n, two_s, bonds, values = CASES["spin 1, all terms"][1]
    assert len(neighbours(config.make_sites(), 1)) == len(bonds)
    digits = (two_s - np.asarray(samples.s_BN, int)) // 2 @ (two_s + 1) ** np.arange(n)
    h = by_hand(n, two_s, bonds, **values)[np.ix_(digits, digits)]
    assert complex(batch.estimate.mean) == pytest.approx(np.vdot(psi, h @ psi).real, abs=1e-12)


@pytest.mark.parametrize(("s", "parity", "total"), [(1.5, 1, 1), (1.5, -1, 0), (1, 1, 0), (1, -1, 1), (0.5, 1, 1)])
def test_the_flip_of_all_spins(s, parity, total):
    """Two spins of total spin S have (S (S + 1) - 2 s (s + 1)) / 2 and the parity (-1)^(2 s - S), physically."""
    words = [SPIN, f"hamiltonian.S={s}", "lattice.length=2", "lattice.pbc=false", f"symmetrize.spin_flip={parity}"]
    config, _ = made(*words)
    parts = build(config, SERIAL)
    found = lowest_states(parts.operator, parts.hilbert, symmetry=parts.symmetry)[0][0]
    assert found == pytest.approx((total * (total + 1) - 2 * s * (s + 1)) / 2, abs=1e-12)
