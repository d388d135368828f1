"""Counter-based random numbers: known answers, uniformity, independence of chains, purposes and batching."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from nqs_hpc.parallel.keys import Purpose, own_purpose, purpose_key, words


def threefry(key, counter):
    """Threefry2x32-20 written out from Salmon et al. 2011, in Python integers."""
    mask = 2**32 - 1
    ks = [*key, 0x1BD11BDA ^ key[0] ^ key[1]]
    x = [(counter[0] + ks[0]) & mask, (counter[1] + ks[1]) & mask]
    for r in range(20):
        rotation = [13, 15, 26, 6, 17, 29, 16, 24][r % 8]
        x[0] = (x[0] + x[1]) & mask
        x[1] = ((x[1] << rotation | x[1] >> (32 - rotation)) & mask) ^ x[0]
        if r % 4 == 3:
            j = r // 4 + 1
            x = [(x[0] + ks[j % 3]) & mask, (x[1] + ks[(j + 1) % 3] + j) & mask]
    return x


def test_words_are_threefry_of_chain_and_index():
    # the published known answer for key and counter all ones
    assert threefry([2**32 - 1] * 2, [2**32 - 1] * 2) == [0x1CB996FC, 0xBB002BE7]
    key = jnp.array([123, 456], jnp.uint32)
    found = words(key, jnp.int32(7), jnp.int32(5), 6)
    pairs = [threefry([123, 456], [7, 5 * 3 + i]) for i in range(3)]
    assert found.tolist() == [p[0] for p in pairs] + [p[1] for p in pairs]


def test_streams_do_not_meet_and_are_uniform():
    key = jnp.asarray(purpose_key(1, Purpose.SAMPLE))
    block = jax.jit(jax.vmap(jax.vmap(lambda c, i: words(key, c, i, 8), (None, 0)), (0, None)))
    drawn = np.asarray(block(jnp.arange(50), jnp.arange(40))).ravel()
    assert len(np.unique(drawn)) > len(drawn) - 10  # chance repeats: 0.03 expected
    assert stats.kstest(drawn / 2**32, "uniform").pvalue > 1e-3
    alone = words(key, jnp.int32(3), jnp.int32(4), 8)
    assert np.array_equal(alone, drawn.reshape(50, 40, 8)[3, 4])


def test_keys_differ_in_every_argument_and_are_fixed():
    grid = itertools.product((0, 1, 2**40), Purpose, (0, 1, 2), (0, 1))
    keys = [tuple(purpose_key(*point).tolist()) for point in grid]
    assert len(set(keys)) == len(keys)
    assert purpose_key(0, Purpose.SAMPLE, 0, 0).tolist() == purpose_key(0, Purpose.SAMPLE).tolist()


def test_tasks_name_purposes_of_their_own():
    numbers = {own_purpose(name) for name in ("evaluate: chains", "evaluate: samples", "toy: chains")}
    assert len(numbers) == 3 and min(numbers) > max(Purpose) and max(numbers) < 2**49
    keys = {tuple(purpose_key(0, number)) for number in [*numbers, *Purpose]}
    assert len(keys) == 3 + len(Purpose)
