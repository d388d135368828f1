"""How a step grows over ranks: measured on this machine, explained by a cost model, and run out to 1024 ranks.

    python benchmarks/scaling.py [--workloads W1,W5,W6,W7] [--rounds 5] [--count 2,4,8] [--json FILE] [--markdown FILE]

Measured: one rank bound to one core against two ranks bound to a core each, a round being one step of each in turn:
strong (the same samples) and weak (twice the chains and samples on two ranks); one rank with half the chains and
samples goes along, for the model. Efficiency is t1 / (2 t2) for the same
samples and t1 / t2 for twice as many, the median over rounds; without the solve, which every rank makes for itself,
and whole. Collectives and bytes of a step come from the traced programs at each rank count (more ranks than cores are
started for that alone: nothing is timed).

The model of a step of n samples on R ranks, with everything that it takes from the workload measured on one rank:

    t(n, R) = f + (a n + k n^2) / R + s n^3 + sum of the collectives (latency log2 R + bytes received / bandwidth)

k n^2: the kernel, its products at the machine's rate of products and KERNEL_PASSES over its entries at the rate at
which they are centred; s n^3: the solve.
What is left of the steps with n and with n / 2 samples gives f, which does not shrink with the samples (tables, the
overhead of each iteration of a loop), and a n: sampling, local energies, parts and adjoint. Latency and bandwidth are
fitted to gathers and sums between two ranks of this machine. It is held against the measured steps on two ranks, and
then run out for an RBM of 10^6 parameters on 400 sites, whose linear part is that of the first workload scaled by the
parameters; another network between the ranks can be put in by --latency and --bandwidth. Solves that the ranks share
are in `at_scale.py`. Exit code 1 where the model misses a measured point by more than 20 %.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ladder import SETTLE_SECONDS, WARM_STEPS, WORKLOADS, our_command, started

TIMES = ("step_s", "sample_s", "local_energy_s", "update_s")


def pinned(command: list[str], ranks: int) -> list[str]:
    """One rank on one core: two are bound to one each by the program itself."""
    core = str(min(os.sched_getaffinity(0)))
    return ["taskset", "-c", core, *command] if ranks == 1 else command


def grown(words: tuple[str, ...], factor: float) -> tuple[str, ...]:
    """The same with so many times the chains and samples."""
    out = []
    for word in words:
        key, _, value = word.partition("=")
        out.append(f"{key}={int(factor * int(value))}" if key in ("sampler.n_chains", "sampler.n_samples") else word)
    return tuple(out)


def measure(name: str, rounds: int, folder: Path) -> dict[str, Any]:
    """Medians of one rank, of one with half the samples, of two, and of two with twice the samples; and the
    efficiencies, round by round."""
    work = WORKLOADS[name]
    contenders = {
        "one": pinned(our_command(work, 1), 1),
        "half": pinned(our_command(work._replace(ours=grown(work.ours, 0.5)), 1), 1),
        "two": our_command(work, 2),
        "weak": our_command(work._replace(ours=grown(work.ours, 2)), 2),
    }
    with contextlib.ExitStack() as stack:
        running = {key: started(f"{name} {key}", command, folder, stack) for key, command in contenders.items()}
        steps: dict[str, list[dict[str, float]]] = {key: [] for key in running}
        for _ in range(WARM_STEPS):
            for contender in running.values():
                contender.server.ask("step")
        for _ in range(rounds):
            for key, contender in running.items():
                time.sleep(SETTLE_SECONDS)
                steps[key].append(contender.server.ask("step"))
        ends = {key: contender.server.ask("end") for key, contender in running.items()}
        ready = running["one"].ready
    found: dict[str, Any] = {
        key: {t: statistics.median(step[t] for step in steps[key]) for t in TIMES} | {"solve_s": ends[key]["solve_s"]}
        for key in steps
    }
    solve = {key: ends[key]["solve_s"] for key in ends}
    rest = {key: [step["step_s"] - solve[key] for step in steps[key]] for key in steps}
    pairs = zip(steps["one"], steps["two"], steps["weak"], strict=True)
    whole = [(one["step_s"] / two["step_s"] / 2, one["step_s"] / weak["step_s"]) for one, two, weak in pairs]
    found["strong"] = statistics.median(row[0] for row in whole)
    found["weak_whole"] = statistics.median(row[1] for row in whole)
    found["strong_without_solve"] = statistics.median(a / b / 2 for a, b in zip(rest["one"], rest["two"], strict=True))
    found["replicated_share"] = solve["two"] / found["two"]["step_s"]
    return found | {"work": ready["work"]}


def asked(ranks: int, *words: str) -> dict[str, Any]:
    """What this program, started on so many ranks, answers; it ends with its words where it fails."""
    command = our_command(WORKLOADS["W1"], ranks)
    command = [*command[: command.index(sys.executable)], sys.executable, __file__, *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with code {done.returncode}:\n{done.stderr}")
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))


def count(words: tuple[str, ...], ranks: int) -> dict[str, Any]:
    """Collectives of one step, as the traced programs on so many ranks have them."""
    return asked(ranks, "--trace", *words)


def trace(overrides: list[str]) -> None:
    """In a process of the rank count asked about: what a step sends, without making one."""
    from nqs_hpc.config.compose import compose
    from nqs_hpc.parallel.launch import place
    from nqs_hpc.parallel.world import world

    here = world()
    config = compose(overrides, here.size)
    place(here)
    import jax
    import numpy as np

    from nqs_hpc.gradient.jacobian import rows_per_sample
    from nqs_hpc.parallel.comm import comm
    from nqs_hpc.parallel.traffic import collectives
    from nqs_hpc.parts import build

    parts = build(config, comm(here))
    driver = parts.task.functions
    state = jax.eval_shape(driver.init)
    key = jax.ShapeDtypeStruct((2,), np.uint32)
    _, _, draw, evaluate, update = driver.jitted
    chains, samples, counts = jax.eval_shape(draw, key, state.params, state.chains["samples"])
    batch, _ = jax.eval_shape(evaluate, state.params, samples, counts, np.int32(0))
    programs = (
        jax.make_jaxpr(draw)(key, state.params, state.chains["samples"]),
        jax.make_jaxpr(evaluate)(state.params, samples, counts, np.int32(0)),
        jax.make_jaxpr(update)(state, chains, batch),
    )
    found = [c._asdict() for program in programs for c in collectives(program.jaxpr)]
    factors = parts.ansatz.factors
    width = 0
    if factors is not None:
        s_N = jax.ShapeDtypeStruct((parts.hilbert.n_sites,), np.int8)
        width = sum(part.size for part in jax.eval_shape(factors.parts, state.params, s_N))
    if here.rank == 0:
        rows = parts.sampler.n_samples * rows_per_sample(parts.ansatz.kind)
        work = 4 if parts.ansatz.kind == "holomorphic" else 1
        size = {"rows": rows, "width": width, "parameters": parts.n_parameters, "real_operations": work}
        print(json.dumps({"collectives": found, **size}))


def machine() -> dict[str, float]:
    """Latency and bandwidth between two ranks; the rates of products and Cholesky factors with both cores at work."""
    return asked(2, "--machine")


def measure_machine() -> None:
    from nqs_hpc.parallel.launch import place
    from nqs_hpc.parallel.world import world

    here = world()
    place(here)
    import jax
    import jax.numpy as jnp
    import numpy as np

    from nqs_hpc.gradient.factored_space import centred_kernel_rows
    from nqs_hpc.parallel.comm import comm
    from nqs_hpc.update.solvers import cholesky

    channel, alone = comm(here), comm(here._replace(rank=0, size=1))

    def seconds(function, *arguments, repeats: int = 15) -> float:
        jax.block_until_ready(function(*arguments))
        times = []
        for _ in range(repeats):
            here.barrier()
            begin = time.perf_counter()
            jax.block_until_ready(function(*arguments))
            times.append(time.perf_counter() - begin)
        return max(here.allgather(statistics.median(times)))

    small, large = jnp.ones(8), jnp.ones(2**20)  # 64 B, 8 MiB
    found = {}
    for kind, collective in (("allgather", channel.gather), ("allreduce", channel.sum)):
        run = jax.jit(collective)
        latency = seconds(run, small)
        found[f"{kind}_latency_s"] = latency
        found[f"{kind}_bytes_per_s"] = large.nbytes / max(1e-9, seconds(run, large) - latency)
    rng = np.random.default_rng(0)
    a = jnp.asarray(rng.standard_normal((1024, 512)))
    found["product_flops"] = 2 * 1024 * 512 * 1024 / seconds(jax.jit(lambda a: a @ a.T), a)
    k = a @ a.T / 512 + jnp.eye(1024)
    solve = jax.jit(lambda k, b: cholesky(k, b, jnp.float64(0.01), 1e-12)[0])
    found["factor_flops"] = 1024**3 / 3 / seconds(solve, k, jnp.ones(1024))
    raw, w = jnp.asarray(rng.standard_normal((1024, 1024))), jnp.full(1024, 1 / 1024)
    centre = jax.jit(lambda raw, w: centred_kernel_rows((raw,), w, 1, jnp.int32(0), alone, None))
    found["entries_per_s"] = raw.size / seconds(centre, raw, w)
    if here.rank == 0:
        print(json.dumps(found))


def messages(collectives: list[dict[str, Any]], ranks: int, rates: dict[str, float]) -> float:
    """Seconds of a step's collectives: a rank receives R - 1 parts of a gather, all but its own part of an exchange,
    and a buffer nearly twice in a sum."""
    if ranks == 1:
        return 0.0
    total = 0.0
    for c in collectives:
        kind = "allreduce" if c["kind"] == "allreduce" else "allgather"
        # the rates were measured between two ranks: one part of a gather, one exchange of a sum
        steps = math.log2(ranks)
        received = {"allgather": ranks - 1, "alltoall": (ranks - 1) / ranks, "allreduce": 2 * (ranks - 1) / ranks}
        volume = c["n_bytes"] * received[c["kind"]]
        total += c["times"] * (rates[f"{kind}_latency_s"] * steps + volume / rates[f"{kind}_bytes_per_s"])
    return total


KERNEL_PASSES = 2  # over the entries, for each plane of a complex one: Gram matrices put together, means taken out


def kernel_seconds(n: int, width: int, real_operations: int, rates: dict[str, float]) -> float:
    """A kernel of n rows from factors of ``width`` numbers, on one rank."""
    planes = 2 if real_operations == 4 else 1
    products = real_operations * 2 * n**2 * width / rates["product_flops"]
    return products + KERNEL_PASSES * planes * n**2 / rates["entries_per_s"]


class Model:
    """t(n, R) of one workload from one rank's measured steps, with all its samples and with half of them."""

    def __init__(
        self, one: dict[str, float], half: dict[str, float], size: dict[str, Any], rates: dict[str, float]
    ) -> None:
        self.rows, self.rates = size["rows"], rates
        kernel = kernel_seconds(self.rows, size["width"], size["real_operations"], rates)
        self.kernel = min(kernel, max(0.0, one["update_s"] - one["solve_s"]))
        rest = one["step_s"] - one["solve_s"] - self.kernel
        rest_of_half = half["step_s"] - half["solve_s"] - self.kernel / 4
        self.linear = min(rest, max(0.0, 2 * (rest - rest_of_half)))
        self.fixed = rest - self.linear
        self.solve = one["solve_s"]

    def seconds(self, growth: float, ranks: int, collectives: list[dict[str, Any]]) -> dict[str, float]:
        """The parts of a step with ``growth`` times the rows."""
        return {
            "fixed": self.fixed,
            "sampling, energies, derivatives": self.linear * growth / ranks,
            "kernel": self.kernel * growth**2 / ranks,
            "solve": self.solve * growth**3,
            "messages": messages(collectives, ranks, self.rates),
        }


