"""The wave function of a run against plain NumPy: the formula of an RBM, Kronecker products, exact sums."""

import jax
import numpy as np
import pytest
from scipy.stats import chi2

import nqs_hpc
from nqs_hpc.library.wave import Wave, wave_function
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.parts import Parts
from nqs_hpc.types import PauliString
from tests.library.conftest import N
from tests.systems import all_numbers, all_states, dense, dense_bosons, heisenberg_ring, ring, tfim_ring


def log_rbm(params, s: np.ndarray) -> np.ndarray:
    """log psi(s) = sum a s + sum log 2 cosh(b + s w), as it is written in the paper."""
    a, b, w = (np.asarray(params[name]) for name in ("a", "b", "w"))
    return s @ a + np.log(2 * np.cosh(b + s @ w)).sum(axis=1)


def normalised(log_psi: np.ndarray) -> np.ndarray:
    psi = np.exp(log_psi - log_psi.real.max())
    return psi / np.linalg.norm(psi)


def moments(matrix: np.ndarray, psi: np.ndarray) -> tuple[float, float]:
    """<A> and the variance of the local values (A psi)(s) / psi(s) under |psi|^2."""
    mean = np.vdot(psi, matrix @ psi).real
    there = np.abs(psi) > 0
    local = (matrix @ psi)[there] / psi[there]
    return mean, float(np.sum(np.abs(psi[there]) ** 2 * np.abs(local - mean) ** 2))


# --- the run, by its chains -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(ring) -> nqs_hpc.library.Run:
    return nqs_hpc.load_run(ring)


@pytest.fixture(scope="module")
def psi(run, tmp_path_factory) -> np.ndarray:
    """(2^N,) from the exported parameters alone."""
    with np.load(run.export(tmp_path_factory.mktemp("export") / "run.npz")) as found:
        return normalised(log_rbm({name: found[f"params/{name}"] for name in "abw"}, all_states(N)))


def test_log_psi_is_the_formula(run, psi):
    s = all_states(N)
    found = run.log_psi(s)
    assert found.shape == (2**N,) and found.dtype == np.float64
    np.testing.assert_allclose(normalised(found), psi, rtol=1e-12)
    # of another number of states it is another program, whose last bits are its own; values of order one
    assert run.log_psi(s[3]) == pytest.approx(found[3], abs=1e-13) and run.log_psi(s[3]).shape == ()
    np.testing.assert_allclose(run.log_psi(s.astype(float).reshape(4, -1, N)), found.reshape(4, -1), rtol=0, atol=1e-13)
    assert run.log_psi(np.empty((0, N))).shape == (0,)


@pytest.mark.parametrize(
    ("s", "part"), [(np.ones(N - 1), "(..., 8)"), (1, "(..., 8)"), (np.zeros(N), "1, -1"), (np.full(N, 0.5), "1, -1")]
)
def test_what_is_no_configuration_is_refused(run, s, part):
    with pytest.raises(ValueError) as caught:
        run.log_psi(s)
    assert part in str(caught.value)


