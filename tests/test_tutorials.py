"""The tutorials run as they are written, on smaller lattices and for a few steps.

All blocks of ```sh and ```python of a page are run in turn, in one folder. What makes them small: SMALL for every job,
and a comment of the page, `tested with NEW for OLD; NEW for OLD`, whose texts are exchanged.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from nqs_hpc.cli.command import main

PAGES = sorted((Path(__file__).parents[1] / "docs" / "tutorials").glob("*.md"))
SAMPLER = {"sampler.n_chains": "16", "sampler.n_samples": "64", "sampler.warmup": "2"}
SMALL = {
    "ground_state": {"task.n_steps": "4", "task.final_samples": "64", "task.second_samples": "0"},
    "excited_state": {"task.n_steps": "4", "task.final_samples": "64", "task.second_samples": "0"},
    "evaluate": {"task.samples": "128"},
    "dynamics": {"task.t_end": "0.02", "task.spacing": "0.01"},
}


def blocks(page: str) -> list[tuple[str, str]]:
    """The language and the text of every block of code that is to be run."""
    for exchange in "".join(re.findall(r"<!-- tested with (.*?) -->", page)).split("; "):
        new, _, old = exchange.partition(" for ")
        assert old in page.split("-->", 1)[-1], f"the page does not have {old!r}"
        page = page.replace(old, new)
    return re.findall(r"^```(sh|python)\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)


def commands(script: str) -> list[str]:
    """The commands of a script: lines, with what belongs to them (that go on, here-documents, quoted texts)."""
    found, pending, until = [], "", None
    for line in script.splitlines(keepends=True):
        pending += line
        if until is not None:
            until = None if line.strip() == until else until
        elif here := re.search(r"<<'(\w+)'", line):
            until = here[1]
        quoted = pending.count('"') % 2 or pending.count("'") % 2
        if until is None and not quoted and not pending.endswith("\\\n"):
            found.append(pending)
            pending = ""
    assert not pending.strip(), f"a command without an end: {pending}"
    return [command for command in found if command.strip() and not command.startswith("#")]


def small(words: list[str]) -> list[str]:
    """The same job, for a few steps and samples."""
    given = dict(word.split("=", 1) for word in words if "=" in word)
    size = dict(SMALL[given.get("task", "ground_state")])
    sampler = given.get("sampler", "metropolis")
    if given.get("task") != "evaluate" and sampler != "enumerate":
        size |= SAMPLER if sampler == "metropolis" else {"sampler.n_samples": "64"}
    kept = [word for word in words if word.split("=")[0] not in size]
    return kept + [f"{key}={value}" for key, value in size.items()]


def run(command: str) -> None:
    """nqs_hpc in this process, where jax is loaded; all else by the shell, and sweeps, which fork."""
    words = shlex.split(command.replace("\\\n", " ")) if "<<" not in command else []
    if words[:3] == ["python", "-m", "nqs_hpc"] or words[:1] == ["mpiexec"]:
        words = words[words.index("nqs_hpc") + 1 :]
        if words[0] != "-m":
            is_job = words[0] not in ("status", "report", "doctor", "sectors", "submit")
            assert main(small(words) if is_job else words) in (0, None), command
            return
        command = shlex.join(["python", "-m", "nqs_hpc", *small(words)])
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", command], env=os.environ | {"PATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tutorial_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)  # modules that the page writes
    before = jax.config.jax_numpy_rank_promotion
    jax.config.update("jax_numpy_rank_promotion", "allow")  # as users have it: Flax adds a bias so
    try:
        run_blocks(page)
    finally:
        jax.config.update("jax_numpy_rank_promotion", before)


def run_blocks(page: Path) -> None:
    found = blocks(page.read_text(encoding="utf-8"))
    assert found
    for language, text in found:
        if language == "python":
            exec(compile(text, str(page), "exec"), {"__name__": "__main__"})
        else:
            for command in commands(text):
                run(command)
