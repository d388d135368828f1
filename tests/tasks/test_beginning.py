"""The Loschmidt echo and a kick, of a wave function that is any vector, against exact evolution of a ring of 4."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.config.compose import checked
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.observables.loschmidt import loschmidt
from nqs_hpc.operators.exact import sparse_matrix
from nqs_hpc.parts import build
from nqs_hpc.system.hilbert import codes, decode, spin_half
from nqs_hpc.tasks.beginning import Comparing, compared, unresolved
from tests.systems import SERIAL

N = 4
SYSTEM = ["task=dynamics", f"lattice.length={N}", "hamiltonian.h=0.7", "ansatz=jastrow", "ansatz.dtype=complex"]
SYSTEM += ["task.integrator=rk4", "task.integrator.dt=0.05", "task.spacing=0.25"]
STATES = decode(spin_half(N), codes(spin_half(N)))
METROPOLIS = ["sampler.n_chains=64", "sampler.n_samples=2048", "sampler.warmup=10"]


def table():
    """log psi of each state is a parameter: any vector without zeros, and exact in time but for the integrator."""

    def log_psi(params, s_N):
        code = jnp.sum((s_N.astype(jnp.int32) - 1) // -2 * 2 ** np.arange(N))
        return params[code]

    def init(key):
        real, imaginary = 0.4 * jax.random.normal(key, (2, 2**N))
        return real + 1j * imaginary

    def shifted(params, fields_N):
        codes_n = np.sum((STATES - 1) // -2 * 2 ** np.arange(N), axis=1)
        return params.at[codes_n].add(jnp.asarray(STATES) @ fields_N)

    return full_evaluation(init, log_psi, "holomorphic")._replace(shifted=shifted)


def trajectory(*overrides):
    """The parts, and the results of all times."""
    parts = build(checked([*SYSTEM, *overrides], 1), SERIAL, ansatz=table())
    task = parts.task
    state = task.warmed(task.init())
    while not task.progress(state).is_complete:
        state, _ = task.turn(state)
    return parts, {one.name: one for one in task.results(state)}


@functools.cache
def evolved(strength=0.0, site=0):
    """psi(t) at the times of output, (T, states), by diagonalisation; the first state is that of `table`."""
    parts = build(checked([*SYSTEM, "sampler=enumerate"], 1), SERIAL, ansatz=table())
    params = parts.task.init().params
    psi = np.exp([complex(parts.ansatz.log_psi(params, jnp.asarray(s))) for s in STATES])
    psi = psi / np.linalg.norm(psi) * np.exp(-1j * strength * STATES[:, site])
    levels, vectors = np.linalg.eigh(sparse_matrix(parts.operator, parts.hilbert).toarray())
    return np.array([vectors @ (np.exp(-1j * levels * t) * (vectors.T @ psi)) for t in (0, 0.25, 0.5)])


def test_exact_sums():
    kick = "task.kick={site: 1, strength: 0.6}"
    _, found = trajectory("sampler=enumerate", "task.t_end=0.5", "observables=[loschmidt,local_spins]", kick)
    psi = evolved(0.6, 1)
    echo = np.abs(psi @ psi[0].conj()) ** 2
    assert echo[2] < 0.5
    assert found["loschmidt.echo"].value == pytest.approx(echo, abs=1e-5)
    assert found["loschmidt.rate"].value == pytest.approx(-np.log(echo) / N, abs=1e-5)
    assert found["loschmidt.echo"].value[0] == pytest.approx(1, abs=1e-14) and not found["loschmidt.echo"].error.any()
    assert found["local_spins.z"].value == pytest.approx(np.abs(psi) ** 2 @ STATES, abs=1e-5)
    # sigma^x of site 1 flips it
    flipped = [np.flatnonzero((STATES * np.where(np.arange(N) == 1, -1, 1) == s).all(axis=1))[0] for s in STATES]
    x_1 = np.sum(psi.conj() * psi[:, flipped], axis=1)
    assert found["local_spins.x"].value[:, 1] == pytest.approx(x_1.real, abs=1e-5) and np.abs(x_1.imag).max() < 1e-12
    y_1 = np.sum(psi.conj() * (-1j * STATES[:, 1]) * psi[:, flipped], axis=1)
    assert found["local_spins.y"].value[:, 1] == pytest.approx(y_1.real, abs=1e-5) and np.abs(y_1).max() > 0.2


def test_samples_of_both_states():
    _, found = trajectory(*METROPOLIS, "task.t_end=0.5", "observables=[loschmidt]")
    echo = np.abs(evolved() @ evolved()[0].conj()) ** 2
    one = found["loschmidt.echo"]
    assert abs(one.value[0] - 1) < 1e-12 and one.error[0] < 1e-12
    assert (one.error[1:] > 1e-4).all() and (one.error[1:] < 0.03).all()
    assert (np.abs(one.value - echo)[1:] < 4 * one.error[1:]).all()


def test_errors_are_those_of_repetitions():
    """Of ratios drawn by NumPy: the two ensembles are independent, and the echo has no bias."""
    rng = np.random.default_rng(3)
    of = Comparing(None, {"e": loschmidt(spin_half(N), chunk=None)}, is_exact=False)
    a, b = 0.3 + 0.1j, (0.3 - 0.1j) * 0.8

    def once():
        noise = rng.normal(size=(2, 32, 2)) @ np.array([1, 1j])
        w = 1 / 32 * np.ones((32, 1))
        return compared(
            of, *(np.hstack([w, w * (mean + 0.3 * own[:, None])]) for mean, own in zip((a, b), noise, strict=True))
        )[0]

    found = [once() for _ in range(1500)]
    values, errors = np.array([one.value for one in found]), np.array([one.error for one in found])
    assert abs(values.mean() - (a * b).real) < 4 * values.std() / np.sqrt(1500)
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(values.std(), rel=0.07)
    lost = [found[0]._replace(value=np.array(0.01), error=np.array(0.01))]
    assert "e" not in unresolved(of, [found[0]], 32)
    assert "noise of 32 samples" in unresolved(of, [one._replace(name="e.echo") for one in lost], 32)["e"]


@pytest.mark.parametrize(
    "overrides, line",
    [
        (["task=ground_state", "observables=[loschmidt]"], r"observables\.loschmidt=loschmidt .* or task=dynamics"),
        (["task.kick={site: 4, strength: 0.1}"], r"task\.kick\.site=4 .* 0 to 3"),
        (["task.kick={site: 0, strength: 1.0}"], r"task\.kick\.strength=1\.0 .* at most pi/4"),
        (["task.kick={site: 0}"], r"task\.kick=.*null, or \{site: NUMBER, strength: ANGLE\}"),
        (
            ["task.kick={site: 0, strength: 0.1}", "ansatz=rbm", "ansatz.bias=false"],
            r"task\.kick=.*an ansatz with a complex field",
        ),
        (["task.kick={site: 0, strength: 0.1}", "symmetrize.group=translations"], r"task\.kick=.*no such symmetry"),
    ],
)
def test_what_does_not_fit(overrides, line):
    keys = {one.partition("=")[0] for one in overrides}
    start = [one for one in SYSTEM if one.partition("=")[0] not in keys]
    start = [one for one in start if "task=ground_state" not in overrides or not one.startswith("task")]
    with pytest.raises(InputError, match=line):
        checked([*start, *overrides], 1)


@pytest.mark.parametrize("ansatz", ["jastrow", "rbm", "modulus_phase", "anchored"])
def test_fields_are_those_of_the_parameters(ansatz):
    own = ["ansatz=jastrow", "ansatz.dtype=complex"] if ansatz == "jastrow" else [f"ansatz={ansatz}"]
    own += ["ansatz.dtype=complex"] if ansatz == "rbm" else []
    own += ["ansatz.net=jastrow", "ansatz.net.dtype=complex"] if ansatz == "anchored" else []
    own += ["ansatz.modulus=rbm", "ansatz.phase=jastrow"] if ansatz == "modulus_phase" else []
    found = build(checked([f"lattice.length={N}", "hamiltonian.h=0.7", *own], 1), SERIAL).ansatz
    fields = np.array([0.3 - 0.2j, 0, 0.1j, -0.4])
    params = found.init(jax.random.key(2))
    assert found.shifted is not None
    moved = found.shifted(params, jnp.asarray(fields))
    log_psi = jax.jit(jax.vmap(found.log_psi, in_axes=(None, 0)))
    before, after = (np.asarray(log_psi(one, jnp.asarray(STATES))) for one in (params, moved))
    assert after - before == pytest.approx(STATES @ fields, abs=1e-12)
