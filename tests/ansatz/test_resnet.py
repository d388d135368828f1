"""Convolutional networks against the same sums in numpy, one site after the other."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.convolution import convolution
from nqs_hpc.ansatz.resnet import resnet
from nqs_hpc.system.families import made
from nqs_hpc.system.lattice import FACTORIES, cells
from nqs_hpc.system.symmetry import translations
from nqs_hpc.types import Move
from tests.ansatz.test_mlp import NUMPY

# lattice, extent, pbc, kernel: odd, even and whole kernels; open sides, and kernels that reach beyond them
CASES = {
    "ring": ("chain", (6,), (True,), (3,)),
    "open chain": ("chain", (5,), (False,), (9,)),
    "torus": ("square", (4, 3), (True, True), (3, 2)),
    "whole torus": ("square", (3, 3), (True, True), (3, 3)),
    "cylinder": ("square", (3, 4), (True, False), (2, 3)),
    "box": ("cubic", (2, 3, 2), (True, False, True), (2, 3, 2)),
}


def convolved(name, kernel_KIO, x):
    """y_o = sum_k W_k x_(o + k), by the cells of the lattice."""
    lattice_name, extent, pbc, size = CASES[name]
    here = [tuple(cell) for cell in cells(FACTORIES[lattice_name](extent, pbc)).tolist()]
    out = np.zeros((len(here), kernel_KIO.shape[2]))
    boxes = [range(-((k - 1) // 2), k // 2 + 1) for k in size]
    for k, reversed_reach in enumerate(itertools.product(*boxes[::-1])):
        for o, cell in enumerate(here):
            there = [c + r for c, r in zip(cell, reversed_reach[::-1], strict=True)]
            there = tuple(c % n if side else c for c, n, side in zip(there, extent, pbc, strict=True))
            if there in here:
                out[o] += x[here.index(there)] @ kernel_KIO[k]
    return out


@pytest.mark.parametrize("name", sorted(CASES))
def test_convolutions_and_their_derivatives(name):
    """However many directions are dense: the sum, its derivative along a direction, and the transpose of that."""
    _, extent, pbc, size = CASES[name]
    rng = np.random.default_rng(0)
    x, dx, y = (rng.normal(size=(np.prod(extent), c)) for c in (2, 2, 3))
    kernel, d_kernel = rng.normal(size=(2, np.prod(size), 2, 3))
    wanted = convolved(name, kernel, x)
    wanted_change = convolved(name, d_kernel, x) + convolved(name, kernel, dx)

    @jax.jit
    def all_ways(kernel, x, d_kernel, dx, y):
        found = []
        for dense in range(len(extent) + 1):
            conv = convolution(extent, pbc, size, 2, 3, dense=dense)
            out, change = jax.jvp(conv.apply, (kernel, x), (d_kernel, dx))
            found.append((conv.times(conv.matrix(kernel), x), out, change, jax.vjp(conv.apply, kernel, x)[1](y)))
        return found

    for frozen, out, change, (back_kernel, back_x) in all_ways(kernel, x, d_kernel, dx, y):
        np.testing.assert_allclose(frozen, wanted, atol=1e-12)
        np.testing.assert_allclose(out, wanted, atol=1e-12)
        np.testing.assert_allclose(change, wanted_change, atol=1e-12)
        assert abs(np.sum(back_kernel * d_kernel) + np.sum(back_x * dx) - np.sum(y * wanted_change)) < 1e-11


@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("name", ["cylinder", "whole torus"])
def test_forward_pass(name, skip):
    _, extent, pbc, size = CASES[name]
    options = {"layers": 4, "features": 3, "kernel": size, "activation": "silu", "dtype": "complex", "skip": skip}
    ansatz = resnet(extent, pbc, **options)
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda x: rng.normal(size=x.shape), jax.eval_shape(ansatz.init, jax.random.key(0)))
    s = rng.choice([-1, 1], size=np.prod(extent)).astype(np.int8)
    f = NUMPY["silu"]
    one, two, three, four = (lambda x, c=c: convolved(name, c.weight, x) + c.bias for c in params.filters)
    x = s[:, None].astype(float)
    if skip:
        x = x + two(f(one(x)))
        x = x + four(f(three(f(x / np.sqrt(2)))))
        x = x / np.sqrt(3)
    else:
        x = four(f(three(f(two(f(one(x)))))))
    modulus, phase = f(x).sum(axis=0) @ params.head
    assert abs(jax.jit(ansatz.log_psi)(params, s) - (modulus + 1j * phase)) < 1e-11


@functools.cache
def torus(skip: bool, dtype: str):
    return resnet((4, 3), (True, True), layers=4, features=4, kernel=(3, 2), skip=skip, dtype=dtype)


@pytest.mark.parametrize(("skip", "dtype"), [(True, "complex"), (False, "real")])
def test_translations_change_nothing(skip, dtype):
    ansatz = torus(skip, dtype)
    params = jax.tree.map(lambda x: x + 0.1, jax.jit(ansatz.init)(jax.random.key(1)))
    s_BN = np.random.default_rng(2).choice([-1, 1], size=(5, 12)).astype(np.int8)
    perms = translations(FACTORIES["square"]((4, 3), (True, True)))
    log_psi = jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))
    moved = np.stack([log_psi(params, s_BN[:, perm]) for perm in perms])
    assert np.ptp(log_psi(params, s_BN).real) > 0.01
    assert np.abs(moved - moved[:1]).max() < 1e-10


# patches smaller than the lattice, even kernels, open sides, patches that reach around it
PATCHES = {
    "torus": ((5, 4), (True, True), (3, 2), 2),
    "cylinder": ((5, 4), (False, True), (3, 2), 4),
    "box": ((3, 2, 3), (True, False, False), (2, 2, 2), 2),
}


@pytest.mark.parametrize("name", sorted(PATCHES))
def test_ratios_by_the_touched_patch(name):
    """Moves of no, one, two and three sites, pads among them, from caches that have followed a move before."""
    extent, pbc, kernel, layers = PATCHES[name]
    options = {"layers": layers, "features": 2, "kernel": kernel, "activation": "tanh", "dtype": "complex"}
    ansatz = resnet(extent, pbc, **options, touch=True)
    params = jax.tree.map(lambda x: x + 0.1, jax.jit(ansatz.init)(jax.random.key(1)))
    n = int(np.prod(extent))
    rng = np.random.default_rng(4)
    s_BN = rng.choice([-1, 1], size=(20, n)).astype(np.int8)
    sites = np.stack([rng.permutation(n)[:3] for _ in s_BN])
    flipped = np.arange(3)[None] < rng.integers(0, 4, size=(20, 1))
    sites = np.where(flipped, sites, 0).astype(np.int32)

    @jax.jit
    @jax.vmap
    def ratios(s_N, sites_F, flipped_F, accepted):
        frozen = ansatz.freeze(params)
        first = Move(jnp.array([n // 2]), -2 * s_N[n // 2][None])
        cache = ansatz.prepare(frozen, s_N)
        _, attempted = ansatz.attempt(frozen, s_N, cache, first)
        cache = ansatz.advance(frozen, s_N, cache, first, attempted, accepted)
        s_N = jnp.where(accepted, s_N.at[n // 2].multiply(-1), s_N)
        move = Move(sites_F, jnp.where(flipped_F, -2 * s_N[sites_F], 0).astype(jnp.int8))
        s_new = s_N.at[move.sites].add(move.deltas)
        wanted = ansatz.log_psi(params, s_new) - ansatz.log_psi(params, s_N)
        return ansatz.log_ratio(frozen, s_N, cache, move), wanted

    found, wanted = ratios(s_BN, sites, flipped, np.arange(20) % 3 > 0)
    assert np.abs(found - wanted).max() < 1e-12 and np.abs(wanted).max() > 0.1


def test_the_patch_is_taken_where_it_costs_less():
    """Of an 8x8 torus two layers of 3x3 see 9 and 25 sites: less than half of the activations of the whole."""

    def transcendentals(**options) -> float:
        ansatz = resnet((8, 8), (True, True), layers=2, features=4, activation="tanh", **options)
        frozen = jax.eval_shape(lambda: ansatz.freeze(ansatz.init(jax.random.key(0))))
        s_N = jnp.ones(64, jnp.int8)
        cache = jax.eval_shape(ansatz.prepare, frozen, s_N)
        arguments = (frozen, s_N, cache, Move(jnp.array([3]), jnp.array([-2], jnp.int8)))
        return jax.jit(ansatz.log_ratio).lower(*arguments).compile().cost_analysis()["transcendentals"]

    whole = 2 * 64 * 4
    assert transcendentals(kernel=(3, 3)) == (9 + 25) * 4
    assert transcendentals(kernel=(8, 8)) == transcendentals(kernel=(3, 3), touch=False) == whole


@pytest.mark.parametrize(("size", "coupled"), [(3, False), (5, True)])
def test_two_layers_see_as_far_as_their_kernels_reach(size, coupled):
    """Five sites apart on a ring of ten: log psi of two spins that no output sees together is a sum over them."""
    ansatz = resnet((10,), (True,), layers=2, features=2, kernel=(size,), skip=False)
    params = ansatz.init(jax.random.key(0))
    states = np.ones((4, 10), np.int8)
    states[[1, 3], 0] = states[[2, 3], 5] = -1
    neither, first, second, both = jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))(params, states)
    assert abs(first - neither) > 1e-3
    assert (abs(both - first - second + neither) > 1e-6) == coupled


def test_gradients_by_sample_hold_no_matrix_of_each_sample():
    """6x6, whole kernels: 64 gradients of a circulant matrix alone would take 64 * 288^2 numbers."""
    ansatz = resnet((6, 6), (True, True), layers=2, features=8, kernel=(6, 6))
    params = ansatz.init(jax.random.key(0))
    s_BN = np.ones((64, 36), np.int8)
    gradients = jax.jit(jax.vmap(jax.grad(ansatz.log_psi), in_axes=(None, 0)))
    held = gradients.lower(params, s_BN).compile().memory_analysis().temp_size_in_bytes
    assert held < 64 * 288**2 * 8


def test_shapes_and_kinds():
    real, cplx = torus(False, "real"), torus(True, "complex")
    assert real.kind == "real" and cplx.kind == "complex"
    params = jax.eval_shape(cplx.init, jax.random.key(0))
    assert [layer.weight.shape for layer in params.filters] == [(6, 1, 4), *[(6, 4, 4)] * 3]
    assert params.head.shape == (4, 2)
    assert all(x.dtype == np.float64 for x in jax.tree.leaves(params))


@pytest.mark.parametrize(("layers", "features"), [(2, 16), (6, 4)])
def test_log_psi_begins_near_a_constant_at_every_depth_and_width(layers, features):
    """Its spread over random configurations, for an init_scale of 1."""
    ansatz = resnet((4, 4), (True, True), layers=layers, features=features, kernel=(3, 3))
    s_BN = np.random.default_rng(3).choice([-1, 1], size=(64, 16)).astype(np.int8)

    @jax.jit
    def spread(key):
        return jnp.std(jax.vmap(ansatz.log_psi, in_axes=(None, 0))(ansatz.init(key), s_BN))

    assert 0.2 < np.median([spread(key) for key in jax.random.split(jax.random.key(0), 8)]) < 1.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"activation": "swish"}, "activation='swish': one of selu, gelu"),
        ({"layers": 3}, "layers=3: must be even"),
        ({"features": 0}, "both must be at least 1"),
        ({"kernel": (5,)}, r"kernel=\[5\]: along 4 sites valid are extents from 1 to 4"),
        ({"kernel": (8,), "pbc": (False,)}, "from 1 to 7"),
        ({"dtype": "double"}, "dtype='double'"),
    ],
)
def test_bad_choices_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        resnet((4,), **({"pbc": (True,), "layers": 2, "features": 2, "kernel": (3,)} | options))


def test_tilted_clusters_have_kernels_along_their_axes():
    lattice = made("square", None, (True, True), [[3, 3], [-3, 3]])
    assert lattice.extent == (6, 3)
    sizes = {"layers": 2, "features": 3, "kernel": (3, 2), "activation": "tanh", "skip": True, "dtype": "real"}
    net = resnet(lattice.extent, lattice.pbc, **sizes, init_scale=1.0, float_dtype="float64")
    params = net.init(jax.random.key(0))
    s = np.random.default_rng(0).choice([-1, 1], 18).astype(np.int8)
    moved = np.stack([s[np.argsort(move)] for move in translations(lattice)])
    log_psi = np.asarray(jax.vmap(lambda one: net.log_psi(params, one))(moved))
    assert len({tuple(row) for row in moved.tolist()}) == 18 and np.ptp(log_psi.real) < 1e-12
    other = np.array(jax.vmap(lambda one: net.log_psi(params, one))(np.random.default_rng(1).permuted(moved, axis=1)))
    assert np.ptp(other.real) > 1e-3  # which it is not for any other order of the sites
