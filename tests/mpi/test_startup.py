"""A second start compiles nothing, on any rank; an entry cut short by a kill costs one compilation and no run."""

import json
import re
import zlib

import pytest

from tests.mpi.starts import job, summary

pytestmark = pytest.mark.mpi


def program(name: str) -> str:
    """The program of an entry or of its key, which ends in a hash."""
    return name.split("-")[0]


def test_a_second_start_compiles_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_EXPLAIN_CACHE_MISSES", "1")  # jax says what it compiles and what it writes

    def start(*words: str) -> tuple[str, list[str], list[str]]:
        output = job(2, "compile_cache=programs", "task.final_samples=64", *words, cwd=tmp_path)
        compiled = re.findall(r"PERSISTENT COMPILATION CACHE MISS for '(\w+)'", output)
        return output, compiled, re.findall(r"Writing (\w+) to persistent compilation cache", output)

    _, compiled, written = start("run_dir=run", "task.n_steps=1")
    (programs,) = (tmp_path / "programs").iterdir()
    entries = sorted(programs.iterdir())
    assert sorted(written) == sorted(program(path.name) for path in entries)  # each once: one rank writes
    # by one rank for both; jit_sample is the sampler's and that of the second ensemble
    for large, n in (("jit_take", 1), ("jit_evaluate", 1), ("jit_sample", 2), ("jit_first_state", 1)):
        assert compiled.count(large) == n

    _, compiled, _ = start("run_dir=again", "task.n_steps=1")
    assert compiled == []
    assert sorted(programs.iterdir()) == entries
    (begun,) = json.loads((tmp_path / "again" / "manifest.json").read_text())["starts"]
    assert list(begun["seconds"]) == ["checked", "imported", "built", "first_step"]
    assert all(seconds > 0 for seconds in begun["seconds"].values())
    # compiled or read, the same bits
    assert summary(tmp_path / "again")["energy"] == summary(tmp_path / "run")["energy"]

    # one that rank 0 writes alone, one that is compiled by rank 1 for both
    torn = [path for path in entries if program(path.name) in ("jit_estimate", "jit_evaluate")]
    for path in torn:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    output, compiled, written = start("run_dir=again", "task.n_steps=2")  # resumed
    assert "Traceback" not in output
    assert "jit_estimate could not be read" in output and output.count("jit_evaluate could not be read") == 1
    assert set(compiled) == {"jit_estimate", "jit_evaluate"} and compiled.count("jit_evaluate") == 1
    assert sorted(written) == ["jit_estimate", "jit_evaluate"]
    assert all(zlib.decompress(path.read_bytes()) for path in torn)
