"""The transformer over patches against its layers written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.patched_transformer import patched_transformer
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.system.patches import patches
from tests.systems import all_states

SQUARE = FACTORIES["square"]((4, 2), (False, False))
SIZES = {"width": 4, "heads": 2, "layers": 2, "expansion": 2}


def normalised(norm, x):
    x = x - x.mean()
    return x / np.sqrt((x * x).mean() + 1e-6) * norm.scale + norm.bias


def attended(block, xs):
    """What the last of ``xs`` gets of all of them, head by head."""
    qkv = [normalised(block.norm_attention, x) @ block.inputs for x in xs]
    mixed = []
    for head in range(2):
        own = slice(2 * head, 2 * head + 2)
        scores = np.array([qkv[-1][:4][own] @ each[4:8][own] for each in qkv]) / np.sqrt(2)
        weights = np.exp(scores) / np.exp(scores).sum()
        mixed.append(sum(w * each[8:][own] for w, each in zip(weights, qkv, strict=True)))
    return np.concatenate(mixed) @ block.out.weight + block.out.bias


def test_log_psi_is_the_network_written_out():
    """Patches of two by two sites: 0 1 4 5, then 2 3 6 7; the first site is the highest digit of a patch's value."""
    ansatz = patched_transformer(patches(SQUARE, 2), activation="tanh", dtype="complex", **SIZES)
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: jnp.asarray(0.5 * rng.normal(size=x.shape)), ansatz.init(jax.random.key(0)))

    def written_out(s):
        values = [np.zeros(4), s[[0, 1, 4, 5]], s[[2, 3, 6, 7]]]
        xs, log_psi = [], 0
        for k in range(2):
            xs.append(values[k] @ params.embedding.weight + params.embedding.bias + params.place[k])
        for block in params.blocks:
            xs = [x + attended(block, xs[: i + 1]) for i, x in enumerate(xs)]
            hidden = [np.tanh(normalised(block.norm_mlp, x) @ block.up.weight + block.up.bias) for x in xs]
            xs = [x + h @ block.down.weight + block.down.bias for x, h in zip(xs, hidden, strict=True)]
        for k in range(2):
            z = normalised(params.norm, xs[k]) @ params.head.weight + params.head.bias
            v = sum(8 // 2**i * (s_i == -1) for i, s_i in enumerate(values[k + 1]))
            log_psi += z[v] - 0.5 * np.log(np.exp(2 * z[:16]).sum()) + 1j * z[16 + v]
        return log_psi

    states = all_states(8)[::7]
    found = np.asarray(jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))(params, states))
    wanted = np.array([written_out(s) for s in states])
    assert np.abs(found - wanted).max() < 1e-12 * max(1, np.abs(wanted).max())


@pytest.mark.parametrize(
    "options", [{"layers": 0}, {"heads": 3}, {"patch": (4, 2), "local_values": (0, 1, 2)}, {"total": 1}]
)
def test_what_cannot_be_is_refused(options):
    given = SIZES | options
    cells = given.pop("patch", (2, 2))
    with pytest.raises(ValueError, match=next(iter(options))):
        patched_transformer(patches(SQUARE, cells), **given)
