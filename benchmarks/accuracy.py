"""Accuracy against exact energies: runs experiments to their end on two ranks and prints a table.

    python benchmarks/accuracy.py [NAME ...] [--ranks 2] [--folder runs]

Each experiment is the job a user starts; figures are read from summary.json, whose energy is that of the frozen final
parameters from fresh samples. Prints a Markdown table and one JSON line; exit code 1 where a goal was missed.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import time
from pathlib import Path

# name -> experiment and overrides, goal of |relative error|, seconds it may take
EXPERIMENTS: dict[str, tuple[list[str], float | None, float]] = {
    "tfim_chain": (["experiment=tfim_chain"], 1e-4, 120),
    "tfim_square": (["experiment=tfim_square"], 1e-4, 120),
    "heisenberg_chain": (["experiment=heisenberg_chain"], 3e-4, 180),
    "heisenberg_square": (["experiment=heisenberg_square"], 1e-3, 180),
    "rydberg_square_4x4": (["experiment=rydberg_square_4x4"], 1e-4, 900),
    "toric_code_3x3": (["experiment=toric_code_3x3"], 1e-4, 900),
    "bose_hubbard_chain_8": (["experiment=bose_hubbard_chain_8"], 1e-3, 900),
    "j1j2_square_4x4": (["experiment=j1j2_square_4x4"], 1e-3, 900),
    "heisenberg_square_4x4": (["experiment=heisenberg_square_4x4"], 1e-4, 900),
    "heisenberg_square_6x6": (["experiment=heisenberg_square_6x6"], 1e-4, 900),
    "tfim_square_6x6": (["experiment=tfim_square_6x6"], 1e-4, 900),
    "j1j2_square_6x6": (["experiment=j1j2_square_6x6"], 1.5e-2, 900),
    "tfim_square_10x10": (["experiment=tfim_square_10x10"], None, 900),
    "tfim_chain_64": (["experiment=tfim_chain_64"], 1e-3, 900),
    "heisenberg_triangular_12": (["experiment=heisenberg_triangular_12"], 1e-3, 900),
    "heisenberg_kagome_12": (["experiment=heisenberg_kagome_12"], 1e-3, 900),
}

# exact energies of systems that are too large to be diagonalised by the job itself
REFERENCES: dict[str, float] = {
    "heisenberg_square_6x6": 36 * -0.678873,  # quantum Monte Carlo, 4e-6 a site: Sandvik, Phys. Rev. B 56, 11678 (1997)
    "j1j2_square_6x6": 36 * -0.503810,  # exact: Schulz, Ziman and Poilblanc, J. Phys. I 6, 675 (1996)
    "tfim_square_6x6": -115.23270730371848,  # exact diagonalisation: Wu et al., Science 386, 296 (2024), VarBench
    "tfim_chain_64": -2 / math.sin(math.pi / 128),  # free fermions at h = 1: -2 sum_m sin((2 m + 1) pi / (2 N))
}

VARIANCE_PER_SITE = 0.05  # the goal where no exact energy is known; R-hat of chains must be below 1.02


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(EXPERIMENTS), metavar="NAME", help=", ".join(EXPERIMENTS))
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("runs/accuracy"))
    options = parser.parse_args()
    if unknown := set(options.names) - set(EXPERIMENTS):
        parser.error(f"unknown {', '.join(sorted(unknown))}; valid: {', '.join(EXPERIMENTS)}")
    beside = Path(sys.executable).parent / "mpiexec"
    mpiexec = str(beside) if beside.exists() else "mpiexec"

    print("| experiment | energy | relative error | goal | variance/site | V-score | R-hat | tau | seconds | limit |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    rows, missed = [], []
    for name in options.names:
        overrides, goal, limit = EXPERIMENTS[name]
        folder = (options.folder / f"{name}-{options.seed}").resolve()
        shutil.rmtree(folder, ignore_errors=True)
        command = [mpiexec, "-n", str(options.ranks), sys.executable, "-m", "nqs_hpc", *overrides]
        begin = time.monotonic()
        subprocess.run([*command, f"seed={options.seed}", f"run_dir={folder}"], check=True, stdout=sys.stderr)
        seconds = time.monotonic() - begin
        summary = json.loads((folder / "summary.json").read_text())
        energy, n = summary["energy"], summary["n_sites"]
        relative_error = summary["relative_error"]
        if (exact := REFERENCES.get(name)) is not None:
            relative_error = (energy["mean"] - exact) / abs(exact)
        row = {
            "experiment": name,
            "energy": energy["mean"],
            "error": energy["error"],
            "relative_error": relative_error,
            "goal": goal,
            "variance_per_site": energy["variance"] / n,
            "v_score": summary["v_score"],
            "r_hat": summary["r_hat"],
            "tau": summary["tau"],
            "n_parameters": summary["n_parameters"],
            "steps": summary["step"],
            "seconds": seconds,
            "limit": limit,
        }
        rows.append(row)
        if (
            seconds > limit
            or (row["r_hat"] is not None and row["r_hat"] >= 1.02)
            or (goal is None and row["variance_per_site"] >= VARIANCE_PER_SITE)
            or (goal is not None and abs(row["relative_error"]) >= goal)
        ):
            missed.append(name)
        r_hat = "" if row["r_hat"] is None else f"{row['r_hat']:.4f}"
        tau = "" if row["tau"] is None else f"{row['tau']:.2f}"
        relative = "" if row["relative_error"] is None else f"{row['relative_error']:+.1e}"
        goal = "" if row["goal"] is None else f"{row['goal']:g}"
        print(
            f"| {row['experiment']} | {row['energy']:.5f} ± {row['error']:.5f} | {relative} | {goal} "
            f"| {row['variance_per_site']:.2e} | {row['v_score']:.1e} | {r_hat} | {tau} "
            f"| {row['seconds']:.0f} | {row['limit']:.0f} |",
            flush=True,
        )
    print(json.dumps({"ranks": options.ranks, "seed": options.seed, "missed": missed, "rows": rows}))
    if missed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
