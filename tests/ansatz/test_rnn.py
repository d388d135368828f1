"""The recurrent network against its cells written out, and the paths through lattices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.recurrent import folded, line, rows, zigzag
from nqs_hpc.ansatz.rnn import rnn
from nqs_hpc.config.basis import basis_of
from nqs_hpc.config.compose import compose
from tests.systems import all_states


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def one_hot(s_i):
    return np.array([0.0, 0.0]) if s_i is None else np.array([s_i == 1, s_i == -1], float)


def random_params(ansatz):
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape)), jax.eval_shape(ansatz.init, jax.random.key(0)))


def term(head, h, s_i):
    z = h @ head.weight + head.bias
    v = 0 if s_i == 1 else 1
    return z[v] - 0.5 * np.log(np.exp(2 * z[:2]).sum()) + 1j * z[2 + v]


def compared(ansatz, params, states, written_out):
    found = np.asarray(jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))(params, states))
    wanted = np.array([written_out(s) for s in states])
    assert np.abs(found - wanted).max() < 1e-12 * max(1, np.abs(wanted).max())


def test_a_line_of_gated_recurrent_units_written_out():
    n, features = 5, 3
    order = np.array([0, 4, 1, 3, 2])
    ansatz = rnn(line(order), layers=2, features=features, dtype="complex")
    params = random_params(ansatz)

    def written_out(s):
        h, before, log_psi = [np.zeros(features)] * 2, None, 0
        for site in order:
            x = one_hot(before)
            for layer, (gates, candidate) in enumerate(params.cells):
                z = sigmoid(np.concatenate([h[layer], x]) @ gates.weight + gates.bias)
                u, r = z[:features], z[features:]
                c = np.tanh(np.concatenate([r * h[layer], x]) @ candidate.weight + candidate.bias)
                x = (1 - u) * h[layer] + u * c
                h[layer] = x
            log_psi += term(params.head, x, s[site])
            before = s[site]
        return log_psi

    compared(ansatz, params, all_states(n), written_out)


def test_a_cell_in_two_dimensions_written_out():
    """Rows of three, every second backwards: by coordinates, what is not there is None and 0."""
    extent, features = (3, 3), 2
    ansatz = rnn(rows(extent), layers=2, features=features, dtype="complex")
    params = random_params(ansatz)

    def written_out(s):
        h, log_psi = {}, 0
        for y in range(3):
            step = 1 if y % 2 == 0 else -1
            for x in range(3)[::step]:
                beside, above = (x - step, y), (x, y - 1)
                below = None
                for layer, (gates, skip) in enumerate(params.cells):
                    both = np.concatenate([h.get((r, layer), np.zeros(features)) for r in (beside, above)])
                    if layer == 0:
                        values = [s[r[0] + 3 * r[1]] if (r, 0) in h else None for r in (beside, above)]
                        v = np.outer([1.0, *(one_hot(value)[1] for value in values)], np.append(1, both)).ravel()
                    else:
                        v = np.append(both, below)
                    z = v @ gates.weight + gates.bias
                    u = sigmoid(z[:features])
                    below = (1 - u) * (both @ skip) + u * np.tanh(z[features:])
                    h[(x, y), layer] = below
                log_psi += term(params.head, below, s[x + 3 * y])
        return log_psi

    compared(ansatz, params, all_states(9)[::13], written_out)


def test_paths():
    assert folded(6).tolist() == [0, 5, 1, 4, 2, 3] and folded(5).tolist() == [0, 4, 1, 3, 2]
    assert zigzag((3, 2)).tolist() == [0, 1, 2, 5, 4, 3]
    assert rows((2, 2)).reads.tolist() == [[-1, 0], [0, 1], [-1, 1], [1, 0]]


@pytest.mark.parametrize(
    ("words", "order"),
    [
        (["lattice.length=4"], (0, 3, 1, 2)),
        (["lattice.length=4", "lattice.pbc=false"], None),
        (["lattice=square", "lattice.length=2", "lattice.pbc=false"], (0, 1, 3, 2)),
        (["lattice=square", "lattice.length=2", "lattice.pbc=false", "ansatz.dimensions=1"], (0, 1, 3, 2)),
    ],
)
def test_the_path_through_a_lattice(words, order):
    config = compose(["ansatz=rnn", *words], 1)
    lattice = config.make_sites()
    assert config.ansatz.make(lattice, basis_of(config, lattice), "float64").conditionals.order == order


def test_number_of_parameters_does_not_depend_on_that_of_sites():
    """A unit of F = 4 and V = 2: (F + V) 3 F + 3 F; the head F V + V."""
    for n in (3, 8):
        shapes = jax.eval_shape(rnn(line(np.arange(n)), layers=1, features=4).init, jax.random.key(0))
        assert sum(leaf.size for leaf in jax.tree.leaves(shapes)) == 6 * 12 + 12 + 10


@pytest.mark.parametrize("options", [{"layers": 0}, {"features": 0}, {"local_values": (0, 1, 3)}, {"total": 1}])
def test_what_cannot_be_is_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        rnn(**({"along": line(np.arange(6)), "layers": 1, "features": 2} | options))
