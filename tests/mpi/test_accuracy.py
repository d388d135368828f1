"""The shipped experiments find their ground states on two ranks; the full table: benchmarks/accuracy.py."""

import json
from pathlib import Path

import pytest

from tests.mpi.starts import run, summary

pytestmark = pytest.mark.mpi
# ids and sources in tests/data/energies.json
EXACT = json.loads((Path(__file__).parents[1] / "data" / "energies.json").read_text())


@pytest.mark.parametrize(
    ("words", "exact", "goal"),
    [
        # R0138: TFIM 4x4, h = 3, exact diagonalisation
        (["experiment=tfim_square"], -51.44812913320604, 1e-4),
        # R0198: Heisenberg ring of 10, exact diagonalisation
        (["experiment=heisenberg_chain", "lattice.length=10", "task.n_steps=150"], -4.515446354492036, 3e-4),
    ],
    ids=["tfim_square", "heisenberg_ring_10"],
)
def test_ground_state_energy(tmp_path, words, exact, goal):
    run(2, "-m", "nqs_hpc", *words, "run_dir=run", cwd=tmp_path)
    found = summary(tmp_path / "run")
    assert found["status"] == "done" and found["final"] is True
    energy = found["energy"]
    assert abs(energy["mean"] - exact) < goal * abs(exact)
    assert abs(energy["mean"] - exact) < 5 * energy["error"] + goal * abs(exact)
    assert found["reference"]["energy"] == pytest.approx(exact, rel=1e-10)
    assert found["relative_error"] == pytest.approx((energy["mean"] - exact) / abs(exact), abs=1e-9)
    assert found["r_hat"] < 1.02
