"""A kernel solved by all ranks together against one that a rank solves by itself.

    PJRT_NPROC=1 OPENBLAS_NUM_THREADS=1 taskset -c 0 python benchmarks/distributed.py 8192 [--share 2] [--block 128]
    PJRT_NPROC=1 OPENBLAS_NUM_THREADS=1 mpiexec -n 2 -bind-to core python benchmarks/distributed.py 8192

On one rank: processor seconds of LAPACK's solution of n rows, and of the work of one rank out of ``--share`` in
`update.over_ranks`, in turn. The other ranks are then played by copies of its own panels, so that nobody waits: the
numbers are not a solution, the work is. On several: seconds by the wall of the solution that ranks find together, its
residual, and the memory of a rank. A row of JSON each, of the least of ``--repeats``.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

from nqs_hpc.parallel.launch import place
from nqs_hpc.parallel.world import world


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n", type=int)
    parser.add_argument("--share", type=int, default=2)
    parser.add_argument("--block", type=int, default=None)
    parser.add_argument("--dtype", default="float64")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", choices=("posv", "share"), help="one of the two, for its peak of memory")
    options = parser.parse_args()
    here = world()
    place(here)

    import jax
    import jax.numpy as jnp
    import numpy as np

    from nqs_hpc.parallel import cyclic
    from nqs_hpc.parallel.comm import Comm, comm
    from nqs_hpc.update import over_ranks
    from nqs_hpc.update.solvers import cholesky

    jax.config.update("jax_enable_x64", True)
    n, size = options.n, options.share if here.size == 1 else here.size
    found = cyclic.layout(n, size)
    layout = found if options.block is None else cyclic.Layout(n, size, options.block)
    dtype = np.dtype(options.dtype)
    shift = jnp.asarray(1.0, dtype).real

    of_all = jnp.arange(layout.padded)
    wave = jnp.where(of_all < n, jnp.sin(of_all) / np.sqrt(n), 0.0).astype(dtype)

    def entry(i: jax.Array, j: jax.Array) -> jax.Array:
        """Of a matrix that is positive definite, the unit matrix and one of rank 1, and is quickly made."""
        return jnp.where(i == j, 1.0, 0.0).astype(dtype) + wave[i] * wave[j]

    def played() -> Comm:
        def total(x: jax.Array) -> jax.Array:
            return x + n * jnp.eye(len(x), dtype=x.dtype) if x.ndim == 2 else x

        def gather(x: jax.Array) -> jax.Array:
            return jnp.stack([x] * size)

        return Comm(0, size, total, total, gather, lambda x: x)

    channel = played() if here.size == 1 else comm(here)
    rhs = jnp.sin(jnp.arange(n)).astype(dtype)

    @jax.jit
    def together(rank: jax.Array) -> jax.Array:
        rows = layout.rows(rank)
        kernel = entry(rows[:, None], jnp.arange(layout.padded)[None])
        return over_ranks.solve(kernel, rhs, shift, layout, rank, channel)[0]

    @jax.jit
    def made(rank: jax.Array) -> jax.Array:
        return jnp.sum(entry(layout.rows(rank)[:, None], jnp.arange(layout.padded)[None]), axis=0)

    @jax.jit
    def alone() -> jax.Array:
        at = jnp.arange(n)
        return cholesky(entry(at[:, None], at[None]), rhs, shift, 1e-12)[0]

    def timed(function, clock) -> float:
        begin = clock()
        jax.block_until_ready(function())
        return clock() - begin

    def say(**row) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps({"n": n, "dtype": dtype.name} | row | {"peak_gib": round(peak, 2)}), flush=True)

    rank = jnp.int32(here.rank)
    if here.size > 1:
        x = together(rank)
        seconds = min(timed(lambda: together(rank), time.perf_counter) for _ in range(options.repeats))
        filling = min(timed(lambda: made(rank), time.perf_counter) for _ in range(options.repeats))
        at = jnp.arange(n)
        image = jax.lax.map(lambda i: jnp.vdot(entry(i, at), x) + shift * x[i], at, batch_size=256)
        residual = float(jnp.linalg.norm(image - rhs) / jnp.linalg.norm(rhs))
        for row in here.gather([seconds, filling]) or []:
            say(ranks=size, block=layout.block, wall_s=row[0], of_it_filling_s=row[1], residual=residual)
        return
    functions = {"posv": alone, "share": lambda: together(rank), "filling": lambda: made(rank)}
    functions = {name: functions[name] for name in functions if options.only in (name, None)}
    for function in functions.values():
        jax.block_until_ready(function())
    least = dict.fromkeys(functions, float("inf"))
    for _ in range(options.repeats):
        for name, function in functions.items():
            least[name] = min(least[name], timed(function, time.process_time))
    say(ranks=size, block=layout.block, kernel_gib=layout.local * layout.padded * dtype.itemsize / 2**30, cpu_s=least)


if __name__ == "__main__":
    main()
