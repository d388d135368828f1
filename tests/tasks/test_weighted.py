"""Samples whose weights differ, through all that estimates something: observables, pairs of chains, one sample a chain,
evaluations, the library, lines of metrics.jsonl. Judged by sums over all states.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from nqs_hpc.config.compose import compose, observables_of
from nqs_hpc.parallel.comm import serial
from nqs_hpc.parallel.keys import Purpose, purpose_key
from nqs_hpc.parts import build
from nqs_hpc.sampler.enumerate import enumeration
from nqs_hpc.stats.chains import diagnostics, linearised, widened
from nqs_hpc.stats.host import host_estimate
from nqs_hpc.stats.tails import tails
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import codes, decode, encode
from nqs_hpc.tasks.evaluation import evaluation
from nqs_hpc.tasks.lines import metrics
from nqs_hpc.tasks.observing import Tally, observing, one_a_chain
from tests.observables.measuring import METROPOLIS, vector, wave_of

SYSTEM = ["lattice.length=6", "ansatz=rbm", "ansatz.dtype=complex", "ansatz.init_scale=0.4", "hamiltonian.h=0.7"]
MEASURED = {
    "r": {"name": "renyi"},
    "x": {"name": "pauli", "terms": ["1.0 X0", "0.5 Y1 Y2"]},
    "z": {"name": "pauli", "terms": ["1.0 Z0 Z1"]},
    "qgt": {"name": "qgt"},
    "all": {"name": "spin_correlations"},
}
WEIGHTED = {"blur": ["sampler.blur=0.3"], "power": ["sampler.power=1"], "both": ["sampler.blur=0.3", "sampler.power=1"]}


@functools.cache
def exact():
    return wave_of(*SYSTEM, "sampler=enumerate")[2].measure(MEASURED)


@functools.cache
def sampled(kind: str):
    return wave_of(*SYSTEM, *METROPOLIS, *WEIGHTED[kind])


@pytest.mark.parametrize("kind", WEIGHTED)
def test_the_library_measures_what_exact_sums_give(kind):
    _, parts, wave = sampled(kind)
    assert parts.sampler.weighted
    found = wave.measure(MEASURED, n_samples=16384)
    for name, one in exact().items():
        if name.startswith("qgt."):
            continue
        z = (found[name].value - one.value) / np.where(found[name].error > 0, found[name].error, np.inf)
        assert np.abs(z).max() < 4.2, (name, z, found[name])
        assert found[name].error.max() < 0.05
    spectrum = exact()["qgt.spectrum"].value
    assert found["qgt.spectrum"].value[:8] == pytest.approx(spectrum[:8], rel=0.15)
    energy = wave.expect(n_samples=16384)
    assert 1.0 < energy.tau < 3.0 and energy.r_hat < 1.05


def test_pairs_of_chains_need_the_product_of_their_weights():
    """What the weights of single samples give is many errors off."""
    _, parts, wave = sampled("power")
    seen = observing(
        parts.ansatz, [], {"r": parts_of(parts, "renyi")._replace(of_chains=None)}, parts.sampler, serial(),
        basis=Basis(parts.hilbert), chunk=None, memory=2**30,
    )  # fmt: skip
    tally = Tally(seen, parts.sampler)
    for samples in calls(parts, wave.params, 8):
        tally.add(jax.jit(seen.measure)(wave.params, samples, {}, 0)[0])
    (_, naive) = tally.results()
    truth = exact()["r.purity"].value
    assert abs(naive.value - truth) > 5 * naive.error


def parts_of(parts, name):
    config = compose(SYSTEM, 1)
    return observables_of(config, {"one": {"name": name}})["one"].make(parts.pieces)


def calls(parts, params, n):
    chains = parts.sampler.init(purpose_key(5, Purpose.CHAINS))
    draw = jax.jit(parts.sampler.sample)
    for call in range(n + 1):
        chains, samples, _ = draw(purpose_key(5, Purpose.SAMPLE, call), params, chains)
        if call:
            yield samples


def test_one_sample_of_each_chain():
    """Measured all, their weights count together; measured one of each, what is not linear in them is normalised."""
    _, parts, wave = sampled("both")
    of_chains = one_a_chain(parts.sampler)
    observed = {name: parts_of(parts, name) for name in ("total_spin", "qgt", "spin_correlations")}
    options = {"basis": Basis(parts.hilbert), "chunk": None, "memory": 2**30}
    pieces = observing(parts.ansatz, [], observed, of_chains.sampler, serial(), **options)
    whole = observing(parts.ansatz, [], observed, parts.sampler, serial(), **options)
    measure, measure_whole = jax.jit(pieces.measure), jax.jit(whole.measure)
    all_of, by_pieces, last = Tally(whole, parts.sampler), Tally(pieces, of_chains.sampler), []
    for samples in calls(parts, wave.params, 2):
        all_of.add(measure_whole(wave.params, samples, {}, 0)[0])
        for number in range(of_chains.n):
            picked = of_chains.pick(samples, number)
            seen = measure(wave.params, picked, {}, 0)[0]
            by_pieces.add(seen)
            last.append((picked, seen))
    found = [{one.name: one for one in tally.results()} for tally in (all_of, by_pieces)]
    for name in found[0]:
        if not name.startswith("qgt"):  # of two calls each has its own mean in the whole
            assert found[1][name].value == pytest.approx(found[0][name].value, abs=1e-10), name
    picked, seen = last[-1]
    assert abs(float(jnp.sum(picked.w_B)) - 1) > 1e-3
    one = Tally(pieces, of_chains.sampler)
    one.add(seen)
    again = Tally(pieces, of_chains.sampler)
    again.add(measure(wave.params, picked._replace(w_B=picked.w_B / jnp.sum(picked.w_B)), {}, 0)[0])
    for a, b in zip(one.results(), again.results(), strict=True):
        assert a.value == pytest.approx(b.value, rel=1e-10, abs=1e-12)
        assert a.error == pytest.approx(b.error, rel=1e-8, abs=1e-12, nan_ok=True)


def test_samples_of_the_library_are_those_of_psi_squared():
    _, parts, wave = sampled("both")
    s = np.concatenate([wave.sample(64, seed=seed) for seed in range(100)])
    assert s.shape == (6400, 6) and s.dtype == np.int8
    _, psi = vector(wave, parts.hilbert)
    counts = np.bincount(encode(parts.hilbert, s), minlength=64)
    expected = len(s) * np.abs(psi) ** 2
    rare = expected < 5
    observed, expected = (np.append(x[~rare], x[rare].sum()) for x in (counts, expected))
    assert stats.chisquare(observed, expected * len(s) / expected.sum()).pvalue > 1e-3


def test_forces_and_steps_are_those_of_exact_sums():
    """All states, some of them several times with parts of their weight: the step of exact sums."""
    config = compose([*SYSTEM, "optimizer=minsr", "optimizer.diag_shift=0.01", "sampler=enumerate"], 1)
    parts = build(config, serial())
    params = parts.ansatz.init(jax.random.key(1))
    draw = jax.jit(enumeration(parts.ansatz, parts.hilbert, serial()).sample)
    _, samples, _ = draw(jnp.zeros(2, jnp.uint32), params, ())
    w_B = samples.w_B
    part = jnp.linspace(0.1, 0.9, len(w_B))
    split = samples._replace(
        s_BN=jnp.concatenate([samples.s_BN, samples.s_BN]), w_B=jnp.concatenate([part * w_B, (1 - part) * w_B])
    )
    update = parts.pieces.update()
    found = []
    for given, length, weighted in ((samples, 0, False), (split, 4, True)):
        options = {"chain_length": length, "chunk": None, "weighted": weighted}
        evaluate = jax.jit(evaluation(parts.ansatz, parts.operator, serial(), **options))
        batch, _ = evaluate(params, given, {})
        delta, _, _ = jax.jit(update.step)(params, update.init(params), batch, jnp.int32(0), jnp.float64(1.0))
        found.append((batch.estimate.mean, batch.estimate.variance, delta))
    for a, b in zip(jax.tree.leaves(found[0]), jax.tree.leaves(found[1]), strict=True):
        assert np.asarray(a) == pytest.approx(np.asarray(b), rel=1e-7, abs=1e-9)


# --- statistics on the host -------------------------------------------------------------------------------------------


def weighted_chains(seed, n_chains=64, length=64, rho=0.7):
    """x of an AR(1) chain of standard deviation 1 under g = N(0, 1), with the weights of N(0.5, 1): the mean is 0.5."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n_chains, length))
    for t in range(1, length):
        x[:, t] = rho * x[:, t - 1] + np.sqrt(1 - rho**2) * x[:, t]
    w = np.exp(0.5 * x).ravel()
    return x.ravel(), w / w.sum()


