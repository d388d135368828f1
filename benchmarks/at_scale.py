"""From one core to 1024 ranks: rates of one core, a cost model checked against measured work, and what it says.

    PJRT_NPROC=1 OPENBLAS_NUM_THREADS=1 taskset -c 0 python benchmarks/at_scale.py --json FILE
        [--latency 2e-6] [--bandwidth 2e9] [--check 2048,4096] [--shares 1,2,4] [--of rbm,resnet]

Everything is processor time of one process of one thread, the least of some repeats, so that a machine that others use
too gives the same numbers. Measured: the rates that `model.Rates` lists; what a rank of 1024 does by itself in a step
of each of RUNS, 16 of 16384 samples, and with a quarter as many (sampling, local energies and derivatives of one more
sample, and what does not shrink with them); how much longer a piece of work takes than the shortest such piece (noise).

The check: the work of one rank out of --shares in a distributed solve, which `distributed.py` measures with the other
ranks played by copies, against the model; and that of conjugate gradients. Exit code 1 where they are more than 20 %
apart. Messages are not in the check: latency and bandwidth between hosts are given by --latency and --bandwidth.

Said for each of RUNS: seconds of a step at 1 to 1024 ranks with the solve replicated, distributed, the same with the
gathers of its panels in pieces for which MPICH takes no ring, and iterative; their largest parts, and the efficiency
t(1) / (R t(R)), t(1) with the replicated solve.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import model
from model import Compute, Message, Network, Rates, Step

SAMPLES, RANKS = 16384, (1, 4, 16, 64, 256, 1024)
BLOCKS = (8, 16, 32, 64, 128, 256)
SOLVERS = ("replicated", "distributed", "in pieces", "iterative")
ITERATIONS, SKETCH = 300, 1024  # of conjugate gradients in the prediction: benchmarks/iterative.py says how many


class Run(NamedTuple):
    title: str
    words: tuple[str, ...]


RUNS = {
    "rbm": Run(
        "RBM, 20x20 TFIM",
        (
            "lattice=square",
            "lattice.length=20",
            "hamiltonian=ising",
            "hamiltonian.h=3.0",
            "ansatz=rbm",
            "ansatz.alpha=6",
        ),
    ),
    "resnet": Run(
        "ResNet, 10x10 J1-J2",
        (
            "lattice=square",
            "lattice.length=10",
            "hamiltonian=heisenberg",
            "hamiltonian.J=[1.0,0.5]",
            "ansatz=resnet",
            "ansatz.layers=4",
            "ansatz.features=40",
        ),
    ),
}


def least(function: Any, *arguments: Any, repeats: int = 5) -> float:
    """Processor seconds of a compiled function."""
    import jax

    jax.block_until_ready(function(*arguments))
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        jax.block_until_ready(function(*arguments))
        times.append(time.process_time() - begin)
    return min(times)


def measured_rates() -> Rates:
    import jax
    import jax.numpy as jnp
    import numpy as np
    from scipy.linalg import blas, lapack

    from nqs_hpc.gradient.factored_space import centred_kernel_rows
    from nqs_hpc.parallel import foreign
    from nqs_hpc.parallel.comm import serial
    from nqs_hpc.parallel.cyclic import Layout
    from nqs_hpc.update.over_ranks import _back, _update
    from nqs_hpc.update.solvers import cholesky

    rng = np.random.default_rng(0)
    a = jnp.asarray(rng.normal(size=(1024, 512)))
    product = 2 * 1024 * 512 * 1024 / least(jax.jit(lambda a: a @ a.T), a)
    n = 2048
    k = jnp.eye(n) * n + jnp.asarray(rng.normal(size=(n, n)))
    solve = jax.jit(lambda k, b: cholesky(k, b, jnp.float64(1.0), 1e-12)[0])
    factor = n**3 / 3 / least(solve, k, jnp.ones(n))
    raw, w = k[:1024, :1024], jnp.full(1024, 1 / 1024)
    centre = jax.jit(lambda raw, w: centred_kernel_rows((raw,), w, 1, jnp.int32(0), serial(), None))
    entries = raw.size / least(centre, raw, w)
    large = jnp.asarray(rng.normal(size=(4096, 4096)))
    copied = large.nbytes / least(jax.jit(lambda m, v: m @ v), large, jnp.ones(4096))

    lay = Layout(512, 2, 8)  # of rank 1, whose turn never comes: calls that do nothing
    calls = 512

    @jax.jit
    def nothing(sums, x, rows):
        def call(carry, k):
            return _back(*carry, rows, jnp.zeros(8), 2 * k, lay, jnp.int32(1)), None

        return jax.lax.scan(call, (sums, x), jnp.arange(calls, dtype=jnp.int32))[0]

    empty = (jnp.zeros(lay.padded), jnp.zeros(lay.local), jnp.zeros((lay.local, lay.padded)))
    call = least(nothing, *empty) / calls

    lay = Layout(4096, 16, 16)  # the last panel, which leaves nothing to do
    part = jnp.zeros((lay.local, lay.block))

    @jax.jit
    def in_order(rows, half, part):
        def turn(carry, k):
            below = lay.in_order(jnp.stack([part + k] * lay.size))
            last = jnp.int32(lay.padded // lay.block - 1)
            return _update(*carry, part, below, last, 0, lay, jnp.int32(lay.size - 1)), None

        return jax.lax.scan(turn, (rows, half), jnp.arange(100, dtype=jnp.float64))[0]

    panel_s = least(in_order, jnp.zeros((lay.local, lay.padded)), jnp.zeros(lay.padded), part) / 100
    gathered = lay.padded * lay.block * 8 / max(1e-9, panel_s - call)

    def blas_rate(operations: float, function: Any) -> float:
        function()
        repeats = max(3, min(2000, int(2e8 / operations)))
        times = []
        for _ in range(5):
            begin = time.process_time()
            for _ in range(repeats):
                function()
            times.append((time.process_time() - begin) / repeats)
        return operations / min(times)

    update, panel, corner, m = {}, {}, {}, 4096
    whole = np.zeros((m, m), order="F")
    count, tiny = ctypes.c_int(8), np.zeros((8, 8))
    one = foreign.scalar("float64", 1.0)

    def from_python():
        arrays = (tiny.ctypes.data, count, tiny.ctypes.data, count, one, tiny.ctypes.data, count)
        foreign.call("cython_blas", "dgemm", b"N", b"N", count, count, count, one, *arrays)

    blas_call = 1 / blas_rate(1.0, from_python)
    for b in BLOCKS:
        left, right = np.asfortranarray(rng.normal(size=(b, m))), np.asfortranarray(rng.normal(size=(b, b)))
        # strips of a matrix that no cache holds, one after the other
        strips = itertools.cycle(whole[:, first : first + b] for first in range(0, m, b))

        def subtract(left=left, right=right, strips=strips):
            blas.dgemm(-1e-9, left, right, 1.0, next(strips), trans_a=1, overwrite_c=1)

        update[b] = blas_rate(2 * m * b * b, subtract)
        triangle = np.asfortranarray(np.triu(right) + 4 * b * np.eye(b))
        rows = np.asfortranarray(rng.normal(size=(b, 2 * b)))
        panel[b] = blas_rate(2 * b * b * b, functools.partial(blas.dtrsm, 1.0, triangle, rows, trans_a=1))
        positive = np.asfortranarray(right @ right.T + b * np.eye(b))
        corner[b] = blas_rate(b**3 / 3, functools.partial(lapack.dpotrf, positive, clean=0))
    return Rates(product, factor, entries, copied, gathered, call, blas_call, update, panel, corner)


def rates_of(plain: dict[str, Any]) -> Rates:
    """As JSON keeps them."""
    of_blocks = {name: {int(b): v for b, v in plain[name].items()} for name in ("update", "panel", "corner")}
    return Rates(**(plain | of_blocks))


def best(found: list[Rates]) -> Rates:
    """Of several measurements the highest rates, and the shortest call."""
    of_blocks = {
        name: {b: max(getattr(one, name)[b] for one in found) for b in BLOCKS} for name in ("update", "panel", "corner")
    }
    plain = ("product", "factor", "entries", "copied", "gathered")
    rates = {name: max(getattr(one, name) for one in found) for name in plain}
    calls = {name: min(getattr(one, name) for one in found) for name in ("call", "blas_call")}
    return Rates(**rates, **calls, **of_blocks)


def measured_noise() -> float:
    """By how much a piece of work of some milliseconds takes longer than the shortest, relative to it, on average."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    a = jnp.asarray(np.random.default_rng(0).normal(size=(512, 256)))
    work = jax.jit(lambda a: a @ a.T)
    jax.block_until_ready(work(a))
    times = []
    for _ in range(400):
        begin = time.process_time()
        jax.block_until_ready(work(a))
        times.append(time.process_time() - begin)
    kept = np.sort(times)[: int(0.98 * len(times))]
    return float(np.mean(kept) / kept[0] - 1)


