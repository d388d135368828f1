"""Networks that give features of occupied modes, beside what they are written out."""

import itertools

import jax
import numpy as np

from nqs_hpc.ansatz.features import convolutional, perceptron


def test_a_perceptron_is_its_layers():
    net = perceptron(6, widths=(5, 3), activation="tanh")
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: rng.normal(size=x.shape), net.init(jax.random.key(0)))
    s = np.array([0, 1, 1, 0, 0, 1], np.int8)
    x = 2.0 * s - 1
    for weight, bias in params:
        x = np.tanh(x @ weight + bias)
    assert np.abs(net.apply(params, s)[0] - x).max() < 1e-14
    assert net.n_rows == 1 and not net.row_of_mode.any()


def test_convolutions_commute_with_translations_and_see_both_spins():
    """Also by their frozen matrices; against a sum over the kernel that is written out."""
    extent, size = (3, 2), 6
    net = convolutional(extent, (True, True), 2, layers=2, features=3, kernel=(3, 2), activation="tanh")
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda x: rng.normal(size=x.shape), net.init(jax.random.key(0)))
    frozen = net.freeze(params)
    apply, apply_frozen = jax.jit(net.apply), jax.jit(net.frozen)
    s = rng.integers(0, 2, 2 * size).astype(np.int8)
    x = np.asarray(apply(params, s))
    assert np.abs(apply_frozen(frozen, s) - x).max() < 1e-13

    def site(i, j):
        return i % 3 + 3 * (j % 2)

    y = 2.0 * s.reshape(2, size).T - 1
    for depth, (weight, bias) in enumerate(params):
        new = np.zeros((size, 3))
        for i, j in itertools.product(range(3), range(2)):
            for k, (dj, di) in enumerate(itertools.product((0, 1), (-1, 0, 1))):
                new[site(i, j)] += y[site(i + di, j + dj)] @ weight[k]
        new = np.tanh(new + bias)
        y = new if depth == 0 else y + new
    assert np.abs(y - x).max() < 1e-13
    for di, dj in ((1, 0), (2, 1)):
        there = np.array([site(i + di, j + dj) for j in range(2) for i in range(3)])
        carried = np.empty_like(s)
        carried[np.concatenate([there, there + size])] = s
        assert np.abs(apply(params, carried)[there] - x).max() < 1e-13
    assert net.row_of_mode.tolist() == [*range(size), *range(size)]
