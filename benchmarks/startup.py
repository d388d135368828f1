"""Seconds from the command to the end of the first step, cold and warm: prints one JSON line.

    python benchmarks/startup.py [--ranks 1,2] [--repeats 3] [--peer-python PATH] [KEY=VALUE ...]

Without KEY=VALUE: RBM alpha=1, TFIM 10x10 periodic, h=3, 256 chains, 1024 samples, minSR, float64. Cold is a start on
an empty compile cache, warm the starts after it (medians); each is a new run in a folder of its own, as a user starts
it. The first step has ended when metrics.jsonl has its first line. The parts are those of manifest.json: seconds until
the input was checked, jax imported, the first state built (its chains still warm up), the first step made; launched is
what comes before, the interpreter and mpiexec. compiled_warm counts the programs that the cache did not hold, over all
ranks.

With --peer-python, the interpreter of an environment that has NetKet (Vicentini et al. 2022, arXiv:2112.10526): the
first step there, with its RBM, sampler and SR in sample space and no warm-up of the chains; warm is with jax's cache.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WORKLOAD = ("lattice=square", "lattice.length=10", "hamiltonian.h=3.0", "ansatz.alpha=1")
ONE_STEP = ("task.n_steps=1", "task.final_samples=1")
PEER = """
import netket as nk
graph = nk.graph.Square(10)
hilbert = nk.hilbert.Spin(0.5, graph.n_nodes)
sampler = nk.sampler.MetropolisLocal(hilbert, n_chains=256)
model = nk.models.RBM(alpha=1, param_dtype=float)
state = nk.vqs.MCState(sampler, model, n_samples=1024, n_discard_per_chain=0, seed=0)
hamiltonian = nk.operator.IsingJax(hilbert, graph, h=3.0)
descent = nk.optimizer.Sgd(0.05)
nk.driver.VMC_SR(hamiltonian, descent, diag_shift=0.01, variational_state=state, use_ntk=True).run(
    1, show_progress=False
)
state.parameters["Dense"]["kernel"].block_until_ready()
print("first step", flush=True)
"""


def clean_environment() -> dict[str, str]:
    """This one, without what would set up jax's cache or count threads."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    return {name: value for name, value in kept.items() if name not in ("PJRT_NPROC", "NPROC")}


def own_start(n_ranks: int, words: list[str], cache: Path, folder: Path, *, explain: bool) -> dict[str, Any]:
    """One run of one step: seconds to its end from outside, the parts from inside, programs compiled where asked."""
    beside = Path(sys.executable).parent / "mpiexec"
    launcher = [str(beside) if beside.exists() else shutil.which("mpiexec") or "mpiexec", "-n", str(n_ranks)]
    command = [*(launcher if n_ranks > 1 else []), sys.executable, "-m", "nqs_hpc", *words, *ONE_STEP]
    command += [f"run_dir={folder}", f"compile_cache={cache}"]
    environment = clean_environment() | ({"JAX_EXPLAIN_CACHE_MISSES": "1"} if explain else {})
    metrics = folder / "metrics.jsonl"
    begin = time.monotonic()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        while not (metrics.exists() and metrics.stat().st_size) and process.poll() is None:
            time.sleep(0.002)
        seconds = time.monotonic() - begin
        code = process.wait()
        output.seek(0)
        text = output.read()
    if code != 0:
        raise SystemExit(f"{' '.join(command)} ended with exit code {code}:\n{text}")
    (start,) = json.loads((folder / "manifest.json").read_text())["starts"]
    parts = {"launched": seconds - sum(start["seconds"].values()), **start["seconds"]}
    return {"seconds": seconds, "parts": parts, "compiled": len(re.findall("COMPILATION CACHE MISS", text))}


def own(n_ranks: int, words: list[str], repeats: int, folder: Path) -> dict[str, Any]:
    """Cold, warm and explained starts on one cache."""

    def start(name: str, *, explain: bool = False) -> dict[str, Any]:
        return own_start(n_ranks, words, folder / "programs", folder / name, explain=explain)

    cold = start("cold")
    warm = [start(f"warm{i}") for i in range(repeats)]
    return {
        "cold_s": cold["seconds"],
        "cold_parts": cold["parts"],
        "warm_s": statistics.median(run["seconds"] for run in warm),
        "warm_parts": {name: statistics.median(run["parts"][name] for run in warm) for name in cold["parts"]},
        "compiled_warm": start("explained", explain=True)["compiled"],  # untimed: jax then explains every tracing too
    }


def peer(python: str, repeats: int, folder: Path) -> dict[str, Any]:
    """NetKet's first step, without a cache and with jax's."""
    cached = {"JAX_COMPILATION_CACHE_DIR": str(folder), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}

    def start(environment: dict[str, str]) -> float:
        begin = time.monotonic()
        with subprocess.Popen([python, "-c", PEER], env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            found = any(line == "first step\n" for line in process.stdout)  # NetKet has words of its own before
            seconds = time.monotonic() - begin
        if not found:
            raise SystemExit(f"{python} could not make NetKet's first step")
        return seconds

    cold = statistics.median(start(clean_environment()) for _ in range(repeats))
    start(clean_environment() | cached)
    return {"cold_s": cold, "warm_s": statistics.median(start(clean_environment() | cached) for _ in range(repeats))}


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: rounded(below) for name, below in value.items()}
    return round(value, 3) if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", default=list(WORKLOAD), metavar="KEY=VALUE")
    parser.add_argument("--ranks", default="1,2")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer-python", metavar="PATH")
    options = parser.parse_args()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for n_ranks in map(int, options.ranks.split(",")):
            folder = Path(scratch, str(n_ranks))
            result[f"ranks_{n_ranks}"] = own(n_ranks, options.overrides, options.repeats, folder)
        if options.peer_python:
            result["netket"] = peer(options.peer_python, options.repeats, Path(scratch, "netket"))
    print(json.dumps(rounded(result)))


if __name__ == "__main__":
    main()
