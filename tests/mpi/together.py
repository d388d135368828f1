"""Started under mpiexec by test_together.py: solutions and steps that all ranks compute, as JSON from rank 0."""

import ctypes
import json
import os
import sys

from nqs_hpc.parallel import compile_cache
from nqs_hpc.parallel.world import world

here = world()
share = compile_cache.use(compile_cache.folder("auto"), len(os.sched_getaffinity(0)), here)

import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from mpi4jax._src import xla_bridge  # noqa: E402

from nqs_hpc.config.compose import compose  # noqa: E402
from nqs_hpc.gradient.flat import flat  # noqa: E402
from nqs_hpc.gradient.jacobian import rows_per_sample  # noqa: E402
from nqs_hpc.gradient.kernel_rows import add_gram, exchanges  # noqa: E402
from nqs_hpc.parallel import comm as comm_module  # noqa: E402
from nqs_hpc.parallel.cyclic import layout as layout_of  # noqa: E402
from nqs_hpc.parallel.traffic import collectives  # noqa: E402
from nqs_hpc.parts import build  # noqa: E402
from nqs_hpc.update import over_ranks  # noqa: E402

comm = comm_module.comm(here)
found = {"solved": {}}
N = 203  # rows that no number of ranks divides

layout = layout_of(N, here.size)
for dtype in ("float32", "complex128"):
    rng = np.random.default_rng(3)
    z = rng.normal(size=(here.size, N, 20)) + (1j * rng.normal(size=(here.size, N, 20)) if "c" in dtype else 0)
    rhs = rng.normal(size=N).astype(dtype)

    @jax.jit
    def together(rank, z, rhs, shift):
        zero = jnp.zeros((layout.local, layout.padded), z.dtype)
        rows = add_gram(zero, z, layout, comm)
        return over_ranks.solve(rows, rhs, shift, layout, rank, comm)[0]

    mine = jnp.int32(here.rank), z[here.rank].astype(dtype), rhs
    x, again = (np.asarray(together(*mine, 1.0)) for _ in range(2))
    exact = np.linalg.solve(np.einsum("rik,rjk->ij", z, z.conj()) + np.eye(N), rhs)
    found["solved"][dtype] = {
        "error": float(np.abs(x - exact).max() / np.abs(exact).max()),
        "bits": [word.hex() for word in here.allgather(x.tobytes())],
        "repeated": x.tobytes() == again.tobytes(),
        "failed": here.allgather(bool(np.isnan(np.asarray(together(*mine, -1.0))).any())),
    }

RUNS = {
    "factored": ["ansatz.dtype=complex", "optimizer.momentum=0.5"],
    "blocked": ["ansatz=jastrow", "optimizer.blocks=2", "optimizer.momentum=0.5"],
    "sr": ["optimizer=sr"],
}
ON = {1: tuple(RUNS), 2: tuple(RUNS), 3: ("factored",), 4: ("sr",)}


def count_at_run_time(on: bool) -> None:
    """mpi4jax says on stdout what it sends, between two marks; its buffer is that of C, not of Python."""
    ctypes.CDLL(None).fflush(None)
    if here.rank == 0:
        print("COUNTING" if on else "COUNTED", flush=True)
    # the first rank alone: lines of several would mix on a busy machine
    xla_bridge.set_logging(on and here.size > 1 and here.rank == 0)


keys = ["lattice.length=6", "sampler.n_chains=12", "sampler.n_samples=48", "sampler.warmup=8"]
for name in ON[here.size]:
    overrides = RUNS[name]
    parts = build(compose([*keys, *overrides, "optimizer.solver=distributed"], here.size), comm)
    driver = parts.task.functions
    state = driver.warmed(driver.init())
    energies = []
    for step in range(2):
        moved, samples, counts = driver.sample(state)
        batch, _ = driver.evaluate(state.params, samples, counts)
        if step == 1:
            jax.block_until_ready((state, moved, batch))
            count_at_run_time(True)
        state, info = jax.block_until_ready(driver.update(state, moved, batch))
        count_at_run_time(False) if step == 1 else None
        energies.append(float(batch.estimate.mean.real))
    form = flat(state.params, parts.ansatz.kind)
    n_rows = form.n_parameters if name == "sr" else 48 * rows_per_sample(parts.ansatz.kind)
    rows = layout_of(n_rows, here.size)
    traced = collectives(jax.make_jaxpr(driver.update)(state, moved, batch).jaxpr)
    found[name] = {
        "energies": energies,
        "theta": np.asarray(flat(state.params, "real").ravel(state.params)).tolist(),
        "hashes": here.allgather(np.asarray(form.ravel(state.params)).tobytes().hex()),
        "fallback": float(info["fallback"]),
        "executed": sum(c.times for c in traced),
        "largest": max((c.n_bytes for c in traced), default=0),
        "kernel": 8 * n_rows**2,
        "solve": over_ranks.collectives(rows),
        "exchanges": exchanges(rows),
        "slabs": -(-48 // here.size // max(1, min(48 // here.size, rows.local * rows.padded // n_rows))),
    }
if here.rank == 0:
    print("RESULT " + json.dumps(found))
sys.stdout.flush()
