"""Evolution in time: orders of the integrators, the bound on the error, stages, rejected steps, landing, noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.ansatz.jastrow import jastrow
from nqs_hpc.integrators.euler import euler
from nqs_hpc.integrators.heun import heun
from nqs_hpc.integrators.rk4 import rk4
from nqs_hpc.integrators.rk23 import rk23
from nqs_hpc.operators.ising import ising
from nqs_hpc.sampler.enumerate import enumeration
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import flip
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.tasks.dynamics import dynamics
from nqs_hpc.tasks.straying import Limits, from_exact
from nqs_hpc.types import Output, Result
from nqs_hpc.update.minsr import in_samples
from nqs_hpc.update.spectral import Cut
from nqs_hpc.update.sr import in_parameters
from tests.systems import SERIAL, all_states, amplitudes, ring, tfim_ring

N = 6
HILBERT = spin_half(N)
PLUS_X = np.zeros(2**N, complex)  # log psi


def table(log_psi_D):
    """The ansatz whose parameters are log psi of every state, in the order of `all_states`."""
    powers = jnp.asarray(2 ** np.arange(N))
    order = np.empty(2**N, int)
    codes = ((1 - all_states(N).astype(int)) // 2) @ np.asarray(powers)
    order[codes] = np.arange(2**N)

    def log_psi(params, s_N):
        return params[jnp.asarray(order)[jnp.sum((1 - s_N.astype(int)) // 2 * powers)]]

    return full_evaluation(lambda key: jnp.asarray(log_psi_D), log_psi, "holomorphic")


def task_of(
    ansatz, integrator, *, t_end, spacing=None, J=1.0, h=1.0, sampler=None, space=in_parameters, cut=1e-12, **options
):
    sampler = enumeration(ansatz, HILBERT, SERIAL) if sampler is None else sampler
    projection = space(
        ansatz, SERIAL, diag_shift=lambda step: 0.0, solver="filter", cut=Cut(relative=cut), **options.pop("solve", {})
    )
    return dynamics(
        ansatz,
        ising(N, ring(N), J=J, h=h),
        sampler,
        projection,
        SERIAL,
        integrator=integrator,
        t_end=t_end,
        spacing=t_end if spacing is None else spacing,
        **{"is_real": True, "limits": Limits(), "basis": Basis(HILBERT), "seed": 0, "chunk": None, "memory": 2**31}
        | options,
    )


def evolved(task, state=None, *, turns=None):
    """The state at the end, or after so many turns, and the lines on the way."""
    state, lines, n = task.init() if state is None else state, [], 0
    while not task.progress(state).is_complete and n != turns:
        state, record = task.turn(state)
        assert task.failed(state) == ""
        if record is not None:
            lines.append(record.line())
        n += 1
    return state, lines


def distance(psi, phi):
    """|| psi - phi || of normalised states, but for a phase."""
    psi, phi = psi / np.linalg.norm(psi), phi / np.linalg.norm(phi)
    overlap = np.vdot(psi, phi)
    return np.linalg.norm(psi * overlap / abs(overlap) - phi)


def exact(time, h=1.0, psi=None):
    psi = np.full(2**N, 2 ** (-N / 2), complex) if psi is None else psi
    return expm(-1j * time * tfim_ring(N, h)) @ psi


def start_of_table():
    """A state without zeros, and without symmetry."""
    rng = np.random.default_rng(3)
    return 0.3 * (rng.standard_normal(2**N) + 1j * rng.standard_normal(2**N))


@pytest.mark.parametrize(("method", "order"), [(euler, 1), (heun, 2), (rk4, 4)])
def test_the_error_falls_with_the_order_of_the_integrator(method, order):
    """A table has no error but that of the integrator: its slope in log-log within 0.05."""
    first, errors, counts = PLUS_X, [], (10, 20, 40)
    psi = np.exp(first) / np.linalg.norm(np.exp(first))
    for n in counts:
        state, lines = evolved(task_of(table(first), method(0.2 / n), t_end=0.2))
        assert len(lines) == n + 1 and lines[-1]["time"] == 0.2
        errors.append(distance(np.exp(np.asarray(state.params)), exact(0.2, psi=psi)))
    slope = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert slope == pytest.approx(order, abs=0.05)


@pytest.mark.parametrize(("method", "order"), [(euler, 1), (heun, 2), (rk4, 3)])
def test_the_errors_of_fixed_steps_add_up_to_that_of_the_trajectory(method, order):
    """Of a table nothing else goes wrong. For Euler and Heun the estimate is the error of a step to leading order, so
    the sum is above the distance and within a factor of five; for rk4 it is of one order less, and far above.
    """
    first = start_of_table()
    psi = np.exp(first) / np.linalg.norm(np.exp(first))
    sums = []
    for n in (20, 40):
        state, lines = evolved(task_of(table(first), method(0.2 / n), t_end=0.2))
        found = distance(np.exp(np.asarray(state.params)), exact(0.2, psi=psi))
        assert found < lines[-1]["steps_error"] and (order == 3 or lines[-1]["steps_error"] < 5 * found)
        sums.append(lines[-1]["steps_error"])
    assert np.log2(sums[0] / sums[1]) == pytest.approx(order, abs=0.2)


def test_steps_that_jump_out_of_a_product_state_end_the_run():
    """From all spins up the velocity is e^10 long in the parameters: a fixed step leads to where psi is one basis state
    to the bit, every norm vanishes and nothing moves any more."""
    ansatz = jastrow(N, dtype="complex")
    fields = np.full(N, 5.0)
    task = task_of(ansatz, heun(0.01), t_end=0.2, start=lambda params: ansatz.product_state(fields))
    state = task.init()
    for _ in range(12):
        state, _ = task.turn(state)
        if why := task.failed(state):
            break
    assert "variance has vanished in a step; lower task.integrator.dt" in why


def test_a_state_without_spread_of_the_energy_does_not_end_it():
    """|+x> under a field alone is an eigenstate: Var(H) is rounding, and its changes mean nothing."""
    ansatz = jastrow(N, dtype="complex")
    for integrator in (heun(0.05), rk23(tolerance=1e-5, first=0.05, least=1e-6, most=0.1)):
        plus_x = ansatz.product_state(np.zeros(N))
        task = task_of(ansatz, integrator, t_end=0.2, J=0.0, start=lambda params, first=plus_x: first)
        _, lines = evolved(task)
        assert lines[-1]["time"] == 0.2 and lines[-1]["energy"] == pytest.approx(-N)


def test_adaptive_steps_do_not_jump_out_of_a_product_state():
    """The same start with adaptive steps: m_z(t) of the exact state, as far as a Jastrow factor goes."""
    ansatz = jastrow(N, dtype="complex")
    integrator = rk23(tolerance=1e-3, first=1e-6, least=1e-6, most=0.02)
    task = task_of(ansatz, integrator, t_end=0.2, start=lambda params: ansatz.product_state(np.full(N, 5.0)))
    state, _ = evolved(task)
    states = all_states(N)
    psi = amplitudes(ansatz, state.params, states)
    up = (states == 1).all(axis=1).astype(complex)
    phi = exact(0.2, psi=up)
    m = states.mean(axis=1)
    found, expected = (np.sum(m * np.abs(x) ** 2) / np.sum(np.abs(x) ** 2) for x in (psi, phi))
    assert found == pytest.approx(expected, abs=2e-3) and expected < 0.95


def jastrow_task(integrator, **options):
    """From |+x> of noise: everything a trajectory can get wrong, at little cost."""
    ansatz = jastrow(N, dtype="complex", init_scale=0.05)
    return ansatz, task_of(ansatz, integrator, **options)


def test_adaptive_steps_keep_the_tolerance_and_land_on_times_of_output():
    """Of a table the error at the end is at most the sum of those of the steps; no step is longer than allowed."""
    first = start_of_table()
    psi = np.exp(first) / np.linalg.norm(np.exp(first))
    integrator = rk23(tolerance=1e-5, first=1e-3, least=1e-6, most=0.05)
    state, lines = evolved(task_of(table(first), integrator, t_end=0.3, spacing=0.1))
    times = [line["time"] for line in lines]
    assert {0.0, 0.1, 0.2, 0.3} <= set(times) and times == sorted(set(times))
    assert max(line["dt"] for line in lines) <= 0.05
    assert max(line["step_error"] for line in lines) <= 1e-5
    error = distance(np.exp(np.asarray(state.params)), exact(0.3, psi=psi))
    assert 1e-8 < error < 1e-5 * len(lines)
    assert np.asarray(state.memory.course.times_G).tolist() == [0.0, 0.1, 0.2, 0.3]


def test_a_step_with_too_large_an_error_is_tried_again():
    """The first length is far too long: it is rejected, and the trajectory is no worse for it."""
    first = start_of_table()
    psi = np.exp(first) / np.linalg.norm(np.exp(first))
    integrator = rk23(tolerance=1e-6, first=0.1, least=1e-6, most=0.1)
    state, lines = evolved(task_of(table(first), integrator, t_end=0.1))
    assert lines[1]["attempts"] > 1 and int(state.memory.n_rejected) >= lines[1]["attempts"] - 1
    assert distance(np.exp(np.asarray(state.params)), exact(0.1, psi=psi)) < 1e-6 * len(lines)


def test_the_distance_to_the_exact_state_stays_below_the_bound():
    """A Jastrow factor cannot follow: in exact sums the integral of sqrt(r^2 Var) bounds the distance at all times, and
    is of its order."""
    ansatz, task = jastrow_task(rk4(0.02), t_end=0.6)
    state = task.init()
    psi = amplitudes(ansatz, state.params, all_states(N))
    psi /= np.linalg.norm(psi)
    ratios = []
    while not task.progress(state).is_complete:
        state, record = task.turn(state)
        if record is not None and (line := record.line())["time"] > 0.1:
            found = distance(amplitudes(ansatz, state.params, all_states(N)), exact(line["time"], psi=psi))
            ratios.append(found / line["bound"])
    assert max(ratios) < 1 and min(ratios) > 0.2


def test_the_velocity_is_that_of_the_least_squares_problem():
    """dtheta/dt of both spaces against NumPy's pseudo-inverse of the enumerated tangent vectors."""
    ansatz = jastrow(N, dtype="complex", init_scale=0.3)
    found = []
    for space in (in_parameters, in_samples):
        task = task_of(ansatz, euler(0.01), t_end=0.02, space=space)
        state = task.init()
        theta = state.params
        state, _ = task.turn(state)
        found.append(np.asarray(state.memory.slopes_SP[0]))
    states = all_states(N)
    psi = amplitudes(ansatz, theta, states)
    p = np.abs(psi) ** 2 / np.sum(np.abs(psi) ** 2)
    e_loc = (tfim_ring(N, 1.0) @ psi) / psi
    pairs = np.triu_indices(N, 1)
    o = np.concatenate([states[:, pairs[0]] * states[:, pairs[1]], states], axis=1).astype(complex)
    x, eps = (np.sqrt(p)[:, None] * (o - p @ o)), np.sqrt(p) * (e_loc - p @ e_loc)
    expected = np.linalg.lstsq(x, -1j * eps, rcond=1e-12)[0]
    for slope in found:
        assert np.abs(slope - expected).max() < 1e-9 * np.abs(expected).max()


