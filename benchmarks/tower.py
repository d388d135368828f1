"""Towers of states: the Heisenberg model on the ring of 12 and on the triangular lattice of 4x3, sector by sector.

    python benchmarks/tower.py            both sweeps, below sweeps/, and the tables of benchmarks/RESULTS.md
    python benchmarks/tower.py ring_12    one of them

Each is one command of the program, which is printed. The figures are in sweeps/NAME/report (tower.png).
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys

COMMON = [
    "symmetrize=all",
    "hamiltonian=heisenberg",
    "ansatz=mlp",
    "ansatz.alphas=[1,1]",
    "ansatz.dtype=complex",
    "sampler.n_chains=128",
    "sampler.n_samples=384",
    "sampler.sweep=6",
    "optimizer.learning_rate={schedule: cosine, init_value: 0.1, decay_steps: 200, alpha: 0.1}",
    "optimizer.diag_shift={schedule: exponential, init_value: 0.01, transition_steps: 50, decay_rate: 0.1, "
    "end_value: 1e-3}",
    "task.n_steps=200",
    "task.final_samples=8192",
    "observables=[total_spin]",
]
STUDIES = {
    "ring_12": ["lattice=chain", "lattice.length=12"],
    "triangular_4x3": ["lattice=triangular", "lattice.extent=[4,3]", "sector=0,4"],
}


def main(names: list[str]) -> None:
    for name in names or STUDIES:
        command = ["python", "-m", "nqs_hpc", "-m", f"study={name}", *STUDIES[name], *COMMON]
        print(shlex.join(command), flush=True)
        subprocess.run([sys.executable, *command[1:]], check=True, stdout=subprocess.DEVNULL)
        status = [sys.executable, "-m", "nqs_hpc", "status", f"sweeps/{name}", "--json"]
        told = json.loads(subprocess.run(status, check=True, capture_output=True, text=True).stdout)
        print("\n".join(table(told if isinstance(told, list) else told["points"])), flush=True)


def table(rows: list[dict]) -> list[str]:
    """A line a point: its sector, the energy with its error, the exact one, the relative error, S(S + 1)."""
    headings = ["2Sz", "momentum", "irrep", "flip", "energy", "exact", "relative error", "⟨S²⟩"]
    lines = ["", f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    for row in rows:
        swept = row["swept"]
        names = [swept.get("sector", 0), *(swept.get(f"symmetrize.{k}") for k in ("momentum", "irrep", "spin_flip"))]
        cells = ["" if name is None else f"{name:g}" if isinstance(name, float | int) else str(name) for name in names]
        cells += [f"{row['energy']:.4f} ± {row['energy_error']:.4f}", f"{row['reference']:.6f}"]
        cells += [f"{row['relative_error']:.1e}", f"{row['observables.total_spin.s2']:.3f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


if __name__ == "__main__":
    main(sys.argv[1:])
