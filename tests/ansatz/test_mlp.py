"""The perceptron against the same layers in numpy."""

import jax
import numpy as np
import pytest

from nqs_hpc.ansatz.mlp import mlp
from nqs_hpc.ansatz.names import ACTIVATION_NAMES

NUMPY = {
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0))),
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "log_cosh": lambda x: np.log(np.cosh(x)),
}


@pytest.mark.parametrize("activation", ACTIVATION_NAMES)
def test_forward_pass(activation):
    ansatz = mlp(6, widths=(7, 4), activation=activation, dtype="complex", init_scale=1.5)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: rng.normal(size=x.shape), jax.eval_shape(ansatz.init, jax.random.key(2)))
    s = np.array([1, -1, 1, 1, -1, 1], np.int8)
    x = s.astype(float)
    for layer in params[:-1]:
        x = NUMPY[activation](x @ layer.weight + layer.bias)
    out = x @ params[-1].weight + params[-1].bias
    assert out.shape == (2,)
    assert abs(jax.jit(ansatz.log_psi)(params, s) - (out[0] + 1j * out[1])) < 1e-13


def test_shapes_and_kinds():
    real, cplx = mlp(6, widths=(12,)), mlp(6, widths=(12, 3), dtype="complex")
    assert real.kind == "real" and cplx.kind == "complex"
    params = jax.eval_shape(cplx.init, jax.random.key(0))
    assert [layer.weight.shape for layer in params] == [(6, 12), (12, 3), (3, 2)]
    assert all(x.dtype == np.float64 for x in jax.tree.leaves(params))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"widths": (4,), "activation": "swish"}, "activation='swish': one of selu, gelu"),
        ({"widths": ()}, "at least one hidden layer"),
        ({"widths": (4, 0)}, "at least 1 unit"),
        ({"widths": (4,), "dtype": "double"}, "dtype='double'"),
    ],
)
def test_bad_choices_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        mlp(6, **options)
