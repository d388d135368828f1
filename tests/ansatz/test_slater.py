"""Slater determinants: amplitudes by hand, ratios along long walks, derivatives, zeros, and the exact case U = 0."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.ansatz.slater import slater
from nqs_hpc.types import Move
from tests.ansatz.fermion_states import hubbard_ring, random_move, states

L, NUMBERS = 4, (3, 2)
CASES = {
    "unrestricted": (NUMBERS, [(L, 3), (L, 2)], {}),
    "restricted-complex": (NUMBERS, [(L, 3)], {"shared": True, "dtype": "complex"}),
    "generalised": ((5,), [(2 * L, 5)], {}),
    "one empty block": ((3, 0), [(L, 3), (L, 0)], {"dtype": "complex"}),
}


@functools.cache
def made(name):
    numbers, shapes, keys = CASES[name]
    rng = np.random.default_rng(1)
    is_complex = keys.get("dtype") == "complex"
    orbitals = [rng.normal(size=s) + 1j * is_complex * rng.normal(size=s) for s in shapes]
    ansatz = slater(numbers, orbitals if is_complex else [phi.real for phi in orbitals], **keys)
    return ansatz, ansatz.init(jax.random.key(0)), states(2 * L, numbers)


def by_hand(name, params, s_N):
    """One matrix over all modes, 0 between blocks, its occupied rows in order."""
    numbers = CASES[name][0]
    phi = [np.asarray(params.phi[0])[:, :n] for n in numbers] if len(params.phi) < len(numbers) else params.phi
    size = 2 * L // len(numbers)
    whole = np.zeros((2 * L, sum(numbers)), complex)
    for b, one in enumerate(phi):
        whole[b * size : (b + 1) * size, sum(numbers[:b]) : sum(numbers[: b + 1])] = one
    return np.linalg.det(whole[np.flatnonzero(s_N)])


@pytest.mark.parametrize("name", CASES)
def test_amplitudes_ratios_and_moduli(name):
    ansatz, params, s_DN = made(name)
    n_blocks = len(CASES[name][0])
    psi = np.exp(jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))(params, s_DN))
    wanted = np.array([by_hand(name, params, s_N) for s_N in s_DN])
    np.testing.assert_allclose(psi, wanted, rtol=1e-10)
    rng = np.random.default_rng(2)
    moves, there = zip(*(random_move(rng, s_N, n_blocks, 2, 4) for s_N in s_DN), strict=True)
    moves, there = jax.tree.map(lambda *x: np.stack(x), *moves), np.stack(there)

    def ratios(one, params, s_N, move):
        cache = one.prepare(params, s_N)
        many = one.log_ratios(params, s_N, cache, jax.tree.map(lambda x: x[None], move))[0]
        return one.attempt(params, s_N, cache, move)[0], many

    new = np.array([by_hand(name, params, s_N) for s_N in there])
    both = jax.jit(jax.vmap(functools.partial(ratios, ansatz), in_axes=(None, 0, 0)))(params, s_DN, moves)
    for found in both:
        np.testing.assert_allclose(np.exp(found), new / wanted, rtol=1e-9)
    sizes = jax.jit(jax.vmap(functools.partial(ratios, ansatz.modulus), in_axes=(None, 0, 0)))(params, s_DN, moves)
    np.testing.assert_allclose(np.exp(sizes[0]), np.abs(new / wanted), rtol=1e-9)


@pytest.mark.parametrize(("name", "width"), [("unrestricted", 2), ("restricted-complex", 4), ("generalised", 2)])
def test_long_walks_leave_w_exact(name, width):
    """Of several chains at a time, of which some do not take their move; and of chains of chains."""
    ansatz, params, s_DN = made(name)
    rng, n_blocks, n_moves = np.random.default_rng(3), len(CASES[name][0]), 2500
    s_CN = s_DN[:4]
    rows, taken = [], rng.random((n_moves, 4)) < 0.7
    here = s_CN.copy()
    for t in range(n_moves):
        found = [random_move(rng, s_N, n_blocks, width // 2, width) for s_N in here]
        rows.append(jax.tree.map(lambda *x: np.stack(x), *(move for move, _ in found)))
        here = np.where(taken[t][:, None], np.stack([new for _, new in found]), here)
    moves = jax.tree.map(lambda *x: np.stack(x), *rows)

    def walk(params, s_CN, moves, taken):
        advance = jax.vmap(ansatz.advance, in_axes=(None, 0, 0, 0, None, 0))

        def step(carry, inputs):
            (s_CN, cache), (move, takes) = carry, inputs
            cache = advance(params, s_CN, cache, move, (), takes)
            deltas = jnp.where(takes[:, None], move.deltas, 0)
            return (jax.vmap(lambda s, i, d: s.at[i].add(d))(s_CN, move.sites, deltas), cache), None

        start = (s_CN, jax.vmap(ansatz.prepare, in_axes=(None, 0))(params, s_CN))
        (s_CN, cache), _ = jax.lax.scan(step, start, (moves, taken))
        return s_CN, cache

    def hops(s_N, cache):
        pairs = jnp.array([(i, j) for i in range(2 * L) for j in range(2 * L) if i != j], jnp.int32)
        fits = (s_N[pairs[:, 0]] == 1) & (s_N[pairs[:, 1]] == 0)
        every = Move(pairs, jnp.where(fits[:, None], jnp.array([-1, 1], jnp.int8), 0))
        return jnp.exp(ansatz.log_ratios(params, s_N, cache, every))

    doubled = jax.jit(jax.vmap(walk, in_axes=(None, 0, None, None)))(params, np.stack([s_CN, s_CN]), moves, taken)
    for s_end, cache in (jax.jit(walk)(params, s_CN, moves, taken), jax.tree.map(lambda x: x[1], doubled)):
        np.testing.assert_array_equal(s_end, here)
        fresh = jax.vmap(ansatz.prepare, in_axes=(None, 0))(params, here)
        wanted = np.asarray(jax.vmap(hops)(here, fresh))
        np.testing.assert_allclose(jax.vmap(hops)(s_end, cache), wanted, atol=1e-10 * np.abs(wanted).max())


@pytest.mark.parametrize("name", ["unrestricted", "restricted-complex", "one empty block"])
def test_gradients_against_differences(name):
    ansatz, params, s_DN = made(name)
    of_all = jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))
    rng = np.random.default_rng(4)
    step = jax.tree.map(lambda x: 1e-6 * rng.normal(size=x.shape), params)
    ends = [of_all(jax.tree.map(lambda x, d, t=t: x + t * d, params, step), s_DN) for t in (1, -1)]
    slope = np.asarray(ends[0] - ends[1]) / 2
    is_complex = ansatz.kind == "holomorphic"

    def gradient(params, s_N):
        def value(params):
            return ansatz.log_psi(params, s_N) if is_complex else ansatz.log_psi(params, s_N).real

        return jax.grad(value, holomorphic=is_complex)(params)

    parts = jax.jit(jax.vmap(ansatz.factors.parts, in_axes=(None, 0)))(params, s_DN)
    rows = jax.tree.leaves(jax.jit(jax.vmap(gradient, in_axes=(None, 0)))(params, s_DN))
    for found in (parts, rows):
        along = sum(
            np.asarray(g).reshape(len(s_DN), -1) @ d.ravel() for g, d in zip(found, jax.tree.leaves(step), strict=True)
        )
        np.testing.assert_allclose(along, slope if is_complex else slope.real, atol=2e-9 * np.abs(along).max() + 1e-13)


def test_where_psi_is_zero():
    """Derivatives are 0, ratios to such a state are -inf and from it 1, and W is there once a chain has left it."""
    phi = np.random.default_rng(5).normal(size=(4, 2))
    phi[1] = 2 * phi[0]
    ansatz = slater((2,), [phi])
    params = ansatz.init(jax.random.key(0))
    zero, other = jnp.array([1, 1, 0, 0], jnp.int8), jnp.array([1, 0, 1, 0], jnp.int8)
    assert np.isneginf(ansatz.log_psi(params, zero).real)
    slope = jax.grad(lambda params: ansatz.log_psi(params, zero).real)(params)
    assert not np.any(slope.phi[0]) and not np.any(ansatz.factors.parts(params, zero)[0])
    there = Move(jnp.array([2, 1], jnp.int32), jnp.array([-1, 1], jnp.int8))
    assert np.isneginf(ansatz.log_ratio(params, other, ansatz.prepare(params, other), there).real)
    back = Move(there.sites, -there.deltas)
    for one in (ansatz, ansatz.modulus, full_evaluation(*ansatz[:3])):
        s_CN, moves = jnp.stack([zero, other]), jax.tree.map(lambda *x: jnp.stack(x), back, there)
        cache = jax.vmap(one.prepare, in_axes=(None, 0))(params, s_CN)
        ratio, tried = jax.vmap(one.attempt, in_axes=(None, 0, 0, 0))(params, s_CN, cache, moves)
        assert ratio[0] == 0 and np.isneginf(ratio[1].real)
        accepted = jnp.array([True, False])
        cache = jax.vmap(one.advance, in_axes=(None, 0, 0, 0, 0, 0))(params, s_CN, cache, moves, tried, accepted)
        onward = Move(jnp.array([0, 3], jnp.int32), jnp.array([-1, 1], jnp.int8))
        now = jnp.exp(one.log_ratio(params, other, jax.tree.map(lambda x: x[0], cache), onward))
        wanted = np.linalg.det(phi[[2, 3]]) / np.linalg.det(phi[[0, 2]])
        np.testing.assert_allclose(np.abs(now), np.abs(wanted), rtol=1e-10)


def test_free_fermions_have_no_variance():
    """H psi = E psi with E the sum of the lowest levels, of a ring of four with full shells of three and of one."""
    length, numbers = 4, (3, 1)
    s_DN = states(2 * length, numbers)
    hop = -np.roll(np.eye(length), 1, axis=0)
    energies, vectors = np.linalg.eigh(hop + hop.T)
    ansatz = slater(numbers, [vectors[:, :3]], shared=True)
    of_all = jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))
    psi = np.exp(of_all(ansatz.init(jax.random.key(0)), s_DN)).real
    energy = sum(energies[:n].sum() for n in numbers)
    np.testing.assert_allclose(hubbard_ring(length, 0.0, s_DN) @ psi, energy * psi, atol=1e-12)
