"""What all tests share: float64, no silent broadcasting of ranks, a compile cache of the suite, bounded memory."""

import ctypes
import gc
import os
import time
from contextlib import suppress
from pathlib import Path

# On the CPU also where there are GPUs; `make test-gpu` asks for these. Jobs that a test starts inherit it.
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Threads of BLAS spin while they wait: where others want the cores, an eigenvalue problem of a few sites takes minutes.
# Jobs have one of their own accord (nqs_hpc/parallel/launch.py).
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import jax
import pytest

from nqs_hpc.parallel import compile_cache

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")

# Most of the time of tests is that of the compiler, and their programs are small: they are compiled quickly, not well,
# in a fifth of the time, and in one piece each: XLA's usual 32, for threads that compile side by side, cost half as
# much again. Those of jobs in a queue, broken on purpose, or marked so are compiled as users' are.
QUICK = (
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
)
AS_USERS = ("as_users", "slurm", "faults")


def compile_quickly() -> None:
    """XLA reads its flags once, as it is first used, and ends the process at one that it does not know."""
    if jax.__version_info__ < (0, 11):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {QUICK}".strip()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    """The flags are also those of jobs that a test starts, or are not."""
    del nextitem
    given = os.environ.get("XLA_FLAGS", "")
    if any(item.get_closest_marker(name) for name in AS_USERS):
        os.environ["XLA_FLAGS"] = given.replace(QUICK, "").strip()
    try:
        return (yield)
    finally:
        os.environ["XLA_FLAGS"] = given


def pytest_configure(config):
    """Compiled programs are kept beside pytest's own cache: for the other workers, for the jobs that tests start, for
    the next run of the suite, and for this process after it dropped them (below). An entry is named by its program and
    by the versions and options of the compiler, so it can only stand for the same machine code; what XLA cuts by the
    threads, and the kind of processor, name the folder.
    """
    kept = config.rootpath / ".pytest_cache" / f"xla-{jax.__version__}"
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(kept)  # of jobs, which make a folder in it for their threads
    if not hasattr(config, "workerinput"):
        shrink(kept)
    threads = len(os.sched_getaffinity(0))
    compile_quickly()
    jax.config.update("jax_compilation_cache_dir", str(kept / f"quick-{compile_cache.processor()}-{threads}"))
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", LEAST_SECONDS)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session):
    """What lives to the end (modules, thousands of tests) is not looked through again and again for garbage, and what
    a trace makes is seldom: an eighth of the time of tests that mostly trace and compile.
    """
    del session
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


LEAST_SECONDS = 0.0  # also operations outside of jit: reading one takes a tenth of its compilation
MOST_BYTES = 2 * 2**30  # on the disk, of programs
DAYS = 7.0


def shrink(kept: Path) -> None:
    """Remove programs that are old, then the oldest until the rest is within its bound."""
    entries = []
    for path in kept.rglob("*-cache"):
        with suppress(OSError):  # another run of the suite may remove it meanwhile
            entries.append((path.stat().st_mtime, path.stat().st_size, path))
    size = sum(entry[1] for entry in entries)
    for made, its_size, path in sorted(entries):
        if size <= MOST_BYTES and time.time() - made < DAYS * 86400:
            return
        path.unlink(missing_ok=True)
        size -= its_size


MEMORY = (
    1.5 * 2**30
)  # in use, beyond which compiled programs are dropped: they pile up, test after test, and are never freed
GROWTH = 0.5 * 2**30  # what has come since they were dropped last, for where that gave little back
_kept = 0  # in use after they were dropped last


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Drop compiled programs before they fill the memory of a small machine. The next test reads what it needs."""
    global _kept
    if nextitem is None or _in_use() < max(MEMORY, _kept + GROWTH):
        return
    jax.clear_caches()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    _kept = _in_use()


def _in_use() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
