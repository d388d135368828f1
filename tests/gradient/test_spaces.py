"""The sample space and the rows of X, each in all its ways, against X itself as a matrix."""

import functools

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.gradient import factored
from nqs_hpc.gradient.factored_space import factored_space
from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.jacobian import centre, jacobian, residuals, row_means, rows_per_sample, weigh
from nqs_hpc.gradient.rows import centred_rows, gram_of_parameters
from nqs_hpc.gradient.sample_space import sample_space
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.tasks.evaluation import evaluation
from nqs_hpc.types import Samples
from tests.systems import SERIAL, ansatz_of, ring

N = 6
FACTORED = ("rbm-real", "rbm-complex", "mlp-real", "mlp-complex")
NAMES = (*FACTORED, "jastrow")
LAYERED = ("resnet",)


@functools.cache
def case(name: str):
    """Random samples of random weights, one of them 0, and X as a matrix."""
    ansatz = ansatz_of(name, N)
    params = ansatz.init(jax.random.key(1))
    form = flat(params, ansatz.kind)
    keys = jax.random.split(jax.random.key(2), 4)
    s_BN = jax.random.choice(keys[0], jnp.array([1, -1], jnp.int8), (14, N))
    w_B = jax.random.uniform(keys[1], (14,)).at[3].set(0.0)
    samples = Samples(s_BN, w_B / w_B.sum())
    evaluate = evaluation(ansatz, heisenberg(N, [ring(N)], [1.0]), SERIAL, chain_length=0, chunk=None)
    batch = jax.jit(evaluate)(params, samples, {})[0]

    @jax.jit
    def rows(params):
        jac = jacobian(ansatz._replace(layered=None), form, params, s_BN, None)
        w = weigh(ansatz.kind, samples.w_B)
        return centre(jac, w, row_means(jac, w, rows_per_sample(ansatz.kind)))

    x = np.asarray(rows(params))

    def draw(key, shape):
        parts = jax.random.normal(key, (2, *shape))
        return parts[0] + 1j * parts[1] if form.dtype.kind == "c" else parts[0]

    return ansatz, form, params, batch, x, draw(keys[2], (form.n_parameters,)), draw(keys[3], (2, len(x)))


def differ(found, expected) -> float:
    return float(np.abs(np.asarray(found) - expected).max() / np.abs(expected).max())


def going(ansatz, way):
    """The ansatz without what would lead to another way to its sample space, and the blocks."""
    if way in ("stored", "blocked"):
        ansatz = ansatz._replace(factors=None, layered=None)
    return ansatz, {"blocks": 1 if way in ("factored", "stored") else 3}


# every ansatz in chunks, and of each way one that is not
WAYS = (
    [("factored", name, 5) for name in FACTORED]
    + [(way, name, 5) for way in ("stored", "blocked") for name in NAMES]
    + [(way, name, 5) for way in ("stored", "layered") for name in LAYERED]
    + [
        ("layered", "resnet", None),
        ("factored", "rbm-complex", None),
        ("stored", "mlp-complex", None),
        ("blocked", "jastrow", None),
    ]
)


@pytest.mark.parametrize(("way", "name", "chunk"), WAYS)
def test_sample_space_is_that_of_the_matrix(way, name, chunk):
    ansatz, form, params, batch, x, v_P, y_kA = case(name)

    @jax.jit
    def found(params, batch, v_P, y_kA):
        taken, options = going(ansatz, way)
        space = sample_space(taken, form, params, batch, SERIAL, v_P=v_P, chunk=chunk, **options)
        return space.kernel, space.image, space.adjoint(y_kA)

    kernel, image, adjoint = found(params, batch, v_P, y_kA)
    assert differ(np.triu(kernel), np.triu(x @ x.conj().T)) < 1e-12
    assert differ(image, x @ v_P) < 1e-12
    assert differ(adjoint, y_kA @ x.conj()) < 1e-12


