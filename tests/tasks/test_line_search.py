"""Fractions of a step by correlated sampling, against energies of the moved states by dense sums."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.operators.ising import ising
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.tasks.evaluation import evaluation
from nqs_hpc.tasks.line_search import line_search, reweighted
from nqs_hpc.types import Samples
from tests.systems import SERIAL, all_states, amplitudes, ansatz_of, ring

N = 6
STATES = all_states(N)


def dense(h=1.3):
    """-sum ZZ - h sum X of the ring, by hand."""
    matrix = np.zeros((2**N, 2**N))
    code = {tuple(s): i for i, s in enumerate(STATES)}
    for i, s in enumerate(STATES):
        matrix[i, i] = -sum(int(s[j]) * int(s[(j + 1) % N]) for j in range(N))
        for j in range(N):
            other = s.copy()
            other[j] *= -1
            matrix[code[tuple(other)], i] -= h
    return matrix


def energy(ansatz, params):
    psi = amplitudes(ansatz, params, STATES)
    return float(np.real(psi.conj() @ dense() @ psi))


@pytest.fixture(scope="module", params=["rbm-real", "mlp-complex"])
def start(request):
    """All states with the weights of psi, so that every energy along the step is exact, and a step that overshoots."""
    ansatz = ansatz_of(request.param, N)
    params = ansatz.init(jax.random.key(3))
    operator = ising(N, ring(N), J=1.0, h=1.3)
    w = np.abs(amplitudes(ansatz, params, STATES)) ** 2
    samples = Samples(jnp.asarray(STATES), jnp.asarray(w))
    batch = jax.jit(evaluation(ansatz, operator, SERIAL, chain_length=0, chunk=None))(params, samples, {})[0]
    gradient = jax.jit(jax.grad(lambda p: jnp.real(exact(ansatz, p))))(params)
    delta = jax.tree.map(lambda g: -jnp.conj(g), gradient)
    return ansatz, operator, params, delta, batch


def exact(ansatz, params):
    psi = jnp.exp(jax.vmap(lambda s: ansatz.log_psi(params, s))(jnp.asarray(STATES)))
    return jnp.vdot(psi, jnp.asarray(dense()) @ psi) / jnp.vdot(psi, psi)


def moved(params, delta, f):
    return jax.tree.map(lambda p, d: p + f * d, params, delta)


def test_the_best_fraction_is_taken(start):
    """That of exact energies, wherever the samples are still worth half; for steps of several lengths."""
    ansatz, operator, params, delta, batch = start
    fractions = [0.1, 0.25, 0.5, 1.0]
    search = jax.jit(line_search(ansatz, operator, SERIAL, fractions=fractions, chunk=None))
    before = np.abs(amplitudes(ansatz, params, STATES)) ** 2
    chosen = set()
    for length in (0.02, 0.2, 0.6, 2.0):
        step = jax.tree.map(lambda d, length=length: length * d, delta)
        energies = []
        for f in fractions:
            after = np.abs(amplitudes(ansatz, moved(params, step, f), STATES)) ** 2
            kept = 1 / np.sum(after**2 / before)  # (sum w r)^2 / sum w r^2 of r = after / before
            energies.append(energy(ansatz, moved(params, step, f)) if kept >= 0.5 else np.inf)
        expected = fractions[int(np.argmin(energies))]
        found, fraction = search(params, step, batch)
        assert float(fraction) == expected
        for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(step), strict=True):
            assert np.abs(one - expected * other).max() < 1e-14
        chosen.add(expected)
    assert len(chosen) > 1


def test_energies_are_those_of_the_moved_states(start):
    """Reweighted sums over all states are the exact energy, whatever the norm of psi; shares fall from 1."""
    ansatz, _, params, delta, batch = start
    w_A = batch.w_A
    ratios = []
    for f in (0.0, 0.3):
        there = moved(params, delta, f)
        log_A = jax.vmap(lambda s, p=there: jnp.real(ansatz.log_psi(p, s)))(jnp.asarray(STATES))
        ratios.append(log_A)
    psi = amplitudes(ansatz, moved(params, delta, 0.3), STATES)
    local = np.real(dense() @ psi / psi)
    found, kept = reweighted(2 * (ratios[1] - ratios[0]) + 900.0, jnp.asarray(local), w_A)
    assert float(found) == pytest.approx(energy(ansatz, moved(params, delta, 0.3)), rel=1e-10)
    assert 0 < kept < 1
    same, whole = reweighted(jnp.full(len(w_A), -900.0), batch.e_loc_A, w_A)
    assert whole == pytest.approx(1, abs=1e-12) and same == pytest.approx(energy(ansatz, params), rel=1e-10)


def test_samples_without_weight_and_energies_that_are_not_finite():
    w_A = jnp.array([0.5, 0.5, 0.0])
    energy, kept = reweighted(jnp.array([0.0, 0.0, jnp.nan]), jnp.array([1.0, 3.0, jnp.inf]), w_A)
    assert energy == 2 and kept == 1
    energy, _ = reweighted(jnp.array([0.0, jnp.nan, 0.0]), jnp.ones(3), w_A)
    assert not jnp.isfinite(energy)


def test_a_step_that_leaves_no_samples_takes_its_smallest_fraction(start):
    ansatz, operator, params, delta, batch = start
    search = jax.jit(line_search(ansatz, operator, SERIAL, fractions=[1.0, 0.9], chunk=None))
    for step in (1e3, np.nan):
        _, fraction = search(params, jax.tree.map(lambda d, step=step: step * d, delta), batch)
        assert float(fraction) == 0.9


def test_ranks_gather_once_and_agree(start):
    """Two ranks played on one: each gives half of the samples, and both take what one with all of them takes."""
    ansatz, operator, params, delta, batch = start
    half = len(STATES) // 2
    sent, taken = [], []
    for rank in (0, 1, 0, 1):
        mine = slice(rank * half, (rank + 1) * half)

        def gather(x, rank=rank):
            if len(sent) < 2:
                sent.append(x)
                return jnp.stack([x, x])
            return jnp.stack(sent)

        comm = Comm(rank=rank, size=2, sum=None, max=None, gather=gather, all_to_all=None)
        part = batch._replace(samples=Samples(batch.samples.s_BN[mine], batch.samples.w_B[mine]))
        taken.append(line_search(ansatz, operator, comm, fractions=[0.2, 0.4, 1.0], chunk=8)(params, delta, part)[1])
    alone = line_search(ansatz, operator, SERIAL, fractions=[0.2, 0.4, 1.0], chunk=None)(params, delta, batch)[1]
    assert float(taken[2]) == float(taken[3]) == float(alone)
