"""The cost model and the replay of messages (benchmarks/model.py, replay.py) against cases computed by hand."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import model
import replay
from model import Compute, Message, Network, Rates

from nqs_hpc.parallel.cyclic import layout
from nqs_hpc.update import over_ranks

# a message takes a second, and a second more for every 1000 bytes
SLOW = Network(1.0, 1000.0)
OF_BLOCKS = dict.fromkeys((8, 16, 32, 64, 128, 256), 1e9)
RATES = Rates(2e9, 1e9, 1e8, 1e10, 1e10, 0.0, 0.0, OF_BLOCKS, OF_BLOCKS, OF_BLOCKS)


def after(clocks, kind, n_bytes):
    return replay.collective(np.array(clocks, float), Message(kind, n_bytes, ""), SLOW).tolist()


def test_two_ranks():
    assert after([0, 5], "gather", 2000) == [7, 7]  # 1000 bytes each, when both are there
    assert after([3, 0], "sum", 1000) == [5, 5]
    assert after([0, 0], "sum", 4000) == [6, 6]  # half, twice: 2 (1 + 2)
    assert after([2, 0], "exchange", 2000) == [4, 4]
    assert after([7.0], "gather", 2000) == [7]  # a rank alone sends nothing


def test_four_ranks():
    # doubling: 1000 bytes between 0-1 and 2-3, then 2000 between 0-2 and 1-3
    assert after([0, 0, 0, 10], "gather", 4000) == [15, 15, 15, 15]
    assert after([0, 0, 0, 0], "gather", 4000) == [5, 5, 5, 5]
    # halving 2000 (at distance 2) and 1000, doubling 1000 and 2000: 3 + 2 + 2 + 3
    assert after([0, 0, 0, 0], "sum", 4000) == [10] * 4
    assert after([4, 0, 0, 0], "sum", 1000) == [8] * 4  # short: two rounds of the whole
    # pairs: with 1000 bytes to each of three others
    assert after([0, 1, 0, 0], "exchange", 4000) == [7, 7, 7, 7]
    assert after([0] * 4, "gather", 6e5) == pytest.approx([3 * 151] * 4)  # a ring


def test_three_ranks():
    # rank 2 hands its numbers to rank 0, which adds them with rank 1 and hands back the result
    assert after([0, 0, 0], "sum", 1000) == [4, 4, 6]
    # Bruck: one part from the next rank, then one from the one after it
    assert after([0, 0, 9], "gather", 3000) == [13, 13, 11 + 2]
    ring = after([0, 4, 0], "gather", 6e5)
    assert ring == pytest.approx([4 + 2 * 201] * 3)


def test_ring_is_its_rounds():
    """R - 1 rounds, in each of which a rank waits for the one before it."""
    clocks = np.random.default_rng(0).uniform(0, 3, 16)
    cost, expected = 1 + 6.4e5 / 16 / 1000, clocks
    for _ in range(15):
        expected = np.maximum(expected, np.roll(expected, 1)) + cost
    assert after(clocks, "gather", 6.4e5) == pytest.approx(expected.tolist())


@pytest.mark.parametrize("ranks", [2, 3, 6, 8, 64])
@pytest.mark.parametrize("kind", ["gather", "sum", "exchange"])
def test_ranks_in_step_take_what_the_model_says(kind, ranks):
    for n_bytes in (8.0, 3e3, 1e5, 3e6):
        message = Message(kind, n_bytes, "")
        found = replay.collective(np.zeros(ranks), message, SLOW).max()
        assert found == pytest.approx(model.seconds(message, ranks, SLOW))


def test_waiting():
    """All wait for a rank that is late; of independent noise, for the largest of all."""
    step = [Compute(10.0, "work"), Message("sum", 8, "sum")] * 20
    even = replay.replay(step, 8, SLOW)
    assert even == pytest.approx(20 * (10 + 3 * 1.008)) == sum(model.total(step, 8, SLOW).values())
    assert replay.replay(step, 8, SLOW, slow=1.5) == pytest.approx(even + 20 * 5)
    noisy = replay.replay(step, 8, SLOW, noise=0.1)
    largest = sum(1 / i for i in range(1, 9))  # expected maximum of eight of mean 1
    assert noisy == pytest.approx(even + 20 * largest, rel=0.03)


def test_solve_has_the_messages_and_the_work_of_the_program():
    for n, ranks in ((1000, 3), (4096, 4), (4096, 64)):
        lay = layout(n, ranks)
        assert model.block_of(n, ranks) == lay.block
        step = model.cholesky(n, ranks, RATES)
        assert sum(isinstance(one, Message) for one in step) == over_ranks.collectives(lay)
        assert {one.n_bytes for one in step if isinstance(one, Message) and one.kind == "sum"} == {
            8.0 * lay.block**2,
            8.0 * lay.block,
        }
        update = model.total(step, ranks, Network(0.0, math.inf))["solve: update"]
        # n^3 / 3 / R, and what is done of blocks beyond the diagonal and of pads
        assert 0.95 < update / (lay.padded**3 / 3 / ranks / 1e9) < 1 + 3 * lay.block * ranks / n
    alone = model.replicated(1000, RATES)
    assert model.total(alone, 64, SLOW) == {"solve": pytest.approx(1 / 3)}


def test_iterations_have_the_messages_of_the_program():
    step = model.gradients(4096, 16, RATES, iterations=7, sketch=100)
    messages = [one for one in step if isinstance(one, Message)]
    assert len(messages) == 2 + 3 * 7 + 1
    assert [one.n_bytes for one in messages[2:5]] == [8 * 4096, 8, 8 * 101]