def test_samples_are_those_of_psi_squared(run, psi):
    """One sample a chain, which are independent; states too rare to count are counted together."""
    s = np.concatenate([run.sample(16, seed=seed) for seed in range(300)])
    code = ((1 - s) // 2) @ 2 ** np.arange(N)
    expected = len(s) * psi**2
    counts = np.bincount(code, minlength=2**N).astype(float)
    rare = expected < 5

    def likelihood(expected: np.ndarray) -> float:
        bins = [np.append(x[~rare], x[rare].sum()) for x in (counts, expected)]
        return float(chi2.sf(np.sum((bins[0] - bins[1]) ** 2 / bins[1]), len(bins[0]) - 1))

    assert likelihood(expected) > 1e-3
    assert likelihood(len(s) * psi / psi.sum()) < 1e-9  # so many samples tell |psi| from |psi|^2


def test_samples_are_reproduced_by_their_seed(run):
    many = run.sample(200, seed=3)
    assert many.shape == (200, N) and many.dtype == np.int8 and set(np.unique(many)) == {-1, 1}
    assert np.array_equal(run.sample(10, seed=3), many[:10]) and not np.array_equal(run.sample(200), many)
    for n, seed, key in ((0, 0, "n=0"), (1.5, 0, "n=1.5"), (4, -1, "seed=-1")):
        with pytest.raises(ValueError, match=f"{key} is not valid"):
            run.sample(n, seed=seed)


OBSERVABLES = {
    "energy": (None, tfim_ring(N, 1.0)),
    "another field": ({"name": "ising", "h": 2.0}, tfim_ring(N, 2.0)),
    "magnetisation": ([f"{1 / N} X{i}" for i in range(N)], dense(N, [(1 / N, {i: "X"}) for i in range(N)])),
    "lines": (["0.5 Z0 Z3", "-1.5 Y1 Y2", "0.25 X0 Z1"],
              dense(N, [(0.5, {0: "Z", 3: "Z"}), (-1.5, {1: "Y", 2: "Y"}), (0.25, {0: "X", 1: "Z"})])),
    "terms": ({"name": "pauli", "terms": [{"coefficient": 2.0, "operators": "ZZ", "neighbours": 2}]},
              dense(N, [(2.0, {i: "Z", (i + 2) % N: "Z"}) for i in range(N)])),
    "operator": (pauli(N, [PauliString(1.0, "XX", (0, 4))]), dense(N, [(1.0, {0: "X", 4: "X"})])),
}  # fmt: skip


@pytest.mark.parametrize("name", OBSERVABLES)
def test_expectation_values_are_exact_within_their_errors(run, psi, name):
    operator, matrix = OBSERVABLES[name]
    found = run.expect(operator, n_samples=8192, seed=5)
    mean, variance = moments(matrix, psi)
    assert abs(found.mean - mean) < 4 * found.error
    assert found.n_samples == 8192 and 0.8 < found.variance / variance < 1.25
    # the error of correlated chains is that of n / tau independent samples
    assert 0.5 < found.error / np.sqrt(variance * max(found.tau, 1) / 8192) < 2
    assert abs(found.r_hat - 1) < 0.05


def test_the_energy_agrees_with_the_final_evaluation_and_shares_no_samples(run):
    """run.summary was made from the same parameters, with other random numbers and as many samples."""
    found, known = run.expect(), run.summary["energy"]
    assert found.n_samples == run.summary["n_samples"]
    assert 0 < abs(found.mean - known["mean"]) < 4 * np.hypot(found.error, known["error"])
    assert run.expect() == found != run.expect(seed=1)


@pytest.mark.parametrize(
    ("operator", "part"),
    [
        (1.0, "operator=1.0 is not valid; valid: an Operator, a mapping"),
        ("", "operator=[] is not valid; valid: an Operator, a mapping"),
        ("Z0 Z5", "the coefficient is missing before 'Z0'"),
        ([], "operator=[] is not valid"),
        (["Z0"], "no operators in 'Z0'; valid is a coefficient and operators"),
        (["1.0 Z8"], "site 8 is not one of the 8 sites"),
        (["1.0 Z0", "  "], "term 2: '  ' is not a coefficient and operators"),
        (
            {"name": "sachdev"},
            "hamiltonian=sachdev is not valid; valid: blbq, bose_hubbard, fermion",
        ),
        ({"h": 1.0}, "hamiltonian=null is not valid"),
        ({"name": "ising", "hh": 1.0}, "hamiltonian=ising has no key hh"),
        ({"name": "pauli"}, "valid: exactly one of them"),
    ],
)
def test_what_is_no_operator_is_refused(run, operator, part):
    with pytest.raises(ValueError) as caught:
        run.expect(operator)
    assert part in str(caught.value) and "\n" not in str(caught.value)


# --- exact sums: signs and sectors ------------------------------------------------------------------------------------


def made(*overrides: str) -> tuple[Wave, Parts]:
    """A wave function of random parameters whose sums are exact."""
    given = {word.split("=")[0] for word in overrides}
    usual = [] if "lattice.length" in given else ["lattice.length=6"]
    config = nqs_hpc.compose([*usual, "sampler=enumerate", "ansatz.init_scale=0.4", *overrides])
    parts = nqs_hpc.build(config)
    return wave_function(config, parts, parts.ansatz.init(jax.random.key(1))), parts


def vars_of(wave: Wave) -> dict[str, np.ndarray]:
    return {name: np.asarray(getattr(wave.params, name)) for name in "abw"}


def exact(wave: Wave) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return normalised(wave.log_psi(all_states(6)))


def test_complex_states_of_a_whole_space():
    wave, _ = made("ansatz.dtype=complex")
    params = {name: getattr(wave.params, name) for name in "abw"}
    psi = normalised(log_rbm(params, all_states(6).astype(complex)))
    assert np.iscomplexobj(wave.log_psi(all_states(6)))
    assert abs(np.vdot(psi, exact(wave))) == pytest.approx(1, abs=1e-12)
    lines, terms = ["1.0 Y0 Z1", "-0.7 X2 Y3 Z4"], [(1.0, {0: "Y", 1: "Z"}), (-0.7, {2: "X", 3: "Y", 4: "Z"})]
    means = [moments(dense(6, [term]), psi)[0] for term in terms]
    assert min(map(abs, means)) > 1e-3  # each of them is seen
    mean, variance = moments(dense(6, terms), psi)
    found = wave.expect(lines)
    assert found[:3] == pytest.approx((mean, 0, variance), abs=1e-11)
    assert (found.r_hat, found.tau, found.n_samples) == (None, None, 64)


@pytest.mark.parametrize("sector", [0, 2])
def test_marshall_signs_and_the_sector_are_those_of_the_physical_state(sector):
    wave, _ = made("hamiltonian=heisenberg", f"sector={sector}")
    s = all_states(6)
    # the rule: a positive network times -1 for each down spin on the odd sites
    signs = np.prod(np.where((s < 0) & (np.arange(6) % 2 == 1), -1, 1), axis=1)
    params = {name: getattr(wave.params, name) for name in "abw"}
    psi = np.where(s.sum(axis=1) == sector, signs * np.exp(log_rbm(params, s)), 0)
    psi = psi / np.linalg.norm(psi)
    np.testing.assert_allclose(exact(wave), psi, atol=1e-14)
    assert np.isneginf(wave.log_psi(np.ones(6)).real)

    assert wave.expect()[0:3:2] == pytest.approx(moments(heisenberg_ring(6), psi), abs=1e-11)
    lines = ["0.3 X0 X1", "0.7 Y0 Y2", "1.1 Z0 Z3", "0.9 X0 X1 X2 X3", "0.5 X4"]  # X4 and half of X0 X1 lead out
    terms = [(0.3, {0: "X", 1: "X"}), (0.7, {0: "Y", 2: "Y"}), (1.1, {0: "Z", 3: "Z"}),
             (0.9, dict.fromkeys(range(4), "X")), (0.5, {4: "X"})]  # fmt: skip
    mean = np.vdot(psi, dense(6, terms) @ psi).real
    assert wave.expect(lines).mean == pytest.approx(mean, abs=1e-11)


def test_an_operator_says_whether_it_carries_marshall_signs():
    wave, parts = made("hamiltonian=heisenberg")
    energy, plain = wave.expect(), heisenberg(6, [ring(6)], [1.0])
    again = nqs_hpc.build(["hamiltonian=heisenberg", "lattice.length=6"]).operator
    assert wave.expect(parts.operator) == energy
    assert wave.expect(again, marshall=True).mean == pytest.approx(energy.mean, abs=1e-11)
    assert wave.expect(plain, marshall=False).mean == pytest.approx(energy.mean, abs=1e-11)
    assert wave.expect({"name": "heisenberg", "marshall": True}).mean == pytest.approx(energy.mean, abs=1e-11)
    with pytest.raises(ValueError, match="marshall=null is not valid"):
        wave.expect(plain)


def test_a_marshall_state_is_exported_with_its_signs():
    wave, _ = made("hamiltonian=heisenberg")
    assert wave.signs_N is not None and wave.signs_N.tolist() == [1, -1] * 3
    assert made("hamiltonian=heisenberg", "hamiltonian.marshall=false")[0].signs_N is None


def test_a_float32_network_answers_in_float64():
    wave, _ = made("precision.network=float32")
    found = wave.log_psi(all_states(6))
    assert wave.params.w.dtype == np.float32 and found.dtype == np.float64
    params = {name: np.asarray(getattr(wave.params, name), float) for name in "abw"}
    np.testing.assert_allclose(found, log_rbm(params, all_states(6)), rtol=1e-5)


def test_bosons_are_asked_in_their_own_terms():
    wave, _ = made("hamiltonian=bose_hubbard", "lattice.length=4", "hamiltonian.n_max=2", "sector=3")
    states = all_numbers(4, 2)
    psi = normalised(np.where(states.sum(axis=1) == 3, log_rbm(vars_of(wave), states), -np.inf))
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(normalised(wave.log_psi(states)), psi, atol=1e-14)
    mean, variance = moments(dense_bosons(4, ring(4), 2, J=1.0, U=4.0, mu=0.0), psi)
    assert wave.expect()[0:3:2] == pytest.approx((mean, variance), abs=1e-11)
    pairs, _ = moments(dense_bosons(4, ring(4), 2, J=0.0, U=2.0, mu=0.0), psi)
    given = {"name": "bose_hubbard", "J": 0.0, "U": 2.0, "n_max": 2}
    assert wave.expect(given).mean == pytest.approx(pairs, abs=1e-11)
    for wrong, part in ((["1.0 Z0"], "Pauli strings act on spins 1/2"), ({"name": "ising"}, "this one is for spins")):
        with pytest.raises(ValueError, match=part):
            wave.expect(wrong)
    with pytest.raises(ValueError, match="this one is for 0 to 4 bosons"):
        wave.expect({"name": "bose_hubbard", "n_max": 4})


def test_sites_of_an_observable_are_those_of_the_spins():
    wave, _ = made("hamiltonian=toric_code", "lattice=square", "lattice.length=2", "lattice.pbc=false")
    s = all_states(4)  # four links around one face
    psi = normalised(log_rbm(vars_of(wave), s))
    stars = [(-1.0, dict.fromkeys(star, "X")) for star in ((0, 1), (0, 2), (1, 3), (2, 3))]
    face = [(-1.0, dict.fromkeys(range(4), "Z"))]
    fields = [(-0.5, {i: "Z"}) for i in range(4)]
    assert wave.expect()[0:3:2] == pytest.approx(moments(dense(4, stars + face), psi), abs=1e-11)
    with_field = wave.expect({"name": "toric_code", "hz": 0.5}).mean
    assert with_field == pytest.approx(moments(dense(4, stars + face + fields), psi)[0], abs=1e-11)
    for lines in (["-1.0 Z0 Z1 Z2 Z3"], "-0.5 Z0 Z1 Z2 Z3  # half\n\n-0.5 Z3 Z2 Z1 Z0\n"):
        assert wave.expect(lines).mean == pytest.approx(moments(dense(4, face), psi)[0], abs=1e-11)


def test_enumerated_states_are_drawn_by_their_weights():
    wave, _ = made()
    s = wave.sample(5000, seed=1)
    expected = 5000 * np.abs(exact(wave)) ** 2
    counts = np.bincount(((1 - s) // 2) @ 2 ** np.arange(6), minlength=64)
    common = expected > 5
    assert common.sum() > 10
    statistic = np.sum((counts - expected)[common] ** 2 / expected[common])
    assert chi2.sf(statistic, common.sum()) > 1e-3
    assert np.array_equal(wave.sample(5000, seed=1), s)


def test_behind_a_gauge_the_physical_state_is_asked():
    """A negative transverse field: the network is positive, the state changes sign with each down spin."""
    wave, _ = made("hamiltonian.h=-1")
    s = all_states(6)
    params = {name: getattr(wave.params, name) for name in "abw"}
    psi = np.prod(s, axis=1) * np.exp(log_rbm(params, s))
    psi = psi / np.linalg.norm(psi)
    np.testing.assert_allclose(exact(wave), psi, atol=1e-14)
    assert wave.expect()[0:3:2] == pytest.approx(moments(tfim_ring(6, -1.0), psi), abs=1e-11)
    assert wave.expect({"name": "ising", "h": -1.0}).mean == pytest.approx(wave.expect().mean, abs=1e-11)
    lines, terms = ["0.3 X0", "0.7 Y0 Y2", "0.9 X0 X1 X2"], [(0.3, {0: "X"}), (0.7, {0: "Y", 2: "Y"}),
                                                            (0.9, dict.fromkeys(range(3), "X"))]  # fmt: skip
    found = wave.expect(lines).mean
    assert found < -0.1 and found == pytest.approx(moments(dense(6, terms), psi)[0], abs=1e-11)
    plain, _ = made("hamiltonian.h=-1", "hamiltonian.gauge=false")
    assert plain.signs_N is None and np.all(exact(plain) > 0)


def test_bosons_behind_a_gauge_hop_with_the_sign_that_is_written():
    wave, _ = made(
        "hamiltonian=bose_hubbard", "hamiltonian.J=-1", "hamiltonian.n_max=2", "sector=4", "lattice.length=4"
    )
    n = all_numbers(4, 2, 4)
    with np.errstate(divide="ignore"):
        psi = normalised(wave.log_psi(n))
    assert np.array_equal(np.sign(psi.real), np.where((n[:, 1] + n[:, 3]) % 2, -1, 1))
    everything = dense_bosons(4, ring(4), 2, J=-1.0, U=4.0, mu=0.0)
    inside = np.flatnonzero(all_numbers(4, 2).sum(axis=1) == 4)
    matrix = everything[np.ix_(inside, inside)]
    mean, variance = moments(matrix, psi)
    assert wave.expect()[0:3:2] == pytest.approx((mean, variance), abs=1e-11)
    assert wave.expect({"name": "bose_hubbard", "J": -1.0, "n_max": 2}).mean == pytest.approx(mean, abs=1e-11)
