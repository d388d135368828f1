"""The network against its formula written out, and psi(g s) = chi(g) psi(s) for whole space groups."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.gcnn import gcnn
from nqs_hpc.system.characters import Symmetry, chosen, space_group, with_spin_flip
from nqs_hpc.system.lattice import FACTORIES
from tests.contract.test_ansatz import random_params
from tests.systems import all_states

SECTORS = {  # lattice, extent, momentum, irrep, kind of numbers
    "real": ("square", (3, 3), None, None, "real"),
    "momentum": ("chain", (6,), (2,), None, "complex"),
    "momentum pi, odd": ("chain", (6,), (3,), "B", "complex"),
    "B1": ("square", (3, 3), None, "B1", "complex"),
    "E": ("triangular", (2, 2), None, "E2", "complex"),
}


@functools.cache
def made(name: str):
    lattice, extent, k, irrep, dtype = SECTORS[name]
    lattice = FACTORIES[lattice](extent, (True,) * len(extent))
    perms, irreps = space_group(lattice, k)
    symmetry = with_spin_flip(perms, chosen(irreps, irrep), None)
    ansatz = gcnn(symmetry, layers=3, features=2, dtype=dtype)
    params = random_params(ansatz, 0.4)
    states = all_states(lattice.n_sites)[:: 1 if lattice.n_sites < 9 else 9]
    return symmetry, ansatz, params, states, jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))


def written_out(symmetry: Symmetry, params, s_N: np.ndarray, dtype: str) -> complex:
    """psi(s) from the formula, element by element."""
    elements = [tuple(perm) for perm in symmetry.perms.tolist()]
    of = {perm: number for number, perm in enumerate(elements)}
    first, *others = params
    f = []
    for perm in elements:
        moved = np.empty_like(s_N)
        moved[list(perm)] = s_N
        f.append(moved @ first.kernel + first.bias)
    for layer in others:
        a = [np.where(x > 0, 1, 1.6732632423543772) * np.where(x > 0, x, np.expm1(x)) * 1.0507009873554805 for x in f]
        f = []
        for g in elements:
            total = layer.bias.copy()
            for h, a_h in zip(elements, a, strict=True):
                quotient = tuple(h[i] for i in np.argsort(g))  # g^-1 first, then h
                total = total + a_h @ layer.kernel[of[quotient]]
            f.append(total)
    f = np.array(f)
    if dtype == "complex":
        half = f.shape[1] // 2
        f = f[:, :half] + 1j * f[:, half:]
    return symmetry.dimension / len(elements) * np.sum(symmetry.characters.conj()[:, None] * np.exp(f))


@pytest.mark.parametrize("name", SECTORS)
def test_the_formula_written_out(name):
    symmetry, ansatz, params, states, log_psi = made(name)
    psi = np.exp(np.asarray(log_psi(params, states)))
    some = np.argsort(np.abs(psi))[[0, -1, -len(psi) // 4]]  # the smallest, the largest, one between
    wanted = np.array([written_out(symmetry, params, s_N, SECTORS[name][-1]) for s_N in states[some]])
    psi = psi[some]
    assert np.max(np.abs(psi - wanted)) < 1e-12 * np.max(np.abs(wanted)) and np.max(np.abs(psi)) > 1e-6
    assert ansatz.kind == SECTORS[name][-1]


@pytest.mark.parametrize("name", [name for name in SECTORS if name != "E"])
def test_the_sector(name):
    symmetry, _, params, states, log_psi = made(name)
    psi = np.exp(np.asarray(log_psi(params, states)))
    for g in {1, len(symmetry.perms) // 2, len(symmetry.perms) - 1}:
        moved = np.empty_like(states)
        moved[:, symmetry.perms[g]] = states
        psi_moved = np.exp(np.asarray(log_psi(params, moved)))
        some = np.abs(psi) > 1e-5 * np.max(np.abs(psi))
        assert some.any() and np.max(np.abs(psi_moved[some] / psi[some] - symmetry.characters[g])) < 1e-10


@pytest.mark.parametrize("name", ["momentum", "B1"])
def test_states_that_the_sector_has_not(name):
    symmetry, ansatz, params, states, log_psi = made(name)
    fixed_GB = np.array([(states[:, np.argsort(perm)] == states).all(axis=1) for perm in symmetry.perms])
    absent = np.abs(symmetry.characters @ fixed_GB) < 0.5
    assert absent.any() and np.array_equal(np.isneginf(np.asarray(log_psi(params, states)).real), absent)
    gradient = jax.jit(jax.vmap(jax.grad(lambda p, s: jnp.imag(ansatz.log_psi(p, s))), in_axes=(None, 0)))
    leaves = [np.asarray(x) for x in jax.tree.leaves(gradient(params, states))]
    assert all(np.isfinite(x).all() and not x[absent].any() for x in leaves) and leaves[-2][~absent].any()


def test_derivatives_forward_and_backward():
    """The product's own derivative: along a direction the same both ways, which cg without a Jacobian relies on."""
    _, ansatz, params, states, _ = made("momentum")
    v, s_N = random_params(ansatz, 1.0, seed=1), jnp.asarray(states[11])

    def value(p):
        return jnp.imag(ansatz.log_psi(p, s_N))

    forward = jax.jit(lambda p, v: jax.jvp(value, (p,), (v,))[1])(params, v)
    gradient = jax.jit(jax.grad(value))(params)
    backward = sum(np.sum(g * u) for g, u in zip(jax.tree.leaves(gradient), jax.tree.leaves(v), strict=True))
    assert abs(forward - backward) < 1e-12 * abs(forward)


def test_bad_sizes():
    symmetry, *_ = made("B1")
    with pytest.raises(ValueError, match="layers=0"):
        gcnn(symmetry, layers=0, features=1)
    with pytest.raises(ValueError, match="characters that are all 1"):
        gcnn(symmetry, layers=1, features=1, dtype="real")
    with pytest.raises(ValueError, match="activation='sinh'"):
        gcnn(symmetry, layers=1, features=1, dtype="complex", activation="sinh")
    with pytest.raises(ValueError, match="spin flip"):
        gcnn(with_spin_flip(symmetry.perms, symmetry.characters, 1), layers=1, features=1)
