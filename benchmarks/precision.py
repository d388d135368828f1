"""float32 networks against float64 ones: the final energies of the same runs, with their errors, and the exact one.

    python benchmarks/precision.py [--models chain,square] [--markdown FILE]

Each model is run with precision.network=float64 and float32, by the same seed and keys. Sums, statistics and the solve
are float64 in both. Chains go their own ways as soon as rounding decides a proposal, so the two energies are as two
seeds are: they agree within the errors, and the distance to the exact energy says what float32 costs.

Exit codes: 0; 1 where the energies of a model differ by more than four errors and 1e-4 of the energy; 2 for bad input.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

MODELS = {
    "chain": (
        "TFIM ring of 16, h = 1, RBM, minSR, 150 steps",
        "lattice.length=16 hamiltonian.h=1.0 ansatz=rbm sampler.n_chains=64 sampler.n_samples=512 "
        "task.n_steps=150 task.final_samples=16384 task.second_samples=0 optimizer.learning_rate=0.05",
    ),
    "square": (
        "Heisenberg 4x4, ViT 8 wide of one layer, minSR, 80 steps",
        "lattice=square lattice.length=4 hamiltonian=heisenberg hamiltonian.marshall=true ansatz=vit ansatz.patch=2 "
        "ansatz.width=8 ansatz.heads=2 ansatz.layers=1 sampler.n_chains=64 sampler.n_samples=256 task.n_steps=80 "
        "task.final_samples=4096 task.second_samples=0 optimizer.learning_rate=0.05",
    ),
}
PRECISIONS = ("float64", "float32")


def energy_of(words: str, precision: str, folder: Path) -> dict[str, Any]:
    """summary.json of a run."""
    run = folder / precision
    command = [sys.executable, "-m", "nqs_hpc", *words.split(), f"precision.network={precision}", f"run_dir={run}"]
    found = subprocess.run(command, capture_output=True, text=True)
    if not (run / "summary.json").exists():
        raise SystemExit(f"a run left no summary:\n{found.stderr[-2000:]}")
    summary: dict[str, Any] = json.loads((run / "summary.json").read_text())
    return summary


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--markdown", type=Path, default=None)
    options = parser.parse_args()
    if not set(names := options.models.split(",")) <= set(MODELS):
        parser.error(f"--models of {', '.join(MODELS)}")
    lines = ["| model | float64 | float32 | difference / its error | exact |", "|---|---|---|---|---|"]
    agree = True
    for name in names:
        title, words = MODELS[name]
        with tempfile.TemporaryDirectory(prefix="precision-") as folder:
            wide, narrow = (energy_of(words, precision, Path(folder)) for precision in PRECISIONS)
        (e, de), (f, df) = ((one["energy"]["mean"], one["energy"]["error"]) for one in (wide, narrow))
        error = (de**2 + df**2) ** 0.5
        agree &= abs(e - f) <= max(4 * error, 1e-4 * abs(e))
        exact = (wide.get("reference") or {}).get("energy")
        shown = "n/a" if exact is None else f"{exact:.6f}"
        lines.append(f"| {title} | {e:.6f} ± {de:.1e} | {f:.6f} ± {df:.1e} | {(f - e) / error:.1f} | {shown} |")
        print(lines[-1], file=sys.stderr, flush=True)
    table = "\n".join(lines) + "\n"
    print(table, end="")
    if options.markdown is not None:
        options.markdown.write_text(table)
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
