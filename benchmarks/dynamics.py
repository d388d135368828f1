"""Trajectories beside their targets: accuracy, bias, speed and restarts of time evolution, one JSON line a figure.

    python benchmarks/dynamics.py [NAME ...] [--folder FOLDER]

    orders    slopes of euler, heun and rk4 for 20 to 160 steps, and the error of rk4, where the ansatz is a table of
              all amplitudes (TFIM ring of 6, h = 1, T = 0.2), in this process
    ring      quenches of a ring of 10 from all spins along x
    square    the quench and the linear ramp of the 4x4 torus
    bias      a state with zeros, sampled plainly, blurred, from |psi|^p, and projected
    large     20x20: seconds of a velocity on two ranks, and memory
    restart   a job of two ranks, killed again and again, against one that is left alone

All but `orders` are jobs, `python -m nqs_hpc WORDS`, whose words stand in the line. They are compared with the exact
evolution of their own first state, which a run writes into reference.json (`operators.evolution`); for large and
restart see there. Exit code 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
KILLS = 5
UNSURE = 1e-2  # r^2 above which a run says that its network is left behind


class Case(NamedTuple):
    """A job, and what the largest distance of an observable from exact evolution has to be up to a time."""

    words: str
    observable: str
    until: float
    most: float | None = None
    least: float | None = None  # where the job is to show what goes wrong
    warned: float | None = None  # the latest time of the first warning by r^2
    start: str = ""  # the words of a ground state that it begins from


RING = "experiment=quench_ring_10"
SYMMETRIC = f"{RING} ansatz=rbm_symm ansatz.alpha=6 ansatz.dtype=complex task.integrator.tolerance=1e-5 task.cut=1e-12"
SAMPLED = f"{RING} sampler=metropolis sampler.n_samples=4096 task.integrator=heun"
BIAS = "experiment=bias_ring_8"
PROJECTED = "experiment=bias_ring_8_projected"
GROUND = (
    "lattice=square lattice.length=4 hamiltonian=ising hamiltonian.h=6.08876 ansatz=rbm_symm ansatz.alpha=4 "
    "ansatz.dtype=complex sampler=enumerate optimizer=sr task.n_steps=300"
)
JOBS = {
    "ring": [
        Case(RING, "sx", 1.0, most=2e-3),
        Case(f"{SYMMETRIC} task.t_end=2", "sx", 2.0, most=1e-3),
        Case(f"{SYMMETRIC} task.t_end=2 hamiltonian.h=1", "sx", 2.0, most=1e-3),
        Case(SAMPLED, "sx", 1.0, most=2e-2),
        Case(f"{SAMPLED} hamiltonian.h=1", "sx", 1.0, most=4e-2),
    ],
    "square": [
        Case("experiment=quench_square_4x4", "sx", 0.35, most=2e-3, warned=0.4),
        Case("experiment=ramp_square_4x4 task.initial=null init_from=START", "sx", 2.0, most=2e-3, start=GROUND),
    ],
    "bias": [
        Case(f"{BIAS} sampler=enumerate", "mz.m", 1.2, most=0.015),
        Case(BIAS, "mz.m", 1.2, most=0.03),
        Case(f"{BIAS} sampler.blur=null", "mz.m", 1.2, least=0.3),
        Case(f"{BIAS} sampler.blur=null sampler.power=1", "mz.m", 1.2, least=0.3),
        Case(f"{BIAS} sampler.blur=null sampler.power=0.5", "mz.m", 1.2, most=0.03),
        Case(PROJECTED, "mz.m", 1.2, most=0.06),
        Case(f"{PROJECTED} sampler.blur=null", "mz.m", 1.2, least=0.1),
    ],
}
LARGE = "experiment=ramp_square_20x20 task.integrator.dt=0.02 task.t_end=0.1"
SHORT = (
    "task=dynamics lattice.length=8 ansatz=rbm ansatz.alpha=2 ansatz.dtype=complex task.initial=plus_x task.t_end=0.3 "
    "task.integrator=rk23 task.integrator.dt_first=0.1 task.integrator.tolerance=1e-3 checkpoint.every_seconds=1"
)


def command(words: str, folder: Path, ranks: int = 1) -> list[str]:
    job = [sys.executable, "-m", "nqs_hpc", *words.split(), f"run_dir={folder}"]
    if ranks == 1:
        return job
    beside = Path(sys.executable).parent / "mpiexec"
    return [str(beside) if beside.exists() else "mpiexec", "-n", str(ranks), *job]


def run(words: str, folder: Path, ranks: int = 1) -> None:
    """A whole job; what it says goes to a file beside it."""
    with folder.with_suffix(".log").open("a") as log:
        done = subprocess.run(command(words, folder, ranks), cwd=ROOT, stdout=log, stderr=log)
    if done.returncode:
        raise SystemExit(f"exit code {done.returncode}: {folder.with_suffix('.log')}")


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in (folder / "metrics.jsonl").read_text().splitlines()]


def trajectories(cases: list[Case], folder: Path) -> Iterator[dict[str, Any]]:
    for number, case in enumerate(cases):
        own, words = folder / str(number), case.words
        if case.start:
            run(case.start, folder / "start")
            words = words.replace("START", str(folder / "start"))
        run(words, own)
        exact = json.loads((own / "reference.json").read_text())["trajectory"]
        at = dict(zip((round(t, 9) for t in exact["times"]), exact["observables"][case.observable], strict=True))
        found = lines(own)
        key = f"observables.{case.observable}"
        measured = [line for line in found if key in line and line["time"] <= case.until + 1e-9]
        error = max(abs(line[key] - at[round(line["time"], 9)]) for line in measured)
        limit = {"most": case.most} if case.most is not None else {"least": case.least}
        is_met = error <= case.most if case.most is not None else error >= (case.least or 0)
        row: dict[str, Any] = {"words": case.words, "largest_error": error, "until": measured[-1]["time"], **limit}
        if case.warned is not None:
            row["warned_at"] = next((line["time"] for line in found if (line["r2"] or 0) > UNSURE), None)
            row["warned_by"] = case.warned
            is_met = is_met and row["warned_at"] is not None and row["warned_at"] <= case.warned
        seconds = sum(line["seconds"] for line in found)
        yield row | {"velocities": found[-1].get("n_velocities"), "seconds": round(seconds, 1), "met": is_met}


def orders(folder: Path) -> Iterator[dict[str, Any]]:
    import jax

    jax.config.update("jax_enable_x64", True)
    import numpy as np
    from scipy.linalg import expm

    from nqs_hpc.ansatz.table import table
    from nqs_hpc.integrators.euler import euler
    from nqs_hpc.integrators.heun import heun
    from nqs_hpc.integrators.rk4 import rk4
    from nqs_hpc.operators.exact import sparse_matrix
    from nqs_hpc.operators.ising import ising
    from nqs_hpc.parallel.comm import serial
    from nqs_hpc.sampler.enumerate import enumeration
    from nqs_hpc.system.basis import Basis
    from nqs_hpc.system.hilbert import spin_half
    from nqs_hpc.tasks.dynamics import dynamics
    from nqs_hpc.tasks.straying import Limits
    from nqs_hpc.update.spectral import Cut
    from nqs_hpc.update.sr import in_parameters

    del folder
    n, end = 6, 0.2
    hilbert = spin_half(n)
    operator = ising(n, [(i, (i + 1) % n) for i in range(n)], J=1.0, h=1.0)
    ansatz, matrix = table(hilbert, init_scale=0.0), sparse_matrix(operator, hilbert).toarray()
    goal = expm(-1j * end * matrix) @ np.full(2**n, 2 ** (-n / 2), complex)
    counts = (20, 40, 80, 160)
    for name, method, order in (("euler", euler, 1), ("heun", heun, 2), ("rk4", rk4, 4)):
        errors = []
        for steps in counts:
            task = dynamics(
                ansatz,
                operator,
                enumeration(ansatz, hilbert, serial()),
                in_parameters(ansatz, serial(), diag_shift=lambda step: 0.0, solver="filter", cut=Cut(1e-12)),
                serial(),
                integrator=method(end / steps),
                is_real=True,
                t_end=end,
                spacing=end,
                limits=Limits(),
                basis=Basis(hilbert),
                seed=0,
                chunk=None,
                memory=2**30,
            )
            state = task.init()
            while not task.progress(state).is_complete:
                state, _ = task.turn(state)
            psi = np.exp(np.asarray(state.params))
            psi /= np.linalg.norm(psi)
            overlap = np.vdot(psi, goal)
            errors.append(float(np.linalg.norm(psi * overlap / abs(overlap) - goal)))
        # an error of rounding has no slope
        used = [(np.log(k), np.log(e)) for k, e in zip(counts, errors, strict=True) if e > 1e-13]
        slope = -float(np.polyfit(*zip(*used, strict=True), 1)[0])
        met = abs(slope - order) <= 0.05 and (name != "rk4" or min(errors) < 1e-11)
        yield {"integrator": name, "steps": counts, "errors": errors, "slope": slope, "expected": order, "met": met}


def large(folder: Path) -> Iterator[dict[str, Any]]:
    """From the run's own clock, past the first line; memory is the largest of each rank, added up."""
    script = (
        "import resource, runpy, sys; sys.argv[0] = 'nqs_hpc'\n"
        "try: runpy.run_module('nqs_hpc', run_name='__main__')\n"
        "finally: print('peak_kib', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, "
        "'cpu_s', sum(resource.getrusage(resource.RUSAGE_SELF)[:2]), flush=True)\n"
    )
    words = command(LARGE, folder / "large", 2)
    at = words.index("-m")
    done = subprocess.run([*words[:at], "-c", script, *words[at + 2 :]], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    told = [text.split() for text in done.stdout.splitlines() if text.startswith("peak_kib")]
    found = lines(folder / "large")[1:]
    n = found[-1]["n_velocities"] - found[0]["n_velocities"]
    a_velocity = sum(line["seconds"] for line in found[1:]) / n
    gib = sum(int(words[1]) for words in told) / 2**20
    yield {
        "words": LARGE,
        "ranks": 2,
        "seconds_a_velocity": round(a_velocity, 3),
        "at_most": 2.0,
        "gib_in_all": round(gib, 2),
        "gib_at_most": 8.0,
        "cpu_s_of_the_job": [float(words[3]) for words in told],
        "met": a_velocity <= 2.0 and gib <= 8.0 and len(told) == 2,
    }


def restart(folder: Path) -> Iterator[dict[str, Any]]:
    """Every line, but for times of the clock, is that of a job that nobody killed."""
    run(SHORT, folder / "whole", 2)
    killed = folder / "killed"
    rng, n_kills = random.Random(0), 0
    while n_kills < KILLS and not (killed / "DONE").exists():
        log = killed.with_suffix(".log").open("a")
        process = subprocess.Popen(
            command(SHORT, killed, 2), cwd=ROOT, stdout=log, stderr=log, start_new_session=True, env=os.environ
        )
        begun = len(lines(killed)) if (killed / "metrics.jsonl").exists() else 0
        while process.poll() is None and (
            not (killed / "metrics.jsonl").exists() or len(lines(killed)) <= begun + rng.randrange(3)
        ):
            time.sleep(0.2)
        time.sleep(2 * rng.random())
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            n_kills += 1
        process.wait()
    run(SHORT, killed, 2)

    def kept(line: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in line.items() if key != "seconds" and not key.endswith("_s")}

    same = [kept(line) for line in lines(killed)] == [kept(line) for line in lines(folder / "whole")]
    yield {"words": SHORT, "ranks": 2, "kills": n_kills, "lines": len(lines(killed)), "same": same, "met": same}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    groups: dict[str, Callable[[Path], Iterator[dict[str, Any]]]] = {"orders": orders}
    for name, cases in JOBS.items():
        groups[name] = lambda folder, cases=cases: trajectories(cases, folder)
    groups |= {"large": large, "restart": restart}
    parser.add_argument("names", nargs="*", default=list(groups), metavar="NAME", help=", ".join(groups))
    parser.add_argument("--folder", type=Path, help="where the runs are kept; else they are thrown away")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in groups]:
        parser.error(f"no group {unknown[0]}; valid: {', '.join(groups)}")
    all_met = True
    with tempfile.TemporaryDirectory() as temporary:
        for name in given.names:
            folder = (given.folder or Path(temporary)).resolve() / name
            folder.mkdir(parents=True, exist_ok=True)
            for row in groups[name](folder):
                all_met &= bool(row["met"])
                print(json.dumps({"group": name, **row}), flush=True)
    raise SystemExit(0 if all_met else 1)


if __name__ == "__main__":
    main()
