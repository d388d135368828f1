"""Functions of batches under maps."""

import jax
import jax.numpy as jnp
import numpy as np

from nqs_hpc.parallel.chunk import of_batches


def test_maps_inside_maps_become_batches_of_the_size():
    seen = []

    def function(scale, xs):
        seen.append(xs.shape)
        return {"sum": scale * jnp.sum(xs, axis=1), "x": xs + scale}

    one = of_batches(function, 6)
    x = np.arange(4 * 5 * 3.0).reshape(4, 5, 3)
    wanted = {"sum": 2 * x.sum(axis=2), "x": x + 2}
    found = jax.jit(jax.vmap(jax.vmap(one, in_axes=(None, 0)), in_axes=(None, 0)))(2.0, x)
    jax.tree.map(np.testing.assert_array_equal, found, wanted)
    assert seen[-1] == (5, 3)  # the 20 in four pieces of 5, the largest divisor up to 6
    jax.tree.map(
        np.testing.assert_array_equal, jax.jit(one)(2.0, x[0, 0]), {"sum": wanted["sum"][0, 0], "x": x[0, 0] + 2}
    )


def test_a_map_over_what_is_shared_too():
    one = of_batches(lambda scale, xs: scale * xs, 2)
    x, scales = np.arange(12.0).reshape(3, 4), np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(jax.jit(jax.vmap(one))(scales, x), scales[:, None] * x)
    np.testing.assert_array_equal(jax.jit(jax.vmap(one, in_axes=(0, None)))(scales, x[1]), scales[:, None] * x[1])
