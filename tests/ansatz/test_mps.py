"""Matrix product states against products written out, and states that are known to be some."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.mps import MPSParams, mps
from nqs_hpc.choices.ansatz.mps import snake
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.operators.local_values import local_energies
from nqs_hpc.operators.spin_s import spin_s
from nqs_hpc.types import Ansatz, Move
from tests.systems import all_numbers, all_states, dense

SPIN_1 = (2, 0, -2)
CASES = {
    "open": {"chi": 3, "periodic": False},
    "open, complex, bosons": {"chi": 2, "periodic": False, "dtype": "complex", "local_values": (0, 1, 2)},
    "ring": {"chi": 3, "periodic": True},
    "ring of one matrix": {"chi": 3, "periodic": True, "cell": 1, "dtype": "complex"},
    "ring along a path": {"chi": 2, "periodic": True, "path": [0, 1, 2, 5, 4, 3]},
    "open along a path": {"chi": 2, "periodic": False, "path": [3, 1, 4, 5, 2, 0]},
}


def params_of(ansatz: Ansatz, scale: float = 0.7, seed: int = 0):
    rng = np.random.default_rng(seed)

    def leaf(x):
        value = rng.normal(size=x.shape) + (1j * rng.normal(size=x.shape) if x.dtype.kind == "c" else 0)
        return jnp.asarray(scale * value)

    return jax.tree.map(leaf, jax.eval_shape(ansatz.init, jax.random.key(0)))


def matrices_of(params: MPSParams, n_sites: int, chi: int) -> list[np.ndarray]:
    """(V, rows, columns) of each place along the path."""
    bulk = [np.asarray(a) + np.eye(chi) for a in params.bulk]
    if params.first is None:
        return [bulk[i % len(bulk)] for i in range(n_sites)]
    first, last = (np.asarray(x) + chi**-0.5 for x in (params.first, params.last))
    return [first[:, None, :], *bulk, last[:, :, None]]


def log_product(params: MPSParams, s_N, chi: int, values, path=None) -> complex:
    """The logarithm of psi, with its phase, by a product whose norm is divided out at each site."""
    x, log = np.eye(chi) if params.first is None else np.eye(1), 0.0
    for a, site in zip(matrices_of(params, len(s_N), chi), path or range(len(s_N)), strict=True):
        x = x @ a[values.index(s_N[site])]
        norm = np.linalg.norm(x)
        x, log = x / norm, log + np.log(norm)
    return np.log(complex(np.trace(x))) + log


def apart(x, y) -> float:
    d = np.asarray(x) - np.asarray(y)
    return max(np.abs(d.real).max(), np.abs(np.exp(1j * d.imag) - 1).max())


@pytest.mark.parametrize("name", CASES)
def test_log_psi_is_the_product_written_out(name):
    n, options = 6, CASES[name]
    values = options.get("local_values", (1, -1))
    ansatz = mps(n, **options)
    params = params_of(ansatz)
    states = all_states(n) if values == (1, -1) else all_numbers(n, 2)[::7]
    wanted = [log_product(params, s.tolist(), options["chi"], values, options.get("path")) for s in states]
    assert ansatz.kind == ("holomorphic" if "dtype" in options else "signed")
    for one in (ansatz, ansatz.modulus):
        found = jax.jit(jax.vmap(one.log_psi, in_axes=(None, 0)))(params, states)
        assert apart(found, wanted if one is ansatz else np.real(wanted)) < 1e-11


@pytest.mark.parametrize("name", ["open", "ring", "ring along a path"])
def test_five_hundred_sites(name):
    """Products far outside of the range of floats, and all ratios of pairs near and far, also across the end."""
    n, options = 500, {**CASES[name], "chi": 4}
    if "path" in options:
        options["path"] = np.random.default_rng(5).permutation(n).tolist()
    ansatz = mps(n, **options)
    params = params_of(ansatz, 4.0)
    rng = np.random.default_rng(1)
    s_N = rng.choice([1, -1], n).astype(np.int8)
    pairs = np.array([[0, 0], [3, 4], [499, 0], [250, 249], [10, 490], [7, 260], [499, 498]], np.int32)
    deltas = (-2 * s_N[pairs]).astype(np.int8)
    deltas[0] = [0, 0]

    @jax.jit
    def both(params, s_N, moves):
        found = []
        for one in (ansatz, ansatz.modulus):
            frozen = one.freeze(params)
            found.append(one.log_ratios(frozen, s_N, one.prepare(frozen, s_N), moves))
        return ansatz.log_psi(params, s_N), found

    log_psi, (found, of_modulus) = both(params, s_N, Move(jnp.asarray(pairs), jnp.asarray(deltas)))
    log_of = functools.partial(log_product, params, chi=4, values=(1, -1), path=options.get("path"))
    here = log_of(s_N.tolist())
    assert abs(here.real) > 800 and apart(log_psi, here) < 1e-9
    for pair, delta, ratio, size in zip(pairs, deltas, found, of_modulus, strict=True):
        new = s_N.copy()
        np.add.at(new, pair, delta)
        wanted = log_of(new.tolist()) - here
        assert apart(ratio, wanted) < 1e-9 and abs(size - wanted.real) < 1e-9


@pytest.mark.parametrize("n", [2, 7, 12])
def test_a_tree_follows_the_moves_that_are_taken(n):
    """|psi| of a ring, of lengths whose levels are odd, along moves of two sites, of one or none; some are refused."""
    one = mps(n, chi=3, periodic=True, dtype="complex").modulus
    params = params_of(mps(n, chi=3, periodic=True, dtype="complex"))
    rng = np.random.default_rng(2)
    sites = np.array([rng.permutation(n)[:2] for _ in range(60)], np.int32)
    flips, taken = rng.random((60, 2)) < 0.7, rng.random(60) < 0.6

    @jax.jit
    def walk(params, s_N):
        frozen = one.freeze(params)

        def step(carry, inputs):
            (s_N, cache), (sites_F, flips_F, taken) = carry, inputs
            move = Move(sites_F, jnp.where(flips_F, -2 * s_N[sites_F], 0).astype(jnp.int8))
            ratio, tried = one.attempt(frozen, s_N, cache, move)
            new = s_N.at[move.sites].add(move.deltas)
            wanted = one.log_psi(params, new) - one.log_psi(params, s_N)
            cache = one.advance(frozen, s_N, cache, move, tried, taken)
            return (jnp.where(taken, new, s_N), cache), ratio - wanted

        return jax.lax.scan(step, (s_N, one.prepare(frozen, s_N)), (sites, flips, taken))[1]

    assert np.abs(walk(params, jnp.asarray(rng.choice([1, -1], n).astype(np.int8)))).max() < 1e-11


@pytest.mark.parametrize("total", [None, 2, 5])
def test_conditionals_are_those_of_the_square(total):
    """Of each site, given those before it, against sums of |psi|^2 over all states, in a sector those that have it."""
    n, values = 5, (0, 1, 2)
    ansatz = mps(n, chi=3, periodic=False, dtype="complex", local_values=values, total=total, conditionals=True)
    params, parts = params_of(ansatz), ansatz.conditionals
    states = all_numbers(n, 2)
    states = states if total is None else states[states.sum(axis=1) == total]
    p = np.exp(2 * np.asarray(jax.vmap(ansatz.log_psi, in_axes=(None, 0))(params, states)).real)

    @jax.jit
    @functools.partial(jax.vmap, in_axes=(None, 0))
    def conditionals(params, digits_N):
        frozen = ansatz.freeze(params)

        def site(running, inputs):
            i, digit = inputs
            log_p_V, running = parts.step(frozen, running, i)
            return parts.extend(frozen, running, i, digit), log_p_V

        return jax.lax.scan(site, parts.begin(frozen), (jnp.arange(n), digits_N))[1]

    log_p = np.asarray(conditionals(params, states.astype(np.int32)))
    for i in range(n):
        alike = (states[:, None, :i] == states[None, :, :i]).all(axis=2)
        for v in range(3):
            wanted = (alike @ (p * (states[:, i] == v))) / (alike @ p)
            np.testing.assert_allclose(np.exp(log_p[:, i, v]), wanted, atol=1e-12)
    drawn = np.take_along_axis(log_p, states.astype(int)[:, :, None], axis=2).sum(axis=(1, 2))
    np.testing.assert_allclose(np.exp(drawn), p / p.sum(), atol=1e-13)


def spin_1_chain(bonds, n: int) -> np.ndarray:
    """sum S.S + (S.S)^2 / 3 by Kronecker products; site 0 the slowest."""
    z, plus = np.diag([1.0, 0, -1]), np.sqrt(2) * np.diag([1.0, 1], 1)
    total = np.zeros((3**n, 3**n))
    for i, j in bonds:

        def at(one, other, i=i, j=j):
            return functools.reduce(np.kron, [one if k == i else other if k == j else np.eye(3) for k in range(n)])

        dot = at(z, z) + (at(plus, plus.T) + at(plus.T, plus)) / 2
        total += dot + dot @ dot / 3
    return total


AKLT = np.array([[[0, 2**0.5], [0, 0]], [[-1, 0], [0, 1]], [[0, 0], [-(2**0.5), 0]]]) / 3**0.5  # m = 1, 0, -1


@pytest.mark.parametrize("boundary", ["ring", "open"])
def test_the_aklt_state(boundary):
    """Affleck, Kennedy, Lieb and Tasaki (1987): at chi = 2, -2/3 a bond without variance; on a ring one matrix."""
    n = 5
    bonds = np.array([(i, (i + 1) % n) for i in range(n if boundary == "ring" else n - 1)])
    ansatz = mps(
        n, chi=2, periodic=boundary == "ring", cell=1 if boundary == "ring" else None, local_values=SPIN_1, init_scale=1
    )
    if boundary == "ring":
        params = MPSParams(jnp.asarray(AKLT - np.eye(2))[None])
    else:
        bulk = jnp.asarray(np.tile(AKLT - np.eye(2), (n - 2, 1, 1, 1)))
        ends = np.array([0.6, 0.8]), np.array([0.3, -1.0])
        first, last = np.einsum("a,vab->vb", ends[0], AKLT), np.einsum("vab,b->va", AKLT, ends[1])
        params = MPSParams(bulk, jnp.asarray(first - 2**-0.5), jnp.asarray(last - 2**-0.5))
    states = np.array(np.meshgrid(*[SPIN_1] * n, indexing="ij")).reshape(n, -1).T.astype(np.int8)
    log_psi = np.asarray(jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))(params, states))
    psi = np.exp(log_psi)
    assert not np.isnan(log_psi).any() and (np.abs(psi) < 1e-15).any()
    energy = -2 / 3 * len(bonds)
    assert np.abs(spin_1_chain(bonds, n) @ psi - energy * psi).max() < 1e-13 * np.abs(psi).max()
    lives = states[np.abs(psi) > 1e-12]  # traces that vanish do so to rounding
    operator = spin_s(n, bonds, two_s=2, J=1.0, Q=1 / 3)
    found = jax.jit(local_energies(ansatz, operator, chunk=None))(ansatz.freeze(params), lives)
    assert np.abs(found - energy).max() < 1e-12
    slopes = jax.vmap(jax.grad(lambda p, s: ansatz.log_psi(p, s).real), in_axes=(None, 0))(params, states)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


def test_the_majumdar_ghosh_state():
    """Both dimer coverings of a ring in one matrix of chi = 3: at J2 = J1 / 2 the energy is -3/8 a site."""
    n = 8
    up, down = 0, 1
    a = np.zeros((2, 3, 3))
    a[up, 0, 1], a[down, 0, 2] = 1, 1  # the first spin of a pair goes into the bond,
    a[down, 1, 0], a[up, 2, 0] = 2**-0.5, -(2**-0.5)  # and the second one makes a singlet of it
    ansatz = mps(n, chi=3, periodic=True, cell=1)
    params = MPSParams(jnp.asarray(a - np.eye(3))[None])
    states = all_states(n)
    psi = np.exp(np.asarray(jax.vmap(ansatz.log_psi, in_axes=(None, 0))(params, states)))
    terms = [
        (J / 4, {i: p, (i + r) % n: p}) for r, J in ((1, 1.0), (2, 0.5)) for i in range(n) for p in ("X", "Y", "Z")
    ]
    assert np.abs(dense(n, terms) @ psi + 3 * n / 8 * psi).max() < 1e-13 * np.abs(psi).max()
    pairs = [np.array([(i, (i + r) % n) for i in range(n)]) for r in (1, 2)]
    operator = heisenberg(n, pairs, (1.0, 0.5))
    found = jax.jit(local_energies(ansatz, operator, chunk=None))(ansatz.freeze(params), states[np.abs(psi) > 1e-12])
    assert np.abs(found + 3 * n / 8).max() < 1e-12


@pytest.mark.parametrize("extent", [(3, 2), (4, 3), (2, 3, 3)])
def test_the_snake_goes_from_neighbour_to_neighbour(extent):
    path = snake(extent)
    assert sorted(path) == list(range(np.prod(extent)))
    places = np.array(np.unravel_index(path, extent, order="F")).T
    assert (np.abs(np.diff(places, axis=0)).sum(axis=1) == 1).all()


@pytest.mark.parametrize(
    "options",
    [
        {"chi": 0},
        {"n_sites": 1},
        {"cell": 2},
        {"periodic": True, "cell": 4},
        {"path": [0, 0, 1, 2, 3, 4]},
        {"periodic": True, "conditionals": True},
        {"total": 1},
    ],
)
def test_what_cannot_be_is_refused(options):
    with pytest.raises(ValueError, match=list(options)[-1]):
        mps(**({"n_sites": 6, "chi": 2, "periodic": False} | options))
