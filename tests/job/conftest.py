"""Worlds made by hand: one rank, and several ranks as threads that wait for each other."""

import pickle
import threading
from functools import reduce
from operator import or_

import pytest

from nqs_hpc.parallel.world import World


def _world(rank, size, allgather):
    return World(
        rank=rank,
        size=size,
        local_rank=rank,
        local_size=size,
        bcast=lambda obj: allgather(obj)[0],
        gather=lambda obj: objects if (objects := allgather(obj)) and rank == 0 else None,
        allgather=allgather,
        any_flags=lambda bits: reduce(or_, allgather(bits)),
        barrier=lambda: allgather(None),
        abort=lambda code: None,
        library="by hand",
    )


@pytest.fixture
def serial():
    return _world(0, 1, lambda obj: [pickle.loads(pickle.dumps(obj))])


@pytest.fixture
def run_ranks():
    """``run_ranks(size, act)`` calls ``act(world)`` on every rank; results or exceptions come back in rank order."""

    def run(size, act):
        box, results = [b""] * size, [None] * size
        barrier = threading.Barrier(size, timeout=120)

        def rank_of(rank):
            def allgather(obj):
                box[rank] = pickle.dumps(obj)
                barrier.wait()
                objects = [pickle.loads(data) for data in box]
                barrier.wait()
                return objects

            try:
                results[rank] = act(_world(rank, size, allgather))
            except Exception as error:
                results[rank] = error

        threads = [threading.Thread(target=rank_of, args=(rank,)) for rank in range(size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    return run
