"""Seconds that correlators of all pairs of spins take: in a job, and in one process beside NetKet's ``expect``.

    python benchmarks/observables.py job [--length 6] [--samples 32768] [--ranks 2]
    python benchmarks/observables.py netket [--length 6] [--samples 32768] [--repeats 5]

``job`` trains a few steps of the Heisenberg model on the square lattice (RBM, Marshall's rule, sector 0) and evaluates
that run with and without spin_correlations (xx, yy, zz of all pairs, structure factors, total spin): the time that a
call of the sampler takes for local values, the first call, which compiles, left out. Limit: 5 s.

``netket`` puts the same parameters of the same RBM (alpha = 1, real) and the same samples into both, S^2 as one
operator, in turn, medians; NetKet's chunk is the best of several. NetKet: F. Vicentini et al., SciPost Phys. Codebases
7 (2022), arXiv:2112.10526. One line of JSON each; cpu_s is what was computed in that time, which other programs do not
stretch.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def run(ranks: int, words: list[str]) -> float:
    """Seconds of CPU of a whole job."""
    beside = Path(sys.executable).parent / "mpiexec"
    before = os.times()
    command = [str(beside) if beside.exists() else "mpiexec", "-n", str(ranks), sys.executable, "-m", "nqs_hpc", *words]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def job(length: int, n_samples: int, ranks: int) -> dict[str, Any]:
    a_call = 1024 * ranks
    with tempfile.TemporaryDirectory() as folder:
        ground = f"{folder}/ground"
        system = ["hamiltonian=heisenberg", "lattice=square", f"lattice.extent=[{length},{length}]"]
        run(ranks, [*system, "task.n_steps=10", "task.final_samples=1024", f"run_dir={ground}"])
        found: dict[str, Any] = {"sites": length**2, "samples": n_samples, "ranks": ranks}
        for name, words in (("energy", []), ("correlations", ["observables=[spin_correlations]"])):
            measured = [*words, "task=evaluate", f"task.run={ground}", f"task.samples={n_samples + a_call}"]
            cpu_s = run(ranks, [*measured, f"sampler.n_samples={a_call}", f"run_dir={folder}/{name}"])
            text = (Path(folder) / name / "metrics.jsonl").read_text()
            lines = [json.loads(line) for line in text.splitlines()][1:]
            seconds = sum(line["local_energy_s"] for line in lines)
            found[name] = {"seconds": round(seconds, 3), "whole_job_cpu_s": round(cpu_s, 1), "calls": len(lines)}
    found["added_s"] = round(found["correlations"]["seconds"] - found["energy"]["seconds"], 3)
    return found


def timed(function: Callable[[], Any]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def netket(length: int, n_samples: int, repeats: int) -> dict[str, Any]:
    import jax

    jax.config.update("jax_enable_x64", True)
    import flax.linen as nn
    import jax.numpy as jnp
    import netket as nk
    import numpy as np

    from nqs_hpc.ansatz.rbm import RBMParams, rbm
    from nqs_hpc.observables.total_spin import total_spin
    from nqs_hpc.operators.pauli_sums import pauli_sums
    from nqs_hpc.system.basis import Basis
    from nqs_hpc.system.hilbert import spin_half

    n = length**2
    hilbert = nk.hilbert.Spin(0.5, n, total_sz=0)
    pairs = [(i, j) for j in range(n) for i in range(j)]
    # sum_{i<j} sigma_i . sigma_j / 2 + 3 N / 4
    squared = nk.operator.Heisenberg(hilbert, nk.graph.Graph(edges=pairs), J=0.5, sign_rule=False)
    try:
        operators = {"jax": squared.to_jax_operator(), "numba": squared}
    except (AttributeError, NotImplementedError):  # a version that has no such form
        operators = {"numba": squared}
    sampler = nk.sampler.MetropolisExchange(hilbert, graph=nk.graph.Chain(n), n_chains=64)
    model = nk.models.RBM(alpha=1, param_dtype=float, kernel_init=nn.initializers.normal(0.1))
    state = nk.vqs.MCState(sampler, model, n_samples=n_samples, n_discard_per_chain=10, seed=1)
    samples = np.asarray(state.samples).reshape(-1, n)

    ansatz = rbm(n, n_hidden=n)
    dense = state.parameters["Dense"]
    params = RBMParams(dense["kernel"], state.parameters["visible_bias"], dense["bias"])
    observable = total_spin(Basis(spin_half(n, 0)), chunk=None, memory=2**30)
    values = pauli_sums(observable.strings or (), Basis(spin_half(n, 0)), chunk=None, memory=2**30).prepare(ansatz)
    mean = jax.jit(lambda params, s_BN: jnp.mean(values(ansatz.freeze(params), s_BN)))
    s_BN = jnp.asarray(samples.astype(np.int8))

    def ours() -> float:
        return float(mean(params, s_BN))

    def theirs(name: str, chunk: int) -> float:
        state.chunk_size = chunk
        return float(np.real(state.expect(operators[name]).mean)) + 0.75 * n

    ways: dict[tuple[str, int], float] = {}
    for name in operators:
        for chunk in (64, 256, 1024):
            theirs(name, chunk)
            ways[name, chunk] = timed(lambda name=name, chunk=chunk: theirs(name, chunk))[0]
    best = min(ways, key=lambda way: ways[way])
    assert abs(ours() - theirs(*best)) < 1e-8 * n
    own, others = [], []
    for _ in range(repeats):  # in turn, so that what else runs on the machine meets both
        own.append(timed(ours))
        others.append(timed(lambda: theirs(*best)))

    def told(times: list[tuple[float, float]]) -> dict[str, float]:
        wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
        return {"seconds": round(wall, 3), "cpu_s": round(cpu, 3)}

    both = {"ours": told(own), "netket": told(others) | {"operator": best[0], "chunk": best[1]}}
    ratios = {key: round(both["netket"][key] / both["ours"][key], 1) for key in ("seconds", "cpu_s")}  # type: ignore[operator]
    versions = {"jax_version": jax.__version__, "netket_version": nk.__version__}
    return {"sites": n, "samples": n_samples, **both, "ratio": ratios, **versions}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("job", "netket"))
    parser.add_argument("--length", type=int, default=6)
    parser.add_argument("--samples", type=int, default=32768)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    if given.what == "job":
        print(json.dumps(job(given.length, given.samples, given.ranks)))
    else:
        print(json.dumps(netket(given.length, given.samples, given.repeats)))


if __name__ == "__main__":
    main()
