"""Seconds of one step, split, and what the ratio path is worth: prints one JSON line.

    python benchmarks/step_time.py [KEY=VALUE ...]

Without arguments: RBM alpha=1, TFIM 10x10 periodic, h=3, 256 chains, 1024 samples, one sweep between samples, minSR,
float64. First whole steps, timed as a run times them; then sampling and local energies of one state through the
ansatz's own ratios and through `full_evaluation`, in turn (A B A B ...). Medians are given, and the median of the
ratios pair by pair. peak_rss_mb is that of the process before the full path is compiled.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time

from nqs_hpc.config.compose import compose
from nqs_hpc.parallel.launch import place
from nqs_hpc.parallel.world import world

WORKLOAD = ("lattice=square", "lattice.length=10", "hamiltonian.h=3.0", "ansatz.alpha=1")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("overrides", nargs="*", default=list(WORKLOAD))
    parser.add_argument("--steps", type=int, default=11)
    parser.add_argument("--no-full", action="store_true", help="leave the full path out")
    options = parser.parse_args()
    here = world()
    config = compose(options.overrides, here.size)
    placement = place(here)

    import jax

    from nqs_hpc.ansatz.full_evaluation import full_evaluation
    from nqs_hpc.parallel.comm import comm
    from nqs_hpc.parts import Parts, build

    channel = comm(here)

    def timed(parts: Parts, state):
        begin = time.perf_counter()
        chains, samples, counts = jax.block_until_ready(parts.task.functions.sample(state))
        sampled = time.perf_counter()
        batch, _ = jax.block_until_ready(parts.task.functions.evaluate(state.params, samples, counts))
        evaluated = time.perf_counter()
        state, _ = jax.block_until_ready(parts.task.functions.update(state, chains, batch))
        updated = time.perf_counter()
        return state, (sampled - begin, evaluated - sampled, updated - evaluated)

    begin = time.perf_counter()
    ratio = build(config, channel)
    state, _ = timed(ratio, ratio.task.functions.init())
    first_step = time.perf_counter() - begin
    steps = []
    for _ in range(options.steps):
        state, split = timed(ratio, state)
        steps.append(split)
    peak_rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def drawn(parts: Parts) -> tuple[float, float]:
        begin = time.perf_counter()
        _, samples, counts = jax.block_until_ready(parts.task.functions.sample(state))
        sampled = time.perf_counter()
        jax.block_until_ready(parts.task.functions.evaluate(state.params, samples, counts))
        return sampled - begin, time.perf_counter() - sampled

    pairs = []
    if not options.no_full:
        plain = full_evaluation(ratio.ansatz.init, ratio.ansatz.log_psi, ratio.ansatz.kind)
        full = build(config, channel, ratio.plan, ansatz=plain)
        drawn(full)
        drawn(ratio)
        pairs = [(drawn(ratio), drawn(full)) for _ in range(options.steps)]

    sample, local, solve = (statistics.median(column) for column in zip(*steps, strict=True))
    result = {
        "s_per_step": statistics.median(sum(row) for row in steps),
        "sample_s": sample,
        "local_energy_s": local,
        "solve_s": solve,
        "first_step_s": first_step,
        "peak_rss_mb": peak_rss,
    }
    if pairs:
        for path, name in enumerate(("ratio", "full")):
            result[f"{name}_sample_s"] = statistics.median(pair[path][0] for pair in pairs)
            result[f"{name}_local_energy_s"] = statistics.median(pair[path][1] for pair in pairs)
        result["full_over_ratio"] = statistics.median(sum(full) / sum(own) for own, full in pairs)
    result |= {"n_ranks": here.size, "threads": placement.threads, "steps": options.steps}
    if here.rank == 0:
        print(json.dumps({k: round(v, 6) if isinstance(v, float) else v for k, v in result.items()}))


if __name__ == "__main__":
    main()