@pytest.mark.parametrize("integrator", [heun(0.05), rk23(tolerance=1e-5, first=0.05, least=1e-6, most=0.1)])
def test_a_state_between_any_two_turns_goes_on_to_the_bit(integrator):
    """Stages, rejected steps: the state alone, through its arrays, is all that a further turn needs."""
    _, task = jastrow_task(integrator, t_end=0.2, spacing=0.1, sampler=chains_of(jastrow(N, dtype="complex")))
    whole, lines = evolved(task)
    state, again = task.init(), []
    _, fresh_task = jastrow_task(integrator, t_end=0.2, spacing=0.1, sampler=chains_of(jastrow(N, dtype="complex")))
    while not fresh_task.progress(state).is_complete:
        state, one = evolved(fresh_task, jax.device_put(jax.tree.map(np.asarray, state)), turns=1)
        again += one
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(jnp.array_equal(a, b)), whole, state))
    timed = ("seconds", "sample_s", "local_energy_s", "solve_s")
    strip = lambda line: {name: value for name, value in line.items() if name not in timed}  # noqa: E731
    assert [strip(line) for line in lines] == [strip(line) for line in again]


def chains_of(ansatz, n_samples=512):
    return metropolis(ansatz, flip(HILBERT), HILBERT, SERIAL, n_chains=64, n_samples=n_samples, sweep=N, warmup=20)


