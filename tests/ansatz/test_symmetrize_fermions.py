"""Sums over a group with the signs of exchanges, against projectors made from creation operators; their ratios."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.determinants import log_det, occupied
from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.ansatz.rbm import rbm
from nqs_hpc.ansatz.slater import slater
from nqs_hpc.ansatz.symmetrize import symmetrize
from nqs_hpc.operators.exact import sparse_matrix
from nqs_hpc.system.characters import Symmetry, momentum, space_group, with_spin_flip
from nqs_hpc.system.hilbert import codes, decode
from nqs_hpc.system.symmetry import translations
from nqs_hpc.types import Ansatz, Move
from tests.fermions import representation, system
from tests.systems import ansatz_of


class Case(NamedTuple):
    base: str
    kind: str
    system: tuple[object, ...]
    k: tuple[int, ...]
    irrep: int = 0
    parity: int | None = None


CASES = {
    "all characters 1": Case("jastrow", "signed", ((4,), 2, 2), (0,), parity=1),
    "momentum": Case("rbm-real", "complex", ((4,), 2, 1), (1,)),
    "momentum pi, odd": Case("rbm-real", "signed", ((4,), 2, 2), (2,), 1, -1),
    "holomorphic": Case("rbm-complex", "holomorphic", ((6,), 4), (2,)),
    "two dimensions": Case("rbm-real", "signed", ((3, 3), 4), (0, 0), 4),
    "determinant": Case("determinant", "complex", ((4,), 2, 2), (1,), parity=-1),
    "orbitals with zeros": Case("slater", "signed", ((4,), 2, 2), (0,)),
}
WALKED = ["momentum pi, odd", "holomorphic", "determinant", "orbitals with zeros"]


def determinant(n_modes: int, n: int) -> Ansatz:
    """Of generalised orbitals, random complex numbers."""

    def init(key):
        return 0.5 * jax.random.normal(key, (2, n_modes, n))

    def log_psi(params, s_N):
        rows = occupied(s_N, n)
        return log_det(jax.lax.complex(params[0], params[1])[rows])

    return full_evaluation(init, log_psi, "complex")


@functools.cache
def made(name: str) -> tuple[Symmetry, Ansatz, Ansatz, object, np.ndarray]:
    case = CASES[name]
    lattice, hilbert, _ = system(*case.system)
    perms, irreps = space_group(lattice, case.k)
    symmetry = with_spin_flip(perms, list(irreps.values())[case.irrep], case.parity, fermionic=True)
    n = hilbert.n_sites
    if case.base == "determinant":
        base = determinant(n, hilbert.total)
    elif case.base == "slater":
        # det = 0 of sites 0 and 2 with spin up, and as good as 0 of sites 1 and 2 with spin down
        up = np.array([[0.7, 0.3], [-0.4, 0.9], [1.4, 0.6], [0.2, -1.1]])
        down = np.array([[0.5, -0.8], [1.1, 0.3], [1.1, 0.3 + 1e-13], [-0.6, 0.4]])
        base = slater((2, 2), (up, down))
    elif case.base == "jastrow":
        base = ansatz_of("jastrow", n)
    else:
        base = ansatz_of(case.base, n, hilbert.local_values)
    ansatz = symmetrize(base, symmetry, local_values=hilbert.local_values, hilbert=hilbert)
    return symmetry, base, ansatz, base.init(jax.random.key(1)), decode(hilbert, codes(hilbert))


def psi_of(ansatz: Ansatz, params, states: np.ndarray) -> np.ndarray:
    return np.exp(
        np.asarray(jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))(params, jnp.asarray(states)), complex)
    )


@pytest.mark.parametrize("name", CASES)
def test_the_sum_is_the_projection_of_the_vector(name):
    symmetry, base, ansatz, params, states = made(name)
    _, hilbert, operator = system(*CASES[name].system)
    projector = np.zeros((len(states),) * 2, complex)
    for perm, character in zip(symmetry.perms, symmetry.characters, strict=True):
        projector += symmetry.dimension / len(symmetry.perms) * character * representation(hilbert, perm)
    plain, psi = psi_of(base, params, states), psi_of(ansatz, params, states)
    assert np.abs(psi - projector @ plain).max() < 1e-12 * np.abs(plain).max() and np.abs(psi).max() > 1e-3
    assert np.abs(projector @ psi - psi).max() < 1e-12 * np.abs(psi).max()
    # -inf to the bit where the elements that leave s alone, with their signs, leave nothing of it
    absent = np.abs(np.diag(projector)) < 1e-9
    assert np.array_equal(psi == 0, absent) or name == "two dimensions"
    assert not np.any(psi[absent]) and not np.isnan(psi).any()
    assert ansatz.kind == CASES[name].kind
    if name == "momentum pi, odd":
        # what is in the sector stays there under H
        matrix = sparse_matrix(operator, hilbert)
        assert np.abs(projector @ (matrix @ psi) - matrix @ psi).max() < 1e-12 * np.abs(matrix @ psi).max()
        assert absent.any()


@pytest.mark.parametrize("name", WALKED)
def test_ratios_along_a_walk(name):
    """Of hops and of moves of two fermions, taken or not, into and out of states where psi vanishes by symmetry."""
    _, _, ansatz, params, states = made(name)
    rng = np.random.default_rng(3)
    n = states.shape[1]
    layer_N = jnp.arange(n) * system(*CASES[name].system).lattice.layers // n
    order = np.array([rng.permutation(n) for _ in range(30)], np.int32)
    taken = rng.random(30) < 0.7

    def walk(params, s_N):
        frozen = ansatz.freeze(params)

        def step(carry, given):
            (s_N, cache), (order_N, accepted) = carry, given
            apart_N = 2 * (layer_N != layer_N[order_N[0]])  # of the other spin
            full = order_N[jnp.argsort((apart_N - s_N)[order_N], stable=True)]  # occupied modes of one spin first
            free = order_N[jnp.argsort((apart_N + s_N)[order_N], stable=True)]
            sites = jnp.stack([full[0], free[0], full[1], free[1]])
            deltas = jnp.array([-1, 1, -1, 1], jnp.int8)
            two = order_N[0] % 2 == 0
            sites = jnp.where(two | (jnp.arange(4) < 2), sites, 0)
            deltas = jnp.where(two | (jnp.arange(4) < 2), deltas, 0)
            move = Move(sites, deltas)
            ratio, attempted = ansatz.attempt(frozen, s_N, cache, move)
            pads = Move(jnp.stack([sites, 0 * sites]), jnp.stack([deltas, 0 * deltas]))
            together = ansatz.log_ratios(frozen, s_N, cache, pads)
            new = s_N.at[sites].add(deltas)
            cache = ansatz.advance(frozen, s_N, cache, move, attempted, accepted)
            told = (ratio, ansatz.log_psi(params, s_N), ansatz.log_psi(params, new), together)
            return (jnp.where(accepted, new, s_N), cache), told

        return jax.lax.scan(step, (s_N, ansatz.prepare(frozen, s_N)), (order, taken))[1]

    found = jax.jit(jax.vmap(walk, in_axes=(None, 0)))(params, states[::3])
    ratio, old, new, together = (np.asarray(x) for x in found)
    psi, psi_new = np.exp(old), np.exp(new)
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = np.where(psi == 0, 1, psi_new / psi)
    assert np.max(np.abs(np.exp(ratio) - wanted) / (1 + np.abs(wanted))) < 1e-9
    assert np.max(np.abs(np.exp(together[..., 0]) - wanted) / (1 + np.abs(wanted))) < 1e-9
    assert np.max(np.abs(np.exp(together[..., 1]) - 1)) < 1e-9
    assert name != "momentum pi, odd" or ((psi == 0).any() and (psi_new == 0).any())


def test_no_mean_of_logarithms():
    lattice, hilbert, _ = system((4,), 2, 2)
    turns = with_spin_flip(translations(lattice), momentum(lattice, None), None)
    with pytest.raises(ValueError, match="signs of exchanges"):
        symmetrize(ansatz_of("jastrow", 8), turns, mode="log_psi", local_values=(0, 1), hilbert=hilbert)


def test_product_states_of_a_sector():
    """Equal amplitudes are a state of the spin flip of [2, 2] and of the turns of [1, 1], whose signs are those of all
    states, and not of the turns of [2, 2].
    """
    for numbers, character, valid in (((2, 2), "flip", True), ((1, 1), "turns", True), ((2, 2), "turns", False)):
        lattice, hilbert, _ = system((4,), *numbers)
        one = np.arange(8, dtype=np.int32)[None]
        group = with_spin_flip(one, np.ones(1, complex), 1, fermionic=True)
        if character == "turns":
            group = with_spin_flip(translations(lattice), momentum(lattice, None), None)
        base = rbm(8, n_hidden=8, dtype="complex", local_values=(0, 1))
        ansatz = symmetrize(base, group, local_values=(0, 1), hilbert=hilbert)
        if not valid:
            with pytest.raises(ValueError, match="sector"):
                ansatz.product_state(np.zeros(8))
            continue
        psi = psi_of(ansatz, ansatz.product_state(np.zeros(8)), decode(hilbert, codes(hilbert)))
        assert np.abs(psi / psi[0] - 1).max() < 1e-12
