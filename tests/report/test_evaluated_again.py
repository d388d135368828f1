"""A finished run evaluated again with more samples, by the program itself; and commands whose pipe ends early."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from .conftest import ROOT, SMALL


def program(*words):
    return subprocess.run(
        [sys.executable, "-m", "nqs_hpc", *words], cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


def test_more_final_samples(real_run, tmp_path):
    """Stopped in it, the run keeps its energy; done, it has that of more samples. No step is made, no bit changed."""
    folder = tmp_path / "run"
    shutil.copytree(real_run, folder)
    words = [*(word for word in SMALL if "final_samples" not in word), "task.final_samples=4096", f"run_dir={folder}"]

    def kept():
        names = ("metrics.jsonl", *(f"checkpoints/{path.name}" for path in (folder / "checkpoints").iterdir()))
        return {name: (folder / name).read_bytes() for name in names}

    def summary():
        return json.loads((folder / "summary.json").read_text())

    files, before = kept(), summary()
    stopped = program(*words, "max_seconds=0.01")  # over before the first sample
    assert stopped.returncode == 85, stopped.stdout + stopped.stderr
    told = summary()
    assert told["status"] == "stopped" and told["final"] is True and told["n_samples"] == 512
    assert told["reason"].startswith("max_seconds, during the final evaluation; the energy is that of")
    assert told["energy"] == before["energy"] and (folder / "DONE").read_text() == "12 512\n"
    done = program(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    told = summary()
    assert told["status"] == "done" and told["n_samples"] == 4096 and told["step"] == before["step"]
    assert told["energy"]["error"] < before["energy"]["error"] and (folder / "DONE").read_text() == "12 4096\n"
    assert abs(told["energy"]["mean"] - before["energy"]["mean"]) < 5 * before["energy"]["error"]
    assert kept() == files


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["status", "--help"], 0),
        (["status", "RUN"], 0),
        (["status", "--json", "RUN"], 0),
        (["report", "RUN"], 0),
        (["nonsense=1"], 2),
    ],
)
def test_a_pipe_that_ends_early(real_run, tmp_path, words, code):
    """As of `| head`: the exit code is that of the command, and nothing is said about the pipe."""
    reader, writer = os.pipe()
    os.close(reader)
    folder = tmp_path / "run"
    shutil.copytree(real_run, folder)
    words = [str(folder) if word == "RUN" else word for word in words]
    made = subprocess.run(
        [sys.executable, "-m", "nqs_hpc", *words], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert made.returncode == code, made.stderr
    assert "Traceback" not in made.stderr and "ipe" not in made.stderr
