"""The length of a sweep follows the correlation of the energies: it grows, shrinks, keeps its bounds, and is data."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.operators.ising import ising
from nqs_hpc.parallel.keys import Purpose, purpose_key
from nqs_hpc.sampler.adaptive import TARGET, Bounds, correlation, stretched
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import flip
from nqs_hpc.stats.chains import autocorrelation_time
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.tasks.evaluation import evaluation
from nqs_hpc.types import Sampler
from tests.systems import SERIAL, ansatz_of, ring

N, CHAINS, LENGTH = 6, 64, 4
BOUNDS = Bounds(3, 40)


def ar1(rho: float, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Stationary chains x_l = rho x_{l-1} + noise of variance 1 - rho^2, around 7."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    for step in range(1, shape[1]):
        x[:, step] = rho * x[:, step - 1] + np.sqrt(1 - rho**2) * x[:, step]
    return x + 7


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.9])
def test_the_correlation_of_short_chains_is_that_of_long_ones(rho):
    """To 4 standard errors from chains of two; and tau of one long chain is (1 + rho) / (1 - rho)."""
    found = float(correlation(jnp.asarray(ar1(rho, (4096, 2)))))
    assert abs(found - rho) < 4 / np.sqrt(4096)
    assert autocorrelation_time(ar1(rho, (64, 2048))) == pytest.approx((1 + rho) / (1 - rho), rel=0.15)


def test_a_chain_settles_where_its_samples_are_nearly_independent():
    """Correlation exp(-sweep / 20), known: the sweep settles at 20 log(1 / TARGET) to a few per cent, and stays."""
    step = jax.jit(lambda sweep, x: stretched(sweep, x, Bounds(1, 1000)))
    sweep, seen = jnp.full(1, 5.0), []
    for seed in range(120):
        rho = float(np.exp(-sweep[0] / 20))
        sweep = step(sweep, jnp.asarray(ar1(rho, (256, 4), seed)))
        seen.append(float(sweep[0]))
    goal = 20 * np.log(1 / TARGET)
    assert np.mean(seen[60:]) == pytest.approx(goal, rel=0.1)
    assert np.std(seen[60:]) < 0.1 * goal


def test_what_has_no_correlation_leaves_it_as_it_is_and_bounds_hold():
    bounds = Bounds(4, 9)
    for x in (np.ones((8, 4)), np.full((8, 4), np.nan), np.where(np.eye(8, 4) > 0, np.inf, 1.0)):
        assert float(stretched(jnp.full(1, 7.0), jnp.asarray(x), bounds)[0]) == 7.0
    alike, apart = np.repeat(np.arange(8.0)[:, None], 4, 1), np.tile([[1.0, -1.0]], (8, 2))
    assert float(stretched(jnp.full(1, 8.0), jnp.asarray(alike), bounds)[0]) == 9.0
    assert float(stretched(jnp.full(1, 4.5), jnp.asarray(apart), bounds)[0]) == 4.0


@functools.cache
def compiled():
    """One step of sampling, with its energies, and of adapting; parameters are data."""
    ansatz = ansatz_of("jastrow", N)
    sampler = sampler_of(1)[0]
    evaluate = evaluation(ansatz, ising(N, ring(N), J=1.0, h=0.5), SERIAL, chain_length=LENGTH, chunk=None)

    def step(key, params, state):
        moved, samples, counts = sampler.sample(key, params, state)
        e_loc_A = evaluate(params, samples, counts)[0].e_loc_A
        adapted, info = sampler.adapt(moved, e_loc_A, counts)
        return adapted, e_loc_A, counts, info

    return jax.jit(step), sampler, ansatz


def sampler_of(size: int) -> list[Sampler]:
    ansatz = ansatz_of("jastrow", N)
    return [
        metropolis(
            ansatz, flip(spin_half(N)), spin_half(N), SERIAL._replace(rank=rank, size=size),
            n_chains=CHAINS, n_samples=LENGTH * CHAINS, sweep=BOUNDS, warmup=0,
        )
        for rank in range(size)
    ]  # fmt: skip


def walked(coupling: float, n_steps: int, state=None, first: int = 0):
    """``n_steps`` with psi = exp(coupling sum_{i<j} s_i s_j); the sweeps used, and the chains after them."""
    step, sampler, ansatz = compiled()
    params = jax.tree.map(jnp.zeros_like, ansatz.init(jax.random.key(0)))
    # a small field tells up from down: the local energies of both would be the same
    params = params._replace(w=params.w + coupling, a=params.a + 0.02)
    state = sampler.init(jnp.asarray(purpose_key(0, Purpose.CHAINS))) if state is None else state
    sweeps = []
    for number in range(first, first + n_steps):
        state, _, counts, info = step(jnp.asarray(purpose_key(0, Purpose.SAMPLE, number)), params, state)
        sweeps.append(int(info["sweep"]))
        assert counts["proposed"] == sweeps[-1] * CHAINS * LENGTH  # as many as it says
    return sweeps, state


def test_it_grows_where_flips_are_rare_and_shrinks_where_every_flip_is_taken():
    slow, _ = walked(0.6, 12)
    assert slow[0] == N and slow[-1] > 2 * N
    quick, _ = walked(0.0, 40)
    assert quick[-1] <= 2 * slow[0] < slow[-1]
    assert compiled()[0]._cache_size() == 1  # nothing compiles twice, whatever the length


def test_a_restart_goes_on_bitwise():
    """All that the next step needs is in the state, and its leaves lead with the chains, as checkpoints want them."""
    whole, end = walked(0.6, 8)
    first, middle = walked(0.6, 5)
    assert all(leaf.shape[0] == CHAINS for leaf in jax.tree.leaves(middle))
    copied = jax.tree.map(lambda leaf: jnp.asarray(np.array(leaf)), middle)
    second, other_end = walked(0.6, 3, copied, first=5)
    assert first + second == whole
    for a, b in zip(jax.tree.leaves(end), jax.tree.leaves(other_end), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_two_ranks_walk_as_one_and_fresh_chains_inherit():
    """Each of two ranks, from its half of the chains and the energies of all, comes to the same sweep."""
    _, state = walked(0.6, 3)
    step, _, ansatz = compiled()
    params = jax.tree.map(jnp.zeros_like, ansatz.init(jax.random.key(0)))._replace(a=jnp.full(N, 0.3))
    key = jnp.asarray(purpose_key(0, Purpose.SAMPLE, 3))
    after, e_loc_A, *_ = step(key, params, state)
    sample = None  # the number of a rank is no part of the program
    for rank, half in enumerate(sampler_of(2)):
        mine = jax.tree.map(lambda x, rank=rank: x[rank * CHAINS // 2 : (rank + 1) * CHAINS // 2], state)
        sample = sample or jax.jit(half.sample)
        moved, *_ = sample(key, params, mine)
        found, _ = half.adapt(moved, e_loc_A, {})
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(after), strict=True):
            b = b[rank * CHAINS // 2 : (rank + 1) * CHAINS // 2]
            # half the chains are another program: its sums may end in other bits
            assert (
                np.allclose(a, b, rtol=1e-12, atol=0) if np.issubdtype(b.dtype, np.floating) else np.array_equal(a, b)
            )
        fresh = half.inherit(half.init(key), state)
        assert np.array_equal(fresh.sweep_C, np.full(CHAINS // 2, state.sweep_C[0]))
