"""Cores, threads and devices of a rank, and the launcher's word on how many there are."""

import os
from itertools import zip_longest

import pytest

from nqs_hpc.parallel import launch
from nqs_hpc.parallel.world import World


def world_of(
    local_rank: int, masks: list[tuple[int, ...]], local_ids: tuple[int | None, ...] = (), wide: tuple[bool, ...] = ()
) -> World:
    """A world on this host whose ranks have the given affinity masks, numbers on their node from srun, and vectors."""
    host = launch.socket.gethostname()
    every = [(host, mask, local_id, bool(has)) for mask, local_id, has in zip_longest(masks, local_ids, wide)]
    return World(
        rank=local_rank,
        size=len(masks),
        local_rank=local_rank,
        local_size=len(masks),
        bcast=lambda x: x,
        gather=lambda x: [x],
        allgather=lambda x: every,
        any_flags=lambda x: x,
        barrier=lambda: None,
        abort=lambda x: None,
        library="none",
    )


@pytest.fixture
def machine(monkeypatch):
    """Eight cores, a clean environment; returns what the process was bound to."""
    bound: list[tuple[int, ...]] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    monkeypatch.setattr(os, "sched_setaffinity", lambda pid, cpus: bound.append(tuple(cpus)))
    monkeypatch.setattr(launch, "_gpus", lambda: [])
    for name in (
        "PJRT_NPROC",
        "SLURM_CPUS_PER_TASK",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "CUDA_VISIBLE_DEVICES",
        "JAX_DEFAULT_MATMUL_PRECISION",
        "XLA_FLAGS",
    ):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return bound


def test_ranks_of_a_host_share_its_cores(machine):
    found = launch.place(world_of(1, [tuple(range(8))] * 3))
    assert machine == [(2, 3, 4)] and found.cpus == (2, 3, 4) and found.threads == 3
    assert os.environ["PJRT_NPROC"] == "3"
    assert os.environ["OMP_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"] == "1"  # those of BLAS would spin
    shares = [launch.share(tuple(range(8)), rank, 3) for rank in range(3)]
    assert sorted(core for part in shares for core in part) == list(range(8))


def test_wide_vectors_are_used_where_all_ranks_have_them(machine, monkeypatch):
    masks = [tuple(range(8))] * 2
    launch.place(world_of(1, masks, wide=(True, False)))
    assert "XLA_FLAGS" not in os.environ
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=x")
    launch.place(world_of(1, masks, wide=(True, True)))
    assert os.environ["XLA_FLAGS"] == "--xla_dump_to=x --xla_cpu_prefer_vector_width=512"
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_prefer_vector_width=256")
    launch.place(world_of(1, masks, wide=(True, True)))
    assert os.environ["XLA_FLAGS"] == "--xla_cpu_prefer_vector_width=256"


def test_what_the_processor_can_do():
    with open("/proc/cpuinfo") as file:
        assert launch.processor_flags() <= set(file.read().split())


def test_more_ranks_than_cores_take_one_each(machine):
    assert [launch.share((4, 5), rank, 4) for rank in range(4)] == [(4,), (5,), (4,), (5,)]


def test_a_binding_of_the_launcher_is_kept(machine):
    found = launch.place(world_of(0, [tuple(range(8)), (0, 1)]))
    assert machine == [] and found.threads == 8


def test_threads_asked_for_are_obeyed(machine, monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "2")
    assert launch.place(world_of(0, [tuple(range(8))])).threads == 2
    monkeypatch.setenv("PJRT_NPROC", "5")
    assert launch.place(world_of(0, [tuple(range(8))])).threads == 5


@pytest.mark.parametrize(
    ("wanted", "ranks", "given", "threads", "words"),
    [
        (1, 1, None, 1, ""),  # a plain start
        (2, 1, None, 2, ""),
        (3, 2, None, 3, ""),  # mpiexec
        (5, 2, None, 4, "resources.threads=5: a rank computes with 4 threads, because it may use 4 cores"),
        (2, 1, "4", 4, "resources.threads=2: a rank computes with 4 threads, because PJRT_NPROC=4 is set"),
        (None, 2, None, 4, None),
    ],
)
def test_the_key_is_obeyed(machine, monkeypatch, wanted, ranks, given, threads, words):
    if given:
        monkeypatch.setenv("PJRT_NPROC", given)
    found = launch.place(world_of(0, [tuple(range(8))] * ranks), wanted)
    assert found.threads == threads and os.environ["PJRT_NPROC"] == str(threads)
    assert wanted is None or launch.other_threads(wanted, found, given) == words


def test_the_users_own_threads_of_blas_stay(machine, monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "4")
    launch.place(world_of(0, [tuple(range(8))]))
    assert os.environ["OPENBLAS_NUM_THREADS"] == "4"


def test_each_rank_sees_its_own_gpu(machine, monkeypatch):
    monkeypatch.setattr(launch, "_gpus", lambda: ["3", "7"])
    assert launch.place(world_of(1, [(0,), (1,)])).gpu == "7"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "7"
    assert os.environ["JAX_DEFAULT_MATMUL_PRECISION"] == "highest"  # not TF32
    # two nodes of one GPU each, which the ranks take for one host: Slurm knows better
    assert launch.place(world_of(1, [(0,), (1,)], local_ids=(0, 0))).gpu == "3"
    assert launch.place(world_of(1, [(0,), (1,)], local_ids=(0, None))).gpu == "7"  # not all are srun's
    monkeypatch.undo()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 7")
    assert launch._gpus() == ["3", "7"]


def test_sruns_word_counts_for_its_own_ranks_alone(monkeypatch):
    monkeypatch.setenv("SLURM_LOCALID", "0")
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS", raising=False)
    world = world_of(1, [(0,), (1,)])
    assert launch.slurm_local_id(world) is None  # mpiexec in a batch script, whose SLURM_LOCALID all ranks inherit
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    monkeypatch.setenv("SLURM_PROCID", "0")
    assert launch.slurm_local_id(world) is None  # rank 1 under the number of another task: a launcher's daemon
    monkeypatch.setenv("SLURM_PROCID", "1")
    assert launch.slurm_local_id(world) == 0


def test_the_innermost_launcher_is_believed(monkeypatch):
    for name in (name for pair in launch.LAUNCHERS for name in pair):
        monkeypatch.delenv(name, raising=False)
    assert launch.launched() == (1, 0)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    monkeypatch.setenv("SLURM_PROCID", "3")
    assert launch.launched() == (4, 3)
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setenv("PMI_RANK", "1")
    assert launch.launched() == (2, 1)
