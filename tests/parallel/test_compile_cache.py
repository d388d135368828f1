"""Where compiled programs are kept, who writes them, and what is said of an entry that cannot be read."""

import os
import time
import warnings
from pathlib import Path

import pytest

from nqs_hpc.cli import command as cli
from nqs_hpc.config.compose import compose
from nqs_hpc.job.lifecycle import BAD_INPUT
from nqs_hpc.parallel import compile_cache
from nqs_hpc.parallel.world import World

VARIABLES = (
    "JAX_COMPILATION_CACHE_DIR",
    "JAX_ENABLE_COMPILATION_CACHE",
    "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES",
    "XDG_CACHE_HOME",
    compile_cache.LEAST_SECONDS,
)


def world_of(rank: int, folders: list[Path] | None = None) -> World:
    """A world whose ranks keep their programs in ``folders``; without them, each where this one does."""
    return World(
        rank=rank,
        size=3,
        local_rank=rank,
        local_size=3,
        bcast=lambda x: x,
        gather=lambda x: [x],
        allgather=lambda x: folders or [x] * 3,
        any_flags=lambda x: x,
        barrier=lambda: None,
        abort=lambda x: None,
        library="none",
    )


@pytest.fixture(autouse=True)
def clean(monkeypatch, tmp_path):
    """No setting of this shell's, and none left behind: neither variables nor a way of showing warnings."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    with warnings.catch_warnings():
        yield


def test_where_programs_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/someone")
    assert compile_cache.folder("auto") == Path("/home/someone/.cache/nqs_hpc/xla")
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch/someone")
    assert compile_cache.folder("auto") == Path("/scratch/someone/nqs_hpc/xla")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "/jax")
    assert compile_cache.folder("auto") == Path("/jax")
    assert compile_cache.folder("here") == tmp_path / "here"
    assert compile_cache.folder(None) is None
    assert list(tmp_path.iterdir()) == []


def test_threads_and_processor_have_a_folder_of_their_own(tmp_path):
    compile_cache.use(tmp_path, 2, world_of(0))
    two = os.environ["JAX_COMPILATION_CACHE_DIR"]
    compile_cache.use(tmp_path, 3, world_of(0))
    three = os.environ["JAX_COMPILATION_CACHE_DIR"]
    assert two != three and Path(two).parent == Path(three).parent == tmp_path
    assert Path(two).name == f"{compile_cache.processor()}-2"


def test_one_rank_a_folder_writes(monkeypatch, tmp_path):
    """Rank 0 has two threads, ranks 1 and 2 have three: 0 writes its own, 1 that of both."""
    folders = [tmp_path / f"{compile_cache.processor()}-{threads}" for threads in (2, 3, 3)]
    for rank, writes in enumerate((True, True, False)):
        monkeypatch.delenv(compile_cache.LEAST_SECONDS, raising=False)
        compile_cache.use(tmp_path, (2, 3, 3)[rank], world_of(rank, folders))
        assert os.environ[compile_cache.LEAST_SECONDS] == ("0" if writes else compile_cache.NEVER)
    monkeypatch.setenv(compile_cache.LEAST_SECONDS, "5")
    compile_cache.use(tmp_path, 2, world_of(0))
    assert os.environ[compile_cache.LEAST_SECONDS] == "5"


@pytest.mark.parametrize("rank", [0, 1])
def test_entries_of_more_than_a_month_are_removed(rank, tmp_path):
    own = tmp_path / f"{compile_cache.processor()}-2"
    own.mkdir()
    for name, days in (("jit_draw-1-cache", 31), ("jit_draw-2-cache", 29)):
        (own / name).touch()
        os.utime(own / name, (time.time() - days * 86400,) * 2)
    compile_cache.use(tmp_path, 2, world_of(rank))
    assert (own / "jit_draw-1-cache").exists() == (rank != 0) and (own / "jit_draw-2-cache").exists()


def test_null_switches_it_off_whatever_jax_is_told():
    os.environ["JAX_COMPILATION_CACHE_DIR"] = "/jax"
    compile_cache.use(compile_cache.folder(None), 2, world_of(0))
    assert os.environ["JAX_ENABLE_COMPILATION_CACHE"] == "false"


@pytest.mark.parametrize("rank", [0, 1])
def test_an_entry_that_cannot_be_read_is_said_and_removed(rank, tmp_path, capsys):
    compile_cache.use(tmp_path, 2, world_of(rank))
    own = Path(os.environ["JAX_COMPILATION_CACHE_DIR"])
    own.mkdir()
    for name in ("jit_draw-1-cache", "jit_draw-2-cache", "jit_drawn-1-cache"):
        (own / name).touch()
    text = "Error reading persistent compilation cache entry for 'jit_draw': error: Error -5 while decompressing data"
    warnings.warn(text, stacklevel=1)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"rank {rank}: jit_draw could not be read") and "Error -5" in line and str(own) in line
    kept = sorted(path.name for path in own.iterdir())
    assert kept == ["jit_drawn-1-cache"]
    warnings.warn("Error writing persistent compilation cache entry for 'jit_draw': OSError: disk full", stacklevel=1)
    assert "jit_draw could not be written (OSError: disk full)" in capsys.readouterr().err
    with pytest.warns(UserWarning, match="something else"):
        warnings.warn("something else", stacklevel=1)


def test_no_place_for_them_is_said_and_the_run_goes_on(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    kept, line = cli.kept_programs(compose([], 1))
    assert kept is None and len(line.splitlines()) == 1 and "/dev/null" in line
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda name: name)  # a user without a home
    kept, line = cli.kept_programs(compose([], 1))
    assert kept is None and "~/.cache" in line
    assert cli.kept_programs(compose(["compile_cache=null"], 1)) == (None, "")


def test_a_least_time_that_is_no_number_is_bad_input(monkeypatch, tmp_path):
    monkeypatch.setenv(compile_cache.LEAST_SECONDS, "soon")
    answer = cli.decide([], 1)
    assert isinstance(answer, cli.Answer) and answer.code == BAD_INPUT
    assert f"{compile_cache.LEAST_SECONDS}=soon is not valid" in answer.line and "\n" not in answer.line
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_named_and_cannot_be_written_is_bad_input(tmp_path):
    answer = cli.decide(["compile_cache=/dev/null/programs"], 1)
    assert isinstance(answer, cli.Answer) and answer.code == BAD_INPUT
    assert answer.line.startswith("compile_cache=/dev/null/programs is not valid") and "\n" not in answer.line
    assert list(tmp_path.iterdir()) == []
