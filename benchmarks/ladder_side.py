"""This package's side of the ladder: a server that makes one whole step for each line "step" on standard input.

    [mpiexec -n R] python benchmarks/ladder_side.py KEY=VALUE ...

Answers with one JSON line each: first, after the warm-up of the chains and a whole step, what is computed and where;
then for "step" its seconds, from all ranks ready to all ranks done, with the parts as rank 0 sees them and a run logs
them; for "end", or the end of its input, the peak memory and the linear solve alone, and it leaves.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from nqs_hpc import __version__
from nqs_hpc.config.compose import compose
from nqs_hpc.parallel import compile_cache
from nqs_hpc.parallel.launch import place
from nqs_hpc.parallel.world import World, world

ORDERS = ("", "step", "end")
POLL_SECONDS = 0.005
SOLVES = 5


def orders(here: World) -> Iterator[str]:
    """What rank 0 reads, on all ranks, to the end of its input. Collective.

    Ranks that wait sleep: a blocking call of MPI would take a core from whoever is measured meanwhile.
    """
    channel = here.mpi.COMM_WORLD.Dup()
    number = np.zeros(1, np.int8)
    while True:
        if here.rank == 0:
            number[0] = ORDERS.index(sys.stdin.readline().strip())
        request = channel.Ibcast(number, root=0)
        while not request.Test():
            time.sleep(POLL_SECONDS)
        if not (order := ORDERS[number[0]]):
            return
        yield order


def peak_mb() -> float:
    """The largest resident memory that this process has had, in MB of 10^6 bytes."""
    with open("/proc/self/status") as file:
        kib = next(line.split()[1] for line in file if line.startswith("VmHWM:"))
    return int(kib) * 1024 / 1e6


def main() -> None:
    # Standard output is for the answers alone: what a library prints goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    here = world()
    config = compose(sys.argv[1:], here.size)
    placement = place(here)
    share = compile_cache.use(compile_cache.folder(config.compile_cache), placement.threads, here)

    import jax
    import jax.numpy as jnp

    from nqs_hpc.parallel.ahead import compile_ahead
    from nqs_hpc.parallel.comm import comm
    from nqs_hpc.parts import build
    from nqs_hpc.update.solvers import cholesky

    def answer(result: dict[str, Any]) -> None:
        if here.rank == 0:
            print(json.dumps(result), file=answers, flush=True)

    parts = build(config, comm(here))
    driver = parts.task.functions

    def step(state):
        here.barrier()
        begin = time.perf_counter()
        chains, samples, counts = jax.block_until_ready(driver.sample(state))
        sampled = time.perf_counter()
        batch, _ = jax.block_until_ready(driver.evaluate(state.params, samples, counts))
        evaluated = time.perf_counter()
        state, info = jax.block_until_ready(driver.update(state, chains, batch))
        updated = time.perf_counter()
        here.barrier()
        seconds = {
            "step_s": time.perf_counter() - begin,
            "sample_s": sampled - begin,
            "local_energy_s": evaluated - sampled,
            "update_s": updated - evaluated,
        }
        if bool(info["rejected"]):
            raise RuntimeError("a step was rejected: its figures are not those of a step")
        return state, seconds

    def solve_seconds() -> float:
        """The median seconds of one solve with a matrix of the workload's size and dtype, factorisation included."""
        rows = parts.sampler.n_samples * (2 if parts.ansatz.kind == "complex" else 1)
        if optimizer == "sr" and parts.plan.solver == "cholesky":  # in parameter space
            rows = parts.n_parameters
        random = np.random.default_rng(0).standard_normal((2, rows, rows)) / np.sqrt(rows)
        x = random[0] + 1j * random[1] if parts.ansatz.kind == "holomorphic" else random[0]
        kernel, rhs = jnp.asarray(x @ x.conj().T), jnp.asarray(x[0])
        solve = jax.jit(lambda kernel, rhs: cholesky(kernel, rhs, jnp.float64(0.01), 1e-12)[0])
        solve(kernel, rhs).block_until_ready()
        times = []
        for _ in range(SOLVES):
            here.barrier()
            begin = time.perf_counter()
            solve(kernel, rhs).block_until_ready()
            times.append(time.perf_counter() - begin)
        return statistics.median(times)

    optimizer = type(config.optimizer).__name__.lower()
    chains = {}
    if parts.sampler.warmup_calls:
        chains = {"chains": config.sampler.n_chains, "proposals between samples": config.sampler.sweep}
    compile_ahead(driver.programs(fresh=True), share, here)
    state, _ = step(driver.warmed(driver.init()))
    answer(
        {
            "work": {
                "parameters": parts.n_parameters,
                "samples": parts.sampler.n_samples,
            }
            | chains,
            "setting": f"{optimizer}, {parts.plan.solver}, chunk_size={parts.plan.chunk_size}",
            "threads": placement.threads,
            "versions": {"nqs_hpc": __version__, "jax": jax.__version__, "python": platform.python_version()},
            "mpi": here.library,
        }
    )
    for order in orders(here):
        if order == "step":
            state, seconds = step(state)
            answer(seconds)
        else:
            peak = max(here.allgather(peak_mb()))
            answer({"peak_mb": peak, "solve_s": solve_seconds()})


if __name__ == "__main__":
    main()
