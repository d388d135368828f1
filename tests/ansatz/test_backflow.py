"""Backflow and hidden fermions against determinants that are written out, their derivatives, and exact energies."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.backflow import backflow
from nqs_hpc.ansatz.features import convolutional, perceptron
from nqs_hpc.ansatz.hidden_fermion import hidden_fermion
from nqs_hpc.gradient import factored
from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.jacobian import jacobian
from nqs_hpc.types import Move
from tests.ansatz.fermion_states import hubbard_ring, random_move, states

N, NUMBERS = 4, (2, 1)
STATES = states(2 * N, NUMBERS)
HIDDEN = 2
NETS = {
    "perceptron": lambda: perceptron(2 * N, widths=(4, 3), activation="tanh"),
    "convolutional": lambda: convolutional((N,), (True,), 2, layers=2, features=3, kernel=(3,), activation="tanh"),
}
# kind of orbitals, numbers, network
CASES = [
    ("unrestricted", "real", "perceptron"),
    ("restricted", "complex", "perceptron"),
    ("generalised", "real", "convolutional"),
]


def orbitals_of(kind, dtype):
    rng = np.random.default_rng(5)
    shapes = {"unrestricted": [(N, 2), (N, 1)], "restricted": [(N, 2)], "generalised": [(2 * N, 3)]}[kind]
    return [rng.normal(size=shape) + (1j * rng.normal(size=shape) if dtype == "complex" else 0) for shape in shapes]


@functools.cache
def made(factory, kind, dtype, net, **sizes):
    numbers = [sum(NUMBERS)] if kind == "generalised" else NUMBERS
    more = {"n_hidden": HIDDEN} if factory is hidden_fermion else {}
    ansatz = factory(
        numbers, orbitals_of(kind, dtype), NETS[net](), shared=kind == "restricted", dtype=dtype, **more, **sizes
    )
    rng = np.random.default_rng(3)
    params = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape)), jax.jit(ansatz.init)(jax.random.key(0)))
    return ansatz, params, jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))


def complex_of(rows, dtype):
    half = rows.shape[1] // 2
    return rows if dtype == "real" else rows[:, :half] + 1j * rows[:, half:]


def written_out(factory, kind, dtype, params, s, x):
    """psi of one state, with NumPy, from its features."""
    x = np.asarray(x)
    numbers = [3] if kind == "generalised" else NUMBERS
    planes = 2 if dtype == "complex" else 1
    outs = []
    for weight, bias in zip(params.weights, params.biases, strict=True):
        weight = np.asarray(weight)
        if weight.ndim == 3:
            which = np.arange(weight.shape[0]) % N
            y = np.einsum("rc,rck->rk", x[which], weight).ravel()
        else:
            y = x.ravel() @ weight
        outs.append(y + bias)
    psi, size = 1.0, 2 * N if kind == "generalised" else N
    for d, n in enumerate(numbers):
        occupied = np.flatnonzero(s[d * size : (d + 1) * size])
        m = 0 if kind == "restricted" else d
        most = max(numbers) if kind == "restricted" else n
        if factory is backflow:
            phi = complex_of(outs[m].reshape(size, planes * most), dtype)
            matrix = phi[occupied][:, :n]
        else:
            phi = complex_of(np.asarray(params.fixed[m]).reshape(size, planes * (most + HIDDEN)), dtype)
            below = complex_of(outs[d].reshape(HIDDEN, planes * (n + HIDDEN)), dtype)
            matrix = np.vstack([np.hstack([phi[occupied][:, :n], phi[occupied][:, most:]]), below])
        psi = psi * np.linalg.det(matrix)
    return psi


@pytest.mark.parametrize("factory", [backflow, hidden_fermion])
@pytest.mark.parametrize(("kind", "dtype", "net"), CASES)
def test_psi_is_the_product_of_determinants(factory, kind, dtype, net):
    ansatz, params, log_psi = made(factory, kind, dtype, net)
    x_DRC = jax.jit(jax.vmap(NETS[net]().apply, in_axes=(None, 0)))(params.net, STATES)
    exact = {tuple(s): written_out(factory, kind, dtype, params, s, x) for s, x in zip(STATES, x_DRC, strict=True)}
    found = np.exp(log_psi(params, STATES))
    assert ansatz.kind == ("signed" if dtype == "real" else "complex")
    wanted = np.array(list(exact.values()))
    assert np.abs(found - wanted).max() < 1e-12 * np.abs(wanted).max()

    # ratios of moves of one and two fermions, from frozen parameters
    rng, s = np.random.default_rng(0), STATES[3]
    moves, ends = zip(*(random_move(rng, s, 2, 2, 4) for _ in range(8)), strict=True)
    moves = Move(*(np.stack(leaf) for leaf in zip(*moves, strict=True)))

    @jax.jit
    def log_ratios(params, s, moves):
        frozen = ansatz.freeze(params)
        return ansatz.log_ratios(frozen, s, ansatz.prepare(frozen, s), moves)

    wanted = np.array([exact[tuple(end)] for end in ends]) / exact[tuple(s)]
    assert np.abs(np.exp(log_ratios(params, s, moves)) - wanted).max() < 1e-10


@pytest.mark.parametrize(("kind", "dtype", "net"), CASES[1:])
def test_inverses_of_hidden_fermions_follow_a_walk(kind, dtype, net):
    """Hops of either spin, two at a time too, taken as a chain takes them, against psi of each state."""
    ansatz, params, log_psi = made(hidden_fermion, kind, dtype, net)
    exact = dict(zip(map(tuple, STATES), np.exp(log_psi(params, STATES)), strict=True))
    frozen, rng, s, worst = ansatz.freeze(params), np.random.default_rng(6), STATES[0], 0.0

    @jax.jit
    def follow(s, cache, move, accepted):
        found, attempted = ansatz.attempt(frozen, s, cache, move)
        return found, ansatz.advance(frozen, s, cache, move, attempted, accepted)

    cache = jax.jit(ansatz.prepare)(frozen, s)
    for _ in range(200):
        move, new = random_move(rng, s, 2, rng.integers(0, 3), 4)
        ratio = exact[tuple(new)] / exact[tuple(s)]
        accepted = rng.random() < abs(ratio) ** 2
        found, cache = follow(s, cache, move, accepted)
        worst = max(worst, abs(np.exp(found) - ratio) / max(1, abs(ratio)))
        s = new if accepted else s
    assert worst < 1e-10


@pytest.mark.parametrize("factory", [backflow, hidden_fermion])
def test_it_begins_as_the_slater_determinant(factory):
    ansatz, _, log_psi = made(factory, "restricted", "complex", "convolutional", noise=0.0, init_scale=1e-9)
    (phi,) = orbitals_of("restricted", "complex")
    psi = np.exp(log_psi(jax.jit(ansatz.init)(jax.random.key(1)), STATES))
    up, down = STATES[:, :N], STATES[:, N:]
    exact = [
        np.linalg.det(phi[np.flatnonzero(a)]) * phi[np.flatnonzero(b)[0], 0] for a, b in zip(up, down, strict=True)
    ]
    assert np.abs(psi - np.array(exact)).max() < 1e-7


@pytest.mark.parametrize(("factory", "dtype"), [(backflow, "real"), (hidden_fermion, "complex")])
def test_log_derivatives(factory, dtype):
    """Rows by jax against central differences, and as products of parts."""
    ansatz, params, log_psi = made(factory, "restricted", dtype, "perceptron")
    form, rng = flat(params, ansatz.kind), np.random.default_rng(2)
    s_BN, v_P = jnp.asarray(STATES[::5]), jnp.asarray(rng.normal(size=form.n_parameters))
    theta_P = form.ravel(params)
    ends = [log_psi(form.unravel(theta_P + h * v_P), s_BN) for h in (1e-5, -1e-5)]
    numeric = np.asarray(ends[0] - ends[1]) / 2e-5
    rows, parts = jax.jit(
        lambda params: (jacobian(ansatz, form, params, s_BN, None), factored.part_rows(ansatz, params, s_BN, None))
    )(params)
    along = np.asarray(rows @ v_P)
    along = along if dtype == "real" else along[::2] + 1j * along[1::2]
    numeric = numeric.real if dtype == "real" else numeric
    assert np.abs(along - numeric).max() < 1e-6 * np.abs(numeric).max()
    leaves = ansatz.factors.leaves
    assert np.abs(factored.times(leaves, form, parts, v_P) - rows @ v_P).max() < 1e-10
    y = jnp.asarray(rng.normal(size=len(rows)))
    assert np.abs(factored.adjoint(leaves, parts, y) - rows.T @ y).max() < 1e-10


@pytest.mark.parametrize("factory", [backflow, hidden_fermion])
def test_zeros_are_minus_infinity_and_have_no_nan_in_derivatives(factory):
    """A zero of psi, a wrong number of fermions, ratios to and from them."""
    ansatz, params, log_psi = made(factory, "unrestricted", "real", "perceptron")
    # the rows of the modes 0 and 1 of spin up are equal, and no network changes them
    if factory is backflow:
        zero = jax.tree.map(jnp.zeros_like, params.weights)
        equal = params.biases[0].at[2:4].set(params.biases[0][0:2])
        params = params._replace(weights=zero, biases=(equal, *params.biases[1:]))
    else:
        width = 2 + HIDDEN
        equal = params.fixed[0].at[width : 2 * width].set(params.fixed[0][:width])
        params = params._replace(fixed=(equal, *params.fixed[1:]))
    lost = np.array([1, 1, 0, 0, 0, 1, 0, 0], np.int8)
    wrong = np.array([1, 0, 0, 0, 0, 1, 0, 0], np.int8)
    good = np.array([1, 0, 1, 0, 0, 1, 0, 0], np.int8)
    assert np.isneginf(log_psi(params, np.stack([lost, wrong, good])).real).tolist() == [True, True, False]
    gradient = jax.jit(jax.grad(lambda params, s: ansatz.log_psi(params, s).real))(params, lost)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    ratio = jax.jit(lambda s, move: ansatz.log_ratio(params, s, ansatz.prepare(params, s), move))
    to = ratio(good, Move(np.array([1, 2]), np.array([1, -1], np.int8)))
    back = ratio(lost, Move(np.array([2, 1]), np.array([1, -1], np.int8)))
    assert to.real < -30 and not np.isnan(to) and back == 0


@pytest.mark.parametrize("factory", [backflow, hidden_fermion])
def test_it_learns_the_ground_state_of_a_hubbard_ring(factory):
    """Four sites, U = 8, two fermions of either spin: -1.3202350 by exact diagonalisation."""
    s_DN = states(8, (2, 2))
    h_DD = hubbard_ring(4, 8.0, s_DN)
    exact = np.linalg.eigvalsh(h_DD)[0]
    assert abs(exact + 1.3202350) < 1e-7
    up = np.array([[0.8, 0.1], [0.5, 0.2], [0.1, 0.8], [0.2, 0.5]])  # near the antiferromagnet
    more = {"n_hidden": 2} if factory is hidden_fermion else {}
    net = perceptron(8, widths=(12,), activation="tanh")
    ansatz = factory((2, 2), [up, np.roll(up, 1, axis=0)], net, init_scale=0.1, noise=0.02, **more)
    params = jax.jit(ansatz.init)(jax.random.key(0))
    form = flat(params, ansatz.kind)

    @jax.jit
    def step(theta_P):
        params = form.unravel(theta_P)
        log = jax.vmap(lambda s: ansatz.log_psi(params, s))(s_DN)
        psi = jnp.exp(log - jnp.max(log.real)).real
        weight = psi**2 / jnp.sum(psi**2)
        h_psi = jnp.asarray(h_DD) @ psi
        rows = jacobian(ansatz, form, params, jnp.asarray(s_DN), None)
        energy = psi @ h_psi / (psi @ psi)
        x = jnp.sqrt(weight)[:, None] * (rows - (weight @ rows)[None])
        e = jnp.sign(psi) * h_psi / jnp.sqrt(psi @ psi) - energy * jnp.sqrt(weight)
        kernel = x @ x.T
        lifted = kernel + 1e-3 * jnp.trace(kernel) / len(s_DN) * jnp.eye(len(s_DN))
        return theta_P - 0.1 * x.T @ jnp.linalg.solve(lifted, e), energy

    theta_P = form.ravel(params)
    for _ in range(250):
        theta_P, energy = step(theta_P)
    assert -1e-9 < (energy - exact) / abs(exact) < 1e-3