N_SITES, N_HIDDEN = 400, 2494
N_PARAMETERS = N_SITES * N_HIDDEN + N_SITES + N_HIDDEN  # 10^6


def far_step(samples: int, ranks: int, rates: dict[str, float], model: Model, size: dict[str, Any]) -> dict[str, float]:
    """The parts of a step of an RBM of 10^6 parameters on 400 sites.

    Proposals and local energies cost sites times hidden units a sample, as many as there are parameters: the linear
    part is the measured one scaled by these, and the fixed part too: tables of the parameters are most of it.
    """
    rows, width = samples / ranks, N_SITES + N_HIDDEN
    growth = N_PARAMETERS / size["parameters"]
    per_row = model.linear / size["rows"] * growth
    sent = [
        {"kind": "allgather", "n_bytes": 16 * rows, "times": 1},
        {"kind": "allgather", "n_bytes": 8 * rows * width, "times": 1},
        {"kind": "allgather", "n_bytes": 8 * rows * samples, "times": 1},
        {"kind": "allreduce", "n_bytes": 16 * N_PARAMETERS, "times": 1},
    ]
    return {
        "fixed": model.fixed * growth,
        "sampling, energies, derivatives": per_row * rows,
        "kernel": kernel_seconds(samples, width, 1, rates) / ranks,
        "solve": samples**3 / 3 / rates["factor_flops"],
        "messages": messages(sent, ranks, rates),
    }


