"""What a start says where it goes on elsewhere than the last one."""

from types import SimpleNamespace

import pytest

from nqs_hpc.record import differences_of_machine

VERSIONS = {"nqs_hpc": "0.2.0", "jax": "0.10.2", "mpi4jax": None}
META = {"n_ranks": 2, "threads": 1, "versions": VERSIONS, "mpi": "MPICH 5.0.2"}


def said(meta=META, *, ranks=2, threads=1, library="MPICH 5.0.2", versions=VERSIONS) -> list[str]:
    world = SimpleNamespace(size=ranks, library=library)
    return differences_of_machine(meta, world, SimpleNamespace(threads=threads), versions)


def test_the_same_machine_is_not_worth_a_line():
    assert said() == [] and said({key: META[key] for key in ("n_ranks", "threads")}) == []


@pytest.mark.parametrize(
    ("now", "words"),
    [
        ({"versions": VERSIONS | {"jax": "0.11.0"}}, ("jax 0.11.0", "0.10.2")),
        ({"versions": VERSIONS | {"nqs_hpc": "0.3.0"}}, ("nqs_hpc 0.3.0", "0.2.0")),
        ({"library": "Open MPI 5.0.1"}, ("Open MPI 5.0.1", "MPICH 5.0.2")),
        ({"ranks": 4}, ("4 ranks", "before 2")),
        ({"threads": 3}, ("3 threads a rank", "before 1")),
    ],
)
def test_what_is_another_is_one_line(now, words):
    lines = said(**now)
    assert len(lines) == 1 and "\n" not in lines[0] and all(word in lines[0] for word in words), lines
