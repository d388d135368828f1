"""One small run, made once by the program itself, and copies of it that tests change and break."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nqs_hpc.job import study
from nqs_hpc.report import figures

ROOT = Path(__file__).resolve().parents[2]
N_STEPS = 12
SMALL = ["lattice=chain", "lattice.length=4", "lattice.pbc=false", "hamiltonian.h=1.5", f"task.n_steps={N_STEPS}"]
SMALL += ["sampler.n_chains=8", "sampler.n_samples=64", "task.final_samples=512"]


@pytest.fixture(scope="session")
def real_run(tmp_path_factory):
    """The folder of a finished run of 12 steps."""
    folder = tmp_path_factory.mktemp("real") / "run"
    words = [sys.executable, "-m", "nqs_hpc", *SMALL, f"run_dir={folder}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return folder


class Runs:
    """A folder of copies of the real run."""

    def __init__(self, real, folder):
        self.real, self.folder = real, folder

    def copy(self, name, *, n=4, ansatz="rbm", energy=None, error=None, variance=None, **summary):
        """A finished run of ``n`` sites; what is given stands in its summary instead."""
        goal = self.folder / name
        # with the time of the copy: a run written long ago, as on a slow machine, looks stalled
        leave_out = shutil.ignore_patterns("checkpoints", "*.png", "*.svg", "*.pdf")
        shutil.copytree(self.real, goal, ignore=leave_out, copy_function=shutil.copy)

        def change(told):
            told |= {"n_sites": n, "n_degrees": n, **summary}
            given = {"mean": energy, "error": error, "variance": variance}
            told["energy"] |= {key: value for key, value in given.items() if value is not None}

        self.edit(name, "summary.json", change)

        def physics(told):
            told["physics"]["lattice"]["extent"] = [n]
            told["physics"]["ansatz"]["name"] = ansatz

        self.edit(name, "manifest.json", physics)
        return goal

    def edit(self, name, file, change):
        """Apply ``change`` to a JSON file of a run."""
        path = self.folder / name / file
        told = json.loads(path.read_text())
        change(told)
        path.write_text(json.dumps(told))

    def unfinish(self, name, *, status, reason="", ended=True):
        """Make a finished run one that stopped or failed after its steps, or, not ``ended``, was killed."""
        (self.folder / name / "DONE").unlink()
        self.edit(name, "summary.json", lambda told: told.update(status=status, reason=reason, final=False))
        how = {"time": "", "step": N_STEPS, "reason": f"{status}: {reason}"} if ended else None
        self.edit(name, "manifest.json", lambda told: told["starts"][-1].update(exit=how))

    def hold(self, name, *, pid=None, host=None, job=None):
        """Let a process hold the run's lock: this one, unless told otherwise."""
        owner = {"host": os.uname().nodename if host is None else host, "pid": pid or os.getpid(), "job": job}
        (self.folder / name / ".lock").write_text(json.dumps(owner))

    def study(self, points):
        """Make the folder a sweep of these points."""
        launch = study.Launch(study.now(), "python -m nqs_hpc -m study=s ansatz=rbm,mlp")
        study.write(self.folder, study.Study("s", "/somewhere", "local", [launch], points))


def point(name, swept=None, **more):
    """A point of a sweep."""
    swept = {"ansatz": name} if swept is None else swept
    told = {"n_sites": 4, "n_steps": N_STEPS, "command": f"python -m nqs_hpc run_dir={name}", "overrides": []} | more
    return study.Point(name=name, identity=name, swept=swept, **told)


@pytest.fixture
def runs(real_run, tmp_path):
    return Runs(real_run, tmp_path / "runs")


@pytest.fixture
def quick(monkeypatch):
    """Drawings are made, but of few pixels and in one format: three of them in print quality take a second."""
    monkeypatch.setattr(figures, "FORMATS", ("png",))
    monkeypatch.setattr(figures, "DPI", 40)


@pytest.fixture
def squeue(tmp_path, monkeypatch):
    """Put a squeue on PATH that answers with the lines given, and counts how often it is asked."""
    bin_, asked = tmp_path / "bin", tmp_path / "asked"
    bin_.mkdir()
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")

    def answer(*lines, code=0):
        text = "\n".join(lines)
        (bin_ / "answer").write_text(text + "\n" if lines else "")
        script = f'#!/bin/sh\necho "$@" >> {asked}\ncat {bin_}/answer {">&2" if code else ""}\nexit {code}\n'
        (bin_ / "squeue").write_text(script)
        (bin_ / "squeue").chmod(0o755)
        return lambda: asked.read_text().splitlines() if asked.exists() else []

    return answer