@pytest.mark.parametrize("kind", ["real", "holomorphic"])
def test_leaves_of_one_part_may_be_matrices(kind):
    """The orbitals of a determinant: a part has a row for all numbers of a leaf."""
    draws = np.random.default_rng(3)
    parts = [draws.normal(size=(4, 6)), draws.normal(size=(4, 2))]
    v_P = draws.normal(size=8)
    if kind == "holomorphic":
        parts = [part + 1j * draws.normal(size=part.shape) for part in parts]
        v_P = v_P + 1j * draws.normal(size=8)
    form = flat([jnp.zeros((3, 2), v_P.dtype), jnp.zeros(2, v_P.dtype)], kind)
    found = factored.times(((0,), (1,)), form, [jnp.asarray(part) for part in parts], jnp.asarray(v_P))
    np.testing.assert_allclose(found, np.hstack(parts) @ v_P, rtol=1e-13)


@pytest.mark.parametrize(
    ("name", "stored", "chunk"),
    [(name, False, 5) for name in NAMES]
    + [("jastrow", True, 5), ("jastrow", True, None), ("rbm-complex", False, None)],
)
def test_rows_and_dense_tensor_are_those_of_the_matrix(name, stored, chunk):
    ansatz, form, params, batch, x, v_P, y_kA = case(name)
    eps = residuals(ansatz.kind, batch.e_loc_B, batch.samples.w_B, batch.estimate.mean).astype(form.dtype)

    @jax.jit
    def found(params, samples, v_P, y_rows):
        rows = centred_rows(ansatz, form, params, samples, SERIAL, chunk=chunk, stored=stored)
        dense = gram_of_parameters(ansatz, form, params, samples, SERIAL, eps, chunk=chunk)
        return rows.times(v_P), rows.adjoint(y_rows), *dense

    times, adjoint, s_PP, f_P = found(params, batch.samples, v_P, y_kA[0])
    assert differ(times, x @ v_P) < 1e-12
    assert differ(adjoint, x.conj().T @ y_kA[0]) < 1e-12
    assert differ(np.triu(s_PP), np.triu(x.conj().T @ x)) < 1e-12
    assert differ(f_P, x.conj().T @ eps) < 1e-12


@pytest.mark.parametrize("name", FACTORED)
def test_no_array_of_samples_times_parameters_where_there_are_factors(name):
    """The largest array of the factored sample space is the kernel: no Jacobian hides in it."""
    ansatz, form, params, batch, _, v_P, y_kA = case(name)

    def both(v_P, y_kA):
        space = factored_space(ansatz, form, params, batch, SERIAL, v_P, None)
        return space.kernel, space.image, space.adjoint(y_kA)

    def sizes(jaxpr):
        for equation in jaxpr.eqns:
            yield from (variable.aval.size * variable.aval.dtype.itemsize for variable in equation.outvars)
            for inner in jax.extend.core.jaxprs_in_params(equation.params):
                yield from sizes(inner)

    largest = max(sizes(jax.make_jaxpr(both)(v_P, y_kA).jaxpr))
    n_rows = y_kA.shape[1]
    assert n_rows * form.n_parameters > 1.5 * max(n_rows**2, 2 * form.n_parameters)  # else this would show nothing
    assert largest <= max(n_rows**2, 2 * form.n_parameters) * form.dtype.itemsize


def test_factors_in_float32_keep_their_digits():
    """The kernel of a float32 network far from 0, where centring cancels most of it, against float64."""
    from nqs_hpc.ansatz.rbm import RBMParams, rbm

    rng = np.random.default_rng(0)
    n, s_BN = 16, jnp.asarray(1 - 2 * rng.integers(0, 2, (40, 16)), jnp.int8)
    params = RBMParams(0.05 * rng.normal(size=(n, n)), np.zeros(n), np.full(n, 1.5))  # all tanh near 0.9
    w_A = jnp.full(40, 1 / 40)
    kernels = []
    for dtype in ("float32", "float64"):
        ansatz = rbm(n, n_hidden=n, float_dtype=dtype)
        cast = jax.tree.map(lambda leaf, dtype=dtype: jnp.asarray(leaf, dtype), params)
        batch = case("rbm-real")[3]._replace(samples=Samples(s_BN, w_A), w_A=w_A)
        form = flat(cast, "real")
        kernels.append(
            jax.jit(lambda p, b, a=ansatz, f=form: factored_space(a, f, p, b, SERIAL, None, None).kernel)(cast, batch)
        )
    assert kernels[0].dtype == jnp.float32
    assert differ(kernels[0], np.asarray(kernels[1])) < 5e-6
