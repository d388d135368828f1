"""First excited states of rings of 10 by penalties, in exact sums and by Metropolis chains (docs/excited.md).

python benchmarks/excited.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

RINGS = {
    "Ising, h = 1": ["hamiltonian.h=1.0", "ansatz.alpha=1"],
    "Ising, h = 0.5": ["hamiltonian.h=0.5", "ansatz.alpha=1"],
    "Heisenberg": ["hamiltonian=heisenberg", "ansatz.alpha=2"],
}
SUMS = ["sampler=enumerate", "optimizer=sr", "task.n_steps=500"]
FLIPS = ["sampler.move={flip: 3, global_flip: 1}"]


def run(folder: Path, words: list[str]) -> dict:
    """summary.json of a job in ``folder``."""
    command = [sys.executable, "-m", "nqs_hpc", "lattice.length=10", f"run_dir={folder}", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def excited(below: Path) -> list[str]:
    return ["task=excited_state", f"task.below=[{below}]", "ansatz.dtype=complex"]


def main() -> None:
    print("| | exact E1 | exact sums | Metropolis |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        for name, ring in RINGS.items():
            root = Path(place) / name.replace(" ", "").replace(",", "_").replace("=", "")
            run(root / "e0", [*ring, *SUMS])
            sums = run(root / "e1", [*ring, *excited(root / "e0"), *SUMS])
            # from random parameters chains of the Heisenberg ring end above the level; they begin at the exact sums'
            start = [f"init_from={root / 'e1'}", "task.n_steps=60"] if name == "Heisenberg" else FLIPS
            chains = run(root / "e1_chains", [*ring, *excited(root / "e0"), *start])
            energy, error = chains["energy"]["mean"], chains["energy"]["error"]
            exact = json.loads((root / "e1" / "reference.json").read_text(encoding="utf-8"))["energy"]
            print(f"| {name} | {exact:.6f} | {sums['energy']['mean']:.6f} | {energy:.6f} +- {error:.6f} |", flush=True)


if __name__ == "__main__":
    main()
