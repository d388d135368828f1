"""The masked dense network against sums written out."""

import jax
import numpy as np
import pytest

from nqs_hpc.ansatz.masked_dense import masked_dense
from tests.systems import all_states


def test_log_psi_is_the_sum_written_out():
    n = 5
    ansatz = masked_dense(n, layers=3, features=2, activation="tanh", dtype="complex")
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: rng.normal(size=x.shape), jax.eval_shape(ansatz.init, jax.random.key(0)))
    found = np.asarray(jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))(params, all_states(n)))
    for s, log_psi in zip(all_states(n), found, strict=True):
        x = s[:, None].astype(float)
        for layer, (weight, bias) in enumerate(params):
            if layer > 0:
                x = np.tanh(x)
            z, pair = bias.copy(), iter(weight)
            for j in range(n):
                for i in range(j + 1 if layer == 0 else j, n):
                    z[i] += x[j] @ next(pair)
            assert next(pair, None) is None
            x = z
        wanted = 0
        for i, s_i in enumerate(s):
            v = 0 if s_i == 1 else 1
            wanted += x[i, v] - 0.5 * np.log(np.exp(2 * x[i, :2]).sum()) + 1j * x[i, 2 + v]
        assert abs(log_psi - wanted) < 1e-12 * max(1, abs(wanted))


def test_only_what_is_not_masked_is_a_parameter():
    n, features = 7, 3
    shapes = jax.eval_shape(masked_dense(n, layers=2, features=features).init, jax.random.key(0))
    wanted = n * (n - 1) // 2 * features + n * features + n * (n + 1) // 2 * features * 2 + 2 * n
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == wanted


@pytest.mark.parametrize("options", [{"layers": 0}, {"activation": "sin"}, {"local_values": (0, 1, 3)}, {"total": 1}])
def test_what_cannot_be_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        masked_dense(**({"n_sites": 6, "layers": 2, "features": 2} | options))
