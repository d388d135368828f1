"""Projected evolution against exact evolution: orders, the bound, imaginary time, restarts, biased samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.ansatz.jastrow import jastrow
from nqs_hpc.integrators.lpe import lpe
from nqs_hpc.integrators.slpe import slpe
from nqs_hpc.operators.driven import driven
from nqs_hpc.operators.ising import ising
from nqs_hpc.sampler.enumerate import enumeration
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import flip
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.tasks.projected import projected
from nqs_hpc.tasks.straying import Limits
from nqs_hpc.tasks.substeps import Goal
from nqs_hpc.types import Samples
from nqs_hpc.update.spectral import Cut
from nqs_hpc.update.sr import in_parameters
from tests.systems import SERIAL, all_states, amplitudes, ansatz_of, ring, tfim_ring

H = 1.0
EXACT = Goal(1e-26, 30)


def table(n_sites):
    """Any wave function: its parameters are log psi of every state."""
    powers = jnp.asarray(2 ** np.arange(n_sites))

    def init(key):
        parts = 0.3 * jax.random.normal(key, (2, 2**n_sites))
        return jax.lax.complex(*parts)

    return full_evaluation(init, lambda p, s_N: p[jnp.sum((1 - s_N.astype(int)) // 2 * powers)], "holomorphic")


def task_of(ansatz, n_sites, expansion, t_end, *, sampler=None, operator=None, goal=EXACT, **more):
    space = spin_half(n_sites)
    sampler = sampler or enumeration(ansatz, space, SERIAL)
    cut = Cut(1e-12 if sampler.chain_length == 0 else 1e-6)
    projection = in_parameters(ansatz, SERIAL, diag_shift=lambda shift: shift, solver="filter", cut=cut)
    options = {"is_real": True, "limits": Limits(), "basis": Basis(space, None, None), "seed": 1, "chunk": None}
    options |= {"spacing": t_end, "memory": 2**30, "least_shift": 0.0} | more
    operator = operator or ising(n_sites, ring(n_sites), J=1.0, h=H)
    return projected(
        ansatz, operator, sampler, projection, SERIAL, expansion=expansion, goal=goal, t_end=t_end, **options
    )


def run(task, state=None, turns=None):
    """The state at the end, or after so many turns, and the lines on the way."""
    state, lines = task.warmed(task.init()) if state is None else state, []
    while not task.progress(state).is_complete and (turns is None or turns > 0):
        state, record = task.turn(state)
        assert task.failed(state) == ""
        lines += [] if record is None else [record.line()]
        turns = None if turns is None else turns - 1
    return state, lines


def distance(one, other):
    """sqrt(1 - F), without its cancellation."""
    return np.linalg.norm(one - other * (other.conj() @ one))


@pytest.mark.parametrize(("expansion", "order"), [(lpe, 2), (lpe, 4), (slpe, 1), (slpe, 3)])
def test_trajectories_have_the_order_of_their_expansion(expansion, order):
    """A table follows every step to 1e-12, so that what is left is the error of the expansion: as dt^order."""
    n, t_end = 3, 0.4
    ansatz, states = table(n), all_states(n)
    errors, dts = [], (0.1, 0.05)
    for dt in dts:
        task = task_of(ansatz, n, expansion(order, dt), t_end)
        state, lines = run(task)
        psi = amplitudes(ansatz, task.init().params, states)
        exact = expm(-1j * t_end * tfim_ring(n, H)) @ psi
        errors.append(distance(amplitudes(ansatz, state.params, states), exact))
        assert lines[-1]["time"] == t_end and lines[-1]["bound"] < 1e-10
        assert all(line["infidelity"] < 1e-22 for line in lines[1:])
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.25) and errors[1] > 1e-9


def test_a_hamiltonian_in_time_is_followed_at_second_order():
    n, t_end = 3, 0.2
    zz, field = ising(n, ring(n), J=1.0, h=0.0), ising(n, ring(n), J=0.0, h=1.0)
    operator = driven(zz, [(lambda time: 1.0 + 5.0 * time, field)])
    ansatz, states = table(n), all_states(n)

    def at(time):
        return tfim_ring(n, 1.0 + 5.0 * time)

    psi = amplitudes(ansatz, ansatz.init(jax.random.wrap_key_data(_key())), states)
    moved = solve_ivp(lambda time, v: -1j * at(time) @ v, (0, t_end), psi, method="DOP853", rtol=1e-11, atol=1e-12)
    exact = moved.y[:, -1]
    errors = []
    for dt in (0.05, 0.025):
        state, lines = run(task_of(ansatz, n, lpe(4, dt), t_end, operator=operator, is_driven=True))
        errors.append(distance(amplitudes(ansatz, state.params, states), exact))
        assert lines[-1]["energy_drift"] is None
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.2)


def _key():
    from nqs_hpc.parallel.keys import Purpose, purpose_key

    return jnp.asarray(purpose_key(1, Purpose.PARAMETERS))


def test_imaginary_time_is_the_same_expansion_of_vectors():
    """A positive RBM at first order: each step applies 1 - dt (H - E), to what the network can be."""
    n, dt, t_end = 4, 0.1, 1.0
    ansatz, states, matrix = ansatz_of("rbm-real", n), all_states(n), tfim_ring(n, H)
    task = task_of(ansatz, n, lpe(1, dt), t_end, goal=Goal(1e-9, 10), is_real=False)
    psi = amplitudes(ansatz, task.init().params, states)
    for _ in range(10):
        psi = psi - dt * (matrix @ psi - np.real(psi.conj() @ matrix @ psi) * psi)
        psi /= np.linalg.norm(psi)
    state, lines = run(task)
    assert lines[-1]["energy"] == pytest.approx(np.real(psi.conj() @ matrix @ psi), abs=1e-5)
    assert (
        distance(amplitudes(ansatz, state.params, states), psi) < 1e-4
        and lines[0]["energy"] > lines[-1]["energy"] + 0.5
    )


def test_where_the_ansatz_cannot_follow_the_bound_holds_and_it_is_said():
    """A Jastrow factor: the distance to exact evolution lies below the bound, which is the sum over all substeps."""
    n, t_end, dt = 6, 0.5, 0.05
    ansatz, states = jastrow(n, dtype="complex", init_scale=0.2), all_states(n)
    task = task_of(ansatz, n, lpe(3, dt), t_end, goal=Goal(1e-10, 20))
    psi = amplitudes(ansatz, task.init().params, states)
    state, said, lines = task.warmed(task.init()), [], []
    while not task.progress(state).is_complete:
        state, record = task.turn(state)
        if record is not None:
            lines.append(record.line())
            said += record.messages(lines[-1])
    true = distance(amplitudes(ansatz, state.params, states), expm(-1j * t_end * tfim_ring(n, H)) @ psi)
    substeps = [line[f"infidelity_{k}"] for line in lines[1:] for k in (1, 2, 3)]
    assert lines[-1]["bound"] == pytest.approx(np.sum(np.sqrt(substeps))) and true < lines[-1]["bound"] < 10 * true
    assert lines[-1]["infidelity_sum"] == pytest.approx(np.sum(substeps)) and true > 0.01
    assert any("no longer follows the steps" in text for text in said)
    assert any("came no further than an infidelity of" in text for text in said)
    ending = task.finish(state, lambda: True, said.append)(lines, None)
    assert ending.status == "doubtful" and "does not follow" in ending.reason


def through_a_file(state):
    """The state as a checkpoint holds it: leaves of NumPy, by their place."""
    leaves, structure = jax.tree.flatten(state)
    return jax.tree.unflatten(structure, [jnp.asarray(np.array(leaf)) for leaf in leaves])


def compiled(task):
    """How often each function of the task was compiled; jax counts what other tests compiled of a shared one."""
    return [(getattr(one, "__name__", "?"), one._cache_size()) for one in task.jitted]


def test_a_start_in_the_middle_of_a_search_changes_no_bit():
    n = 4
    ansatz, space = ansatz_of("rbm-complex", n), spin_half(n)
    sampler = metropolis(ansatz, flip(space), space, SERIAL, n_chains=8, n_samples=16, sweep=n, warmup=4)
    task = task_of(ansatz, n, slpe(2, 0.1), 0.2, sampler=sampler, goal=Goal(1e-10, 6), spacing=0.1)
    whole, lines = run(task)
    once = compiled(task)
    n_turns = int(whole.memory.n_turns) + len(lines)
    assert int(whole.memory.n_undone) > 0, "no step was undone, so that is not tried"
    state, other = None, []
    for _ in range(n_turns):
        state, found = run(task, state, turns=1)
        other += found
        state = through_a_file(state)
    assert task.progress(state).is_complete
    assert compiled(task) == once  # with a state from a file nothing is compiled again
    for one, two in zip(jax.tree.leaves(whole), jax.tree.leaves(state), strict=True):
        assert np.asarray(one).tobytes() == np.asarray(two).tobytes()
    clocks = {"seconds", "sample_s", "local_energy_s", "solve_s"}
    assert [line.keys() - clocks for line in lines] == [line.keys() - clocks for line in other]
    assert all(a[k] == b[k] for a, b in zip(lines, other, strict=True) for k in a.keys() - clocks)


def blurred(sampler, ansatz, n_sites, q=0.3):
    """Some samples flipped at a random site, with the weights |psi|^2 / q_blur from all states."""
    states = jnp.asarray(all_states(n_sites))
    powers, codes = jnp.asarray(2 ** np.arange(n_sites)), np.arange(2**n_sites)

    def sample(key, params, state):
        state, samples, info = sampler.sample(key, params, state)
        draws = jax.random.wrap_key_data(key)
        goes = jax.random.uniform(draws, len(samples.s_BN)) < q
        site = jax.random.randint(jax.random.fold_in(draws, 1), len(samples.s_BN), 0, n_sites)
        flips = jnp.where(goes[:, None] & (site[:, None] == jnp.arange(n_sites)[None]), -1, 1).astype(jnp.int8)
        s_BN = samples.s_BN * flips
        log_D = 2 * jnp.real(jax.vmap(ansatz.log_psi, in_axes=(None, 0))(params, states))
        p_D = jax.nn.softmax(log_D)
        near_D = sum(p_D[codes ^ 2**i] for i in range(n_sites)) / n_sites
        w_B = (p_D / ((1 - q) * p_D + q * near_D))[jnp.sum((1 - s_BN.astype(int)) // 2 * powers[None], axis=1)]
        return state, Samples(s_BN, w_B / jnp.sum(w_B)), info

    return sampler._replace(sample=sample)


SLOW = pytest.mark.slow
BIAS = [
    (True, 0.4, 0.0, 0.015),
    (False, 0.4, 0.1, 1.0),
    pytest.param(True, 1.2, 0.0, 0.06, marks=SLOW),
    pytest.param(False, 1.2, 0.2, 1.0, marks=SLOW),
]


@pytest.mark.parametrize(("blur", "t_end", "least", "most"), BIAS)
def test_from_all_spins_up_blurred_samples_follow_and_plain_ones_do_not(blur, t_end, least, most):
    """TFIM ring of 8 at J = h = 1, a Jastrow factor, LPE-2, dt = 0.05: the worst magnetization on the way."""
    n, states = 8, all_states(8)
    ansatz, space = jastrow(n, dtype="complex"), spin_half(n)
    sampler = metropolis(ansatz, flip(space), space, SERIAL, n_chains=512, n_samples=4096, sweep=n, warmup=32)
    if blur:
        sampler = blurred(sampler, ansatz, n)
    up = lambda params: params._replace(w=0 * params.w, a=0 * params.a + 3.0)  # noqa: E731
    task = task_of(ansatz, n, lpe(2, 0.05), t_end, sampler=sampler, goal=Goal(1e-10, 20), spacing=0.1, start=up)
    state, worst, exact_up = task.warmed(task.init()), 0.0, np.eye(2**n)[0]
    step = expm(-0.1j * tfim_ring(n, H))
    exact = np.linalg.matrix_power(step, 0) @ exact_up
    while not task.progress(state).is_complete:
        before = int(state.memory.course.n_measured)
        state, _ = task.turn(state)
        assert task.failed(state) == ""
        if int(state.memory.course.n_measured) > before:
            exact = step @ exact if before else exact
            m_z = [
                np.sum(abs(psi) ** 2 * states.mean(axis=1)) for psi in (amplitudes(ansatz, state.params, states), exact)
            ]
            worst = max(worst, abs(m_z[0] - m_z[1]))
    assert least < worst < most, worst
