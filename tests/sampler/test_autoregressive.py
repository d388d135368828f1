"""Direct samples: their exact distribution, the same at any rank count and in any blocks, and their errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from nqs_hpc.ansatz.masked_conv import masked_conv
from nqs_hpc.ansatz.masked_dense import masked_dense
from nqs_hpc.ansatz.patched_transformer import patched_transformer
from nqs_hpc.ansatz.recurrent import folded, line
from nqs_hpc.ansatz.rnn import rnn
from nqs_hpc.operators.ising import ising
from nqs_hpc.parallel.keys import Purpose, purpose_key
from nqs_hpc.sampler.autoregressive import autoregressive, draw
from nqs_hpc.system.hilbert import Hilbert, bosons, spin_half
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.system.patches import patches
from nqs_hpc.tasks.evaluation import evaluation
from nqs_hpc.tasks.final import joined, kept
from tests.systems import SERIAL, all_numbers, all_states, amplitudes, ring

N_SAMPLES = 8192


def spins_in_rows():
    return masked_conv((3, 2), layers=2, features=3, kernel=2), spin_half(6)


def spins_in_a_sector():
    return masked_conv((6,), layers=2, features=3, kernel=3, dtype="complex", total=0), spin_half(6, 0)


def five_bosons():
    return masked_dense(4, layers=2, features=2, local_values=(0, 1, 2), total=5), bosons(4, 2, 5)


def spins_on_a_ring():
    """From both ends in turn; the order is not its own inverse, so that the one cannot stand for the other."""
    return rnn(line(folded(6)), layers=1, features=3, dtype="complex", total=2), spin_half(6, 2)


def spins_in_patches():
    lattice = FACTORIES["square"]((3, 2), (False, False))
    return patched_transformer(patches(lattice, (1, 2)), width=4, heads=2, layers=1, total=0), spin_half(6, 0)


CASES = {
    "rows": spins_in_rows,
    "sector": spins_in_a_sector,
    "bosons": five_bosons,
    "ring": spins_on_a_ring,
    "patches": spins_in_patches,
}


@functools.cache
def case(name: str):
    return CASES[name]()


def states_of(hilbert: Hilbert) -> np.ndarray:
    if hilbert.local_values == (1, -1):
        return all_states(hilbert.n_sites, hilbert.total)
    return all_numbers(hilbert.n_sites, max(hilbert.local_values), hilbert.total)


def params_of(name: str, seed: int):
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(case(name)[0].init, jax.random.key(0))
    return jax.tree.map(lambda x: jnp.asarray(0.25 * rng.normal(size=x.shape)), shapes)


def key_of(seed: int):
    return jnp.asarray(purpose_key(seed, Purpose.SAMPLE))


@pytest.mark.parametrize("name", CASES)
def test_chi_square_of_sampled_against_exact_distribution(name):
    """Six seeds and parameters, combined by Fisher's method: p > 0.01."""
    ansatz, hilbert = case(name)
    states = states_of(hilbert)
    sampler = autoregressive(ansatz, hilbert, SERIAL, n_samples=N_SAMPLES)
    run = jax.jit(lambda key, params: sampler.sample(key, params, sampler.init(key))[1])
    p_values = []
    for seed in range(6):
        params = params_of(name, seed)
        p = np.abs(amplitudes(ansatz, params, states)) ** 2
        drawn = run(key_of(seed), params)
        assert np.all(np.asarray(drawn.w_B) == 1 / N_SAMPLES)
        counts = (np.asarray(drawn.s_BN)[:, None] == states[None]).all(axis=2).sum(axis=0)
        assert counts.sum() == N_SAMPLES  # nothing outside the space or the sector
        rare = N_SAMPLES * p < 5
        observed = np.append(counts[~rare], counts[rare].sum())
        expected = N_SAMPLES * np.append(p[~rare], p[rare].sum())
        p_values.append(stats.chisquare(observed[expected > 0], expected[expected > 0]).pvalue)
    assert stats.combine_pvalues(p_values, method="fisher").pvalue > 0.01, p_values


def test_same_samples_at_any_rank_count_and_in_any_blocks(monkeypatch):
    ansatz, hilbert = case("rows")
    params = params_of("rows", 0)

    def run(size: int, block: int):
        monkeypatch.setattr("nqs_hpc.sampler.autoregressive.SAMPLES", block)
        comm = SERIAL._replace(size=size)
        sampler = autoregressive(ansatz, hilbert, comm, n_samples=24)
        draw_on = jax.jit(lambda rank: sampler.sample(key_of(1), params, sampler.init(key_of(0), rank))[:2])
        shares = [(state.sample_B, samples.s_BN) for state, samples in map(draw_on, np.arange(size, dtype=np.int32))]
        return [np.concatenate(leaves) for leaves in zip(*shares, strict=True)]

    numbers, s_AN = run(1, 24)
    assert np.array_equal(numbers, np.arange(24)) and len(np.unique(s_AN, axis=0)) > 4
    for size, block in ((1, 5), (4, 4)):
        for one, many in zip((numbers, s_AN), run(size, block), strict=True):
            assert np.array_equal(one, many)


def test_the_error_is_that_of_independent_samples():
    """What 200 evaluations scatter by is the error that each states; calls of a final evaluation make it smaller."""
    ansatz, hilbert = case("rows")
    params = params_of("rows", 1)
    sampler = autoregressive(ansatz, hilbert, SERIAL, n_samples=64)
    evaluate = evaluation(ansatz, ising(6, ring(6), J=1.0, h=1.0, g=0.0), SERIAL, chain_length=1, chunk=None)

    @jax.jit
    def run(key):
        _, samples, counts = sampler.sample(key, params, sampler.init(key))
        return evaluate(params, samples, counts)

    calls = [run(key_of(seed)) for seed in range(200)]
    means = np.array([float(batch.estimate.mean) for batch, _ in calls])
    errors = np.array([float(batch.estimate.error) for batch, _ in calls])
    assert means.std(ddof=1) == pytest.approx(np.sqrt(np.mean(errors**2)), rel=0.2)
    final = joined([kept(*call) for call in calls], sampler)
    assert final.chain_length == 1 and len(final.e_loc_A) == 200 * 64
    assert final.mean.real == pytest.approx(means.mean(), rel=1e-12)
    assert final.error == pytest.approx(np.std(final.e_loc_A, ddof=1) / np.sqrt(200 * 64), rel=1e-9)


@pytest.mark.parametrize(
    "log_p", [[-0.0, -np.inf], [-np.inf, 0.0], np.log([0.3, 0.7 - 1e-7]), [-np.inf, -0.7, -np.inf]]
)
def test_words_pick_values_by_their_share_and_never_an_impossible_one(log_p):
    log_p = jnp.asarray(log_p, jnp.float32)
    words = jnp.asarray(np.append(np.linspace(0, 2**32 - 1, 10_000), 2**32 - 1).astype(np.uint64), jnp.uint32)
    drawn = np.asarray(jax.jit(jax.vmap(draw, in_axes=(0, None)))(words, log_p))
    p = np.exp(np.asarray(log_p, float))
    assert np.all(p[drawn] > 0)
    share = np.bincount(drawn, minlength=len(p)) / len(drawn)
    assert np.abs(share - p / p.sum()).max() < 1e-3
