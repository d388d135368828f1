"""Rules of optax by name: steps of optax itself, textbook steps in NumPy, complex parameters, states of one form."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from nqs_hpc.ansatz.rbm import rbm
from nqs_hpc.choices.optimizer.optax import ARGUMENTS, RULES
from nqs_hpc.gradient.flat import flat
from nqs_hpc.update.first_order import first_order, real_leaves, sgd
from nqs_hpc.update.rules import by_name, has_matrices
from tests.systems import SERIAL, ansatz_of
from tests.update.test_sr import ONE, batch_of, textbook_step

N, RATE = 6, 0.05
CASES = [(rule, {}) for rule in RULES] + [
    ("adam", {"b1": 0.8, "b2": 0.9, "eps": 1e-3, "eps_root": 1e-4, "nesterov": True}),
    ("adafactor", {"momentum": 0.5, "clipping_threshold": None, "min_dim_size_to_factor": 4, "decay_rate": 0.7}),
    ("adamw", {"weight_decay": 0.1}),
    ("ademamix", {"alpha": 2.0, "b3": 0.99}),
    ("lars", {"weight_decay": 0.1, "trust_coefficient": 0.1}),
    ("lion", {"b1": 0.5, "weight_decay": 0.1}),
    ("rmsprop", {"momentum": 0.5, "centered": True, "decay": 0.8, "initial_scale": 1.0}),
    ("rmsprop", {"momentum": 0.5, "bias_correction": True, "eps": 1e-6}),
    ("sgd", {"momentum": 0.9, "nesterov": True}),
]


@cache
def start_of(dtype):
    """Parameters, a batch, and the force as leaves, by the step of sgd that test_sr judges."""
    if dtype == "float32":
        ansatz = rbm(N, n_hidden=N, dtype="real", bias=True, init_scale=0.3, float_dtype="float32")
    else:
        ansatz = ansatz_of("rbm-complex", N)
    params = ansatz.init(jax.random.key(1))
    batch = batch_of(ansatz, params, 20)
    down = jax.jit(sgd(ansatz, SERIAL, learning_rate=optax.constant_schedule(1.0)).step)
    return (
        ansatz,
        params,
        batch,
        lambda params: jax.tree.map(jnp.negative, down(params, (), batch, jnp.int32(0), ONE)[0]),
    )


def test_muon_orthogonalises_real_matrices():
    """The first step of a matrix is -rate max(1, n/m)^(1/2) times the orthogonal factor of its force, nearly: the five
    iterations leave singular values between 0.7 and 1.2. The rest steps as adam, and so does a complex matrix.
    """
    ansatz = rbm(N, n_hidden=2 * N, dtype="real", bias=True, init_scale=0.3)
    params = ansatz.init(jax.random.key(1))
    batch = batch_of(ansatz, params, 20)

    def step(rule, **arguments):
        rate = optax.constant_schedule(RATE)
        update = first_order(ansatz, SERIAL, by_name(rule, arguments), learning_rate=rate, by_leaf=True)
        return jax.tree.leaves(jax.jit(update.step)(params, update.init(params), batch, jnp.int32(0), ONE)[0])

    downhill = sgd(ansatz, SERIAL, learning_rate=optax.constant_schedule(1.0)).step
    forces = jax.tree.leaves(jax.jit(downhill)(params, (), batch, jnp.int32(0), ONE)[0])
    found, others = step("muon"), step("nadam", eps=1e-8)
    assert has_matrices(ansatz) and not has_matrices(ansatz_of("rbm-complex", N))
    assert sorted(leaf.ndim for leaf in found) == [1, 1, 2]
    for one, other, down in zip(found, others, forces, strict=True):
        if one.ndim == 1:
            np.testing.assert_allclose(one, other, rtol=1e-6)
        else:
            u, _, v = np.linalg.svd(down, full_matrices=False)
            inside = u.T @ np.asarray(one) @ v.T / (RATE * np.sqrt(max(1, one.shape[1] / one.shape[0])))
            assert np.abs(inside - np.diag(np.diag(inside))).max() < 1e-6
            assert np.diag(inside).min() > 0.6 and np.diag(inside).max() < 1.25


def three_steps(rule, arguments, dtype):
    """Parameters after three steps of ours, and the forces that made them as leaves."""
    ansatz, params, batch, force = start_of(dtype)
    rate = optax.constant_schedule(RATE)
    update = first_order(ansatz, SERIAL, by_name(rule, arguments), learning_rate=rate, by_leaf=True)
    state, step = update.init(params), jax.jit(update.step)
    shapes = jax.tree.map(lambda x: (jnp.shape(x), jnp.asarray(x).dtype), state)
    forces = []
    for k in range(3):
        forces.append(force(params))
        delta, state, _ = step(params, state, batch, jnp.int32(k), ONE)
        params = jax.tree.map(jnp.add, params, delta)
    assert jax.tree.map(lambda x: (jnp.shape(x), jnp.asarray(x).dtype), state) == shapes
    return params, forces


@pytest.mark.parametrize(("rule", "arguments"), CASES)
def test_steps_are_those_of_optax(rule, arguments):
    """At a constant rate, of the real and imaginary parts of complex parameters as arrays of their own."""
    found, forces = three_steps(rule, arguments, "complex")
    optimizer = getattr(optax.contrib if rule in ("ademamix", "adopt", "muon") else optax, rule)(RATE, **arguments)
    theta = real_leaves(start_of("complex")[1])
    state = optimizer.init(theta)
    step = jax.jit(optimizer.update)
    for force in forces:
        change, state = step(real_leaves(force), state, theta)
        theta = optax.apply_updates(theta, change)
    # adafactor keeps its momentum in float32 in optax
    bound = 1e-6 if rule == "adafactor" else 1e-10
    for one, other in zip(jax.tree.leaves(real_leaves(found)), jax.tree.leaves(theta), strict=True):
        assert np.abs(one - other).max() < bound


def test_textbook_steps():
    """In NumPy: signs of lion, adamw with its decay, and lamb, whose ratio is of whole complex leaves."""
    ansatz, params, batch, _ = start_of("complex")
    before = jax.tree.leaves(params)
    assert all(leaf.dtype == jnp.complex128 for leaf in before)
    force = flat(params, "real").unravel(jnp.asarray(textbook_step(ansatz, params, batch)[1]))

    def first_step(rule, arguments, change):
        rate = optax.constant_schedule(RATE)
        update = first_order(ansatz, SERIAL, by_name(rule, arguments), learning_rate=rate, by_leaf=True)
        delta = jax.jit(update.step)(params, update.init(params), batch, jnp.int32(0), ONE)[0]
        for theta, f, found in zip(before, *map(jax.tree.leaves, (force, delta)), strict=True):
            assert np.abs(found + RATE * change(np.asarray(theta), np.asarray(f))).max() < 1e-6

    def signs(f):
        return np.sign(f.real) + 1j * np.sign(f.imag)

    def adam(f):
        return f.real / (abs(f.real) + 1e-8) + 1j * f.imag / (abs(f.imag) + 1e-8)

    def lamb(theta, f):
        full = f.real / (abs(f.real) + 1e-6) + 1j * f.imag / (abs(f.imag) + 1e-6)
        return np.linalg.norm(theta) / np.linalg.norm(full) * full

    first_step("lion", {"weight_decay": 0.1}, lambda theta, f: signs(f) + 0.1 * theta)
    first_step("adamw", {"weight_decay": 0.1}, lambda theta, f: adam(f) + 0.1 * theta)
    first_step("lamb", {}, lamb)


@pytest.mark.parametrize("rule", RULES)
def test_states_keep_their_form_in_float32(rule):
    ansatz, params, batch, _ = start_of("float32")
    rate = optax.constant_schedule(RATE)
    update = first_order(ansatz, SERIAL, by_name(rule, {}), learning_rate=rate, by_leaf=True)
    state = jax.tree.map(jnp.asarray, update.init(params))
    delta, after, _ = jax.eval_shape(update.step, params, state, batch, jnp.int32(0), ONE)
    for one, other in ((delta, params), (after, state)):
        assert jax.tree.map(lambda x: (x.shape, x.dtype), one) == jax.tree.map(lambda x: (x.shape, x.dtype), other)


def test_every_argument_is_of_some_rule():
    assert {name for names in RULES.values() for name in names} == set(ARGUMENTS)