def measured_run(words: tuple[str, ...]) -> dict[str, float]:
    """Seconds of sampling, local energies and update with so few samples that the solve is nothing: of one more sample
    and of none. And the sizes.
    """
    import jax
    import numpy as np

    from nqs_hpc.config.compose import compose
    from nqs_hpc.parallel.comm import serial
    from nqs_hpc.parts import build

    share, found = SAMPLES // max(RANKS), {}
    for n in (share // 4, share):
        common = [f"sampler.n_chains={n}", f"sampler.n_samples={n}", "sampler.warmup=0", "optimizer=minsr"]
        parts = build(compose([*words, *common], 1), serial())
        functions = parts.task.functions
        state = functions.init()
        chains, samples, counts = functions.sample(state)
        batch, _ = functions.evaluate(state.params, samples, counts)
        found[n] = {
            "sample": least(functions.sample, state, repeats=2),
            "energies": least(functions.evaluate, state.params, samples, counts, repeats=2),
            "derivatives": least(functions.update, state, chains, batch, repeats=2),
        }
    few, more = (sum(found[n].values()) for n in found)
    per_sample = (more - few) / (share - share // 4)
    width = 0
    if parts.ansatz.factors is not None:
        s_N = jax.ShapeDtypeStruct((parts.hilbert.n_sites,), np.int8)
        width = sum(part.size for part in jax.eval_shape(parts.ansatz.factors.parts, state.params, s_N))
    sizes = {"parameters": parts.n_parameters, "width": width}
    return sizes | {"per_sample_s": per_sample, "fixed_s": max(0.0, more - share * per_sample), "of_16": found[share]}


def step_of(found: dict[str, Any], name: str, solver: str, ranks: int, rates: Rates) -> Step:
    """A step of one of RUNS; ``solver``: one of SOLVERS."""
    run, n = found["runs"][name], SAMPLES
    by_rows, whole = solver != "replicated" and ranks > 1, solver == "iterative"
    step: Step = [
        Compute(run["fixed_s"] + run["per_sample_s"] * n / ranks, "sampling, energies, derivatives"),
        Message("gather", 16 * n, "energies: messages"),
    ]
    if run["width"]:
        step += model.kernel_of_factors(n, ranks, run["width"], rates, by_rows=by_rows)
        adjoint = Message("sum", 16 * run["parameters"], "force: messages")
    else:
        step += model.kernel_of_jacobian(n, ranks, run["parameters"], rates, by_rows=by_rows, whole=whole)
        adjoint = Message("gather", 16 * run["parameters"], "force: messages")
    if solver == "iterative":
        step += model.gradients(n, ranks, rates, iterations=ITERATIONS, sketch=SKETCH)
    else:
        in_pieces = solver == "in pieces"
        step += model.cholesky(n, ranks, rates, in_pieces=in_pieces) if by_rows else model.replicated(n, rates)
    return [*step, adjoint]


def checks(sizes: list[int], shares: list[int], rates: Rates) -> Iterator[dict[str, Any]]:
    """Measured work of one rank against the model's."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from nqs_hpc.parallel.comm import serial
    from nqs_hpc.parallel.cyclic import Layout
    from nqs_hpc.update import nystrom

    program = Path(__file__).with_name("distributed.py")
    for n in sizes:
        for share in shares:
            command = [sys.executable, str(program), str(n), "--share", str(share), "--repeats", "3"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])["cpu_s"]
            step = [one for one in model.cholesky(n, share, rates) if isinstance(one, Compute)]
            yield {
                "what": "distributed",
                "n": n,
                "share": share,
                "measured_s": found["share"] - found["filling"],
                "model_s": sum(one.seconds for one in step),
                "replicated_s": found["posv"] - share * found["filling"],
                "replicated_model_s": n**3 / 3 / rates.factor,
            }
        kernel = jnp.asarray(np.random.default_rng(0).normal(size=(n, n)))
        kernel = kernel @ kernel.T / n
        lay, sketch, count = Layout(n, 1, n), n // 8, 30

        def solve(kernel: Any, lay: Layout = lay, sketch: int = sketch, count: int = count) -> Any:
            bounds: dict[str, Any] = {"sketch": sketch, "tolerance": 1e-30, "max_iterations": count}
            of_rank: dict[str, Any] = {"rank": jnp.int32(0), "step": jnp.int32(0)}
            rhs = jnp.ones(lay.n)
            return nystrom.conjugate_gradient(
                lambda v: kernel @ v, rhs, jnp.float64(1e-3), lay, serial(), **of_rank, **bounds
            )

        seconds = least(jax.jit(solve), kernel, repeats=3)
        step = [
            one for one in model.gradients(n, 1, rates, iterations=count, sketch=sketch) if isinstance(one, Compute)
        ]
        modelled = sum(one.seconds for one in step)
        yield {"what": "iterative", "n": n, "share": 1, "measured_s": seconds, "model_s": modelled}


def table(found: dict[str, Any], network: Network, rates: Rates) -> list[dict[str, Any]]:
    rows = []
    for name in found["runs"]:
        one = sum(model.total(step_of(found, name, "replicated", 1, rates), 1, network).values())
        for ranks in RANKS:
            row: dict[str, Any] = {"run": name, "ranks": ranks}
            for solver in SOLVERS:
                parts = model.total(step_of(found, name, solver, ranks, rates), ranks, network)
                seconds = sum(parts.values())
                largest = sorted(parts, key=parts.__getitem__)[::-1][:3]
                row[solver] = {
                    "step_s": seconds,
                    "efficiency": one / ranks / seconds,
                    "solve_s": sum(v for k, v in parts.items() if k.startswith("solve")),
                    "largest": {k: parts[k] for k in largest},
                }
            rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, default=2e-6, help="of a message between hosts, seconds")
    parser.add_argument("--bandwidth", type=float, default=2e9, help="of a rank between hosts, bytes a second")
    parser.add_argument("--check", default="2048,4096")
    parser.add_argument("--shares", default="1,2,4")
    parser.add_argument("--rounds", type=int, default=2, help="times the rates are measured: the best of each count")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--of", default=",".join(RUNS), help="which of RUNS; each takes some minutes")
    parser.add_argument("--runs", type=Path, help="a file that --json wrote: RUNS are not measured again")
    parser.add_argument("--use", type=Path, help="a file that --json wrote: nothing is measured again")
    options = parser.parse_args()
    names = [name for name in options.of.split(",") if name]
    if unknown := set(names) - set(RUNS):
        parser.error(f"--of {','.join(sorted(unknown))}: not one of {', '.join(RUNS)}")

    def keep(found: dict[str, Any]) -> None:
        if options.json:
            options.json.write_text(json.dumps(found, indent=1))

    if options.use is None:
        from nqs_hpc.parallel.launch import place
        from nqs_hpc.parallel.world import world

        place(world())
        import jax

        jax.config.update("jax_enable_x64", True)
        # a machine that others use is quiet at times
        rates = best([measured_rates() for _ in range(options.rounds)])
        found: dict[str, Any] = {"rates": rates._asdict(), "noise": measured_noise()}
        print(json.dumps(found), flush=True)
        found["checks"] = []
        for row in checks(numbers(options.check), numbers(options.shares), rates):
            found["checks"].append(row)
            print(json.dumps(rounded(row)), flush=True)
            keep(found)
        if options.runs:
            found["runs"] = json.loads(options.runs.read_text())["runs"]
        else:
            found["runs"] = {}
            for name in names:
                found["runs"][name] = measured_run(RUNS[name].words)
                print(json.dumps({name: found["runs"][name]}), flush=True)
                keep(found)
    else:
        found = json.loads(options.use.read_text())
        rates = rates_of(found["rates"])
    network = Network(options.latency, options.bandwidth)
    found["network"] = network._asdict()
    found["table"] = table(found, network, rates)
    for row in found["table"]:
        print(json.dumps(rounded(row)))
    keep(found)
    far = [row for row in found["checks"] if abs(row["model_s"] / row["measured_s"] - 1) > 0.2]
    if far:
        raise SystemExit(f"the model misses measured work by more than 20 %: {far}")


def numbers(words: str) -> list[int]:
    return [int(word) for word in words.split(",")]


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(below) for key, below in value.items()}
    return float(f"{value:.3g}") if isinstance(value, float) else value


if __name__ == "__main__":
    main()
