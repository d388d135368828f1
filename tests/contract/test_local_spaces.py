"""Every ansatz on every kind of site: spins on links, spins with long-ranged terms, spins 1, bosons of a fixed number
or any.

A Hamiltonian's own moves by the ratio path against whole evaluations, and energies of enumerated states against plain
matrices made by Kronecker products.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.config.basis import basis_of
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.operators.bose_hubbard import bose_hubbard
from nqs_hpc.operators.rydberg import rydberg
from nqs_hpc.operators.spin_s import spin_s
from nqs_hpc.operators.toric_code import toric_code
from nqs_hpc.sampler.enumerate import enumeration
from nqs_hpc.system.hilbert import Hilbert, bosons, spin_half
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.system.links import links
from nqs_hpc.system.spaces import spin
from nqs_hpc.tasks.evaluation import evaluation
from nqs_hpc.types import Ansatz, Operator
from tests.contract.tried import configuration, of_chains, of_spins
from tests.systems import SERIAL, all_numbers, all_states, amplitudes, dense, dense_bosons, ring, spin_matrices


class System(NamedTuple):
    operator: Operator
    hilbert: Hilbert
    states: np.ndarray  # in the order of the matrix
    matrix: np.ndarray
    given: dict[str, Any]  # the same as a configuration


def toric_cylinder() -> System:
    """2x2 vertices, a ring along x: per column the links right below, up, right above; drawn in test_toric_code."""
    terms = [(-1.0, dict.fromkeys(star, "X")) for star in ((0, 3, 1), (0, 3, 4), (2, 5, 1), (2, 5, 4))]
    terms += [(-1.0, dict.fromkeys(face, "Z")) for face in ((0, 2, 1, 4), (3, 5, 1, 4))]
    terms += [(-field, {i: letter}) for i in range(6) for field, letter in ((0.3, "X"), (0.1, "Y"), (0.2, "Z"))]
    operator = toric_code(links(FACTORIES["square"]((2, 2), (True, False))), hx=0.3, hy=0.1, hz=0.2)
    given = {
        "lattice": {"name": "square", "length": 2, "pbc": [True, False]},
        "hamiltonian": {"name": "toric_code", "hx": 0.3, "hy": 0.1, "hz": 0.2},
    }
    return System(operator, spin_half(6), all_states(6), dense(6, terms), given)


def rydberg_chain() -> System:
    n = 6
    terms = [(-0.5, {i: "X"}) for i in range(n)] + [(0.35, {i: "Z"}) for i in range(n)] + [(-0.35 * n, {})]
    for i in range(n):
        for j in range(i):  # V n n = V/4 (1 - z)(1 - z)
            v = 5.0 / (i - j) ** 6 / 4
            terms += [(v, {}), (-v, {i: "Z"}), (-v, {j: "Z"}), (v, {i: "Z", j: "Z"})]
    operator = rydberg(FACTORIES["chain"]((n,), (False,)), Omega=1.0, delta=0.7, V=5.0)
    given = {"lattice.pbc": False, "hamiltonian": {"name": "rydberg", "Omega": 1.0, "delta": 0.7, "V": 5.0}}
    return System(operator, spin_half(n), all_states(n), dense(n, terms), given)


def boson_ring(total: int | None) -> System:
    n, n_max = 4, 3
    operator = bose_hubbard(n, ring(n), J=0.8, U=3.0, mu=0.4, n_max=n_max)
    matrix = dense_bosons(n, ring(n), n_max, J=0.8, U=3.0, mu=0.4)
    everything = all_numbers(n, n_max)
    inside = np.full(len(everything), True) if total is None else everything.sum(axis=1) == total
    given = {
        "lattice.length": n,
        "hamiltonian": {"name": "bose_hubbard", "J": 0.8, "U": 3.0, "mu": 0.4, "n_max": n_max},
        "sector": "none" if total is None else total,
    }
    hilbert = bosons(n, n_max, total)
    return System(operator, hilbert, everything[inside], matrix[np.ix_(inside, inside)], given)


def spins_1() -> System:
    """A ring with terms that change one site by two steps, and two sites by one or two."""
    n, sx, sy, sz = 4, *spin_matrices(2)
    operator = spin_s(n, ring(n), two_s=2, J=0.8, Q=0.3, D=0.4, E=-0.3, h=0.2, delta=0.6)

    def at(**factors: np.ndarray) -> np.ndarray:
        return functools.reduce(np.kron, [factors.get(f"s{i}", np.eye(3)) for i in reversed(range(n))])

    one_site = 0.4 * sz @ sz - 0.3 * (sx @ sx - sy @ sy) - 0.2 * sz
    matrix = sum(at(**{f"s{i}": one_site}) for i in range(n))
    for i, j in ring(n):
        xy, zz = (sum(at(**{f"s{i}": m, f"s{j}": m}) for m in some) for some in ((sx, sy), (sz,)))
        matrix = matrix + 0.8 * (xy + 0.6 * zz) + 0.3 * (xy + zz) @ (xy + zz)
    states = 2 - 2 * all_numbers(n, 2)
    given = {"lattice.length": n, "hamiltonian": {"name": "spin_s", "E": -0.3, "h": 0.2, "gauge": False}}
    return System(operator, spin(n, 2), states.astype(np.int8), np.asarray(matrix), given)


SYSTEMS = {
    "toric code": toric_cylinder(),
    "rydberg": rydberg_chain(),
    "bosons": boson_ring(None),
    "five bosons": boson_ring(5),
    "spins 1": spins_1(),
}


CHOICES = of_spins()
LASTS = {name.partition("-")[0]: name for name in CHOICES}  # the last example of each
ON_CHAINS = {name.partition("-")[0] for name in of_chains()}


@functools.cache
def made(name: str, ansatz: str) -> Ansatz | None:
    """None where the ansatz does not fit the system."""
    try:
        config = configuration(**SYSTEMS[name].given, ansatz=CHOICES[ansatz], optimizer="sgd")
    except InputError:
        return None
    lattice = config.make_sites()
    return config.ansatz.make(lattice, basis_of(config, lattice), "float64")


# an ansatz sees values and not what they stand for: three of the spaces with all of them, of the others one each; spins
# with every ansatz are in test_ansatz too
OFTEN = ("rbm-1", LASTS["masked_conv"])  # on the links
CASES = [(name, ansatz) for name in ("five bosons", "toric code") for ansatz in ("rbm-1", *LASTS.values())]
CASES += [("spins 1", ansatz) for ansatz in ("rbm-1", *LASTS.values())]
CASES = [case for case in CASES if made(*case)]
SLOW = [case for case in CASES if case[0] in ("toric code", "spins 1") and case[1] not in OFTEN]
CASES += [("rydberg", "rbm-1"), ("bosons", LASTS["mlp"])]


def test_every_ansatz_is_tried_on_bosons():
    assert {name for name in LASTS if made("five bosons", LASTS[name])} == ON_CHAINS


def test_which_ansatz_takes_longer_spins():
    """All but the one that begins with a product state."""
    assert {name for name in LASTS if made("spins 1", LASTS[name])} == ON_CHAINS - {"anchored"}


@pytest.fixture(
    scope="module",
    params=[pytest.param(case, marks=pytest.mark.slow if case in SLOW else (), id="-".join(case)) for case in CASES],
)
def case(request):
    name, ansatz_name = request.param
    ansatz = made(name, ansatz_name)
    return SYSTEMS[name], ansatz, jax.jit(ansatz.init)(jax.random.key(5))


def test_ratios_of_the_terms_are_differences_of_log_psi(case):
    system, ansatz, params = case
    frozen = ansatz.freeze(params)
    log_psi = jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))

    @jax.jit
    @jax.vmap
    def ratios(s_N):
        moves, _ = system.operator.connected(s_N)
        s_KN = jax.vmap(lambda move: s_N.at[move.sites].add(move.deltas))(moves)
        return ansatz.log_ratios(frozen, s_N, ansatz.prepare(frozen, s_N), moves), s_KN

    found_BK, s_BKN = ratios(jnp.asarray(system.states))
    assert np.isin(s_BKN, system.hilbert.local_values).all()
    whole_BK = log_psi(params, s_BKN.reshape(-1, s_BKN.shape[-1])).reshape(found_BK.shape)
    apart = np.asarray(found_BK - (whole_BK - log_psi(params, system.states)[:, None]))
    apart = apart.real + 1j * ((apart.imag + np.pi) % (2 * np.pi) - np.pi)
    assert np.abs(apart).max() < 1e-10


def test_energies_of_enumerated_states(case):
    """sum p E_loc = <psi|H|psi> to 1e-12, and the states are those of the space."""
    system, ansatz, params = case
    psi = amplitudes(ansatz, params, system.states)
    _, samples, counts = enumeration(ansatz, system.hilbert, SERIAL).sample(jnp.zeros(2, jnp.uint32), params, ())
    assert np.array_equal(samples.s_BN, system.states)
    batch, _ = jax.jit(evaluation(ansatz, system.operator, SERIAL, chain_length=0, chunk=None))(params, samples, counts)
    wanted = system.matrix @ psi
    scale = np.abs(system.matrix).max()
    assert abs(complex(batch.estimate.mean) - np.vdot(psi, wanted)) < 1e-12 * scale
    np.testing.assert_allclose(batch.e_loc_B, wanted / psi, rtol=0, atol=1e-10 * np.abs(wanted / psi).max())
