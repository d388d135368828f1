"""Large systems: a few steps of each on two ranks, with their time and memory; prints a table and one JSON line.

    python benchmarks/headline.py [NAME ...] [--ranks 2] [--steps 3] [--folder runs/headline]

Each is a run as a user starts it, on chains that were not warmed up: what a step costs does not depend on where they
are. A STOP file ends it behind the last step, for a final evaluation would warm up chains of its own. Memory is the
largest sum over ranks of their resident memory, looked at while they run. Exit code 1 where one took more than the
limit of 8 GiB in all.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

LIMIT_GIB = 8.0
STOPPED = 85  # the exit code of a run that a STOP file ended

SIZES: dict[str, str] = {
    "TFIM 21x21, masked_conv, autoregressive": (
        "lattice=square lattice.length=21 hamiltonian=ising hamiltonian.h=3.0 ansatz=masked_conv "
        "sampler=autoregressive optimizer=sr"
    ),
    "J1-J2 10x10, resnet": (
        "lattice=square lattice.length=10 hamiltonian=heisenberg hamiltonian.J=[1,0.5] ansatz=resnet "
        "ansatz.layers=8 ansatz.features=42 ansatz.kernel=3 ansatz.dtype=complex optimizer=minsr sampler.warmup=0"
    ),
    "J1-J2 10x10, resnet of a million parameters": (
        "lattice=square lattice.length=10 hamiltonian=heisenberg hamiltonian.J=[1,0.5] ansatz=resnet "
        "ansatz.layers=8 ansatz.features=126 ansatz.kernel=3 ansatz.dtype=complex optimizer=minsr sampler.warmup=0 "
        "sampler.n_chains=128 sampler.n_samples=256"
    ),
    "toric code 15x16, mlp": (
        "lattice=square lattice.extent=[15,16] hamiltonian=toric_code hamiltonian.hx=0.2 hamiltonian.hz=0.2 "
        "ansatz=mlp ansatz.alphas=[1] optimizer=minsr sampler.warmup=0"
    ),
    "Rydberg 20x20, rbm": (
        "lattice=square lattice.length=20 lattice.pbc=false hamiltonian=rydberg hamiltonian.V=7.0 ansatz=rbm "
        "optimizer=minsr sampler.warmup=0"
    ),
}


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(SIZES), metavar="NAME", help="; ".join(SIZES))
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path("runs/headline"))
    options = parser.parse_args()
    if unknown := set(options.names) - set(SIZES):
        parser.error(f"unknown {', '.join(sorted(unknown))}; valid: {'; '.join(SIZES)}")

    print("| system | spins | parameters | samples | seconds of a step | first step | GiB, all ranks |")
    print("|---|---|---|---|---|---|---|")
    rows = []
    for number, name in enumerate(options.names):
        folder = (options.folder / str(number)).resolve()
        shutil.rmtree(folder, ignore_errors=True)
        words = [*SIZES[name].split(), f"task.n_steps={options.steps}", "task.final_samples=1", f"run_dir={folder}"]
        peak = run(options.ranks, words, folder, options.steps)
        steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        summary = json.loads((folder / "summary.json").read_text())
        row = {
            "system": name,
            "n_sites": summary["n_sites"],
            "n_parameters": summary["n_parameters"],
            "n_samples": next(
                (int(word.split("=")[1]) for word in words if word.startswith("sampler.n_samples=")), 1024
            ),
            "step_s": min(step["seconds"] for step in steps),
            "first_step_s": steps[0]["seconds"],
            "gib": peak / 2**30,
        }
        rows.append(row)
        print(
            f"| {name} | {row['n_sites']} | {row['n_parameters']} | {row['n_samples']} | {row['step_s']:.2f} "
            f"| {row['first_step_s']:.1f} | {row['gib']:.2f} |",
            flush=True,
        )
    print(json.dumps({"ranks": options.ranks, "rows": rows}))
    if any(row["gib"] > LIMIT_GIB for row in rows):
        raise SystemExit(1)


def run(n_ranks: int, words: list[str], folder: Path, n_steps: int) -> int:
    """So many steps of a run: the largest resident memory of all ranks together, in bytes."""
    beside = Path(sys.executable).parent / "mpiexec"
    mpiexec = str(beside) if beside.exists() else "mpiexec"
    command = [mpiexec, "-n", str(n_ranks), sys.executable, "-m", "nqs_hpc", *words]
    process = subprocess.Popen(command, stdout=sys.stderr)
    peak, metrics = 0, folder / "metrics.jsonl"
    try:
        while process.poll() is None:
            peak = max(peak, sum(map(resident, below(process.pid))))
            if metrics.exists() and metrics.read_text().count("\n") >= n_steps:
                (folder / "STOP").touch()
            time.sleep(0.05)
    finally:  # no ranks are left behind
        process.terminate()
    if process.returncode not in (0, STOPPED):
        raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}")
    return peak


def below(pid: int) -> list[int]:
    """The descendants of a process."""
    try:
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # it has ended
        return []
    return [found for child in children for found in (child, *below(child))]


def resident(pid: int) -> int:
    """Bytes of resident memory; 0 of a process that has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:")), 0)


if __name__ == "__main__":
    main()
