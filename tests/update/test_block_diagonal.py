"""S by blocks: each block's step is that of dense algebra on its own parameters, whatever the kind and the ranks."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nqs_hpc.gradient.diagonal_blocks import diagonal_blocks
from nqs_hpc.gradient.flat import flat
from nqs_hpc.update.sr import sr
from tests.systems import SERIAL, ansatz_of
from tests.update.test_sr import RATES, SHIFT, N, batch_of, step_of

# the leaves that make a layer, written down from what the networks are
LAYERS = {
    "mlp-real": [[0, 1], [2, 3]],
    "mlp-complex": [[0, 1], [2, 3]],
    "resnet": [[0, 1], [2, 3], [4]],
    "rbm-complex": [[0, 1, 2]],
    "jastrow": [[0, 1]],
}


def textbook(ansatz, params, batch, groups):
    """-(S + shift)^-1 F with the elements of S between groups of leaves struck out, over all real parameters."""
    real = flat(params, "real")
    theta = real.ravel(params)
    gradients = jax.jit(
        jax.vmap(
            jax.jacrev(
                lambda t, s: jnp.stack(
                    [f(ansatz.log_psi(real.unravel(t), s).astype(jnp.complex128)) for f in (jnp.real, jnp.imag)]
                )
            ),
            in_axes=(None, 0),
        )
    )(theta, batch.samples.s_BN)
    o = np.asarray(gradients[:, 0]) + 1j * np.asarray(gradients[:, 1])
    o = o.real if ansatz.kind == "real" else o
    w, e = np.asarray(batch.samples.w_B), np.asarray(batch.e_loc_B)
    o = o - w @ o
    s, f = np.real((o.conj().T * w) @ o), np.real(o.conj().T @ (w * (e - w @ e)))
    leaves, structure = jax.tree.flatten(params)
    marks = [np.full(leaf.shape, i) for i, leaf in enumerate(leaves)]
    marks = [mark * (1 + 1j) if np.iscomplexobj(leaf) else mark for mark, leaf in zip(marks, leaves, strict=True)]
    leaf_P = np.asarray(real.ravel(jax.tree.unflatten(structure, marks))).astype(int)
    group_P = np.array([next(g for g, group in enumerate(groups) if leaf in group) for leaf in leaf_P])
    s = np.where(group_P[:, None] == group_P[None], s, 0.0)
    return -np.linalg.solve(s + SHIFT * np.eye(len(s)), f)


@pytest.mark.parametrize(("name", "by"), [(name, "layers") for name in LAYERS] + [("rbm-complex", "leaves")])
def test_steps_are_those_of_dense_blocks(name, by):
    """Real, complex, and holomorphic, whose S of complex parameters is another than that of their real parts."""
    ansatz = ansatz_of(name, N)
    params = ansatz.init(jax.random.key(1))
    batch = batch_of(ansatz, params, 40)
    groups = LAYERS[name] if by == "layers" else [[i] for i in range(len(jax.tree.leaves(params)))]
    expected = textbook(ansatz, params, batch, groups)
    solvers = ("cholesky", "eigh") if name == "mlp-complex" else ("cholesky",)
    for solver in solvers:
        options = {"rcond": 1e-15} if solver == "eigh" else {}
        update = sr(ansatz, SERIAL, solver=solver, block_diagonal=by, **RATES, **options)
        delta, _, info = step_of(update, ansatz, params, batch)
        assert np.abs(delta - expected).max() < 1e-8 * np.abs(expected).max()
        assert info.get("fallback", 0) == 0


def test_one_block_is_the_whole_matrix():
    ansatz = ansatz_of("rbm-real", N)
    params = ansatz.init(jax.random.key(1))
    batch = batch_of(ansatz, params, 20)
    whole, blocks = (
        step_of(sr(ansatz, SERIAL, solver="cholesky", block_diagonal=by, **RATES), ansatz, params, batch)[0]
        for by in (None, "layers")
    )
    assert np.abs(whole - blocks).max() < 1e-12 * np.abs(whole).max()


@pytest.mark.parametrize("name", ["mlp-real", "resnet", "vit", "rbm-complex", "modulus_phase", "gcnn"])
@pytest.mark.parametrize("most", [5, 1024])
def test_blocks_are_a_partition(name, most):
    """Each parameter is in one block; x and y of one number in the same, also where the vector is real."""
    ansatz = ansatz_of(name, N)
    params = jax.eval_shape(ansatz.init, jax.random.key(0))
    for kind in {ansatz.kind, "real"}:
        form = flat(params, kind)
        for by in ("layers", "leaves"):
            blocks = diagonal_blocks(params, form, by, most)
            found = np.concatenate(
                [np.arange(form.n_parameters)[block.of(jnp.arange(form.n_parameters))] for block in blocks]
            )
            assert sorted(found) == list(range(form.n_parameters))
            assert max(block.size for block in blocks) <= most + 1  # of whole numbers of two planes
            where = np.empty(form.n_parameters, int)
            for i, block in enumerate(blocks):
                where[np.asarray(block.of(jnp.arange(form.n_parameters)))] = i
            for leaf in jax.tree.leaves(form.unravel(jnp.asarray(where, form.dtype))):
                if np.iscomplexobj(leaf) and kind == "real":
                    assert np.array_equal(leaf.real, leaf.imag)


def test_it_promises_what_its_model_does():
    """Re F^dagger delta of the step, for a trust region."""
    ansatz = ansatz_of("mlp-real", N)
    params = ansatz.init(jax.random.key(1))
    batch = batch_of(ansatz, params, 40)
    update = sr(ansatz, SERIAL, solver="cholesky", block_diagonal="layers", predict=True, **RATES)
    delta, _, info = step_of(update, ansatz, params, batch)
    down = sr(
        ansatz,
        SERIAL,
        solver="cholesky",
        learning_rate=RATES["learning_rate"],
        diag_shift=optax.constant_schedule(1e12),
    )
    force = -1e12 * step_of(down, ansatz, params, batch)[0]
    assert info["predicted_change"] == pytest.approx(force @ delta, rel=1e-6) and force @ delta < 0
