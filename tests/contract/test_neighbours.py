"""The graphs along which samples are blurred, enumerated: as many moves from s to t as from t to s, K in all, of the
moves of every Hamiltonian in every sector, and of those that stand in where it has none.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.operators.driven import driven
from nqs_hpc.sampler.neighbours import Neighbours, inside, neighbours, of_space
from nqs_hpc.system.hilbert import Block, Hilbert, codes, decode, encode
from nqs_hpc.system.lattice import joined_pairs
from tests.contract.test_hamiltonians import CASES, case, sectors


def counts(graph: Neighbours, hilbert: Hilbert) -> np.ndarray:
    """n(s -> t) of all states of the space, by applying every move; a move out of it fails."""
    numbers = codes(hilbert)
    states = decode(hilbert, numbers)
    moves, alive = jax.device_get(jax.jit(jax.vmap(graph.moves))(jnp.asarray(states)))
    assert moves.sites.shape[1] == alive.shape[1] == graph.n
    assert graph.may_stay or alive.all()
    assert not moves.deltas[~alive].any() and moves.deltas[alive].any(axis=-1).all()
    found = np.zeros((len(states), len(states)), int)
    goals = np.repeat(states[:, None], graph.n, axis=1)
    rows, ways = np.indices(alive.shape)
    for f in range(moves.sites.shape[2]):
        np.add.at(goals, (rows, ways, moves.sites[..., f]), moves.deltas[..., f])
    assert np.isin(goals, hilbert.local_values).all()
    targets = encode(hilbert, goals)
    assert np.isin(targets, numbers).all()
    np.add.at(found, (rows, np.searchsorted(numbers, targets)), 1)
    return found


def assert_fit(graph: Neighbours, hilbert: Hilbert) -> np.ndarray:
    found = counts(graph, hilbert)
    assert np.array_equal(found, found.T) and np.all(found.sum(axis=1) == graph.n)
    return found


@pytest.mark.parametrize(("name", "on"), [pair for pair in CASES if pair[1] in (CASES[0][1], CASES[-1][1])])
def test_every_hamiltonian_has_a_symmetric_graph(name, on):
    """Of its own moves, of those of the space, and of those that an operator gets that depends on time."""
    here = case(name, on)
    totals = [total for total, states in sectors(here).items() if len(states) > 1]
    for total in dict.fromkeys([totals[0], totals[len(totals) // 2]]):
        hilbert = here.hamiltonian.space(here.lattice.n_sites, total)
        pairs = lambda: joined_pairs(here.lattice)  # noqa: E731
        found = assert_fit(neighbours(here.operator, hilbert, pairs), hilbert)
        off = here.matrix[np.ix_(*[sectors(here)[total]] * 2)] != 0
        np.fill_diagonal(off, False)
        if off.any():  # the very states that H joins
            joined = found > 0
            np.fill_diagonal(joined, False)
            assert np.array_equal(joined, off)
        assert_fit(inside(of_space(hilbert, pairs), hilbert), hilbert)
        in_time = driven(here.operator._replace(at=None), [(lambda time: 0.0 * time, here.operator)])
        now = neighbours(in_time, hilbert, pairs)
        assert np.array_equal(counts(now, hilbert), counts(inside(of_space(hilbert, pairs), hilbert), hilbert))


@pytest.mark.parametrize(
    "hilbert",
    [
        Hilbert(5, (1, -1), excluded=((0, 1), (1, 2), (3, 4))),
        Hilbert(6, (0, 1), blocks=(Block((0, 1, 2), 1), Block((3, 4, 5), 2))),
        Hilbert(4, (0, 1, 2), blocks=(Block((0, 1, 2), 2),)),  # the last site is free
        Hilbert(4, (2, 0, -2), total=0),
    ],
    ids=["excluded", "fermions", "partly free", "spin 1"],
)
def test_constrained_spaces(hilbert):
    n = hilbert.n_sites
    pairs = lambda: np.array([(i, j) for i in range(n) for j in range(i)], np.int32)  # noqa: E731
    found = assert_fit(inside(of_space(hilbert, pairs), hilbert), hilbert)
    reached = np.linalg.matrix_power(found, 12) > 0
    assert reached.all()


def test_a_space_in_which_nothing_moves():
    with pytest.raises(ValueError, match="stays in the space"):
        of_space(Hilbert(1, (1, -1), total=1), lambda: np.zeros((0, 2), np.int32))
