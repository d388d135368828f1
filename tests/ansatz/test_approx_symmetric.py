"""Approximately symmetric networks against loops over vertices and faces in numpy, and against the symmetry itself."""

import functools
import itertools

import jax
import numpy as np
import pytest

from nqs_hpc.ansatz.approx_symmetric import approx_symmetric
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.system.links import grid, links, plaquettes, stars
from nqs_hpc.system.symmetry import translations

# vertices and which directions are periodic, kernels on vertices and on faces
CASES = {
    "torus": ((3, 2), (True, True), (3, 2), (2, 2)),
    "open": ((3, 3), (False, False), (3, 3), (2, 3)),
    "cylinder": ((2, 3), (True, False), (2, 3), (2, 1)),
}


@functools.cache
def made(name, dtype="complex"):
    """The lattice, the ansatz, log psi of many states, compiled, and states of a fixed seed."""
    extent, pbc, link_kernel, kernel = CASES[name]
    lattice = links(FACTORIES["square"](extent, pbc))
    sizes = {"link_layers": 4, "link_features": 3, "loops": 2, "layers": 2, "features": 3}
    ansatz = approx_symmetric(grid(lattice), pbc, link_kernel=link_kernel, kernel=kernel, dtype=dtype, **sizes)
    states = np.random.default_rng(0).choice([-1, 1], size=(24, lattice.n_sites)).astype(np.int8)
    return lattice, ansatz, jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0))), states


def random_params(ansatz, scale=0.5):
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda x: scale * rng.normal(size=x.shape), jax.eval_shape(ansatz.init, jax.random.key(0)))


def convolved(extent, pbc, kernel, weight_KIO, bias, x):
    """y_o = b + sum_k x_(o + k) W_k with x {place: (in,)}; nothing beyond an open side."""
    boxes = [range(-((k - 1) // 2), k // 2 + 1) for k in kernel]
    out = {}
    for place in x:
        out[place] = np.array(bias)
        for k, (dy, dx) in enumerate(itertools.product(boxes[1], boxes[0])):
            there = tuple(
                (p + d) % n if side else p + d for p, d, n, side in zip(place, (dx, dy), extent, pbc, strict=True)
            )
            if there in x:
                out[place] = out[place] + x[there] @ weight_KIO[k]
    return out


def by_hand(name, params, s_N):
    extent, pbc, link_kernel, kernel = CASES[name]
    lattice = made(name)[0]
    at = {tuple(np.rint(2 * place).astype(int)): float(s) for place, s in zip(lattice.positions, s_N, strict=True)}
    vertices = list(itertools.product(range(extent[0]), range(extent[1])))
    right = {v: at.get((2 * v[0] + 1, 2 * v[1]), 0.0) for v in vertices}
    above = {v: at.get((2 * v[0], 2 * v[1] + 1), 0.0) for v in vertices}
    x = {v: np.array([right[v], right[v], above[v], above[v]]) for v in vertices}
    for first, second in zip(params.links[::2], params.links[1::2], strict=True):
        inside = convolved(extent, pbc, link_kernel, *first, x)
        change = convolved(extent, pbc, link_kernel, *second, {v: np.tanh(y) for v, y in inside.items()})
        x = {v: x[v] + change[v] for v in vertices}
    faces = tuple(n if side else n - 1 for n, side in zip(extent, pbc, strict=True))
    y = {}
    for i, j in itertools.product(range(faces[0]), range(faces[1])):
        beside, over = ((i + 1) % extent[0], j), (i, (j + 1) % extent[1])
        y[i, j] = x[i, j][:2] * x[over][:2] * x[i, j][2:] * x[beside][2:]
    for layer, one in enumerate(params.faces):
        y = convolved(faces, pbc, kernel, *one, {p: np.tanh(v) for p, v in y.items()} if layer else y)
    modulus, phase = sum(np.tanh(v) for v in y.values()) @ params.head
    return modulus + 1j * phase


@pytest.mark.parametrize("name", CASES)
def test_log_psi(name):
    _, ansatz, log_psi, states = made(name)
    params = random_params(ansatz)
    wanted = np.array([by_hand(name, params, s) for s in states])
    assert np.ptp(wanted.real) > 0.1
    # sums of some hundred products, in another order
    assert np.abs(log_psi(params, states) - wanted).max() < 1e-12


@pytest.mark.parametrize("name", CASES)
def test_it_begins_with_the_symmetry_of_the_stars(name):
    """Exactly, for any second block; as soon as the first block is not the identity it is not symmetric."""
    lattice, ansatz, log_psi, states = made(name)
    start, other = ansatz.init(jax.random.key(2)), random_params(ansatz)
    exact = start._replace(faces=other.faces, head=other.head)
    for star in stars(lattice):
        flipped = states.copy()
        flipped[:, star] *= -1
        for params in (start, exact):
            assert np.abs(log_psi(params, flipped) - log_psi(params, states)).max() < 1e-12
        assert np.abs(log_psi(other, flipped) - log_psi(other, states)).max() > 1e-2
    # it sees the faces: one link that flips two of them, or one, is not a symmetry
    flipped = states.copy()
    flipped[:, plaquettes(lattice)[0][0]] *= -1
    assert np.abs(log_psi(exact, flipped) - log_psi(exact, states)).max() > 1e-2


@pytest.mark.parametrize("name", ["torus", "cylinder"])
def test_translations_of_the_vertices(name):
    lattice, ansatz, log_psi, states = made(name)
    params = random_params(ansatz)
    perms = translations(lattice)
    assert len(perms) == {"torus": 6, "cylinder": 2}[name]
    for perm in perms:
        assert np.abs(log_psi(params, states[:, perm]) - log_psi(params, states)).max() < 1e-12


def test_the_first_block_is_learned_from_the_start():
    """At the identity what breaks the symmetry has a derivative, though the convolutions before it have none."""
    _, ansatz, _, states = made("open", "real")
    start = ansatz.init(jax.random.key(2))
    slopes = jax.jit(jax.vmap(jax.grad(ansatz.log_psi), in_axes=(None, 0)))(start, states)
    for i, one in enumerate(slopes.links):
        assert (np.abs(one.weight).max() > 1e-3) == bool(i % 2)


@pytest.mark.parametrize("name", CASES)
def test_faces_are_those_of_the_links(name):
    lattice = made(name)[0]
    places = grid(lattice)
    below, right, above, left = places.around_F4.T
    along, up = places.links_V2.T
    found = np.stack([along[below], up[right], along[above], up[left]], axis=1)
    assert {tuple(sorted(face)) for face in found.tolist()} == {tuple(sorted(face)) for face in plaquettes(lattice)}
    assert sorted(set(places.links_V2.ravel()) - {lattice.n_sites}) == list(range(lattice.n_sites))


def test_bad_sizes():
    lattice = made("open")[0]
    sizes = {"link_layers": 2, "link_features": 3, "loops": 2, "layers": 2, "features": 3}
    for bad in ({"link_layers": 3}, {"loops": 0}):
        with pytest.raises(ValueError, match="link_layers even"):
            approx_symmetric(grid(lattice), lattice.pbc, link_kernel=(3, 3), kernel=(2, 2), **(sizes | bad))