def run_out(rates: dict[str, float], model: Model, size: dict[str, Any]) -> list[dict[str, Any]]:
    table = []
    for samples in (1024, 4096, 16384):
        for ranks in (1, 4, 16, 64, 256, 1024):
            parts = far_step(samples, ranks, rates, model, size)
            table.append({"samples": samples, "ranks": ranks, "step_s": sum(parts.values()), "parts": parts})
    return table


def solve_limits(rates: dict[str, float], model: Model, size: dict[str, Any]) -> list[dict[str, int]]:
    """For each rank count the samples, a power of two, from which the replicated solve is half of a step."""
    found = []
    for ranks in (1, 4, 16, 64, 256, 1024):
        for exponent in range(6, 24):
            parts = far_step(2**exponent, ranks, rates, model, size)
            if 2 * parts["solve"] >= sum(parts.values()):
                found.append({"ranks": ranks, "samples": 2**exponent})
                break
    return found


def far_off(result: dict[str, Any]) -> list[str]:
    """The measured points that the model misses by more than 20 %."""
    return [
        f"{name} {point} {found['model'][point]:.2f}"
        for name, found in result["workloads"].items()
        for point in ("two", "weak")
        if abs(found["model"][point] - 1) > 0.2
    ]


def markdown(result: dict[str, Any]) -> str:
    lines = [
        "| | one rank, s | two ranks, s | efficiency | without the solve | weak, whole | solve, share of two |"
        " model / measured: two, weak |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, found in result["workloads"].items():
        lines.append(
            f"| {name} | {found['one']['step_s']:.4f} | {found['two']['step_s']:.4f} | {found['strong']:.2f} | "
            f"{found['strong_without_solve']:.2f} | {found['weak_whole']:.2f} | {found['replicated_share']:.0%} | "
            f"{found['model']['two']:.2f}, {found['model']['weak']:.2f} |"
        )
    lines += ["", "| collectives of a step | " + " | ".join(f"{r} ranks" for r in result["count"]) + " |"]
    lines += ["|---|" + "---|" * len(result["count"])]
    for name, found in result["workloads"].items():
        cells = []
        for ranks in result["count"]:
            sent = found["collectives"][str(ranks)]
            kinds = {kind: sum(c["times"] for c in sent if c["kind"] == kind) for kind in {c["kind"] for c in sent}}
            volume = sum(c["times"] * c["n_bytes"] for c in sent) / 1e6
            cells.append(", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())) + f"; {volume:.2f} MB a rank")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", f"Off by more than 20 %: {', '.join(far_off(result)) or 'none'}."]
    limits = ", ".join(f"{row['ranks']} ranks {row['samples']}" for row in result["limits"])
    lines += ["", f"Samples from which the replicated solve is half of a step: {limits}."]
    lines += ["", "| samples | ranks | step, s | largest part | its share |", "|---|---|---|---|---|"]
    for row in result["far"]:
        part = max(row["parts"], key=row["parts"].get)
        share = row["parts"][part] / row["step_s"]
        lines.append(f"| {row['samples']} | {row['ranks']} | {row['step_s']:.3g} | {part} | {share:.0%} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", default="W1,W5,W6,W7")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--count", default="2,4,8", help="rank counts whose collectives are counted")
    parser.add_argument("--latency", type=float, help="of one message between hosts in seconds, in place of this one's")
    parser.add_argument("--bandwidth", type=float, help="between hosts in bytes a second, in place of this one's")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--trace", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--machine", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.trace:
        trace(options.trace)
        return
    if options.machine:
        measure_machine()
        return

    counts = [int(word) for word in options.count.split(",")]
    if options.workloads.split(",")[0] not in ("W1", "W5"):
        parser.error("the first workload is run out as a real RBM: it must be W1 or W5")
    rates = machine()
    result: dict[str, Any] = {"machine": rates, "count": counts, "workloads": {}}
    models: dict[str, Model] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.workloads.split(","):
            found = measure(name, options.rounds, Path(folder))
            words = WORKLOADS[name].ours
            sizes = {ranks: count(words, ranks) for ranks in sorted({2, *counts})}
            found["collectives"] = {str(ranks): size["collectives"] for ranks, size in sizes.items()}
            size = {key: value for key, value in sizes[2].items() if key != "collectives"}
            model = models[name] = Model(found["one"], found["half"], size, rates)
            two = model.seconds(1, 2, sizes[2]["collectives"])
            weak = model.seconds(2, 2, count(grown(words, 2), 2)["collectives"])
            found["model"] = {
                "two": sum(two.values()) / found["two"]["step_s"],
                "weak": sum(weak.values()) / found["weak"]["step_s"],
                "parts": two,
            }
            found["size"] = size
            result["workloads"][name] = found
    far = dict(rates)
    for kind in ("allgather", "allreduce"):
        far[f"{kind}_latency_s"] = options.latency or rates[f"{kind}_latency_s"]
        far[f"{kind}_bytes_per_s"] = options.bandwidth or rates[f"{kind}_bytes_per_s"]
    first = options.workloads.split(",")[0]
    size = result["workloads"][first]["size"]
    result["far"] = run_out(far, models[first], size)
    result["limits"] = solve_limits(far, models[first], size)
    table = markdown(result)
    print(table)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))
    if options.markdown:
        options.markdown.write_text(table + "\n")
    if far_off(result):
        raise SystemExit("the model misses a measured point by more than 20 %")


if __name__ == "__main__":
    main()
