"""What stochastic reconfiguration costs in its three spaces, and whether ``solver=auto`` takes the cheapest.

    PJRT_NPROC=1 taskset -c 0 python benchmarks/solvers.py [--repeats 5]

Times one update by `cholesky` (parameter space), `minsr` (sample space) and `cg` (matrix-free, at a shift of 1e-2) on
ansätze with factors (rbm) and with a stored Jacobian (jastrow), for few and many samples and parameters. Prints a row a
case: measured and modelled seconds (`nqs_hpc.update.cost`), which solver was the fastest and which is chosen; then, for
each term of the model, its rate fitted to these times by least squares of the relative errors, all rates positive.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

from nqs_hpc.config.compose import compose
from nqs_hpc.parallel.launch import place
from nqs_hpc.parallel.world import world

CASES = (
    # lattice.length, ansatz words, n_samples
    (16, ("ansatz=rbm", "ansatz.alpha=1"), 4096),
    (32, ("ansatz=rbm", "ansatz.alpha=1"), 512),
    (32, ("ansatz=rbm", "ansatz.alpha=1"), 4096),
    (100, ("ansatz=rbm", "ansatz.alpha=1"), 1024),
    (16, ("ansatz=jastrow",), 4096),
    (32, ("ansatz=jastrow",), 2048),
    (64, ("ansatz=jastrow",), 512),
    (64, ("ansatz=jastrow",), 2048),
    (100, ("ansatz=jastrow",), 1024),
)
SOLVERS = ("cholesky", "minsr", "cg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    here = world()
    place(here)

    import jax
    import numpy as np
    from scipy.optimize import nnls

    from nqs_hpc.parallel.comm import comm
    from nqs_hpc.parts import build
    from nqs_hpc.update.cost import Size, cheapest, operations, seconds

    terms: list[dict[str, float]] = []
    times: list[float] = []
    for length, words, n_samples in CASES:
        measured = {}
        common = [f"lattice.length={length}", *words, "sampler.n_chains=256", f"sampler.n_samples={n_samples}"]
        for solver in SOLVERS:
            config = compose([*common, "optimizer=sr", f"optimizer.solver={solver}"], 1)
            parts = build(config, comm(here))
            state = parts.task.functions.init()
            chains, samples, counts = parts.task.functions.sample(state)
            batch, _ = parts.task.functions.evaluate(state.params, samples, counts)
            info = jax.block_until_ready(parts.task.functions.update(state, chains, batch))[1]
            taken = []
            for _ in range(options.repeats):
                begin = time.perf_counter()
                jax.block_until_ready(parts.task.functions.update(state, chains, batch))
                taken.append(time.perf_counter() - begin)
            measured[solver] = statistics.median(taken)
            iterations = float(info.get("cg_iterations", 0))
            factors = parts.ansatz.factors
            width = None
            if factors is not None:
                s_N = jax.ShapeDtypeStruct((length,), np.int8)
                width = sum(part.size for part in jax.eval_shape(factors.parts, state.params, s_N))
            size = Size(n_samples, parts.n_parameters, width, False)
            terms.append(operations(size, iterations)[solver])
            times.append(measured[solver])
        row = {
            "case": " ".join((f"lattice.length={length}", *words)),
            "n_samples": n_samples,
            "n_parameters": size.n_parameters,
            "measured_s": measured,
            "modelled_s": seconds(size),
            "fastest": min(measured, key=measured.__getitem__),
            "chosen": cheapest(size, 8, 2**30),
        }
        print(json.dumps(row), flush=True)
    names = sorted({name for row in terms for name in row})
    matrix = np.array([[row.get(name, 0.0) / t for name in names] for row, t in zip(terms, times, strict=True)])
    scale = matrix.max(axis=0)
    inverse, _ = nnls(matrix / scale, np.ones(len(times)))
    rates = {name: float(s / x) if x > 0 else None for name, s, x in zip(names, scale, inverse, strict=True)}
    print(json.dumps({"fitted_rates": rates}))


if __name__ == "__main__":
    main()
