"""A tensor network that a network changes: without it its matrix product state, with it the equations written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.antn import antn
from nqs_hpc.ansatz.mps import MPSParams, mps
from nqs_hpc.types import Ansatz
from tests.systems import all_numbers, all_states


def params_of(ansatz: Ansatz, scale: float = 0.6):
    rng = np.random.default_rng(4)
    shapes = jax.eval_shape(ansatz.init, jax.random.key(0))
    return jax.tree.map(lambda x: jnp.asarray(scale * rng.normal(size=x.shape)), shapes)


def log_psi_of(ansatz: Ansatz, params, states) -> np.ndarray:
    return np.asarray(jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))(params, states))


@pytest.mark.parametrize("dtype", ["real", "complex"])
@pytest.mark.parametrize("total", [None, 4])
def test_without_the_network_it_is_its_matrix_product_state(dtype, total):
    """Normalised, in a sector its projection, with its signs or phases."""
    n, options = 5, {"dtype": dtype, "local_values": (0, 1, 2)}
    ansatz = antn(n, chi=3, layers=2, features=3, total=total, **options)
    params = params_of(ansatz)
    params = params._replace(change=jnp.zeros_like(params.change))
    planes = params.tensors
    if dtype == "complex":  # theta = A - 1 of the real plane, A of the imaginary one
        joined = MPSParams(*(x + 1j * y for x, y in zip(*planes, strict=True)))
    else:
        (joined,) = planes
    states = all_numbers(n, 2)
    inside = np.full(len(states), True) if total is None else states.sum(axis=1) == total
    psi = np.exp(log_psi_of(mps(n, chi=3, periodic=False, **options), joined, states)) * inside
    psi /= np.linalg.norm(psi)
    found = log_psi_of(ansatz, params, states)
    assert ansatz.kind == ("complex" if dtype == "complex" else "signed")
    assert np.isneginf(found.real[~inside]).all() and np.abs(np.exp(found) - psi).max() < 1e-12


@pytest.mark.parametrize("dtype", ["real", "complex"])
def test_log_psi_is_the_equations_written_out(dtype):
    """Each matrix changed by what the sites before it give, and the sites behind it by sums over all their states."""
    n, chi, features = 4, 2, 3
    ansatz = antn(n, chi=chi, layers=1, features=features, dtype=dtype)
    params = params_of(ansatz)
    factors = (1, 1j)[: len(params.tensors)]
    one, ends = np.eye(chi), chi**-0.5
    a = []  # (V, rows, columns) of each site, before the network
    for i in range(n):
        total = 0
        for factor, t in zip(factors, params.tensors, strict=True):
            shift = factor == 1
            if i == 0:
                part = np.zeros((2, chi, chi))
                part[:, 0, :] = t.first + shift * ends
            elif i == n - 1:
                part = np.zeros((2, chi, chi))
                part[:, :, 0] = t.last + shift * ends
            else:
                part = np.asarray(t.bulk[i - 1]) + shift * one
            total = total + factor * part
        a.append(np.asarray(total))
    change = sum(f * np.asarray(u) for f, u in zip(factors, params.change, strict=True))
    (layer,) = params.net

    def rest(i: int) -> np.ndarray:
        """The density matrix of the sites from i on."""
        if i == n:
            return np.outer(one[0], one[0])
        return sum(a[i][v] @ rest(i + 1) @ a[i][v].conj().T for v in range(2))

    states = all_states(n)
    found = log_psi_of(ansatz, params, states)
    for s, log_psi in zip(states, found, strict=True):
        row, size = one[0], 0.0
        for i in range(n):
            z = np.asarray(layer.bias[i]).copy()
            pairs = [(j, k) for j in range(n) for k in range(j + 1, n)]
            for j in range(i):
                z += s[j] * np.asarray(layer.weight[pairs.index((j, i)), 0])
            b = a[i] + np.einsum("f,fvab->vab", np.tanh(z), change[i])
            rows = [row @ b[v] for v in range(2)]
            p = np.array([(x @ rest(i + 1) @ x.conj()).real for x in rows])
            v = 0 if s[i] == 1 else 1
            row, size = rows[v], size + 0.5 * np.log(p[v] / p.sum())
        assert abs(np.exp(log_psi) - np.exp(size) * row[0] / abs(row[0])) < 1e-12


@pytest.mark.parametrize("options", [{"chi": 0}, {"layers": 0}, {"features": 0}, {"activation": "sin"}, {"total": 1}])
def test_what_cannot_be_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        antn(**({"n_sites": 6, "chi": 2, "layers": 1, "features": 2} | options))
