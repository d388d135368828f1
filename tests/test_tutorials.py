"""The tutorials run as they are written, on smaller lattices and for a few steps.

All blocks of a page are run in turn, in one folder (benchmarks/documents.py). What makes them small: `shortened` for
every job, and a comment of the page, `tested with NEW for OLD; NEW for OLD`, whose texts are exchanged.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from nqs_hpc.cli.command import main

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import documents

PAGES = sorted((documents.ROOT / "docs" / "tutorials").glob("*.md"))


def blocks(page: str) -> list[documents.Block]:
    """What a reader runs, on what the page is tested with."""
    for exchange in "".join(re.findall(r"<!-- tested with (.*?) -->", page)).split("; "):
        new, _, old = exchange.partition(" for ")
        assert old in page.split("-->", 1)[-1], f"the page does not have {old!r}"
        page = page.replace(old, new)
    return documents.blocks(page)


def run(command: str) -> None:
    """nqs_hpc in this process, where jax is loaded; all else by the shell, and sweeps, which fork."""
    if documents.is_ours(command):
        command = documents.shortened(command)
        words = documents.words_of(command)[1]
        if words[0] != "-m":
            assert main(words) in (0, None), command
            return
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
    for block in found:
        if block.language == "python":
            exec(compile(block.text, str(page), "exec"), {"__name__": "__main__"})
        else:
            for command in documents.commands(block.text):
                if not documents.foreign(command):
                    run(command)
