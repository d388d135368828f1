"""Sums of Pauli strings that share their ratios, against dense matrices on all states."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.operators.pauli_sums import counts_within, flips, pauli_sums, read_sums
from nqs_hpc.system.basis import Basis, signs_of_states
from nqs_hpc.system.fermion_strings import FermionString, hop, jordan_wigner
from nqs_hpc.system.hilbert import Block, codes, decode, members, spin_half
from nqs_hpc.system.spaces import constrained, fermions
from nqs_hpc.types import PauliString
from tests.systems import all_numbers, all_states, ansatz_of, dense, ring

N = 6
SIGNS = np.array([1, -1, -1, 1, -1, 1], np.int8)
CASES = {
    "whole space": ("rbm-complex", Basis(spin_half(N))),
    "signs of a sector": ("rbm-real", Basis(spin_half(N, 0), SIGNS)),
    "blocks": (
        "mlp-complex",
        Basis(constrained(spin_half(N), blocks=[Block((0, 1, 4), 1), Block((2, 3, 5), -1)]), SIGNS),
    ),
    "blockade": ("rbm-real", Basis(constrained(spin_half(N), excluded=ring(N)))),
    "symmetrized": ("symmetrize", Basis(spin_half(N, 0))),
    "whole network": ("resnet", Basis(spin_half(N), SIGNS)),
    "fermions": ("rbm-real", Basis(fermions(N // 2, 2, 1))),
    "t-J": ("rbm-complex", Basis(fermions(N // 2, None, 1, double=False))),
}


def random_sums() -> list[list[PauliString]]:
    """Of one to nine strings of up to four letters, many of which flip the same sites; a constant, an empty sum, and
    exchanges, which vanish on parallel spins.
    """
    rng = np.random.default_rng(3)

    def one() -> PauliString:
        sites = sorted(rng.permutation(N)[: rng.integers(1, 5)].tolist())
        return PauliString(float(rng.normal()), "".join(rng.choice(list("XYZ"), len(sites))), tuple(sites))

    found = [[one() for _ in range(size)] for size in (1, 1, 2, 3, 5, 9)]
    found += [[PauliString(0.7, "", ())], [], [PauliString(0.3, "ZZ", (0, 4)), PauliString(0.2, "ZZ", (0, 4))]]
    found += [[PauliString(c, a + a, (i, j)) for a, c in (("X", 0.5), ("Y", 0.5))] for i, j in ((0, 2), (1, 3))]
    return [*found, total_spin(), [s for own in found for s in own]]


def total_spin() -> list[PauliString]:
    pairs = [(i, j) for j in range(N) for i in range(j)]
    return [PauliString(0.5, a + a, pair) for pair in pairs for a in "XYZ"] + [PauliString(0.75 * N, "", ())]


def matrix(strings: list[PauliString]) -> np.ndarray:
    return dense(N, [(s.coefficient, dict(zip(s.sites, s.operators, strict=True))) for s in strings])


@functools.cache
def wave(name: str):
    """The ansatz, its parameters, the states of its space, and the physical wave function on all of them."""
    kind, basis = CASES[name]
    are_spins = basis.hilbert.local_values == (1, -1)
    ansatz = ansatz_of(kind, N) if are_spins else ansatz_of(kind, N, (0, 1))
    params = ansatz.init(jax.random.key(4))
    states = all_states(N) if are_spins else all_numbers(N, 1)
    inside = members(basis.hilbert, states)
    phi = np.exp(np.asarray(jax.vmap(ansatz.log_psi, (None, 0))(params, jnp.asarray(states))))
    return ansatz, params, states[inside], inside, np.where(inside, signs_of_states(basis, states) * phi, 0)


@pytest.mark.parametrize("name", CASES)
def test_local_values_and_means_are_those_of_dense_matrices(name):
    ansatz, params, states, inside, psi = wave(name)
    sums = random_sums()
    # each in one piece or in chunks that leave a rest, to compile as little as can be
    local = pauli_sums(sums, CASES[name][1], chunk=None, memory=2**30)
    cut = pauli_sums(sums, CASES[name][1], chunk=7, memory=2**10)
    of_values, of_bins = (cut, local) if name == "blocks" else (local, cut)
    w = np.abs(psi[inside]) ** 2 / np.sum(np.abs(psi) ** 2)
    bins = np.arange(len(w)) % 3

    @jax.jit
    def measured(params, states):
        frozen = ansatz.freeze(params)
        return of_values.prepare(ansatz)(frozen, states), of_bins.binned(ansatz)(frozen, states, w, bins, 3, (2, 0))

    values, (binned, few) = jax.device_get(measured(params, jnp.asarray(states)))
    np.testing.assert_allclose(few, values[:, [2, 0]], rtol=0, atol=1e-12)
    wanted = np.array([matrix(strings) @ psi for strings in sums])[:, inside].T / psi[inside, None]
    np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())
    in_bins = np.array([(w[:, None] * wanted)[bins == n].sum(axis=0) for n in range(3)])
    np.testing.assert_allclose(binned, in_bins, rtol=0, atol=1e-12)
    exact = [np.vdot(psi, matrix(strings) @ psi) / np.vdot(psi, psi) for strings in sums]
    np.testing.assert_allclose(binned.sum(axis=0), exact, rtol=0, atol=1e-12)


def test_states_of_weight_0_and_infinite_ratios_count_as_0():
    ansatz = ansatz_of("rbm-real", N)
    broken = ansatz._replace(log_ratio=lambda frozen, s_N, cache, move: ansatz.log_ratio(frozen, s_N, cache, move) / 0)
    broken = broken._replace(log_ratios=jax.vmap(broken.log_ratio, (None, None, None, 0)))
    params, states = ansatz.init(jax.random.key(0)), jnp.asarray(all_states(N)[:8])
    local = pauli_sums([[PauliString(1.0, "X", (0,))]], Basis(spin_half(N)), chunk=None, memory=2**30)
    found, _ = local.binned(broken)(broken.freeze(params), states, jnp.zeros(8), jnp.zeros(8, int), 2)
    assert np.array_equal(found, np.zeros((2, 1)))


def test_ratios_are_asked_for_where_they_count():
    states = jnp.asarray(all_states(N))
    pairs = [[PauliString(1.0, a + a, (i, j))] for j in range(N) for i in range(j) for a in "XYZ"]
    up = np.sum(all_states(N) > 0, axis=1)

    def asked(sums, basis):
        moves, elements = jax.jit(jax.vmap(flips(read_sums(sums, basis), basis)))(states)
        assert np.array_equal(np.any(moves.deltas != 0, axis=2), elements != 0)
        return np.sum(elements != 0, axis=1)

    # S^2 alone: antiparallel pairs. Each component of its own: all pairs, but for flips that leave the sector
    assert np.array_equal(asked([total_spin()], Basis(spin_half(N))), up * (N - up))
    assert np.array_equal(asked([total_spin(), total_spin()[:-1]], Basis(spin_half(N))), up * (N - up))
    assert np.all(asked(pairs, Basis(spin_half(N))) == N * (N - 1) // 2)
    assert np.array_equal(asked(pairs, Basis(spin_half(N, 0))), up * (N - up))
    # XX + YY vanishes on parallel spins, XX - YY on antiparallel ones: of both, one always counts
    both = [[PauliString(1.0, "XX", (0, 1)), PauliString(c, "YY", (0, 1))] for c in (1.0, -1.0)]
    assert np.all(asked(both, Basis(spin_half(N))) == 1)
    # the hop of a fermion, past others: it counts wherever one of the two modes is occupied
    hops = [jordan_wigner(hop(1.0, i, j)) for i, j in ((0, 2), (0, 1), (3, 5))]
    number = fermions(N // 2, 2, 1)
    states = jnp.asarray(decode(number, codes(number)))
    wanted = sum(np.asarray(states[:, i] != states[:, j]) for i, j in ((0, 2), (0, 1), (3, 5)))
    assert np.array_equal(asked(hops, Basis(number)), wanted)
    assert np.array_equal(read_sums(hops, Basis(number)).always_K, np.zeros(3, bool))
    assert counts_within(read_sums(hops, Basis(number)), number).all()
    # a hop past mode 1 where that is empty
    past = hop(1.0, 0, 2)
    minus = (FermionString(-1.0, ((1, True), (1, False), *one.operators)) for one in past)
    wanted = np.asarray((states[:, 1] == 0) & (states[:, 0] != states[:, 2]))
    assert np.array_equal(asked([jordan_wigner((*past, *minus))], Basis(number)), wanted)


def test_strings_of_z_cost_no_ratio():
    ansatz = ansatz_of("rbm-real", N)._replace(log_ratio=None, log_ratios=None, prepare=None)
    sums = [[PauliString(1.0, "ZZ", (0, 1))], [PauliString(0.5, "Z", (3,)), PauliString(2.0, "", ())]]
    local = pauli_sums(sums, Basis(spin_half(N, 0), SIGNS), chunk=None, memory=2**30)
    states = all_states(N)
    found = local.prepare(ansatz)((), jnp.asarray(states))
    assert np.array_equal(found, np.stack([states[:, 0] * states[:, 1], 0.5 * states[:, 3] + 2], axis=1))
