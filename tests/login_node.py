"""A login node with a queue of its own: sbatch, srun, squeue and scontrol that write down what they were asked."""

import os
import stat
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

RECORD = """\
#!{python}
import json, os, sys
from pathlib import Path
here = Path({folder!r})
stdin = sys.stdin.read() if {reads} else ""
with open(here / "calls.jsonl", "a") as file:
    file.write(json.dumps([{name!r}, sys.argv[1:], stdin, os.getcwd()]) + "\\n")
answer = here / "answers" / {name!r}
code, text = answer.read_text().split("\\n", 1) if answer.exists() else ("0", "")
print(text, end="", file=sys.stderr if int(code) else sys.stdout)
sys.exit(int(code))
"""


class Queue(NamedTuple):
    """What the commands answer, and what they were asked: (name, arguments, stdin, folder) each."""

    folder: Path

    def answer(self, name: str, text: str, code: int = 0) -> None:
        (self.folder / "answers" / name).write_text(f"{code}\n{text}")

    def calls(self, *names: str) -> list[list]:
        import json

        path = self.folder / "calls.jsonl"
        every = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [call for call in every if not names or call[0] in names]


@pytest.fixture
def queue(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("queue")
    (folder / "answers").mkdir()
    for name in ("sbatch", "srun", "squeue", "scontrol"):
        script = folder / name
        text = RECORD.format(python=sys.executable, folder=str(folder), reads=name == "sbatch", name=name)
        script.write_text(text)
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
    (folder / "sleep").write_text("#!/bin/sh\nexec /bin/sleep 0.2\n")  # a script that waits does so for long
    (folder / "sleep").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    for name in [name for name in os.environ if name.startswith(("SLURM_", "PMI_", "OMPI_"))]:
        monkeypatch.delenv(name)
    return Queue(folder)


@pytest.fixture
def work(tmp_path, monkeypatch):
    """The folder one submits from."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
