"""Observables of fermions against operators as sparse matrices on all states of the modes, signs included."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import sparse

from nqs_hpc.observables.density import density
from nqs_hpc.observables.density_correlations import density_correlations
from nqs_hpc.observables.double_occupancy import double_occupancy
from nqs_hpc.observables.momentum_distribution import momentum_distribution
from nqs_hpc.observables.pair_correlations import pair_correlations
from nqs_hpc.observables.renyi import renyi_by_swap, renyi_exact
from nqs_hpc.observables.spin_correlations import spin_correlations
from nqs_hpc.observables.total_spin import total_spin
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import codes
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.system.layers import layered
from nqs_hpc.system.spaces import fermions, spinless_fermions
from tests.observables.exact import as_table, results, states_of, table
from tests.observables.measuring import METROPOLIS, wave_of

SIDES = (3, 2)
ORBITALS = FACTORIES["square"](SIDES, (True, True))
N = ORBITALS.n_sites
MODES, BASIS = layered(ORBITALS, 2), Basis(fermions(N, 2, 3))
LIMITS = {"chunk": None, "memory": 2**30}


@functools.cache
def annihilators(n_modes: int = 2 * N) -> list[sparse.csr_array]:
    """c_m on all states, the code of which has bit m where mode m is occupied: -1 for each occupied mode before it."""
    one, z, lower = sparse.eye_array(2), sparse.diags_array([1.0, -1.0]), sparse.csr_array([[0.0, 1.0], [0.0, 0.0]])
    kron = functools.partial(sparse.kron, format="csr")
    return [functools.reduce(kron, [one] * (n_modes - 1 - m) + [lower] + [z] * m) for m in range(n_modes)]


@functools.cache
def state() -> tuple[np.ndarray, np.ndarray]:
    """Any complex psi of the sector, and the same on all states, normalised."""
    rng = np.random.default_rng(1)
    inside = codes(BASIS.hilbert)
    psi = rng.normal(size=len(inside)) + 1j * rng.normal(size=len(inside))
    whole = np.zeros(4**N, complex)
    whole[inside] = psi / np.linalg.norm(psi)
    return psi, whole


def gram(operators: list[sparse.csr_array]) -> np.ndarray:
    """<A_i^+ A_j>."""
    vectors = np.stack([one @ state()[1] for one in operators])
    return vectors.conj() @ vectors.T


def transformed(c: np.ndarray) -> np.ndarray:
    """1/N sum_ij exp(i q . (r_i - r_j)) C_ij at the six wave vectors, the first direction fastest."""
    q = [(2 * np.pi * a / 3, np.pi * b) for b in range(2) for a in range(3)]
    waves = np.exp(1j * ORBITALS.positions @ np.array(q).T)  # (N, Q)
    return np.einsum("iq,ij,jq->q", waves, c, waves.conj()) / N


def same(found: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(found, np.real(wanted), rtol=0, atol=1e-12)


def test_spins():
    found = results(spin_correlations(MODES, BASIS, of_z=False, **LIMITS), state()[0], BASIS)
    up, down = annihilators()[:N], annihilators()[N:]
    flips = [a.T @ b for a, b in zip(up, down, strict=True)]
    of = {
        "xx": [(flip + flip.T) / 2 for flip in flips],
        "yy": [(flip - flip.T) / 2j for flip in flips],
        "zz": [(a.T @ a - b.T @ b) / 2 for a, b in zip(up, down, strict=True)],
    }
    total = sum(gram(own) for own in of.values())
    for name, own in of.items():
        same(found[name], gram(own))
    same(found["total"], total)
    same(found["structure_factor"], transformed(total))
    assert found["total_spin"] == pytest.approx(total.sum().real, abs=1e-12)
    s2 = results(total_spin(BASIS, **LIMITS), state()[0], BASIS)["s2"]
    assert s2 == pytest.approx(total.sum().real, abs=1e-12)
    of_z = results(spin_correlations(MODES, BASIS, of_z=True, **LIMITS), state()[0], BASIS)
    same(of_z["zz"], found["zz"])


def test_densities():
    n = np.stack([(np.arange(4**N) >> m & 1).astype(float) for m in range(2 * N)])
    p = np.abs(state()[1]) ** 2
    found = results(density(MODES), state()[0], BASIS)
    same(found["up"], n[:N] @ p)
    same(found["down"], n[N:] @ p)
    same(found["spin"], (n[:N] - n[N:]) @ p / 2)
    assert found["number"] == pytest.approx(5) and found["number_up"] == pytest.approx(2)
    both = n[:N] + n[N:]
    found = results(density_correlations(MODES, BASIS.hilbert), state()[0], BASIS)
    connected = (both * p) @ both.T - np.outer(both @ p, both @ p)
    same(found["density"], both @ p)
    same(found["correlations"], (both * p) @ both.T)
    same(found["structure_factor"], transformed(connected))
    found = results(double_occupancy(MODES), state()[0], BASIS)
    same(found["sites"], (n[:N] * n[N:]) @ p)
    same(found["empty"], np.mean(((1 - n[:N]) * (1 - n[N:])) @ p))
    same(found["moment"], np.mean(((n[:N] - n[N:]) ** 2) @ p))


def test_momenta():
    found = results(momentum_distribution(MODES, is_real=False), state()[0], BASIS)
    up, down = gram(annihilators()[:N]), gram(annihilators()[N:])
    same(found["up"], transformed(up))
    same(found["down"], transformed(down))
    same(found["one_body"], up + down)
    assert found["n_k"].sum() == pytest.approx(5)


def test_momenta_with_a_phase_at_the_boundary():
    """Two fermions on a ring fill the two lowest of the waves that obey it: n(k) is 1 and 0 there."""
    n, phase = 5, 0.5
    ring, basis = FACTORIES["chain"]((n,), (True,)), Basis(spinless_fermions(n, 2))
    h = np.zeros((n, n), complex)
    for x in range(n):  # c^+_{x+1} c_x, from the last site to the first with the phase
        h[(x + 1) % n, x] = -np.exp(1j * np.pi * phase * (x == n - 1))
    levels, orbitals = np.linalg.eigh(h + h.conj().T)
    psi = np.array([np.linalg.det(orbitals[:, :2][one == 1]) for one in states_of(basis)])
    observable = momentum_distribution(ring, is_real=False, phases=(phase,))
    n_k = results(observable, psi, basis)["n_k"]
    k = dict(observable.outputs[1].axes)["q"][:, 0]
    np.testing.assert_allclose(np.sort(-2 * np.cos(k)), levels, atol=1e-12)
    np.testing.assert_allclose(n_k, -2 * np.cos(k) < levels[:2].max() + 1e-9, rtol=0, atol=1e-12)


@pytest.mark.parametrize("wave", ["s", "extended_s", "d"])
def test_pairs(wave):
    found = results(pair_correlations(MODES, wave), state()[0], BASIS)
    c, (x, y) = annihilators(), SIDES
    steps = {"s": [], "extended_s": [(1, 0, 1), (-1, 0, 1), (0, 1, 1), (0, -1, 1)]}
    steps["d"] = [(1, 0, 1), (-1, 0, 1), (0, 1, -1), (0, -1, -1)]
    pairs = []
    for i in range(N):
        made = c[i] @ c[i + N] if wave == "s" else 0 * c[0]
        for a, b, f in steps[wave]:
            j = (i % x + a) % x + x * ((i // x + b) % y)
            made = made + f / np.sqrt(2) * (c[i] @ c[j + N] - c[i + N] @ c[j])
        pairs.append(made)
    same(found["correlations"], gram(pairs))
    same(found["structure_factor"], transformed(gram(pairs).real))
    assert found["order"] == pytest.approx(found["correlations"].mean(), abs=1e-14)


def test_entropy_of_a_determinant():
    """S2 = -sum log(nu^2 + (1 - nu)^2) with nu the eigenvalues of <c^+_i c_j> within the region, of either spin."""
    n, region = 4, [0, 2]
    basis = Basis(fermions(n, 2, 1))
    rng = np.random.default_rng(2)
    orbitals = [np.linalg.qr(rng.normal(size=(n, k)) + 1j * rng.normal(size=(n, k)))[0] for k in (2, 1)]
    psi = np.array(
        [
            np.prod([np.linalg.det(phi[s == 1]) for phi, s in zip(orbitals, np.split(one, 2), strict=True)])
            for one in states_of(basis)
        ]
    )
    nu = np.concatenate([np.linalg.eigvalsh((phi @ phi.conj().T)[np.ix_(region, region)]) for phi in orbitals])
    s2 = -np.log(nu**2 + (1 - nu) ** 2).sum()
    modes = [*region, *(site + n for site in region)]
    params, states = as_table(psi, basis), jnp.asarray(states_of(basis))
    w = np.abs(psi) ** 2
    exact = renyi_exact(modes, basis.hilbert, chunk=None)
    values = jax.jit(exact.local.prepare(table(basis)))(params, states)
    assert exact.derived(w @ np.asarray(values)[:, None])["s2"] == pytest.approx(s2, abs=1e-12)
    # all pairs of states, each with its probability
    first, second = (x.ravel() for x in np.meshgrid(np.arange(len(w)), np.arange(len(w))))
    in_pairs = states[np.stack([first, second], axis=1).ravel()]
    swap = renyi_by_swap(modes, basis.hilbert, chain_length=1, chunk=None)
    values = np.asarray(jax.jit(swap.local.prepare(table(basis)))(params, in_pairs))[::2]
    assert swap.derived((w[first] * w[second]) @ values[:, None])["s2"] == pytest.approx(s2, abs=1e-12)


def test_chains_agree_with_exact_sums():
    """Means of chains that mix all moves of fermions, with errors from their spread, on a ring of four orbitals."""
    found = []
    for sampler in (
        ["sampler=enumerate"],
        [*METROPOLIS, "sampler.move={hop: 2, exchange: 1, pair_hop: 1}", "sampler.move_range=2"],
    ):
        _, _, wave = wave_of("hamiltonian=hubbard", "lattice.length=4", "sector=[2,2]", *sampler)
        asked = {
            "d": {"name": "double_occupancy"},
            "n": {"name": "momentum_distribution"},
            "s": {"name": "pair_correlations"},
        }
        found.append(wave.measure(asked, n_samples=4096) if len(sampler) > 1 else wave.measure(asked))
    exact, sampled = found
    for name in ("d.mean", "d.sites", "n.n_k", "s.order", "s.structure_factor"):
        error = sampled[name].error
        assert np.all((error > 0) & (error < 0.05)), name
        assert np.all(np.abs(sampled[name].value - exact[name].value) < 4 * error), name
