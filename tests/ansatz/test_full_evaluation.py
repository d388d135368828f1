"""The general path, on wave functions with zeros."""

import jax
import jax.numpy as jnp
import numpy as np

from nqs_hpc.ansatz.full_evaluation import apply_move, full_evaluation
from nqs_hpc.types import Move

# log psi of a two-spin state by the number of up spins: psi = 0 for none and one.
TABLE = jnp.array([-jnp.inf, -jnp.inf, 1.5])


def log_psi(params, s_N):
    return params + TABLE[jnp.sum(s_N > 0)]


def ratio_of(ansatz, s_N, move):
    frozen = ansatz.freeze(0.25)
    return ansatz.log_ratio(frozen, s_N, ansatz.prepare(frozen, s_N), move)


def test_zeros_give_minus_infinity_or_accept():
    ansatz = full_evaluation(lambda key: 0.25, log_psi, "real")
    flip = lambda s_N, i: Move(jnp.array([i]), -2 * s_N[jnp.array([i])])  # noqa: E731
    up, half, down = (jnp.array(s, jnp.int8) for s in ([1, 1], [1, -1], [-1, -1]))
    assert ratio_of(ansatz, up, flip(up, 0)) == -np.inf
    assert ratio_of(ansatz, half, flip(half, 1)) == 0  # from a zero to a non-zero
    assert ratio_of(ansatz, half, flip(half, 0)) == 0  # from a zero to a zero
    assert ratio_of(ansatz, down, flip(down, 0)) == 0


def test_complex_zeros_are_never_nan():
    ansatz = full_evaluation(lambda key: 0.25, lambda p, s: log_psi(p, s) + 0.3j * s[0], "complex")
    up, half = (jnp.array(s, jnp.int8) for s in ([1, 1], [1, -1]))
    first = Move(jnp.array([0]), jnp.array([-2], jnp.int8))
    assert ratio_of(ansatz, up, first).real == -np.inf and np.exp(ratio_of(ansatz, up, first)) == 0
    assert ratio_of(ansatz, half, first) == 0


def test_a_nan_of_the_network_is_not_hidden():
    ansatz = full_evaluation(lambda key: 0.0, lambda p, s: p * jnp.nan, "real")
    assert np.isnan(ratio_of(ansatz, jnp.ones(2, jnp.int8), Move(jnp.array([0]), jnp.array([-2], jnp.int8))))


def test_a_proposal_and_its_acceptance_cost_one_forward_pass():
    """log_ratio and advance of the same move share their evaluation once compiled."""
    w = jnp.ones((64, 64))
    ansatz = full_evaluation(lambda key: w, lambda p, s: jnp.sum(jnp.tanh(p @ s.astype(p.dtype))), "real")

    def both(frozen, s_N, cache, move):
        return ansatz.log_ratio(frozen, s_N, cache, move), ansatz.advance(frozen, s_N, cache, move)

    args = (w, jnp.ones(64, jnp.int8), jnp.float64(0), Move(jnp.array([3]), jnp.array([-2], jnp.int8)))
    cost = [jax.jit(f).lower(*args).compile().cost_analysis()["transcendentals"] for f in (ansatz.log_ratio, both)]
    assert cost[0] == cost[1] == 64


def test_apply_move_ignores_pads_and_keeps_the_dtype():
    s_N = jnp.array([1, -1, 1], jnp.int8)
    new = apply_move(s_N, Move(jnp.array([0, 2, 0, 1]), jnp.array([0, -2, 0, 2], jnp.int8)))
    assert new.dtype == jnp.int8 and new.tolist() == [1, 1, -1]
