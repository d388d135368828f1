"""Observables over samples: bins of chains against the series of all samples, exact sums against sums by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.library import build
from nqs_hpc.observables.renyi import renyi_by_swap
from nqs_hpc.parallel.comm import serial
from nqs_hpc.stats.jackknife import jackknife
from nqs_hpc.system.basis import Basis
from nqs_hpc.tasks.influence import statistics_of
from nqs_hpc.tasks.observing import Tally, bins, observing, one_a_chain
from nqs_hpc.types import Local, Observable, Output, PauliString

N = 6
CALLS = 3
SYSTEM = ["lattice.length=6", "ansatz.init_scale=0.3"]


def second_moments(means):
    """From the sites' values and their products with site 0: the connected correlations with site 0."""
    values = np.real(means)
    return {"connected": values[..., N:] - values[..., :1] * values[..., :N], "first": values[..., 0]}


SITES = Observable(
    Local(lambda ansatz: lambda frozen, s_BN, time=None: jnp.concatenate([s_BN, s_BN * s_BN[:, :1]], axis=1) * 1.0),
    (Output("connected", shape=(N,)), Output("first", "hbar")),
    second_moments,
    n_values=2 * N,
)
ONE = Observable(Local(lambda ansatz: lambda frozen, s_BN, time=None: s_BN[:, 0] * 1.0))
STRINGS = Observable(strings=((PauliString(1.0, "X", (0,)),), (PauliString(2.0, "ZZ", (1, 2)),)), n_values=2,
                     outputs=(Output(shape=(2,)),))  # fmt: skip
OBSERVED = {"sites": SITES, "one": ONE, "strings": STRINGS}


@pytest.fixture(scope="module", params=["sampler=metropolis", "sampler=enumerate"])
def measured(request):
    own = ["sampler.n_chains=16", "sampler.n_samples=320"] if "metropolis" in request.param else []
    parts = build([*SYSTEM, request.param, *own])
    sampler, basis = parts.sampler, Basis(parts.hilbert)
    seen = observing(parts.ansatz, [], OBSERVED, sampler, serial(), basis=basis, chunk=None, memory=2**16)
    key = jax.random.key_data(jax.random.key(3))
    params, chains = parts.ansatz.init(jax.random.key(1)), sampler.init(key)
    tally, calls, measure = Tally(seen, sampler), [], jax.jit(seen.measure)
    for call in range(CALLS if sampler.chain_length else 1):
        chains, samples, counts = jax.jit(sampler.sample)(jax.random.key_data(jax.random.key(call)), params, chains)
        tally.add(measure(params, samples, counts, 0)[0])
        calls.append(samples)
    return parts, params, calls, {one.name: one for one in tally.results()}


def test_bins_are_the_jackknife_over_chains(measured):
    parts, _, calls, found = measured
    s = np.stack([np.asarray(call.s_BN) for call in calls]).astype(float)
    w = np.stack([np.asarray(call.w_B) for call in calls]) / len(calls)
    values = np.concatenate([s, s * s[..., :1]], axis=-1)
    n_chains = bins(parts.sampler)[1]
    shape = (len(calls), n_chains, -1)
    w_C = w.reshape(shape).sum(axis=(0, 2))
    sums = (w[..., None] * values).reshape(*shape, 2 * N).sum(axis=(0, 2))
    by_hand = jackknife(sums.astype(complex), w_C, second_moments)
    for name in ("connected", "first"):
        assert found[f"sites.{name}"].value == pytest.approx(by_hand[name].value, abs=1e-12)
        error = by_hand[name].error if parts.sampler.chain_length else 0.0
        assert found[f"sites.{name}"].error == pytest.approx(error, abs=1e-12)
    # of few chains the series knows tau, and its error is no smaller
    assert found["one"].value == pytest.approx(found["sites.first"].value, abs=1e-12)
    assert found["one"].error >= found["sites.first"].error * (1 - 1e-9)
    assert found["sites.first"].output.unit == "hbar" and found["sites.first"].statistics is None
    assert (found["one"].statistics["r_hat"] is None) == (parts.sampler.chain_length == 0)


def test_sums_of_pauli_strings_beside_other_values(measured):
    parts, params, calls, found = measured
    s = np.concatenate([np.asarray(call.s_BN) for call in calls])
    w = np.concatenate([np.asarray(call.w_B) for call in calls]) / len(calls)
    log_psi = jax.vmap(lambda s_N: parts.ansatz.log_psi(params, s_N))
    flipped = s.copy()
    flipped[:, 0] *= -1
    x = np.exp(np.asarray(log_psi(flipped)) - np.asarray(log_psi(s)))
    assert found["strings"].value == pytest.approx([w @ x, 2 * w @ (s[:, 1] * s[:, 2])], abs=1e-12)


REPEATS = 100


def moments(frozen, s_BN, time=None):
    return jnp.mean(s_BN, axis=1, dtype=float)[:, None] ** jnp.array([[2, 4]])


CUMULANT = Observable(
    Local(lambda ansatz: moments),
    (Output("binder"),),
    lambda means: {"binder": 1 - np.real(means[..., 1] / (3 * means[..., 0] ** 2))},
    n_values=2,
)


