import os
import shlex
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import jax
import pytest

from nqs_hpc import __version__
from nqs_hpc.job import manifest
from nqs_hpc.job.files import read_json


def test_starts_are_listed_with_their_ends(tmp_path, run_ranks, monkeypatch):
    monkeypatch.setenv("PJRT_NPROC", "1")
    for name in ("SLURM_JOB_ID", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)
    physics = {"lattice": {"length": [4, 6]}, "seed": 0}
    assert manifest.recorded_physics(tmp_path) is None
    run_ranks(2, lambda world: manifest.start(tmp_path, world, step=0, reason="new", changed=[], physics=physics))
    monkeypatch.setenv("SLURM_JOB_ID", "42")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "3")
    lines = ["task.n_steps: 20 -> 30"]
    run_ranks(4, lambda w: manifest.start(tmp_path, w, step=20, reason="resumed", changed=lines, physics=physics))
    assert manifest.recorded_physics(tmp_path) == physics
    manifest.end(tmp_path, step=30, reason="signal SIGTERM", saves=(3, 0.1234))
    found = read_json(tmp_path / "manifest.json")
    killed, stopped = found["starts"]
    assert (killed["step"], killed["n_ranks"], killed["reason"], killed["exit"]) == (0, 2, "new", None)
    assert (stopped["step"], stopped["n_ranks"], stopped["reason"]) == (20, 4, "resumed")
    assert (killed["changed"], killed["slurm_job"], killed["restart_count"]) == ([], None, None)
    assert (stopped["changed"], stopped["slurm_job"], stopped["restart_count"]) == (lines, "42", 3)
    assert (stopped["exit"]["saves"], stopped["exit"]["save_seconds"]) == (3, 0.123)
    assert stopped["exit"]["step"] == 30 and stopped["exit"]["reason"] == "signal SIGTERM"
    assert abs((datetime.now(UTC) - datetime.fromisoformat(stopped["time"])).total_seconds()) < 3600
    assert found["mpi"] == "by hand" and found["n_ranks"] == 4 and len(found["hosts"]) == 1
    assert found["ranks"] == [{"host": found["hosts"][0], "threads": 1, "cpus": sorted(os.sched_getaffinity(0))}] * 4
    assert found["versions"]["jax"] == jax.__version__ and found["versions"]["nqs_hpc"] == __version__
    assert shlex.split(found["command"]) == Path("/proc/self/cmdline").read_text().rstrip("\0").split("\0")


def test_a_foreign_manifest_is_refused_on_every_rank(tmp_path, run_ranks):
    (tmp_path / "manifest.json").write_text("[]")
    for error in run_ranks(2, lambda w: manifest.start(tmp_path, w, step=0, reason="new", changed=[], physics={})):
        assert isinstance(error, ValueError) and "not a manifest" in str(error)


def test_versions_of_what_is_not_installed_are_null(monkeypatch):
    monkeypatch.setattr(manifest, "PACKAGES", ("numpy", "no-such-distribution"))
    found = manifest.versions()
    assert found["no-such-distribution"] is None and found["numpy"]


@pytest.fixture
def checkout(tmp_path):
    def git(*words):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True, capture_output=True)

    git("init")
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-m", "a")
    return tmp_path


def test_git(checkout, monkeypatch):
    clean = manifest.git(checkout)
    assert len(clean["commit"]) == 40 and clean["dirty"] is False
    (checkout / "untracked").touch()
    assert manifest.git(checkout) == clean
    (checkout / "a").write_text("2")
    assert manifest.git(checkout) == clean | {"dirty": True}
    inside = checkout / "venv"
    inside.mkdir()
    assert manifest.git(inside) is None  # somebody else's checkout
    monkeypatch.setenv("PATH", "")
    assert manifest.git(checkout) is None  # no git at all


def test_a_start_that_ran_out_of_time_is_remembered_by_the_next_alone(tmp_path, serial):
    def begin():
        manifest.start(tmp_path, serial, step=0, reason="new", changed=[], physics={})

    begin()
    assert not manifest.was_in_vain(tmp_path)
    manifest.end(tmp_path, step=0, reason="stopped: max_seconds", saves=(0, 0.0), in_vain=True)
    begin()
    assert manifest.was_in_vain(tmp_path)
    begin()  # the one before was killed: nobody knows why
    assert not manifest.was_in_vain(tmp_path)
