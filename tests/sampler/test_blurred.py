"""Blurred samples and samples of |psi|^p: their weights by enumeration, their distribution by chi-square, their chains
as without, and what they find where psi nearly vanishes.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.operators.bose_hubbard import bose_hubbard
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.operators.ising import ising
from nqs_hpc.operators.local_values import local_energies
from nqs_hpc.parallel.keys import Purpose, purpose_key
from nqs_hpc.sampler.blurred import blurred, weights
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import exchange, flip, hop
from nqs_hpc.sampler.neighbours import neighbours, of_operator, of_space
from nqs_hpc.sampler.reweighted import reweighted
from nqs_hpc.sampler.tempering import tempering
from nqs_hpc.stats.estimate import estimate
from nqs_hpc.system.hilbert import Hilbert, bosons, codes, decode, encode, spin_half
from nqs_hpc.types import Ansatz, Operator, Sampler, Samples
from tests.systems import SERIAL, ansatz_of, ring

Q = 0.3


def local(ansatz: Ansatz, operator: Operator):
    return local_energies(ansatz, operator, chunk=7)


class Case(NamedTuple):
    hilbert: Hilbert
    operator: Operator
    ansatz: Ansatz
    move: Any


CASES = {
    "ising": lambda: Case(
        spin_half(6), ising(6, ring(6), J=1.0, h=0.7), ansatz_of("rbm-complex", 6), flip(spin_half(6))
    ),
    "sector": lambda: Case(
        spin_half(6, 0), heisenberg(6, [ring(6)], [1.0]), ansatz_of("mlp-complex", 6), exchange(ring(6))
    ),
    "bosons": lambda: Case(
        bosons(4, 2, 4),
        bose_hubbard(4, ring(4), J=1.0, U=1.0, mu=0.0, n_max=2),
        ansatz_of("rbm-real", 4, (0, 1, 2)),
        hop(ring(4), bosons(4, 2, 4)),
    ),
    "diagonal": lambda: Case(
        spin_half(5), ising(5, ring(5), J=1.0, h=0.0), ansatz_of("rbm-real", 5), flip(spin_half(5))
    ),
    "zeros": lambda: Case(
        spin_half(6), ising(6, ring(6), J=1.0, h=0.7), with_zeros(ansatz_of("rbm-complex", 6)), flip(spin_half(6))
    ),
}


def with_zeros(base: Ansatz) -> Ansatz:
    """psi is 0 where the first two spins are down, and 1e-12 of its size where the last three are."""

    def log_psi(params, s_N):
        small = jnp.where(jnp.all(s_N[-3:] < 0), -27.0, 0.0)
        return jnp.where(jnp.all(s_N[:2] < 0), -jnp.inf, base.log_psi(params, s_N) + small)

    return full_evaluation(base.init, log_psi, base.kind)


@functools.cache
def case(name: str) -> Case:
    return CASES[name]()


def graph_of(here: Case):
    n = here.hilbert.n_sites
    return neighbours(here.operator, here.hilbert, lambda: ring(n))


def states_of(hilbert: Hilbert) -> np.ndarray:
    return decode(hilbert, codes(hilbert))


def probabilities(here: Case, params, power: float = 2.0) -> np.ndarray:
    log_n = np.real(jax.vmap(here.ansatz.log_psi, (None, 0))(params, jnp.asarray(states_of(here.hilbert))))
    p = np.exp(power * (log_n - log_n.max()))
    return p / p.sum()


def blurred_probabilities(here: Case, pi: np.ndarray) -> np.ndarray:
    """q_blur(t) by sending the probability of every state along each of its moves."""
    states, numbers = states_of(here.hilbert), codes(here.hilbert)
    moves, _ = jax.device_get(jax.vmap(graph_of(here).moves)(jnp.asarray(states)))
    found = (1 - Q) * pi
    for s, state in enumerate(states):
        for sites, deltas in zip(moves.sites[s], moves.deltas[s], strict=True):
            goal = state.copy()
            np.add.at(goal, sites, deltas)
            found[np.searchsorted(numbers, encode(here.hilbert, goal[None])[0])] += Q * pi[s] / graph_of(here).n
    return found


@pytest.mark.parametrize("power", [2.0, 1.2])
@pytest.mark.parametrize("name", CASES)
def test_sums_over_blurred_samples_with_weights_are_those_over_psi_squared(name, power):
    """sum_s q_blur(s) w(s) f(s) = sum_s pi(s) f(s) for any f, of every state."""
    here = case(name)
    params = here.ansatz.init(jax.random.key(3))
    states = jnp.asarray(states_of(here.hilbert))
    log_w = weights(here.ansatz, graph_of(here), q=Q, power=power, chunk=5, local_values=local)
    w = np.exp(np.asarray(jax.jit(log_w)(params, states)))
    pi, sampled = probabilities(here, params), probabilities(here, params, power)
    product = blurred_probabilities(here, sampled) * w
    if power == 2:
        assert w.max() <= 1 / (1 - Q) + 1e-12 and product == pytest.approx(pi, abs=1e-14)
    assert product / product.sum() == pytest.approx(pi, abs=1e-13)


def direct(here: Case, n: int, length: int = 1, power: float = 2.0) -> Sampler:
    """Independent draws among all states, as chains of ``length``."""
    states = jnp.asarray(states_of(here.hilbert))

    def sample(key, params, state):
        log_p = power * jnp.real(jax.vmap(here.ansatz.log_psi, (None, 0))(params, states))
        drawn = jax.random.categorical(jax.random.wrap_key_data(jnp.asarray(key)), log_p, shape=(n,))
        return state, Samples(states[drawn], jnp.full(n, 1 / n)), {}

    return Sampler(lambda key, rank=0: (), sample, n_samples=n, chain_length=length, warmup_calls=0)


def key_of(k: int):
    return jnp.asarray(purpose_key(0, Purpose.SAMPLE, k))


@pytest.mark.parametrize("name", ["ising", "sector", "bosons", "zeros"])
def test_chi_square_of_blurred_samples(name):
    here, n = case(name), 20000
    params = here.ansatz.init(jax.random.key(3))
    sampler = blurred(direct(here, n, 4), here.ansatz, graph_of(here), SERIAL, q=Q, chunk=None, local_values=local)
    state = sampler.init(key_of(0))
    assert sampler.weighted and np.array_equal(state.chain_C, np.arange(n // 4))
    _, (s_BN, w_B), _ = jax.jit(sampler.sample)(key_of(1), params, state)
    counts = np.bincount(np.searchsorted(codes(here.hilbert), encode(here.hilbert, np.asarray(s_BN))))
    expected = n * blurred_probabilities(here, probabilities(here, params))
    counts = np.pad(counts, (0, len(expected) - len(counts)))
    rare = expected < 5
    observed, expected = (np.append(x[~rare], x[rare].sum()) for x in (counts, expected))
    kept = expected > 1e-9
    assert observed[~kept].sum() == 0
    assert stats.chisquare(observed[kept], expected[kept] * n / expected[kept].sum()).pvalue > 1e-3
    assert float(jnp.sum(w_B)) == pytest.approx(1)


def chains(here: Case, power: float = 2.0, n_chains: int = 64, length: int = 8) -> Sampler:
    return metropolis(
        here.ansatz, here.move, here.hilbert, SERIAL, n_chains=n_chains, n_samples=n_chains * length, sweep=6, warmup=8,
        power=power,
    )  # fmt: skip


def test_chains_never_see_what_is_blurred():
    """Two calls: the chains are bit for bit those without blur, most samples too, and the rest are neighbours."""
    here = case("sector")
    params = here.ansatz.init(jax.random.key(3))
    plain = chains(here)
    sampler = blurred(plain, here.ansatz, graph_of(here), SERIAL, q=Q, chunk=None, local_values=local)
    bare, state = plain.init(key_of(0)), sampler.init(key_of(0))
    draw_plain, draw = jax.jit(plain.sample), jax.jit(sampler.sample)
    for call in (1, 2):
        bare, expected, _ = draw_plain(key_of(call), params, bare)
        state, samples, _ = draw(key_of(call), params, state)
        for a, b in zip(jax.tree.leaves(bare), jax.tree.leaves(state.own), strict=True):
            assert np.array_equal(a, b)
        n_changed = np.sum(np.asarray(samples.s_BN != expected.s_BN), axis=1)
        assert set(n_changed.tolist()) == {0, 2}
        share = np.mean(n_changed == 0)  # of the moves along a ring about half change nothing
        assert 0.7 < share < 0.93


@pytest.mark.parametrize("kind", ["metropolis", "tempering"])
def test_chi_square_of_a_power_of_psi_and_its_weights(kind):
    here, n_chains, power = case("ising"), 4096, 0.8
    params = jax.tree.map(lambda x: 2 * x, here.ansatz.init(jax.random.key(3)))
    options: dict[str, Any] = {"n_chains": n_chains, "n_samples": n_chains, "sweep": 40, "warmup": 0, "power": power}
    if kind == "metropolis":
        base = metropolis(here.ansatz, here.move, here.hilbert, SERIAL, **options)
    else:
        base = tempering(here.ansatz, here.move, here.hilbert, SERIAL, betas=(1.0, 0.5), **options)
    sampler = reweighted(base, here.ansatz, SERIAL, power=power, chunk=5)
    assert sampler.weighted
    state, _, _ = jax.jit(sampler.sample)(key_of(1), params, sampler.init(key_of(0)))
    _, (s_BN, w_B), _ = jax.jit(sampler.sample)(key_of(2), params, state)
    place = np.searchsorted(codes(here.hilbert), encode(here.hilbert, np.asarray(s_BN)))
    sampled, pi = probabilities(here, params, power), probabilities(here, params)
    counts = np.bincount(place, minlength=len(pi))
    rare = n_chains * sampled < 5
    observed, expected = (np.append(x[~rare], x[rare].sum()) for x in (counts, n_chains * sampled))
    assert stats.chisquare(observed, expected).pvalue > 1e-3
    ratio = np.asarray(w_B) / (pi / sampled)[place]
    assert ratio == pytest.approx(ratio[0], rel=1e-12) and float(jnp.sum(w_B)) == pytest.approx(1)


@pytest.mark.parametrize("kind", ["blur", "power", "both"])
def test_error_bars_of_weighted_samples_cover_the_truth(kind):
    """Over 300 repetitions of <sz_0 + 5>: the scatter is the error that is claimed, and no mean is off."""
    here = case("zeros")
    params = jax.tree.map(lambda x: 2 * x, here.ansatz.init(jax.random.key(3)))
    states, pi = states_of(here.hilbert), probabilities(here, params)
    truth, n_chains, length = 5 + float(pi @ states[:, 0]), 32, 8
    power = 2.0 if kind == "blur" else 1.0
    base = direct(here, n_chains * length, length, power)
    if kind == "power":
        sampler = reweighted(base, here.ansatz, SERIAL, power=power, chunk=None)
    else:
        options: dict[str, Any] = {"q": Q, "power": power, "chunk": None, "local_values": local}
        sampler = blurred(base, here.ansatz, graph_of(here), SERIAL, **options)

    @jax.jit
    def one(key):
        _, (s_BN, w_B), _ = sampler.sample(key, params, sampler.init(key))
        x_B = 5 + s_BN[:, 0].astype(float)  # a constant has no error, whatever the weights of a chain sum to
        return estimate(x_B, w_B, length, True)

    mean, error, _ = (np.asarray(x) for x in jax.vmap(one)(jnp.stack([key_of(k) for k in range(300)])))
    z = (mean - truth) / error
    assert np.mean(np.abs(z) < 1) == pytest.approx(0.68, abs=0.08) and np.abs(z).max() < 4.5
    assert np.std(mean) == pytest.approx(np.sqrt(np.mean(error**2)), rel=0.15)
    assert abs(np.mean(mean) - truth) < 4 * np.std(mean) / np.sqrt(300) + 0.02 * np.std(mean)


def test_what_plain_samples_never_see():
    """Of a state that is |up ... up> but for amplitudes of 1e-6 the variance of the transverse field, N h^2, has all of
    its weight where psi nearly vanishes: blurred samples find it, plain ones find 0.
    """
    n, n_samples = 8, 4096
    hilbert, operator = spin_half(n), ising(n, ring(n), J=0.0, h=1.0)
    ansatz = full_evaluation(
        lambda key: jnp.zeros(1), lambda params, s_N: params[0] + 7.0 * (jnp.sum(s_N.astype(float)) - n) + 0j, "complex"
    )
    here = Case(hilbert, operator, ansatz, flip(hilbert))
    params, base = jnp.zeros(1), direct(here, n_samples, 8)
    sampler = blurred(base, ansatz, of_operator(operator), SERIAL, q=Q, chunk=None, local_values=local)
    energies = local(ansatz, operator)
    found = {}
    for name, one in (("plain", base), ("blurred", sampler)):
        _, samples, _ = one.sample(key_of(5), params, one.init(key_of(4)))
        found[name] = estimate(energies(ansatz.freeze(params), samples.s_BN), samples.w_B, 8, one.weighted)
    assert found["plain"].variance < 1e-6
    assert found["blurred"].variance == pytest.approx(n, rel=0.1)
    exact = -2 * n * np.exp(-14.0)  # to 1e-10 of it
    assert abs(found["blurred"].mean - exact) < 4 * found["blurred"].error < 0.1 * abs(exact)


def test_the_moves_of_the_space_stand_in_for_a_diagonal_hamiltonian():
    here = case("diagonal")
    graph = graph_of(here)
    assert graph.n == 5 and not graph.may_stay
    moves, _ = graph.moves(jnp.ones(5, jnp.int8))
    same, _ = of_space(here.hilbert, lambda: ring(5)).moves(jnp.ones(5, jnp.int8))
    assert np.array_equal(moves.sites, same.sites) and np.array_equal(moves.deltas, same.deltas)


@pytest.mark.parametrize("size", [2, 4])
def test_blurred_samples_do_not_know_how_many_ranks_draw_them(size):
    here = case("sector")
    params = here.ansatz.init(jax.random.key(3))

    def sampler(comm):
        base = metropolis(here.ansatz, here.move, here.hilbert, comm, n_chains=8, n_samples=24, sweep=6, warmup=0)
        return blurred(base, here.ansatz, graph_of(here), comm, q=Q, chunk=None, local_values=local)

    one = sampler(SERIAL)
    whole = jax.jit(one.sample)(key_of(1), params, one.init(key_of(0)))[1].s_BN
    many = sampler(SERIAL._replace(size=size))
    draw = jax.jit(many.sample)
    parts = [draw(key_of(1), params, many.init(key_of(0), np.int32(r)))[1].s_BN for r in range(size)]
    assert np.array_equal(whole, np.concatenate(parts))
