"""The README's section "In a notebook" is true."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from tests.mpi.starts import environment, summary

README = (Path(__file__).parents[2] / "README.md").read_text()


def test_the_notebook_runs_as_it_stands(ring, tmp_path):
    """In a folder with the run that the section names, which is a small one here."""
    (script,) = re.findall(r"<!-- notebook -->\n```python\n(.*?)```\n<!-- /notebook -->", README, flags=re.DOTALL)
    (command,) = re.findall(r"`python -m nqs_hpc (lattice.length=8 run_dir=(runs/ring))`", README)
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
    assert [int(line.split()[0]) for line in said[7:]] == [1, 2, 3, 4, 5]
    assert np.load(tmp_path / "ring.npz")["params/w"].shape == (8, 8)
