"""Sums over a group against the same sums written out, their transformation under the group, and where they vanish."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz import symmetrize as module
from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.ansatz.rbm import rbm
from nqs_hpc.ansatz.sector import codes, is_absent
from nqs_hpc.ansatz.symmetrize import symmetrize
from nqs_hpc.system.characters import Symmetry, chosen, momentum, space_group, with_spin_flip
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.system.symmetry import translations
from nqs_hpc.types import Ansatz, Move
from tests.systems import all_states, amplitudes, ansatz_of

RING = FACTORIES["chain"]((6,), (True,))
SQUARE = FACTORIES["square"]((3, 3), (True, True))


class Case(NamedTuple):
    base: str
    kind: str
    lattice: str = "ring"
    k: tuple[int, ...] | None = None
    irrep: str | None = None
    parity: int | None = None


CASES = {
    "trivial": Case("rbm-real", "real", parity=1),
    "momentum pi": Case("rbm-real", "signed", k=(3,)),
    "momentum pi, odd, spin flip -1": Case("rbm-real", "signed", k=(3,), irrep="B", parity=-1),
    "momentum": Case("rbm-real", "complex", k=(1,)),
    "holomorphic": Case("rbm-complex", "holomorphic", k=(2,), parity=-1),
    "complex": Case("mlp-complex", "complex", k=(-1,)),
    "B1": Case("rbm-real", "signed", "square", irrep="B1"),
    "A2, holomorphic": Case("rbm-complex", "holomorphic", "square", irrep="A2"),
}
STATES = {"ring": all_states(6), "square": all_states(9)[::8]}


def sector(case: Case) -> Symmetry:
    perms, irreps = space_group({"ring": RING, "square": SQUARE}[case.lattice], case.k)
    return with_spin_flip(perms, chosen(irreps, case.irrep), case.parity)


@functools.cache
def made(name: str) -> tuple[Case, Symmetry, Ansatz, Ansatz, object]:
    case = CASES[name]
    symmetry = sector(case)
    base = ansatz_of(case.base, symmetry.perms.shape[1])
    return case, symmetry, base, symmetrize(base, symmetry), base.init(jax.random.key(1))


def carried(symmetry: Symmetry, g: int, s_BN: np.ndarray) -> np.ndarray:
    """g s, the values carried along."""
    out = np.empty_like(s_BN)
    out[:, symmetry.perms[g]] = s_BN * symmetry.flips[g]
    return out


@functools.cache
def compiled(log_psi):
    return jax.jit(jax.vmap(log_psi, in_axes=(None, 0)))


def psi_of(ansatz: Ansatz, params, s_BN: np.ndarray) -> np.ndarray:
    return np.exp(np.asarray(compiled(ansatz.log_psi)(params, jnp.asarray(s_BN)), complex))


@pytest.mark.parametrize("name", CASES)
def test_the_sum_over_the_group(name):
    case, symmetry, base, ansatz, params = made(name)
    states = STATES[case.lattice]
    elements = range(len(symmetry.perms))
    psi_GB = np.array([psi_of(base, params, carried(symmetry, g, states)) for g in elements])
    wanted = np.sum(symmetry.characters.conj()[:, None] * psi_GB, axis=0) / len(symmetry.perms)
    psi = psi_of(ansatz, params, states)
    assert np.max(np.abs(psi - wanted)) < 1e-12 * np.max(np.abs(psi_GB)) and np.max(np.abs(psi)) > 1e-4
    assert ansatz.kind == case.kind

    for g in {1, len(symmetry.perms) // 2, len(symmetry.perms) - 1}:
        moved = psi_of(ansatz, params, carried(symmetry, g, states))
        some = np.abs(psi) > 1e-4 * np.max(np.abs(psi))
        ratio = moved[some] / psi[some]
        assert np.max(np.abs(ratio - symmetry.characters[g])) < 1e-10


@pytest.mark.parametrize("name", ["momentum pi", "momentum", "holomorphic", "B1"])
def test_states_that_the_sector_has_not(name):
    """-inf to the bit where the elements that leave s alone have characters that sum to 0, and finite derivatives."""
    case, symmetry, _, ansatz, params = made(name)
    states = STATES[case.lattice]
    elements = range(len(symmetry.perms))
    fixed_GB = np.array([(carried(symmetry, g, states) == states).all(axis=1) for g in elements])
    absent = np.abs(symmetry.characters @ fixed_GB) < 0.5
    assert absent.any() and not absent.all()
    value = np.asarray(compiled(ansatz.log_psi)(params, states))
    assert np.array_equal(np.isneginf(value.real), absent) and not np.isnan(value).any()
    gradient = jax.jit(jax.vmap(jax.grad(lambda p, s: jnp.real(ansatz.log_psi(p, s))), in_axes=(None, 0)))
    leaves = [np.asarray(x) for x in jax.tree.leaves(gradient(params, states))]
    assert all(np.isfinite(x).all() for x in leaves)
    assert all(not x[absent].any() for x in leaves) and any(x[~absent].any() for x in leaves)


def flips_of_two(n: int) -> np.ndarray:
    return np.array([(i, j) for i in range(n) for j in range(i + 1, n)], np.int32)


@pytest.mark.parametrize("name", ["momentum pi, odd, spin flip -1", "complex"])
def test_ratios_into_and_out_of_states_where_psi_vanishes(name):
    """All flips of two sites from all states: the contract tests have no psi = 0. Out of it every ratio is 1."""
    *_, ansatz, params = made(name)
    states, pairs = STATES["ring"], flips_of_two(6)

    def both(params, s_N):
        frozen = ansatz.freeze(params)
        moves = Move(jnp.asarray(pairs), -2 * s_N[pairs])
        new = jax.vmap(lambda sites: s_N.at[sites].multiply(-1))(jnp.asarray(pairs))
        cache = ansatz.prepare(frozen, s_N)
        reached = jax.vmap(lambda move: ansatz.advance(frozen, s_N, cache, move))(moves)
        back = jax.vmap(ansatz.log_ratio, in_axes=(None, 0, 0, 0))(
            frozen, new, reached, Move(moves.sites, -moves.deltas)
        )
        there = ansatz.log_ratios(frozen, s_N, cache, moves)
        return there, back, ansatz.log_psi(params, s_N), jax.vmap(ansatz.log_psi, in_axes=(None, 0))(params, new)

    there, back, old, new = (np.asarray(x) for x in jax.jit(jax.vmap(both, in_axes=(None, 0)))(params, states))
    psi, psi_new = np.exp(old), np.exp(new)
    assert (psi == 0).any() and (psi_new == 0).any()
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio, inverse = psi_new / psi[:, None], psi[:, None] / psi_new
    wanted = np.where(psi[:, None] == 0, 1, ratio)
    assert np.max(np.abs(np.exp(there) - wanted) / (1 + np.abs(wanted))) < 1e-9
    wanted = np.where(psi_new == 0, 1, inverse)
    assert np.max(np.abs(np.exp(back) - wanted) / (1 + np.abs(wanted))) < 1e-9


def with_zeros(own_ratios: bool) -> Ansatz:
    """An RBM that vanishes where the first two spins are up; of its own ratios those out of psi = 0 are 1."""
    rbm = ansatz_of("rbm-complex", 6)

    def log_psi(params, s_N):
        empty = (s_N[0] > 0) & (s_N[1] > 0)
        return jnp.where(empty, jnp.array(-jnp.inf, complex), rbm.log_psi(params, s_N))

    ansatz = full_evaluation(rbm.init, log_psi, "holomorphic")
    # any other function for `prepare` makes the cache the base's own affair
    return ansatz._replace(prepare=lambda frozen, s_N: log_psi(frozen, s_N)) if own_ratios else ansatz


@pytest.mark.parametrize("own_ratios", [False, True])
def test_a_base_that_vanishes_somewhere(own_ratios):
    base = with_zeros(own_ratios)
    perms, irreps = space_group(RING, (2,))
    ansatz = symmetrize(base, with_spin_flip(perms, irreps["A"], None))
    params = base.init(jax.random.key(2))
    sites_TF = np.random.default_rng(0).integers(0, 6, (40, 1)).astype(np.int32)

    def walk(params, s_N):
        frozen = ansatz.freeze(params)

        def step(carry, sites):
            s_N, cache = carry
            move = Move(sites, -2 * s_N[sites])
            ratio, attempted = ansatz.attempt(frozen, s_N, cache, move)
            cache = ansatz.advance(frozen, s_N, cache, move, attempted)
            return (s_N.at[sites].multiply(-1), cache), (ratio, ansatz.log_psi(params, s_N))

        (s_N, _), (ratios, before) = jax.lax.scan(step, (s_N, ansatz.prepare(frozen, s_N)), sites_TF)
        return ratios, before, ansatz.log_psi(params, s_N)

    ratios, before, last = jax.jit(jax.vmap(walk, in_axes=(None, 0)))(params, jnp.asarray(all_states(6)[::3]))
    psi = np.exp(np.concatenate([before, last[:, None]], axis=1))
    assert (psi == 0).any() and not np.isnan(psi).any()
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = np.where(psi[:, :-1] == 0, 1, psi[:, 1:] / psi[:, :-1])
    assert np.max(np.abs(np.exp(ratios) - wanted) / (1 + np.abs(wanted))) < 1e-9


def test_a_representation_of_two_dimensions_is_a_projector():
    perms, irreps = space_group(SQUARE, None)
    symmetry = with_spin_flip(perms, irreps["E"], None)
    base = ansatz_of("rbm-real", 9)
    once, params = symmetrize(base, symmetry), base.init(jax.random.key(3))
    # a projector: P P = P, and P takes from psi_sym what another one leaves
    twice, other = symmetrize(once, symmetry), symmetrize(once, with_spin_flip(perms, irreps["B2"], None))
    psi = psi_of(once, params, STATES["square"])
    assert np.max(np.abs(psi)) > 1e-3
    assert np.max(np.abs(psi_of(twice, params, STATES["square"]) - psi)) < 1e-12 * np.max(np.abs(psi))
    assert np.max(np.abs(psi_of(other, params, STATES["square"]))) < 1e-12 * np.max(np.abs(psi))


@pytest.mark.parametrize("base", ["rbm-real", "mlp-complex", "rbm-complex"])
def test_mean_of_logarithms(base):
    perms, irreps = space_group(RING, None)
    symmetry = with_spin_flip(perms, irreps["A"], 1)
    ansatz = ansatz_of(base, 6)
    mean, params = symmetrize(ansatz, symmetry, mode="log_psi"), ansatz.init(jax.random.key(4))
    states = all_states(6)
    images = np.concatenate([carried(symmetry, g, states) for g in range(len(symmetry.perms))])
    log_psi = jax.vmap(ansatz.log_psi, in_axes=(None, 0))
    wanted = np.asarray(log_psi(params, images)).reshape(len(symmetry.perms), -1).mean(axis=0)
    assert mean.kind == ansatz.kind
    assert np.max(np.abs(jax.vmap(mean.log_psi, in_axes=(None, 0))(params, states) - wanted)) < 1e-12


@pytest.mark.parametrize("base", ["rbm-complex", "mlp-complex"])
def test_elements_in_pieces(base, monkeypatch):
    perms, irreps = space_group(RING, (1,))
    symmetry = with_spin_flip(perms, irreps["A"], -1)
    ansatz = ansatz_of(base, 6)
    params, states = ansatz.init(jax.random.key(5)), jnp.asarray(all_states(6)[1::7])

    def value_and_gradient(at_once: int):
        monkeypatch.setattr(module, "ELEMENTS", at_once)
        whole = symmetrize(ansatz, symmetry)
        grad = jax.value_and_grad(lambda p, s: jnp.imag(whole.log_psi(p, s)))
        return jax.tree.leaves(jax.jit(jax.vmap(grad, in_axes=(None, 0)))(params, states))

    for x, y in zip(value_and_gradient(32), value_and_gradient(5), strict=True):
        assert np.max(np.abs(x - y)) < 1e-12 * (1 + np.max(np.abs(x)))


def test_the_ground_state_of_a_sector_stays_what_it_is():
    """Of a base that has the symmetry already nothing is changed, in either mode."""
    perms, irreps = space_group(RING, None)
    symmetry = with_spin_flip(perms, irreps["A"], 1)
    base = symmetrize(ansatz_of("rbm-real", 6), symmetry)
    params = base.init(jax.random.key(6))
    psi = amplitudes(base, params, all_states(6))
    for mode in ("psi", "log_psi"):
        again = symmetrize(base, symmetry, mode=mode)
        assert np.max(np.abs(amplitudes(again, params, all_states(6)) - psi)) < 1e-12


def test_what_has_no_mean_of_logarithms():
    perms, irreps = space_group(RING, (3,))
    odd = with_spin_flip(perms, irreps["A"], None)
    base = ansatz_of("rbm-real", 6)
    with pytest.raises(ValueError, match="characters that are all 1"):
        symmetrize(base, odd, mode="log_psi")
    trivial = with_spin_flip(perms, np.ones(len(perms), complex), None)
    with pytest.raises(ValueError, match="a sign of its own"):
        symmetrize(symmetrize(base, odd), trivial, mode="log_psi")


@pytest.mark.parametrize("largest", [1, 4, 127])
@pytest.mark.parametrize("irrep", ["A", "B"])
def test_states_that_a_sector_has_not_are_known_exactly(irrep, largest):
    """Of random, periodic and mirrored states of up to so many bosons a site, by comparing the states themselves."""
    ring = FACTORIES["chain"]((8,), (True,))
    perms, irreps = space_group(ring, (4,))
    symmetry = with_spin_flip(perms, irreps[irrep], None)
    s_B8 = np.random.default_rng(1).integers(0, largest + 1, (500, 8))
    halves = [np.tile(s_B8[:, :n], 8 // n) for n in (1, 2, 4)]
    s_BN = np.concatenate([s_B8, *halves, np.concatenate([s_B8[:, :4], s_B8[:, 3::-1]], axis=1)]).astype(np.int8)
    code_BG = s_BN.astype(float) @ codes(symmetry, largest)
    found = jax.jit(jax.vmap(lambda code_G: is_absent(code_G, symmetry)))(code_BG)
    same = np.array([(carried(symmetry, g, s_BN) == s_BN).all(axis=1) for g in range(len(perms))])
    wanted = (same.T * symmetry.characters.real).sum(axis=1) < 0.5
    assert 0 < wanted.sum() < len(wanted)
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize("mode", ["psi", "log_psi"])
def test_product_states_of_the_sector_pass_through(mode):
    """To the amplitude; others are refused, which the sum would make something else of."""
    ring = FACTORIES["chain"]((4,), (True,))
    turns = with_spin_flip(translations(ring), momentum(ring, None), None)
    ansatz = symmetrize(rbm(4, n_hidden=6, dtype="complex"), turns, mode=mode)
    states = all_states(4)
    for fields in (np.zeros(4), np.full(4, 0.5j * np.pi), np.full(4, 0.3 + 0.2j)):
        params = ansatz.product_state(fields)
        psi = np.exp(np.asarray(jax.vmap(ansatz.log_psi, in_axes=(None, 0))(params, states)) - states @ fields)
        assert np.abs(psi / psi[0] - 1).max() < 1e-12
    for fields in (np.array([1.0, -1.0, 1.0, -1.0]), np.array([0.0, 0.5j * np.pi, 0.0, 0.0])):
        with pytest.raises(ValueError, match="sector"):
            ansatz.product_state(fields)


def test_a_fixed_total_has_more_product_states():
    """-x on one of two sublattices changes by a factor for all states of a total."""
    ring = FACTORIES["chain"]((4,), (True,))
    turns = with_spin_flip(translations(ring), momentum(ring, None), None)
    fields = 0.5j * np.pi * np.array([1, 0, 1, 0])
    base = rbm(4, n_hidden=6, dtype="complex")
    with pytest.raises(ValueError, match="sector"):
        symmetrize(base, turns).product_state(fields)
    ansatz, states = symmetrize(base, turns, hilbert=spin_half(4, 0)), all_states(4, 0)
    log_psi = np.asarray(jax.vmap(ansatz.log_psi, in_axes=(None, 0))(ansatz.product_state(fields), states))
    psi = np.exp(log_psi - states @ fields)
    assert np.abs(psi / psi[0] - 1).max() < 1e-12