@pytest.mark.parametrize("tilt", [0.0, 0.4])
def test_one_sigma_holds_two_thirds_of_a_hundred_evaluations(tilt):
    """Of a mean, of a ratio of means and of two flips, from chains whose samples have the weights exp(tilt s_0)."""
    parts = build([*SYSTEM, "sampler.n_chains=40", "sampler.n_samples=1200", "sampler.sweep=3"])
    exact_parts = build([*SYSTEM, "sampler=enumerate"])
    observed = {"cumulant": CUMULANT, "x": Observable(strings=((PauliString(1.0, "XX", (0, 1)),),)), "first": SITES}

    def tilted(sampler):
        def sample(key, params, state):
            state, samples, info = sampler.sample(key, params, state)
            w_B = samples.w_B * jnp.exp(tilt * samples.s_BN[:, 0])
            return state, samples._replace(w_B=w_B / jnp.sum(w_B)), info

        return sampler._replace(sample=sample)

    def evaluated(parts):
        sampler, basis = tilted(parts.sampler), Basis(parts.hilbert)
        seen = observing(parts.ansatz, [], observed, sampler, serial(), basis=basis, chunk=None, memory=2**24)
        draw, measure, fresh = jax.jit(sampler.sample), jax.jit(seen.measure), jax.jit(sampler.init)

        def results(seed):
            keys = [jax.random.key_data(jax.random.key(1000 * seed + k)) for k in range(4)]
            chains, tally = fresh(keys[0]), Tally(seen, sampler)
            for key in keys[1:]:
                chains, samples, counts = draw(key, params, chains)
                if key is not keys[1] or sampler.chain_length == 0:
                    tally.add(measure(params, samples, counts, 0)[0])
            return {one.name: one for one in tally.results()}

        return results

    params = parts.ansatz.init(jax.random.key(1))
    expected = evaluated(exact_parts)(0)
    draw_again = evaluated(parts)
    hits = {"cumulant.binder": 0, "x": 0, "first.first": 0}
    for seed in range(REPEATS):
        found = draw_again(seed)
        for name in hits:
            hits[name] += abs(found[name].value - expected[name].value) < found[name].error
    # 68 of 100, with a standard deviation of 4.7
    assert all(55 <= hit <= 82 for hit in hits.values()), hits
    assert 180 <= sum(hits.values()) <= 228, hits  # 60 to 76 % of all together


def test_r_hat_is_that_of_each_result():
    """Chains that stick at one sign of m disagree on m, and agree on m^2 and the Binder cumulant."""
    rng = np.random.default_rng(0)
    signs = np.where(np.arange(16) % 2, 1.0, -1.0)[:, None]
    m = (signs * (0.8 + 0.1 * rng.normal(size=(16, 64)))).ravel()
    moments = Observable(
        Local(lambda ansatz: lambda frozen, s_BN: s_BN),
        (Output("m"), Output("m2"), Output("binder")),
        lambda means: {
            "m": np.real(means[..., 0]),
            "m2": np.real(means[..., 1]),
            "binder": 1 - np.real(means[..., 2] / (3 * means[..., 1] ** 2)),
        },
        n_values=3,
    )
    values, w = np.stack([m, m**2, m**4], axis=1).astype(complex), np.full(len(m), 1 / len(m))
    found = statistics_of(values, w, 64, moments)
    assert found["m"]["r_hat"] > 3 and found["m2"]["r_hat"] < 1.1 and found["binder"]["r_hat"] < 1.1
    # a plain mean changes with each sample by its distance from it
    plain = statistics_of(values[:, 1:2], w, 64, ONE)[""]
    for name in ("r_hat", "tau", "n_eff"):
        assert found["m2"][name] == pytest.approx(plain[name], rel=1e-6)


def test_pairs_of_chains_are_those_whose_errors_are_taken_together():
    """One sample of each chain at a time: each pair of neighbouring chains has its own value, whatever a call holds."""
    parts = build([*SYSTEM, "sampler.n_chains=6", "sampler.n_samples=24"])  # 6 is no multiple of two calls of 4
    sampler, of_chains = parts.sampler, one_a_chain(parts.sampler)
    one = {"r": renyi_by_swap([0, 1], parts.hilbert, chain_length=sampler.chain_length, chunk=None)}
    options = {"basis": Basis(parts.hilbert), "chunk": None, "memory": 2**16}
    params, key = parts.ansatz.init(jax.random.key(1)), jax.random.key_data(jax.random.key(3))
    _, samples, _ = jax.jit(sampler.sample)(key, params, sampler.init(key))
    series = []
    for of in (sampler, of_chains.sampler):
        measure = jax.jit(observing(parts.ansatz, [], one, of, serial(), **options).measure)
        picked = [of_chains.pick(samples, k) for k in range(4)] if of is of_chains.sampler else [samples]
        series.append([np.asarray(measure(params, some, {}, 0)[0].series_AK)[:, 0] for some in picked])
    assert np.stack(series[1], axis=1).ravel() == pytest.approx(series[0][0], rel=1e-12)
    assert np.array_equal(series[1][0][0::2], series[1][0][1::2])