def test_held_out_samples_see_what_those_of_the_velocity_do_not():
    """From |+x> a Jastrow factor follows exactly at t = 0: r^2 is 0 in and out of sample. With more parameters than
    samples r^2 in sample is 0 whatever the state; that of the other half is not."""
    ansatz = jastrow(N, dtype="complex", init_scale=0.3)
    sampler = chains_of(ansatz, n_samples=4096)
    task = task_of(ansatz, euler(0.01), t_end=0.02, sampler=sampler, cut=1e-10)
    exact_task = task_of(ansatz, euler(0.01), t_end=0.02)
    _, (sampled, *_) = evolved(task, task.warmed(task.init()), turns=1)
    _, (summed, *_) = evolved(exact_task, turns=1)
    assert sampled["r2"] == pytest.approx(summed["r2"], rel=0.3)
    assert summed["noise"] is None and 0 < sampled["noise"] < 0.5 * sampled["speed"]


def test_the_noise_is_that_of_independent_velocities():
    """The standard error from two halves against the spread of 30 velocities, in the norm of S: within 40 %, since S of
    half the samples is noisier than a half."""
    ansatz = jastrow(N, dtype="complex", init_scale=0.3)
    task = task_of(ansatz, euler(0.01), t_end=0.02, sampler=chains_of(ansatz, 4096), cut=1e-6)
    first = task.warmed(task.init())
    slopes, noises = [], []
    for k in range(30):  # the number of a line is in the key of its samples
        state, (line,) = evolved(task, first._replace(step=jnp.int32(k)), turns=1)
        slopes.append(np.asarray(state.memory.slopes_SP[0]))
        noises.append(line["noise"])
    s = gram_of(ansatz, first.params)
    apart = np.asarray(slopes) - np.mean(slopes, axis=0)
    spread = np.sqrt(np.mean(np.real(np.einsum("kp,pq,kq->k", apart.conj(), s, apart))) * 30 / 29)
    assert np.sqrt(np.mean(np.square(noises))) == pytest.approx(spread, rel=0.4)


