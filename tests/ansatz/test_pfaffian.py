"""Pfaffians against their definition, and pairing wave functions with their ratios."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.pfaffian import pfaffian
from nqs_hpc.ansatz.pfaffians import log_pfaffian, small_inverse, small_pfaffian
from nqs_hpc.types import Move
from tests.ansatz.fermion_states import hubbard_ring, pfaffian_by_rows, random_move, states

N = 4
# fermions of each block, pairs, numbers: even and odd, either spin with more, without spin
CASES = [
    ((2, 2), "singlets", "real"),
    ((1, 3), "singlets", "complex"),
    ((3, 1), "opposite", "real"),
    ((2, 1), "all", "complex"),
    ((2, 2), "all", "real"),
    ((3,), "all", "real"),
]


def antisymmetric(rng, n, dtype):
    a = rng.normal(size=(n, n)) + (1j * rng.normal(size=(n, n)) if dtype == "complex" else 0)
    return a - a.T


@pytest.mark.parametrize("dtype", ["real", "complex"])
@pytest.mark.parametrize("n", [4, 6])
def test_pfaffians(n, dtype):
    """The definition, Pf^2 = det, Pf(B A B^T) = det B Pf A; inverses of small matrices."""
    rng = np.random.default_rng(n)
    a, b = antisymmetric(rng, n, dtype), rng.normal(size=(n, n))
    pf = jax.jit(lambda a: (jnp.exp(log_pfaffian(a)), small_pfaffian(a), small_inverse(a)))
    found, small, inverse = pf(a)
    exact = pfaffian_by_rows(a)
    assert abs(found - exact) < 1e-12 * abs(exact) and abs(small - exact) < 1e-12 * abs(exact)
    assert abs(found**2 - np.linalg.det(a)) < 1e-12 * abs(exact) ** 2
    assert abs(pf(b @ a @ b.T)[0] - np.linalg.det(b) * exact) < 1e-11 * abs(np.linalg.det(b) * exact)
    assert np.abs(inverse @ a - np.eye(n)).max() < 1e-12


def test_a_singular_matrix_has_log_pfaffian_minus_infinity():
    a = antisymmetric(np.random.default_rng(0), 6, "real")
    a[5], a[:, 5] = 0, 0
    assert np.isneginf(log_pfaffian(jnp.asarray(a)).real) and not small_inverse(jnp.asarray(a)).any()
    assert np.isneginf(log_pfaffian(jnp.zeros((4, 4))).real)


def orbitals_of(numbers, pairs, dtype):
    rng = np.random.default_rng(7)
    shapes = [(N, max(numbers))] if pairs == "singlets" else [(N, n) for n in numbers]
    return [rng.normal(size=shape) + (1j * rng.normal(size=shape) if dtype == "complex" else 0) for shape in shapes]


@functools.cache
def made(numbers, pairs, dtype):
    ansatz = pfaffian(numbers, orbitals_of(numbers, pairs, dtype), pairs=pairs, dtype=dtype)
    rng = np.random.default_rng(1)

    def random(x):
        return jnp.asarray(rng.normal(size=x.shape) + (1j * rng.normal(size=x.shape) if dtype == "complex" else 0))

    start = jax.jit(ansatz.init)(jax.random.key(0))
    return ansatz, start, jax.tree.map(random, start), jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))


def written_out(ansatz, params, s):
    """Pf X by the definition; further modes of unpaired fermions are always occupied."""
    f = np.asarray(ansatz.freeze(params))
    assert np.array_equal(f, -f.T)
    modes = np.concatenate([np.flatnonzero(s), np.arange(len(s), len(f))])
    return pfaffian_by_rows(f[np.ix_(modes, modes)])


@pytest.mark.parametrize(("numbers", "pairs", "dtype"), CASES)
def test_psi_and_where_it_begins(numbers, pairs, dtype):
    ansatz, start, params, log_psi = made(numbers, pairs, dtype)
    every = states(N * len(numbers), numbers)
    exact = np.array([written_out(ansatz, params, s) for s in every])
    assert ansatz.kind == ("signed" if dtype == "real" else "holomorphic")
    assert np.abs(np.exp(log_psi(params, every)) - exact).max() < 1e-12 * np.abs(exact).max()
    modulus = jax.jit(jax.vmap(ansatz.modulus.log_psi, in_axes=(None, 0)))(params, every)
    assert np.abs(np.exp(modulus) - np.abs(exact)).max() < 1e-12 * np.abs(exact).max()
    if len(numbers) == 2:
        f = np.asarray(ansatz.freeze(params))
        assert pairs == "all" or not f[:N, :N].any()
        assert (pairs == "singlets") == np.array_equal(f[:N, N : 2 * N], f[:N, N : 2 * N].T)

    # a Slater determinant at the start, but for one sign
    phis = orbitals_of(numbers, pairs, dtype) * (2 if pairs == "singlets" else 1)
    blocks = every.reshape(len(every), len(numbers), N)
    slater = [
        np.prod([np.linalg.det(phi[s == 1][:, :n]) for phi, s, n in zip(phis, b, numbers, strict=True)]) for b in blocks
    ]
    ratio = np.exp(log_psi(start, every)) / slater
    assert np.abs(ratio - ratio[0]).max() < 1e-9 and abs(abs(ratio[0]) - 1) < 1e-9


@pytest.mark.parametrize(("numbers", "pairs", "dtype"), CASES[1:5])
def test_ratios_along_a_walk_of_one_and_two_hops(numbers, pairs, dtype):
    """Signs too; of pads in any place, and of moves that change nothing. Moves are taken as a chain takes them."""
    ansatz, _, params, _ = made(numbers, pairs, dtype)
    frozen, rng = ansatz.freeze(params), np.random.default_rng(4)
    every = states(N * len(numbers), numbers)
    exact = {tuple(s): written_out(ansatz, params, s) for s in every}

    @jax.jit
    def follow(s, cache, move, accepted):
        one, attempted = ansatz.attempt(frozen, s, cache, move)
        many = ansatz.log_ratios(frozen, s, cache, jax.tree.map(lambda x: x[None], move))[0]
        size = ansatz.modulus.attempt(frozen, s, cache, move)[0]
        return one, many, size, ansatz.advance(frozen, s, cache, move, attempted, accepted)

    s, worst = every[0], 0.0
    cache = jax.jit(ansatz.prepare)(frozen, s)
    for t in range(200):
        hops = t % 2 + 1
        move, new = random_move(rng, s, len(numbers), rng.integers(0, hops + 1), 2 * hops)
        ratio = exact[tuple(new)] / exact[tuple(s)]
        accepted = rng.random() < abs(ratio) ** 2
        one, many, size, cache = follow(s, cache, move, accepted)
        found = [np.exp(one) - ratio, np.exp(many) - ratio, np.exp(size) - abs(ratio)]
        worst = max(worst, *(abs(difference) / max(1, abs(ratio)) for difference in found))
        s = new if accepted else s
    assert worst < 1e-10


@pytest.mark.parametrize(("numbers", "pairs", "dtype"), [CASES[1], CASES[4]])
def test_gradients(numbers, pairs, dtype):
    ansatz, _, params, log_psi = made(numbers, pairs, dtype)
    every, rng = states(N * len(numbers), numbers), np.random.default_rng(2)
    v = jax.tree.map(lambda x: rng.normal(size=x.shape), params)
    ends = [log_psi(jax.tree.map(lambda x, y, h=h: x + h * y, params, v), every) for h in (1e-6, -1e-6)]
    numeric = np.asarray(ends[0] - ends[1]) / 2e-6
    if dtype == "complex":
        of = jax.grad(ansatz.log_psi, holomorphic=True)
    else:
        of, numeric = jax.grad(lambda params, s: ansatz.log_psi(params, s).real), numeric.real
    gradients = jax.jit(jax.vmap(of, in_axes=(None, 0)))(params, every)
    leaves = zip(jax.tree.leaves(gradients), jax.tree.leaves(v), strict=True)
    exact = sum(np.asarray(g).reshape(len(every), -1) @ u.ravel() for g, u in leaves)
    assert np.abs(exact - numeric).max() < 1e-5 * np.abs(exact).max()


def test_zeros_are_minus_infinity_and_have_no_nan_in_derivatives():
    """No pairs at the modes 0 and 1 of spin up."""
    ansatz, _, params, log_psi = made((2, 2), "all", "real")
    f = np.array(ansatz.freeze(params))
    f[:2, 2:] = f[:2, :2] = 0
    params = params._replace(pairs=jnp.asarray(f[np.triu_indices(2 * N, k=1)]))
    lost, good = np.array([1, 1, 0, 0, 1, 1, 0, 0], np.int8), np.array([0, 0, 1, 1, 1, 1, 0, 0], np.int8)
    wrong = np.array([0, 1, 1, 1, 0, 1, 0, 0], np.int8)
    assert np.isneginf(log_psi(params, np.stack([lost, good, wrong])).real).tolist() == [True, False, True]
    gradient = jax.jit(jax.grad(lambda params, s: ansatz.log_psi(params, s).real))(params, lost)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    frozen = ansatz.freeze(params)

    @jax.jit
    def ratios(s, moves):
        cache = ansatz.prepare(frozen, s)
        first = jax.tree.map(lambda x: x[0], moves)
        return jnp.append(ansatz.log_ratios(frozen, s, cache, moves), ansatz.attempt(frozen, s, cache, first)[0])

    there = Move(np.array([[0, 2, 1, 3]]), np.array([[1, -1, 1, -1]], np.int8))
    to, back = ratios(good, there), ratios(lost, Move(there.sites, -there.deltas))
    assert (to.real < -30).all() and not np.isnan(to).any() and not np.asarray(back).any()


def test_pairs_of_opposite_spin_are_exact_on_two_sites():
    """U = 8: f is the ground state itself, whose energy is 4 - sqrt(20)."""
    s_DN = states(4, (1, 1))
    h_DD = hubbard_ring(2, 8.0, s_DN)
    energies, vectors = np.linalg.eigh(h_DD)
    assert abs(energies[0] - (4 - 20**0.5)) < 1e-12
    ansatz = pfaffian((1, 1), [np.ones((2, 1))], pairs="singlets")
    params = jax.jit(ansatz.init)(jax.random.key(0))
    f = np.zeros((2, 2))
    for s, amplitude in zip(s_DN, vectors[:, 0], strict=True):
        f[np.flatnonzero(s[:2])[0], np.flatnonzero(s[2:])[0]] = amplitude
    params = params._replace(pairs=jnp.asarray(f[np.triu_indices(2)]))
    psi = np.exp(jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))(params, s_DN)).real
    assert abs(psi @ h_DD @ psi / (psi @ psi) - energies[0]) < 1e-12


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="two blocks"):
        pfaffian((2,), [np.ones((4, 2))], pairs="opposite")
    with pytest.raises(ValueError, match="no fermions"):
        pfaffian((0, 0), [np.ones((4, 0))] * 2)
    with pytest.raises(ValueError, match="complex"):
        pfaffian((1, 1), [1j * np.ones((4, 1))] * 2)
