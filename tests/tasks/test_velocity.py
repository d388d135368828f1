"""What is known of a velocity: the half that is held out against NumPy, and that time compiles nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.jastrow import jastrow
from nqs_hpc.config.compose import compose
from nqs_hpc.operators.ising import ising
from nqs_hpc.parts import build
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import flip
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.tasks.velocity import velocity
from nqs_hpc.update.minsr import in_samples
from nqs_hpc.update.spectral import Cut
from nqs_hpc.update.sr import in_parameters
from tests.systems import SERIAL, ring

N, CUT, LENGTH = 6, 1e-3, 8


def solved(o, e_loc):
    """dtheta/dt of these samples, of equal weight, with the smooth cut by NumPy's eigenvalues."""
    x = (o - o.mean(axis=0)) / len(o) ** 0.5
    eps = (e_loc - e_loc.mean()) / len(o) ** 0.5
    values, vectors = np.linalg.eigh(x.conj().T @ x)
    kept = 1 / (1 + (CUT * values[-1] / np.maximum(values, 1e-300)) ** 6)
    return -vectors @ (kept / np.maximum(values, 1e-300) * (vectors.conj().T @ (x.conj().T @ (1j * eps))))


@pytest.mark.parametrize("space", [in_parameters, in_samples])
@pytest.mark.parametrize("n_chains", [16, 15])  # of an odd number the held-out chains stay in the batch, with weight 0
def test_the_half_that_is_held_out_is_what_it_says(space, n_chains):
    """r^2 on the odd chains of the velocity of the even ones, and its distance from that of all samples."""
    ansatz, hilbert = jastrow(N, dtype="complex", init_scale=0.3), spin_half(N)
    sampler = metropolis(
        ansatz, flip(hilbert), hilbert, SERIAL, n_chains=n_chains, n_samples=n_chains * LENGTH, sweep=N, warmup=10
    )
    project = space(ansatz, SERIAL, diag_shift=lambda step: 0.0, solver="filter", cut=Cut(CUT))
    functions = velocity(ansatz, ising(N, ring(N), J=1.0, h=1.0), sampler, project, SERIAL, factor=1j, chunk=None)
    params, key = ansatz.init(jax.random.key(1)), np.array([0, 1], np.uint32)
    _, samples, counts = functions.draw(key, params, functions.fresh_chains(key))
    batch, _ = functions.evaluate(params, samples, counts, 0.0)
    slope_P, _ = functions.project(params, batch)
    found = functions.examine(params, batch, slope_P)

    leaves = jax.vmap(lambda s: jax.grad(lambda p: ansatz.log_psi(p, s), holomorphic=True)(params))(samples.s_BN)
    o = np.concatenate([np.asarray(leaf).reshape(len(samples.s_BN), -1) for leaf in jax.tree.leaves(leaves)], axis=1)
    e_loc, is_even = np.asarray(batch.e_loc_B), np.arange(len(o)) // LENGTH % 2 == 0
    whole, half = solved(o, e_loc), solved(o[is_even], e_loc[is_even])
    left = np.var(o[~is_even] @ half + 1j * e_loc[~is_even]) / np.var(e_loc[~is_even])
    assert np.abs(slope_P - whole).max() < 1e-9 * np.abs(whole).max()
    assert float(found.r2) == pytest.approx(left, rel=1e-9)
    assert float(found.noise) == pytest.approx(np.std(o @ (half - whole)), rel=1e-9)
    assert float(found.speed) == pytest.approx(np.std(o @ whole), rel=1e-9)


def test_time_compiles_nothing():
    """A ramp by adaptive steps, with rejected ones and times of output in between: one program of each kind."""
    words = "task=dynamics lattice.length=4 ansatz=jastrow ansatz.dtype=complex task.initial=plus_x sampler.n_chains=16"
    words += " sampler.n_samples=64 task.integrator=rk23 task.integrator.dt_first=0.1 task.integrator.tolerance=1e-3"
    given = ["task.ramp={h: [[0, 2], [0.3, 0]]}", "task.t_end=0.3", "observables=[magnetization]"]
    task = build(compose([*words.split(), *given], 1), SERIAL).task
    state, n_lines = task.warmed(task.init()), 0
    while not task.progress(state).is_complete:
        state, record = task.turn(state)
        n_lines += record is not None
    assert n_lines > 3 and int(state.memory.n_rejected) > 0
    assert [function._cache_size() for function in task.jitted] == [1] * len(task.jitted)
    assert bool(jnp.all(jnp.isfinite(state.memory.course.times_G)))
