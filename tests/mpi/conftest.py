"""Tests of several ranks start many jobs that compile the same programs: they share a compile cache."""

import os

import pytest


@pytest.fixture(autouse=True, scope="session")
def compile_cache(tmp_path_factory):
    """Where jax keeps compiled programs for this session; the started jobs inherit it."""
    names = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("compiled")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    os.environ.update(names)
    yield
    for name in names:
        del os.environ[name]
