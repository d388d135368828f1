"""The masked convolutional network against sums written out, and the places its changes reach."""

import jax
import numpy as np
import pytest

from nqs_hpc.ansatz.masked_conv import masked_conv
from nqs_hpc.ansatz.receptive import causal_offsets, windows
from tests.systems import all_states


def selu(x):
    return 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(np.minimum(x, 0)))


def neighbours(r: tuple[int, ...], extent: tuple[int, ...], kernel: int, first: bool) -> list[tuple[int, ...] | None]:
    """(x,) or (x, y) of what a kernel sees from r, in reading order; None off the grid."""
    if len(extent) == 1:
        seen = [(r[0] - back,) for back in range(kernel - 1, -1, -1)]
    else:
        x, y = r
        seen = [(x + dx, y - up) for up in range(kernel - 1, 0, -1) for dx in range(1 - kernel, kernel)]
        seen += [(x - back, y) for back in range(kernel - 1, -1, -1)]
    seen = seen[:-1] if first else seen
    return [q if all(0 <= c < n for c, n in zip(q, extent, strict=True)) else None for q in seen]


@pytest.mark.parametrize(("extent", "kernel"), [((6,), 3), ((3, 2), 2), ((3, 3), 3)])
def test_log_psi_is_the_sum_written_out(extent, kernel):
    ansatz = masked_conv(extent, layers=3, features=2, kernel=kernel, dtype="complex")
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: rng.normal(size=x.shape), jax.eval_shape(ansatz.init, jax.random.key(0)))
    n = int(np.prod(extent))
    places = [tuple(int(c) for c in np.unravel_index(i, extent, order="F")) for i in range(n)]  # site = x + Lx y
    states = all_states(n)[:: max(1, 2**n // 40)]
    found = np.asarray(jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))(params, states))
    for s, log_psi in zip(states, found, strict=True):
        values = {r: np.array([float(s[i])]) for i, r in enumerate(places)}
        for layer, (weight, bias) in enumerate(params):
            if layer > 0:
                values = {r: selu(v) for r, v in values.items()}
            n_in = len(values[places[0]])
            blocks = weight.reshape(-1, n_in, weight.shape[1])
            values = {
                r: bias
                + sum(
                    values[q] @ block
                    for q, block in zip(neighbours(r, extent, kernel, layer == 0), blocks, strict=True)
                    if q is not None
                )
                for r in places
            }
        wanted = 0
        for s_i, r in zip(s, places, strict=True):
            v = 0 if s_i == 1 else 1  # the local values are 1, -1
            amplitudes, phases = values[r][:2], values[r][2:]
            wanted += amplitudes[v] - 0.5 * np.log(np.exp(2 * amplitudes).sum()) + 1j * phases[v]
        assert abs(log_psi - wanted) < 1e-11 * max(1, abs(wanted))


def test_number_of_parameters():
    """Of a chain 3x8 (8) + 32x8 (8) + 32x2 (2)."""
    shapes = jax.eval_shape(masked_conv((64,), layers=3, features=8, kernel=4).init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 362


@pytest.mark.parametrize("extent", [(9,), (4, 3)])
def test_windows_are_where_outputs_change(extent):
    """Flipping a site moves the network's conditionals in the last window, and nowhere else."""
    shape, kernel, layers = extent[::-1], 2, 2
    n = int(np.prod(extent))
    last = windows(shape, [causal_offsets(len(shape), kernel, exclusive=layer == 0) for layer in range(layers)])[-1]
    ansatz = masked_conv(extent, layers=layers, features=3, kernel=kernel, activation="tanh")
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda x: rng.normal(size=x.shape), jax.eval_shape(ansatz.init, jax.random.key(0)))

    @jax.jit
    @jax.vmap
    def outputs(s_N):
        frozen = ansatz.freeze(params)
        return ansatz.prepare(frozen, s_N).z[-1]

    s_N = rng.choice([1, -1], n).astype(np.int8)
    flipped = np.where(np.eye(n, dtype=bool), -s_N, s_N)
    changed = (np.abs(np.asarray(outputs(flipped)) - np.asarray(outputs(s_N[None]))) > 1e-12).any(axis=2)
    for site in range(n):
        window = set(last.sites[site][last.on_grid[site]].tolist())
        assert site in window and set(np.flatnonzero(changed[site]).tolist()) == window - {site}


@pytest.mark.parametrize(
    "options",
    [
        {"extent": (2, 2, 2)},
        {"kernel": 1},
        {"layers": 0},
        {"activation": "sin"},
        {"local_values": (0, 1, 3)},
        {"total": 1},
        {"total": 12},
    ],
)
def test_what_cannot_be_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        masked_conv(**({"extent": (6,), "layers": 2, "features": 2, "kernel": 2} | options))
