"""Cholesky's solution of real kernels against conjugate gradients, plain and with a preconditioner.

    PJRT_NPROC=1 OPENBLAS_NUM_THREADS=1 taskset -c 0 python benchmarks/iterative.py [--steps 100] [--repeats 2]

Trains each of the CASES for so many steps, draws a batch from what came out, makes its kernel X X^dagger and solves it
for the residuals of that batch at several shifts, all contenders in turn. A row a shift: seconds of Cholesky, and
iterations and seconds of conjugate gradients to a relative residual of 1e-8 for each number of columns of the sketch
(0: plain), 1000 iterations at most. Seconds are CPU time of this process, which has one thread, the least of the
repeats; the sketch is part of them. ``off``: the largest difference to Cholesky's solution of those that converged,
relative to the largest entry.
"""

from __future__ import annotations

import argparse
import json
import time

from nqs_hpc.config.compose import compose
from nqs_hpc.parallel.launch import place
from nqs_hpc.parallel.world import world

CASES = {
    # experiment, its words, samples of the batch: 4096 rows each
    "RBM, TFIM 10x10": ("tfim_square_10x10", ("ansatz=rbm", "ansatz.bias=false"), 4096),
    "GCNN, J1-J2 6x6": ("j1j2_square_6x6", (), 2048),
}
SHIFTS = (1e-1, 1e-2, 1e-3, 1e-4)
SKETCHES = (0, 256, 512, 1024)
TOLERANCE, MOST = 1e-8, 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=2)
    options = parser.parse_args()
    here = world()
    place(here)

    import jax
    import jax.numpy as jnp
    import numpy as np

    from nqs_hpc.gradient.flat import flat
    from nqs_hpc.gradient.jacobian import residuals
    from nqs_hpc.gradient.planes import product
    from nqs_hpc.gradient.sample_space import sample_space
    from nqs_hpc.parallel.comm import comm
    from nqs_hpc.parallel.cyclic import Layout
    from nqs_hpc.parts import build
    from nqs_hpc.update import nystrom
    from nqs_hpc.update.solvers import cholesky

    alone = comm(here)
    for title, (experiment, words, n_samples) in CASES.items():
        common = [f"experiment={experiment}", *words, "sampler.n_chains=256"]
        functions = build(compose([*common, "sampler.n_samples=1024"], 1), alone).task.functions
        state = functions.warmed(functions.init())
        for _ in range(options.steps):
            chains, samples, counts = functions.sample(state)
            batch, _ = functions.evaluate(state.params, samples, counts)
            state, _ = functions.update(state, chains, batch)
        parts = build(compose([*common, f"sampler.n_samples={n_samples}"], 1), alone)
        functions, ansatz, params = parts.task.functions, parts.ansatz, state.params
        state = functions.warmed(functions.init()._replace(params=params))
        _, samples, counts = functions.sample(state)
        batch, _ = functions.evaluate(params, samples, counts)

        @jax.jit
        def made(params, batch, ansatz=ansatz, chunk=parts.plan.chunk_size):
            form = flat(params, ansatz.kind)
            kernel = sample_space(ansatz, form, params, batch, alone, chunk=chunk, blocks=1).kernel
            eps = residuals(ansatz.kind, batch.e_loc_A, batch.w_A, batch.estimate.mean)
            mirrored = jnp.where(jnp.tri(len(kernel), k=-1, dtype=bool), kernel.conj().T, kernel)
            return mirrored, eps.astype(kernel.dtype)

        kernel, eps = jax.block_until_ready(made(params, batch))
        n = len(kernel)
        lay = Layout(n, 1, n)

        def iterative(kernel, eps, shift, sketch, lay=lay):
            bounds = {"sketch": sketch, "tolerance": TOLERANCE, "max_iterations": MOST}
            of_rank = {"rank": jnp.int32(0), "step": jnp.int32(0)}
            return nystrom.conjugate_gradient(lambda v: product(kernel, v), eps, shift, lay, alone, **of_rank, **bounds)

        system = (kernel, eps, jnp.float64(0.1))
        contenders = {"cholesky": jax.jit(lambda *a: cholesky(*a, 1e-12)).lower(*system).compile()}
        for sketch in SKETCHES:
            contenders[str(sketch)] = jax.jit(lambda *a, sketch=sketch: iterative(*a, sketch)).lower(*system).compile()
        values = np.linalg.eigvalsh(np.asarray(kernel))[::-1]
        print(json.dumps({"case": title, "rows": n, "eigenvalues": [f"{one:.1e}" for one in values[:: n // 16]]}))
        for shift in SHIFTS:
            seconds: dict[str, list[float]] = {name: [] for name in contenders}
            found = {}
            for _ in range(options.repeats):
                for name, solve in contenders.items():
                    begin = time.process_time()
                    found[name] = jax.block_until_ready(solve(kernel, eps, jnp.float64(shift)))
                    seconds[name].append(time.process_time() - begin)
            exact = np.asarray(found["cholesky"][0])
            row = {
                "case": title,
                "shift": shift,
                "effective_dimension": round(float(np.sum(values / (values + shift)))),
                "cholesky_s": round(min(seconds["cholesky"]), 3),
                "sketch: iterations, s": {
                    name: [int(found[name][1]["cg_iterations"]), round(min(seconds[name]), 3)]
                    for name in contenders
                    if name != "cholesky"
                },
                "off": max(
                    float(np.abs(np.asarray(x) - exact).max())
                    for x, info in found.values()
                    if info.get("cg_converged", 1)
                )
                / float(np.abs(exact).max()),
            }
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