def gram_of(ansatz, theta):
    states = all_states(N)
    p = np.abs(amplitudes(ansatz, theta, states)) ** 2
    p /= p.sum()
    pairs = np.triu_indices(N, 1)
    o = np.concatenate([states[:, pairs[0]] * states[:, pairs[1]], states], axis=1).astype(complex)
    o = o - p @ o
    return o.conj().T @ (p[:, None] * o)


def test_imaginary_time_goes_to_the_ground_state():
    task = task_of(table(start_of_table()), heun(0.05), t_end=6.0, is_real=False)
    _, lines = evolved(task)
    assert lines[-1]["energy"] == pytest.approx(np.linalg.eigvalsh(tfim_ring(N, 1.0))[0], abs=1e-3)
    assert lines[-1]["energy_drift"] is None


def test_it_ends_where_the_bound_is_passed():
    _, task = jastrow_task(heun(0.05), t_end=2.0, limits=Limits(stop=0.2))
    state, lines = evolved(task)
    assert lines[-1]["bound"] > 0.2 >= lines[-2]["bound"] and lines[-1]["time"] < 2.0
    ending = task.finish(state, lambda: True, print)(lines, None)
    assert ending.status == "doubtful" and any("task.stop_at_error" in doubt for doubt in ending.doubts)


def test_numbers_are_compared_with_the_exact_trajectory_where_it_is_known():
    """5 % of the largest value beyond five errors; arrays, unknown names and other times are left out."""

    def curve(name, value, error):
        times = np.array([0.0, 0.1, 0.2])
        return Result(name, np.array(value), np.array(error), Output(shape=(3,), axes=(("time", times),)))

    exact = {"times": [0.0, 0.2], "energy": [-6.0, -6.0], "observables": {"m": [1.0, 0.5]}, "left_out": None}
    good = [curve("energy", [-6.0, 0.0, -6.2], [0.0, 0.0, 0.0]), curve("m", [1.0, 9.0, 0.7], [0.0, 0.0, 0.05])]
    assert from_exact([*good, curve("other", [7.0] * 3, [0.0] * 3)], exact)["exact"].verdict == "good"
    zero = exact | {"observables": {"m": [0.0, 2e-17]}}  # by a symmetry
    assert from_exact([curve("m", [1e-16, 0.0, 1e-9], [0.0] * 3)], zero)["exact"].verdict == "good"
    assert from_exact([curve("m", [0.0, 0.0, 0.06], [0.0] * 3)], zero)["exact"].verdict == "bad"
    for bad in (curve("m", [1.0, 0.7, 0.56], [0.0] * 3), curve("m", [1.0, 0.7, np.nan], [0.0] * 3)):
        found = from_exact([good[0], bad], exact)["exact"]
        assert found.verdict == "bad" and found.why.startswith("m at t=0.2 is ")
