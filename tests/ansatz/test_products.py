"""Products of two wave functions: the sum of the logarithms, whatever the kinds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.jastrow import jastrow
from nqs_hpc.ansatz.mlp import mlp
from nqs_hpc.ansatz.mps import mps
from nqs_hpc.ansatz.products import product_of
from nqs_hpc.ansatz.rbm import rbm
from nqs_hpc.ansatz.slater import slater
from nqs_hpc.types import Move

N = 6
REAL = jastrow(N, init_scale=0.3, local_values=(0, 1))
HOLOMORPHIC = rbm(N, n_hidden=3, dtype="complex", init_scale=0.3, local_values=(0, 1))
ORBITALS = np.random.default_rng(1).normal(size=(2, 3, 2))
SIGNED = slater([2, 1], [ORBITALS[0], ORBITALS[1, :, :1]])
TENSORS = mps(N, chi=2, periodic=True, init_scale=0.5, local_values=(0, 1))
DENSE = mlp(N, widths=(4,), activation="tanh")
STATES = jnp.array([[1, 1, 0, 0, 1, 0], [0, 1, 1, 1, 0, 0], [1, 0, 1, 0, 0, 1]], jnp.int8)
KINDS = {
    ("real", "signed"): (REAL, SIGNED),
    ("signed", "signed"): (SIGNED, SIGNED),
    ("holomorphic", "signed"): (HOLOMORPHIC, SIGNED),
    ("holomorphic", "holomorphic"): (HOLOMORPHIC, HOLOMORPHIC),
    ("real", "real"): (DENSE, REAL),
    ("signed", "holomorphic"): (TENSORS, HOLOMORPHIC),
}
OF_KIND = {
    ("real", "signed"): "signed",
    ("signed", "signed"): "signed",
    ("holomorphic", "signed"): "complex",
    ("holomorphic", "holomorphic"): "holomorphic",
    ("real", "real"): "real",
    ("signed", "holomorphic"): "complex",
}


@pytest.mark.parametrize("kinds", list(KINDS), ids="-".join)
def test_a_product(kinds):
    first, second = KINDS[kinds]
    both = product_of(first, second)
    assert both.kind == OF_KIND[kinds]
    params = both.init(jax.random.key(3))
    move = Move(jnp.array([1, 2], jnp.int32), jnp.array([-1, 1], jnp.int8))  # of the first state
    for s_N in STATES:
        psi = jnp.exp(first.log_psi(params.first, s_N)) * jnp.exp(second.log_psi(params.second, s_N))
        np.testing.assert_allclose(jnp.exp(both.log_psi(params, s_N)), psi, rtol=1e-12)
    frozen = both.freeze(params)
    s_N = STATES[0]
    ratio, tried = both.attempt(frozen, s_N, both.prepare(frozen, s_N), move)
    there = s_N.at[move.sites].add(move.deltas)
    wanted = jnp.exp(both.log_psi(params, there) - both.log_psi(params, s_N))
    np.testing.assert_allclose(jnp.exp(ratio), wanted, rtol=1e-10)
    cache = both.advance(frozen, s_N, both.prepare(frozen, s_N), move, tried)
    back = Move(move.sites, -move.deltas)
    np.testing.assert_allclose(jnp.exp(both.log_ratio(frozen, there, cache, back)), 1 / wanted, rtol=1e-10)
    if both.modulus is not None:
        assert both.modulus.kind == "real"
        np.testing.assert_allclose(both.modulus.log_psi(params, s_N), both.log_psi(params, s_N).real, rtol=1e-12)
    if both.factors is not None:  # against differences of the logarithm
        parts = both.factors.parts(params, s_N)
        leaves, tree = jax.tree.flatten(params)
        for n, (leaf, which) in enumerate(zip(leaves, both.factors.leaves, strict=True)):
            found = parts[which[0]] if len(which) == 1 else jnp.outer(parts[which[0]], parts[which[1]])
            step = 1e-6 * jax.random.normal(jax.random.key(n), leaf.shape)
            moved = [
                both.log_psi(jax.tree.unflatten(tree, [*leaves[:n], leaf + sign * step, *leaves[n + 1 :]]), s_N)
                for sign in (1, -1)
            ]
            slope = (moved[0] - moved[1]) / 2
            np.testing.assert_allclose(jnp.sum(found.reshape(leaf.shape) * step), slope, atol=1e-11)
