"""What this machine can do, and how much of it one step of an RBM reaches: one JSON line and a Markdown table.

    python benchmarks/roofline.py [KEY=VALUE ...] [--steps 11] [--machine-only]

Overrides and their default are those of step_time.py; one process, minSR. The machine is measured twice, by this
process with all its threads and by a child with one: matrix products through XLA and through SciPy's BLAS (gemm, and
syrk, which does half the operations), memory (2^24 doubles: copy moves 16 bytes an element, triad a + s b 24; jax
works in place, and for NumPy the cache lines that are read before they are written are not counted), exp of 2^18
numbers. Each figure is the best of its repetitions, a peak the best of its shapes. The step's seconds are medians of
whole steps.

How a step is counted, for N_s samples, N sites, M hidden units and moves that change F sites:

sampling      N_s * sweep * M hidden-unit updates, accepted or not. One is F factors onto the cached exponential,
              1 added, and a factor to the product: F + 2 operations (a complex product counts 6, a sum 2); it reads the
              cache and F tables and writes the cache: F + 2 numbers.
local energy  N_s * K ratios, K connected configurations a sample; a ratio is M of the same without the write.
update        2 N_s^2 (N + M) operations for the two products of the structured kernel (1 + S S') (1 + T T'), and
              N_s^3 / 3 for its Cholesky factor; times 4 where the kernel is complex. Nothing else that an update does
              is counted.

Operations per second are compared with the matrix products of the same process, bytes per second with its triad: they
exceed it where the caches are reused.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from step_time import WORKLOAD

from nqs_hpc.config.compose import compose
from nqs_hpc.parallel.launch import place
from nqs_hpc.parallel.world import world

# rows, inner length, columns: square, a kernel from a Jacobian, a kernel from samples
SHAPES = ((1024, 1024, 1024), (2048, 2048, 2048), (1024, 10200, 1024), (1024, 100, 1024))
LARGE = 2**24
MEDIUM = 2**18
SECONDS = 0.3  # of repetitions for each figure
GIGA = 1e9
ONE_THREAD = {
    name: "1" for name in ("PJRT_NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
}  # read when the libraries are loaded, hence the child


def best_seconds(act: Callable[[], Any]) -> float:
    """The shortest of the calls that fit into SECONDS, three at least, after one that may compile."""
    act()
    times: list[float] = []
    while len(times) < 3 or sum(times) < SECONDS:
        begin = time.perf_counter()
        act()
        times.append(time.perf_counter() - begin)
    return min(times)


def machine() -> dict[str, float]:
    """GFLOP/s, GB/s and 10^9 exp/s of this process."""
    import jax
    import jax.numpy as jnp
    from scipy.linalg import blas

    found: dict[str, float] = {}
    random = np.random.default_rng(0)
    product, exp = jax.jit(jnp.matmul), jax.jit(jnp.exp)
    # In place, for the first touch of a fresh result costs more than its bytes; a sign, for XLA drops a plain copy.
    copy, triad = jax.jit(lambda a: -a, donate_argnums=0), jax.jit(lambda a, b: a + 3.0 * b, donate_argnums=0)
    for name, dtype, prefix in (("f64", np.float64, "d"), ("f32", np.float32, "s")):
        for n, k, m in SHAPES:
            shape = f"{n}x{k}x{m}"
            a, b = random.standard_normal((n, k)).astype(dtype), random.standard_normal((k, m)).astype(dtype)
            x, y = jnp.asarray(a), jnp.asarray(b)
            seconds = best_seconds(lambda: product(x, y).block_until_ready())  # noqa: B023
            found[f"xla_matmul_{name}_{shape}"] = 2 * n * k * m / seconds / GIGA
            gemm, syrk = getattr(blas, f"{prefix}gemm"), getattr(blas, f"{prefix}syrk")
            columns, other = np.asfortranarray(a), np.asfortranarray(b)
            seconds = best_seconds(lambda: gemm(1.0, columns, other))  # noqa: B023
            found[f"blas_gemm_{name}_{shape}"] = 2 * n * k * m / seconds / GIGA
            seconds = best_seconds(lambda: syrk(1.0, columns))  # noqa: B023
            found[f"blas_syrk_{name}_{shape}"] = n * (n + 1) * k / seconds / GIGA
        values = jnp.asarray(random.standard_normal(MEDIUM).astype(dtype))
        found[f"jax_exp_{name}"] = MEDIUM / best_seconds(lambda: exp(values).block_until_ready()) / GIGA  # noqa: B023
    a, b, out = random.standard_normal(LARGE), random.standard_normal(LARGE), np.empty(LARGE)
    x, y = jnp.array(a), jnp.array(b)

    def copied() -> None:
        nonlocal x
        x = copy(x).block_until_ready()

    def added() -> None:
        nonlocal x
        x = triad(x, y).block_until_ready()

    found["jax_copy"] = 16 * LARGE / best_seconds(copied) / GIGA
    found["jax_triad"] = 24 * LARGE / best_seconds(added) / GIGA
    found["numpy_copy"] = 16 * LARGE / best_seconds(lambda: np.copyto(out, a)) / GIGA
    found["numpy_add"] = 24 * LARGE / best_seconds(lambda: np.add(a, b, out=out)) / GIGA  # a triad without its factor
    return found


def step(overrides: list[str], n_steps: int, here: Any) -> dict[str, float]:
    """Median seconds of the parts of a step, and what they amount to by the counting above."""
    import jax

    from nqs_hpc.choices.ansatz.rbm import Rbm
    from nqs_hpc.choices.optimizer.minsr import Minsr
    from nqs_hpc.choices.sampler.metropolis import Metropolis
    from nqs_hpc.parallel.comm import comm
    from nqs_hpc.parts import build

    config = compose(overrides, here.size)
    if not (
        isinstance(config.ansatz, Rbm)
        and isinstance(config.sampler, Metropolis)
        and isinstance(config.optimizer, Minsr)
    ):
        raise SystemExit("only ansatz=rbm with sampler=metropolis and optimizer=minsr is counted here")
    parts = build(config, comm(here))
    driver, state = parts.task.functions, parts.task.functions.init()
    rows = []
    for _ in range(n_steps + 2):
        begin = time.perf_counter()
        chains, samples, counts = jax.block_until_ready(driver.sample(state))
        sampled = time.perf_counter()
        batch, _ = jax.block_until_ready(driver.evaluate(state.params, samples, counts))
        evaluated = time.perf_counter()
        state, _ = jax.block_until_ready(driver.update(state, chains, batch))
        rows.append((sampled - begin, evaluated - sampled, time.perf_counter() - evaluated))
    sampling, energies, update = (statistics.median(column) for column in zip(*rows[2:], strict=True))

    is_complex = parts.ansatz.kind == "holomorphic"
    product, addition, size = (6, 2, 16) if is_complex else (1, 1, 8)
    n, n_samples = parts.lattice.n_sites, parts.sampler.n_samples
    hidden = max(1, round(config.ansatz.alpha * n))
    moves, _ = jax.eval_shape(parts.operator.connected, jax.ShapeDtypeStruct((n,), np.int8))
    proposed = 2 if config.sampler.move == "exchange" else 1
    units = n_samples * config.sampler.sweep * hidden / sampling
    ratios = n_samples * parts.operator.n_connected / energies
    changed = moves.sites.shape[-1]
    work = (2 * n_samples**2 * (n + hidden) + n_samples**3 / 3) * (4 if is_complex else 1)
    return {
        "sample_s": sampling,
        "local_energy_s": energies,
        "update_s": update,
        "hidden_units_per_s": units,
        "sample_gflops": units * ((proposed + 1) * product + addition) / GIGA,
        "sample_gb_per_s": units * (proposed + 2) * size / GIGA,
        "ratios_per_s": ratios,
        "local_energy_gflops": ratios * hidden * ((changed + 1) * product + addition) / GIGA,
        "local_energy_gb_per_s": ratios * hidden * (changed + 1) * size / GIGA,
        "update_gflops": work / update / GIGA,
    }


def markdown(alone: dict[str, float], all_threads: dict[str, float], threads: int, reached: dict[str, float]) -> str:
    """Two tables: the machine, and the step beside the best of its figures."""
    units = {"jax_exp": "10^9/s", "jax_copy": "GB/s", "jax_triad": "GB/s", "numpy_copy": "GB/s", "numpy_add": "GB/s"}
    lines = [f"| | unit | 1 thread | {threads} thread{'s' * (threads > 1)} |", "|---|---|---|---|"]
    for name, figure in all_threads.items():
        unit = next((unit for start, unit in units.items() if name.startswith(start)), "GFLOP/s")
        lines.append(f"| {name.replace('_', ' ')} | {unit} | {alone[name]:.3g} | {figure:.3g} |")

    def peak(start: str) -> float:
        return max(figure for name, figure in all_threads.items() if name.startswith(start))

    matmul, syrk, triad = peak("xla_matmul_f64"), peak("blas_syrk_f64"), all_threads["jax_triad"]
    lines += ["", "| part | s | rate | GFLOP/s | of XLA matmul | GB/s | of triad |", "|---|---|---|---|---|---|---|"]
    for part, rate, word in (
        ("sample", "hidden_units_per_s", "hidden units"),
        ("local_energy", "ratios_per_s", "ratios"),
    ):
        flops, moved = reached[f"{part}_gflops"], reached[f"{part}_gb_per_s"]
        lines.append(
            f"| {part.replace('_', ' ')} | {reached[f'{part}_s']:.4f} | {reached[rate]:.3g} {word}/s | {flops:.3g} "
            f"| {flops / matmul:.1%} | {moved:.3g} | {moved / triad:.1%} |"
        )
    flops = reached["update_gflops"]
    lines.append(
        f"| update | {reached['update_s']:.4f} | {1 / reached['update_s']:.3g} updates/s | {flops:.3g} "
        f"| {flops / matmul:.1%} ({flops / syrk:.1%} of BLAS syrk) | | |"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", default=list(WORKLOAD))
    parser.add_argument("--steps", type=int, default=11)
    parser.add_argument("--machine-only", action="store_true", help="the machine by this process alone, as JSON")
    options = parser.parse_args()
    here = world()
    if here.size > 1:
        raise SystemExit("one process: its figures are those of its threads")
    threads = place(here).threads  # before jax is loaded
    if options.machine_only:
        print(json.dumps(machine()))
        return
    child = [sys.executable, __file__, "--machine-only"]
    alone = json.loads(subprocess.run(child, env=os.environ | ONE_THREAD, check=True, stdout=subprocess.PIPE).stdout)
    all_threads = machine()
    reached = step(options.overrides, options.steps, here)
    print(json.dumps({"threads": threads, "one_thread": alone, "all_threads": all_threads, "step": reached}))
    print(markdown(alone, all_threads, threads, reached))


if __name__ == "__main__":
    main()
