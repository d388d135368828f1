import json
import os
import socket
import subprocess
import time

import numpy as np
import pytest

from nqs_hpc.job import files


def test_write_replaces_whole_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    files.write(path, "alt ψ\n")
    files.write(path, b"new\0")
    assert path.read_bytes() == b"new\0"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_write_that_fails_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    files.write(path, "old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_write_flushes_file_then_renames_then_flushes_folder(tmp_path, monkeypatch):
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (order.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda *a, **k: (order.append("replace"), replace(*a, **k)))
    files.write(tmp_path / "a", "x")
    assert order[0].endswith(".tmp") and order[1] == "replace" and order[2] == str(tmp_path)


def test_json_round_trip_and_null(tmp_path):
    path = tmp_path / "a.json"
    third = np.float64(1) / 3
    files.write_json(path, {"x": third, "nan": np.nan, "list": (np.int64(3), np.array([1.0, np.inf])), 1: tmp_path})
    assert files.read_json(path) == {"x": 1 / 3, "nan": None, "list": [3, [1.0, None]], "1": str(tmp_path)}
    assert files.plain(np.float32(0.1)) == float(np.float32(0.1))
    path.write_text('{"x": ')
    with pytest.raises(ValueError, match=r"a\.json is not valid JSON") as caught:
        files.read_json(path)
    assert "\n" not in str(caught.value)


def test_clean_removes_only_what_dead_writers_left(tmp_path):
    host = socket.gethostname()
    gone = subprocess.Popen(["true"])
    gone.wait()
    hour_ago = time.time() - 2 * files.STALE_SECONDS
    dead = [f".a.h5.{host}.{gone.pid}.tmp", f".b.h5.{host}.{os.getpid()}.tmp", ".c.h5.elsewhere.node.12.tmp"]
    alive = [f".a.h5.{host}.{os.getppid()}.tmp", ".c.h5.elsewhere.13.tmp", ".mine.tmp", ".x.note.tmp", "a.h5"]
    for name in dead + alive:
        (tmp_path / name).touch()
    os.utime(tmp_path / dead[2], (hour_ago, hour_ago))
    assert files.clean(tmp_path) == sorted(dead)
    assert sorted(os.listdir(tmp_path)) == sorted(alive)


class _Unpicklable(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a}{b}")


def test_on_root_shares_values_and_exceptions(run_ranks):
    assert run_ranks(3, lambda world: files.on_root(world, lambda: (world.rank, "x"))) == [(0, "x")] * 3

    def bad(error):
        def act():
            raise error

        return run_ranks(3, lambda world: files.on_root(world, act))

    for error in bad(json.JSONDecodeError("broken", "{", 1)):
        assert isinstance(error, json.JSONDecodeError) and "broken" in str(error)
    first, *others = bad(_Unpicklable("a", "b"))
    assert isinstance(first, _Unpicklable)
    assert [str(error) for error in others] == ["_Unpicklable: ab"] * 2
