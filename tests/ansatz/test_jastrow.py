"""The Jastrow form against its double sum, written out."""

import jax
import numpy as np
import pytest

from nqs_hpc.ansatz.jastrow import JastrowParams, jastrow
from nqs_hpc.types import Move


@pytest.mark.parametrize("dtype", ["real", "complex"])
def test_log_psi_and_ratios_are_the_double_sum(dtype):
    """For occupation numbers too: any integer change of any site."""
    n, rng = 5, np.random.default_rng(0)
    ansatz = jastrow(n, dtype=dtype)
    unit = 1 if dtype == "real" else 1 + 0.7j
    w, a = unit * rng.normal(size=n * (n - 1) // 2), unit * rng.normal(size=n)
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]

    def exact(s):
        return sum(w[k] * s[i] * s[j] for k, (i, j) in enumerate(pairs)) + sum(a[i] * s[i] for i in range(n))

    params = JastrowParams(w, a)
    frozen = ansatz.freeze(params)
    s = rng.integers(-1, 4, n).astype(np.int8)
    assert abs(ansatz.log_psi(params, s) - exact(s.astype(float))) < 1e-12
    move = Move(np.array([3, 0, 1, 0]), np.array([-2, 0, 3, 0], np.int8))
    s_new = s + np.array([0, 3, 0, -2, 0])
    ratio = ansatz.log_ratio(frozen, s, ansatz.prepare(frozen, s), move)
    assert abs(ratio - (exact(s_new.astype(float)) - exact(s.astype(float)))) < 1e-12


def test_parameters_are_independent():
    """One for each pair and one for each site: none is counted twice."""
    params = jax.eval_shape(jastrow(7).init, jax.random.key(0))
    assert params.w.shape == (21,) and params.a.shape == (7,)


def test_one_site_is_refused():
    with pytest.raises(ValueError, match="n_sites=1"):
        jastrow(1)