def test_equal_weights_are_as_without():
    x, _ = weighted_chains(0)
    w = np.full(len(x), 1 / len(x))
    assert linearised(x, w) is x
    assert widened(0.1, x[:256], 64, w[:256]) == widened(0.1, x[:256], 64)


def test_tau_and_n_eff_of_weighted_chains_tell_the_error():
    """Of 200 repetitions: error^2 = tau var(z) / n = variance / n_eff; their scatter is known to 10 % of its square."""
    means, by_tau, by_n_eff, wide = [], [], [], []
    for seed in range(200):
        x, w = weighted_chains(seed, n_chains=4, length=256)
        one = host_estimate(x, w, 256)
        found = diagnostics(x, w, 256, error=one.error)
        means.append(one.mean.real)
        by_tau.append(found["tau"] * linearised(x, w).var() / len(x))
        by_n_eff.append(one.variance / found["n_eff"])
        wide.append(abs(one.mean.real - 0.5) < widened(one.error, x, 256, w))
    scatter = np.var(means)
    assert np.mean(by_tau) == pytest.approx(scatter, rel=0.25) and np.mean(by_n_eff) == pytest.approx(scatter, rel=0.25)
    assert 0.6 < np.mean(wide) < 0.85


def test_r_hat_sees_what_weights_make_disagree():
    """Chains whose values agree, and whose weights do not, each at its own: their weighted means differ."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(8, 64))
    w = np.ones((8, 64))
    assert diagnostics(x.ravel(), w.ravel() / w.sum(), 64, error=0.1)["r_hat"] < 1.05
    w[:4] *= np.where(x[:4] > 0, 10.0, 0.1)
    w[4:] *= np.where(x[4:] < 0, 10.0, 0.1)
    assert diagnostics(x.ravel(), w.ravel() / w.sum(), 64, error=0.1)["r_hat"] > 1.1


def test_a_wild_value_of_no_weight_is_no_tail():
    x, w = weighted_chains(2)
    before = tails(x, w, 64)
    x[17], w[17] = 1e9, 1e-13  # it moves the mean by 1e-4, and is nearly all of the variance
    found = tails(x, w / w.sum(), 64)
    assert found.kurtosis == pytest.approx(before.kurtosis, rel=0.1)
    assert found.largest == pytest.approx(before.largest, rel=0.1) and found.standing == 0
    w[17] = 1e-9
    assert tails(x, w / w.sum(), 64).largest > 0.9


def test_a_line_of_weighted_samples():
    _, parts, wave = sampled("blur")
    driver = parts.driver
    state = driver.init()._replace(params=wave.params)
    state = driver.warmed(state)
    chains, samples, counts = driver.sample(state)
    batch, shared = driver.evaluate(state.params, samples, counts)
    _, info = driver.update(state, chains, batch)
    line = metrics(batch, shared.counts, info, {}, parts.sampler.chain_length)
    e, w = np.asarray(batch.e_loc_A), np.asarray(batch.w_A)
    assert line["energy"] == pytest.approx(np.sum(w * e).real, rel=1e-12)
    assert line["energy_variance"] == pytest.approx(np.sum(w * abs(e - np.sum(w * e)) ** 2), rel=1e-12)
    assert line["energy_error"] == pytest.approx(host_estimate(e, w, parts.sampler.chain_length).error, rel=1e-10)
    assert np.isfinite(line["max_deviation"]) and line["n_eff"] < len(e)
    states = decode(parts.hilbert, codes(parts.hilbert))
    psi = np.exp(wave.log_psi(states))
    p = np.abs(psi) ** 2 / np.sum(np.abs(psi) ** 2)
    assert abs(np.sum(w * np.asarray(samples.s_BN)[:, 0]) - p @ states[:, 0]) < 0.1
