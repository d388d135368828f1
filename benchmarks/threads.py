"""One rank of two threads, alone and beside busy processes: a whole run, and one solve and product of each size.

    python benchmarks/threads.py [--busy N] [--blas THREADS]

N loops that never end run beside it. ``--blas 2`` gives BLAS threads of its own, as before 2026-11-26.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUN = ["lattice=kagome", "hamiltonian=heisenberg", "sampler=enumerate", "task.n_steps=30"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, default=0, help="busy loops beside it")
    parser.add_argument("--blas", default="1", help="threads of BLAS's own")
    parser.add_argument("--calls-only", action="store_true")
    arguments = parser.parse_args()
    os.environ |= {"PJRT_NPROC": "2", "OMP_NUM_THREADS": arguments.blas, "OPENBLAS_NUM_THREADS": arguments.blas}
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(arguments.busy)]
    try:
        print(f"2 threads, BLAS {arguments.blas}, {arguments.busy} busy loops, load {os.getloadavg()[0]:.1f}")
        if not arguments.calls_only:
            print("run:", " ".join(f"{seconds():.2f}" for _ in range(3)), "s")
        calls()
    finally:
        for loop in loops:
            loop.kill()


def seconds() -> float:
    """Of a run's steps, as its summary has them."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "nqs_hpc", *RUN, f"run_dir={folder}/run"]
        subprocess.run(words, capture_output=True)  # its exit code tells of its energy
        return json.loads((Path(folder) / "run" / "summary.json").read_text())["seconds"]


def calls() -> None:
    import numpy as np

    from nqs_hpc.gradient import rank_k
    from nqs_hpc.parallel.foreign import View
    from nqs_hpc.update import solvers

    def view(x: np.ndarray) -> View:
        return View(x.dtype.name, x.ctypes.data, x.shape)

    def timed(call, *arrays: np.ndarray) -> float:
        views = [view(x) for x in arrays]
        begun = time.perf_counter()
        call(views, views[:1] if call is rank_k._rows else views)
        return 1e3 * (time.perf_counter() - begun)

    for n in (256, 512, 1024, 2048):
        a = np.random.default_rng(0).normal(size=(n, n))
        matrix = a @ a.T + n * np.eye(n)
        solve = sorted(timed(solvers._solve_in_place, matrix.copy(), np.ones(n)) for _ in range(9))
        product = sorted(timed(rank_k._rows, np.zeros((n, n)), a) for _ in range(9))
        times = (f"{name} {x[0]:.1f} / {x[4]:.1f} / {x[8]:.1f}" for name, x in (("posv", solve), ("syrk", product)))
        print(f"n = {n}: {', '.join(times)} ms (least, median, most)", flush=True)


if __name__ == "__main__":
    main()
