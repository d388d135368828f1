"""``nqs-hpc`` does what ``python -m nqs_hpc`` does."""

import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from nqs_hpc.cli import console as room

ROOT = Path(__file__).parents[2]
SCRIPT = "import sys; from nqs_hpc.cli.console import console; sys.exit(console())\n"


def test_the_command_is_declared():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, name = declared["nqs-hpc"].partition(":")
    assert getattr(import_module(module), name) is room.console


@pytest.mark.parametrize(
    "words",
    [
        ["--version"],
        ["latice=chain"],
        ["ansatz=flax", "ansatz.module=mine:Net"],  # a module in the current folder is found
    ],
    ids=lambda words: words[0],
)
def test_answers_and_exit_codes_are_those_of_the_module(tmp_path, words):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "nqs-hpc").write_text(SCRIPT)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "mine.py").write_text("")

    def said(*start):
        done = subprocess.run([sys.executable, *start, *words], cwd=tmp_path / "here", capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    told = said(str(tmp_path / "bin" / "nqs-hpc"))
    assert told == said("-m", "nqs_hpc") and told[0] in (0, 2) and (told[1] or told[2]).strip()
    if words[0] == "ansatz=flax":
        assert told[2] == "ansatz.module=mine:Net is not valid: mine has no Net\n"


def test_the_folder_of_the_script_is_not_searched(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "begin", lambda: 85)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "bin" / "nqs-hpc")])
    monkeypatch.setattr(sys, "path", [str(tmp_path / "bin"), "/usr/lib/python3"])
    monkeypatch.chdir(tmp_path)
    assert room.console() == 85
    assert sys.path == [str(tmp_path), "/usr/lib/python3"]
