"""What all tests share: float64, no silent broadcasting of ranks, a compile cache of their own, bounded memory."""

import ctypes
import gc
import os
from pathlib import Path

import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True, scope="session")
def compile_cache(tmp_path_factory):
    """Where jobs that tests start keep compiled programs: many compile the same ones, and none writes to a home."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # of all workers
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder / "compiled")
    yield
    del os.environ["JAX_COMPILATION_CACHE_DIR"]


MEMORY = (
    1.5 * 2**30
)  # in use, beyond which compiled programs are dropped: they pile up, test after test, and are never freed
GROWTH = 0.5 * 2**30  # what has come since they were dropped last, for where that gave little back
_kept = 0  # in use after they were dropped last


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Drop compiled programs before they fill the memory of a small machine. The next test compiles what it needs."""
    global _kept
    if nextitem is None or _in_use() < max(MEMORY, _kept + GROWTH):
        return
    jax.clear_caches()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    _kept = _in_use()


def _in_use() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")
