"""The vision transformer against one configuration in numpy, and the translations that leave it unchanged."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.vit import vit
from nqs_hpc.gradient import layered
from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.jacobian import jacobian
from nqs_hpc.system.lattice import FACTORIES, cells
from nqs_hpc.system.patches import patches
from nqs_hpc.types import Move

SQUARE = FACTORIES["square"]((4, 6), (True, True))


def random_params(ansatz, scale=0.7, seed=0):
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(ansatz.init, jax.random.key(0))
    return jax.tree.map(lambda x: scale * rng.normal(size=x.shape), shapes)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def layer_norm(norm, x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * norm.scale + norm.bias


def plain_forward(params, s_xy, patch, heads, attention):
    """log psi of one configuration (Lx, Ly) on a torus, by loops over patches and heads."""
    n_x, n_y = s_xy.shape[0] // patch[0], s_xy.shape[1] // patch[1]
    places = [(x, y) for y in range(n_y) for x in range(n_x)]
    blocks = [s_xy[x * patch[0] : (x + 1) * patch[0], y * patch[1] : (y + 1) * patch[1]] for x, y in places]
    z = np.array([block.ravel(order="F") @ params.embedding.weight + params.embedding.bias for block in blocks])
    width = z.shape[1]
    d = width // heads
    for block in params.blocks:
        inputs = layer_norm(block.norm_attention, z) @ block.inputs
        mixed = np.zeros_like(z)
        for h in range(heads):
            head = slice(h * d, (h + 1) * d)
            for i, (x, y) in enumerate(places):
                relative = np.array([block.relative[h, (x - a) % n_x + n_x * ((y - b) % n_y)] for a, b in places])
                if attention == "factored":
                    mixed[i, head] = relative @ inputs[:, head]
                else:
                    q, k, v = (inputs[:, part * width : (part + 1) * width][:, head] for part in range(3))
                    weights = np.exp(k @ q[i] / np.sqrt(d) + relative)
                    mixed[i, head] = weights / weights.sum() @ v
        z = z + mixed @ block.out.weight + block.out.bias
        hidden = gelu(layer_norm(block.norm_mlp, z) @ block.up.weight + block.up.bias)
        z = z + hidden @ block.down.weight + block.down.bias
    theta = layer_norm(params.norm_head, z.sum(0)) @ params.head.weight + params.head.bias
    if len(theta) == 2 * width:
        theta = theta[:width] + 1j * theta[width:]
    return np.sum(np.log(np.cosh(theta)))


@pytest.mark.parametrize("dtype", ["real", "complex"])
@pytest.mark.parametrize("attention", ["full", "factored"])
def test_forward_pass(attention, dtype):
    ansatz = vit(
        patches(FACTORIES["square"]((6, 4), (True, True)), (2, 1)),
        width=6,
        heads=2,
        layers=2,
        attention_name=attention,
        expansion=2,
        dtype=dtype,
    )
    assert ansatz.kind == dtype
    params = random_params(ansatz)
    s_BN = np.random.default_rng(1).choice(np.array([1, -1], np.int8), (5, 24))
    log_psi = jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))(params, s_BN)
    for s_N, ours in zip(s_BN, np.asarray(log_psi), strict=True):
        plain = plain_forward(params, s_N.reshape(6, 4, order="F").astype(float), (2, 1), 2, attention)
        assert abs(np.exp(ours - plain) - 1) < 1e-12


@pytest.mark.parametrize(("attention", "dtype"), [("full", "complex"), ("factored", "real")])
def test_log_derivatives_layer_by_layer(attention, dtype):
    """Against those of log psi differentiated whole; sums over samples against the same rows."""
    on = patches(FACTORIES["square"]((6, 2), (False, True)), (2, 1))
    ansatz = vit(on, width=6, heads=2, layers=2, attention_name=attention, expansion=2, dtype=dtype)
    params = random_params(ansatz)
    form = flat(params, ansatz.kind)
    s_BN = np.random.default_rng(1).choice(np.array([1, -1], np.int8), (5, 12))
    y = np.random.default_rng(2).normal(size=10 if dtype == "complex" else 5)

    @jax.jit
    def both(params, s_BN, y):
        stages = ansatz.layered
        recorded = layered.tape(stages, params, s_BN, 3)
        jac = layered.jacobian_of(stages, recorded, range(len(stages.stages)), 3)
        whole = jacobian(ansatz._replace(layered=None), form, params, s_BN, None)
        return jac, layered.adjoint(stages, recorded, y), whole

    jac, adjoint, whole = (np.asarray(x) for x in both(params, s_BN, y))
    assert np.all(np.max(np.abs(whole), axis=0) > 1e-6 * np.max(np.abs(whole)))  # each parameter is tested
    assert np.max(np.abs(jac - whole)) < 1e-12 * np.max(np.abs(whole))
    assert np.max(np.abs(adjoint - y @ whole)) < 1e-12 * np.max(np.abs(y @ whole))


@functools.cache
def log_psi_of(name, extent, pbc, patch, attention):
    lattice = FACTORIES[name](extent, pbc)
    ansatz = vit(patches(lattice, patch), width=4, heads=2, layers=2, attention_name=attention, dtype="complex")
    params = random_params(ansatz)
    return lattice, jax.jit(jax.vmap(functools.partial(ansatz.log_psi, params)))


def translated(lattice, s_N, shift):
    """s' with s'(cell + shift) = s(cell), cyclic in every direction."""
    n_basis = len(lattice.basis)
    new = (cells(lattice) + np.array(shift)) % lattice.extent
    site = new @ np.cumprod((1, *lattice.extent[:-1])) * n_basis + np.arange(lattice.n_sites) % n_basis
    out = np.empty_like(s_N)
    out[site] = s_N
    return out


@pytest.mark.parametrize("attention", ["full", "factored"])
@pytest.mark.parametrize(
    ("name", "extent", "patch", "shifts"),
    [
        ("chain", (12,), 3, [(3,), (6,)]),
        ("square", (4, 6), 2, [(2, 0), (0, 2), (2, 4)]),
        ("cubic", (2, 4, 2), (1, 2, 2), [(1, 0, 0), (1, 2, 0)]),
        ("honeycomb", (4, 2), (2, 1), [(2, 0), (2, 1)]),
    ],
)
def test_translations_by_whole_patches(name, extent, patch, shifts, attention):
    lattice, log_psi = log_psi_of(name, extent, (True,) * len(extent), patch, attention)
    s_N = np.random.default_rng(0).choice(np.array([1, -1], np.int8), lattice.n_sites)
    one_cell = (0, 1, 0) if name == "cubic" else (1, *(0,) * (len(extent) - 1))
    states = np.array([s_N, *(translated(lattice, s_N, shift) for shift in shifts), translated(lattice, s_N, one_cell)])
    psi = np.exp(np.asarray(log_psi(states)))
    assert np.max(np.abs(psi[1:-1] / psi[0] - 1)) < 1e-10
    assert abs(psi[-1] / psi[0] - 1) > 1e-4  # by part of a patch: another state


@pytest.mark.parametrize("attention", ["full", "factored"])
def test_an_open_side_breaks_the_translations_along_it_alone(attention):
    lattice, log_psi = log_psi_of("square", (4, 6), (True, False), 2, attention)
    s_N = np.random.default_rng(0).choice(np.array([1, -1], np.int8), lattice.n_sites)
    psi = np.exp(np.asarray(log_psi(np.array([s_N, *(translated(lattice, s_N, by) for by in [(2, 0), (0, 2)])]))))
    assert abs(psi[1] / psi[0] - 1) < 1e-10
    assert abs(psi[2] / psi[0] - 1) > 1e-4


@pytest.mark.parametrize(
    ("local_values", "patch"),
    [((0, 1, 2, 3), 2), ((3, 0, 1, 2), 6)],  # 16 kinds of patches, which have a table; 4096, which have none
)
def test_ratios_of_several_local_values(local_values, patch):
    """Configurations that come in one, two and several blocks, with maps inside maps."""
    ansatz = vit(
        patches(FACTORIES["chain"]((12,), (False,)), patch),
        width=32,
        heads=1,
        layers=1,
        expansion=1024,
        local_values=local_values,
    )
    params = random_params(ansatz, 0.1)
    frozen = jax.jit(ansatz.freeze)(params)
    assert (frozen.table is None) == (patch == 6)
    s_BN = np.random.default_rng(0).integers(0, 4, (7, 12)).astype(np.int8)
    moves = Move(jnp.array([[0, 5], [3, 11]], jnp.int32), jnp.array([[0, 0], [0, 0]], jnp.int8))
    deltas = jnp.asarray((s_BN[:, moves.sites] + 1) % 4 - s_BN[:, moves.sites], jnp.int8)

    @jax.jit
    def ratios(frozen, s_BN, deltas):
        cache_B = jax.vmap(ansatz.prepare, in_axes=(None, 0))(frozen, s_BN)
        log_ratios = jax.vmap(ansatz.log_ratios, in_axes=(None, 0, 0, Move(None, 0)))
        return log_ratios(frozen, s_BN, cache_B, Move(moves.sites, deltas))

    new = np.repeat(s_BN[:, None], 2, axis=1)
    for k, sites in enumerate(np.asarray(moves.sites)):
        new[:, k, sites] += np.asarray(deltas)[:, k]
    log_psi = jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))
    wanted = log_psi(params, new.reshape(-1, 12)).reshape(7, 2) - log_psi(params, s_BN)[:, None]
    assert np.max(np.abs(wanted)) > 1e-3
    assert np.max(np.abs(ratios(frozen, s_BN, deltas) - wanted)) < 1e-12


def test_the_first_state_is_nearly_even():
    ansatz = vit(patches(SQUARE, 2), width=16, heads=4, layers=2, dtype="complex")
    s_BN = np.random.default_rng(1).choice(np.array([1, -1], np.int8), (64, 24))
    log_psi = jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))(jax.jit(ansatz.init)(jax.random.key(3)), s_BN)
    assert 1e-3 < np.std(log_psi) < 1 and np.max(np.abs(log_psi)) < 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"heads": 3}, "heads=3: must divide width=4"),
        ({"layers": 0}, "layers=0"),
        ({"activation": "swish"}, "activation='swish'"),
        ({"attention_name": "flash"}, "attention='flash'"),
    ],
)
def test_bad_choices_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        vit(patches(SQUARE, 2), **({"width": 4, "heads": 2, "layers": 1} | options))
