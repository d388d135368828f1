"""What docs/notebook.md and docs/files.md say of a run is true."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.mpi.starts import environment, summary

DOCS = Path(__file__).parents[2] / "docs"
NOTEBOOK = (DOCS / "notebook.md").read_text(encoding="utf-8")


def test_the_notebook_runs_as_it_stands(ring, tmp_path):
    """In a folder with the run that the page names, which is a small one here."""
    (script,) = re.findall(r"<!-- notebook -->\n```python\n(.*?)```\n<!-- /notebook -->", NOTEBOOK, flags=re.DOTALL)
    (command,) = re.findall(r"`python -m nqs_hpc (lattice.length=8 run_dir=(runs/ring))`", NOTEBOOK)
    shutil.copytree(ring, tmp_path / command[1])
    made = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    said = made.stdout.splitlines()
    energy = float(said[0].split()[1])
    assert energy == summary(ring)["energy"]["mean"] and abs(float(said[1].split()[-1]) - energy) < 0.5
    assert said[2].startswith("parameters: running mean of the parameters after 40 updates")
    ratio, m = float(said[3].split()[-1]), float(said[4].split()[-1])
    assert 0 < ratio < 0.5 and 0.3 < m < 1  # a ferromagnet near its transition
    assert "Expectation(mean=0." in said[5] and float(said[6].split()[-1]) > energy
    assert [int(line.split()[0]) for line in said[8:]] == [1, 2, 3, 4, 5]
    assert np.load(tmp_path / "ring.npz")["params/w"].shape == (8, 8)


def keys_listed(section: str) -> set[str]:
    """The keys in the first table of a section of docs/files.md."""
    table = (DOCS / "files.md").read_text(encoding="utf-8").split(f"## {section}\n\n")[1].split("\n\n")[0]
    rows = [line.split(" | ")[0] for line in table.splitlines()[2:]]
    return {key for cell in rows for key in re.findall(r"`([^`]+)`", cell)}


def test_the_files_and_their_keys_are_listed(ring):
    assert keys_listed("Keys of summary.json") == set(summary(ring))
    lines = (ring / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert keys_listed("Keys of metrics.jsonl") == set().union(*map(json.loads, lines))
    files = (DOCS / "files.md").read_text(encoding="utf-8").split("## Keys")[0]
    for path in ring.iterdir():
        if not path.name.startswith("."):
            assert f"`{path.name}" in files, f"docs/files.md does not list {path.name}"
