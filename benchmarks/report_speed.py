"""Seconds that `status` and `report` take on a sweep of many finished points: prints one JSON line.

    python benchmarks/report_speed.py [--points 200] [--steps 300] [--repeats 3]

The sweep is made up: ten sizes and ten couplings for two ansätze, each a run folder with the files of a run and a
metrics.jsonl of as many steps, curves that fall to known energies with noise. Times are those of the whole process,
from the command to its end, medians over the repeats; cpu_s is what it computed in that time, which other programs on
the machine do not stretch. Limits: 2 s and 10 s.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from nqs_hpc.job import manifest, study  # noqa: E402 - the folder of this checkout comes first

ANSATZE = ("rbm", "mlp")
SIZES = range(8, 48, 4)


def write_point(folder: Path, n: int, h: float, ansatz: str, n_steps: int, random_numbers: random.Random) -> None:
    """A run folder of a chain of ``n`` sites as a finished run leaves it, but for its checkpoints."""
    exact = -n * (1 + 0.6 * h) + 0.4
    floor = {"rbm": 1e-4, "mlp": 3e-4}[ansatz] * n
    folder.mkdir(parents=True)
    with open(folder / "metrics.jsonl", "w", encoding="utf-8") as file:
        for step in range(1, n_steps + 1):
            far = 0.3 * n * math.exp(-step / 15) + floor
            error = 0.03 * math.sqrt(far)
            line = {"step": step, "energy": exact + far + random_numbers.gauss(0, error), "energy_error": error}
            line |= {"energy_variance": 3 * far, "acceptance": 0.6, "r_hat": None, "tau": None, "n_eff": 1024.0}
            line |= {"max_deviation": 4.2, "fallback": 0.0, "grad_norm": far, "learning_rate": 0.05, "scale": 1.0}
            line |= {"update_norm": far / 2, "seconds": 0.05, "sample_s": 0.02, "local_energy_s": 0.01, "solve_s": 0.02}
            file.write(json.dumps(line | {"rejected": False}) + "\n")
    error, variance = 0.005 * math.sqrt(floor), 3 * floor
    energy = exact + floor + random_numbers.gauss(0, error)
    physics = {"lattice": {"name": "chain", "extent": [n], "pbc": [False]}, "ansatz": {"name": ansatz}}
    physics |= {"hamiltonian": {"name": "ising", "J": 1.0, "h": h, "g": 0.0}, "sector": None, "seed": 0}
    start = {"time": study.now(), "step": 0, "n_ranks": 2, "hosts": ["node1"], "reason": "new", "changed": []}
    start |= {"slurm_job": None, "restart_count": None, "seconds": {"first_step": 3.0}}
    start |= {"exit": {"time": study.now(), "step": n_steps, "reason": "done: ", "saves": 6, "save_seconds": 0.1}}
    summary = {"status": "done", "reason": "", "step": n_steps, "final": True, "energy_per_site": energy / n}
    summary |= {"energy": {"mean": energy, "error": error, "variance": variance}, "r_hat": 1.001, "tau": 1.1}
    summary |= {"v_score": n * variance / energy**2, "reference": {"energy": exact, "method": "made up"}}
    summary |= {"n_eff": 3e4, "acceptance": 0.6, "n_samples": 32768, "n_parameters": 40 * n, "n_sites": n}
    summary |= {"n_ranks": 2, "threads": 1, "seconds": 0.05 * n_steps}
    written: dict[str, Any] = {
        "manifest.json": {"command": "python -m nqs_hpc", "versions": manifest.versions(), "physics": physics},
        "summary.json": summary,
    }
    written["manifest.json"] |= {"starts": [start]}
    for name, value in written.items():
        (folder / name).write_text(json.dumps(value, indent=2), encoding="utf-8")
    keys = "\n".join(f"key{i}: {{a: 1.0, b: [1, 2], c: null}}" for i in range(25))  # as long as a real one
    (folder / "config.yaml").write_text(f"task: {{n_steps: {n_steps}, final_samples: 32768}}\n{keys}\n")
    (folder / "DONE").write_text(f"{n_steps}\n")


def write_sweep(folder: Path, n_points: int, n_steps: int) -> None:
    """The study and its points."""
    random_numbers = random.Random(0)
    points = []
    for i in range(n_points):
        n, ansatz, h = SIZES[i % len(SIZES)], ANSATZE[i // len(SIZES) % 2], 0.5 + 0.1 * (i // (2 * len(SIZES)))
        swept = {"lattice.length": n, "hamiltonian.h": h, "ansatz": ansatz}
        words = [f"{key}={value}" for key, value in swept.items()]
        name = ",".join(words)
        write_point(folder / name, n, h, ansatz, n_steps, random_numbers)
        command = " ".join(["python -m nqs_hpc lattice=chain lattice.pbc=false", *words])
        points.append(study.Point(name, name, swept, words, command, n, n_steps, state="done"))
    launch = study.Launch(study.now(), "python -m nqs_hpc -m study=many")
    study.write(folder, study.Study("many", str(folder.parent), "local", [launch], points))


def seconds(*words: str) -> tuple[float, float]:
    """Of one process from its start to its end: wall time, and the time of processors."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    begun, before = time.monotonic(), os.times()
    subprocess.run([sys.executable, "-m", "nqs_hpc", *words], check=True, stdout=subprocess.DEVNULL, env=environment)
    ended, after = time.monotonic(), os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return ended - begun, spent


def main() -> None:
    """Make the sweep in a temporary folder, and time both."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        write_sweep(folder / "many", options.points, options.steps)
        status = [seconds("status", str(folder / "many")) for _ in range(options.repeats)]
        report = [seconds("report", str(folder / "many")) for _ in range(options.repeats)]
        size = (folder / "many" / "report" / "index.html").stat().st_size
    finally:
        shutil.rmtree(folder)
    found: dict[str, Any] = {"points": options.points, "steps": options.steps}
    for name, times in (("status", status), ("report", report)):
        for kind, several in zip(("s", "cpu_s"), zip(*times, strict=True), strict=True):
            found[f"{name}_{kind}"] = round(statistics.median(several), 2)
    found["page_mb"] = round(size / 1e6, 2)
    print(json.dumps(found | {"python": platform.python_version(), "cores": os.cpu_count()}))


if __name__ == "__main__":
    main()
