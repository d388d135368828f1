"""What all tests share: float64, no silent broadcasting of ranks, a compile cache of their own."""

import os

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
