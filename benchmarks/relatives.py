"""Relatives of minSR against minSR at equal time: J1-J2 at J2/J1 = 0.5 by an RBM of shared weights.

    PJRT_NPROC=1 OPENBLAS_NUM_THREADS=1 python benchmarks/relatives.py [4x4] [6x6] [--only NAME ...] [--out FILE]

One process and one thread. A step of each method is timed first, in CPU seconds, and each method then makes as many
steps as fit in the time of the system; schedules end with the last of them. Energies are those of fresh chains. The
table has the relative error of each seed, their mean and its standard error; 4x4 against exact diagonalisation, 6x6
against Schulz, Ziman and Poilblanc, J. Phys. I 6, 675 (1996). One JSON line a run goes to FILE.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from nqs_hpc.config.compose import compose
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parts import Parts, build

SERIAL = Comm(rank=0, size=1, sum=lambda x: x, max=lambda x: x, gather=lambda x: x[None], all_to_all=lambda x: x)
RATE = 0.05
TIMED = 6  # steps of which the cheapest counts


class System(NamedTuple):
    keys: list[str]
    exact: float
    seconds: float  # CPU time of all steps of a run
    seeds: int


COMMON = [
    "lattice=square",
    "hamiltonian=heisenberg",
    "hamiltonian.J=[1.0,0.5]",
    "ansatz=rbm_symm",
    "ansatz.dtype=complex",
]
SYSTEMS = {
    "4x4": System(
        [*COMMON, "lattice.length=4", "ansatz.alpha=16", "sampler.n_chains=128", "sampler.n_samples=256"],
        -8.457923351,
        8.0,
        3,
    ),
    "6x6": System(
        [*COMMON, "lattice.length=6", "ansatz.alpha=8", "sampler.n_chains=128", "sampler.n_samples=512"],
        36 * -0.503810,
        15.0,
        1,
    ),
}
# name -> learning rate, other keys
METHODS: dict[str, tuple[float, list[str]]] = {
    "minsr": (RATE, []),
    "minsr, twice the rate": (2 * RATE, []),
    "momentum 0.8": (RATE, ["optimizer.momentum=0.8"]),
    "march, rate/5": (RATE / 5, ["optimizer=march"]),
    "march, rate/2": (RATE / 2, ["optimizer=march"]),
    "trust_region=shift": (RATE, ["optimizer.trust_region=shift"]),
    "trust_region=step": (RATE, ["optimizer.trust_region=step"]),
    "signal_to_noise=1": (RATE, ["optimizer.signal_to_noise=1"]),
    "cut=1e-4": (RATE, ["optimizer.cut=1e-4"]),
    "clip=5": (RATE, ["optimizer.clip=5"]),
}


def parts_of(system: System, method: str, n_steps: int, seed: int) -> Parts:
    rate, keys = METHODS[method]
    schedule = f"{{schedule: cosine, init_value: {rate}, decay_steps: {n_steps}, alpha: 0.1}}"
    shift = f"{{schedule: exponential, init_value: 0.01, transition_steps: {n_steps // 2}, decay_rate: 0.1}}"
    given = [f"optimizer.learning_rate={schedule}", f"optimizer.diag_shift={shift}", f"seed={seed}"]
    return build(compose([*system.keys, *keys, *given], 1), SERIAL)


def cost(system: System, method: str) -> float:
    """CPU seconds of a step."""
    driver = parts_of(system, method, 100, 0).task.functions
    state, seconds = driver.warmed(driver.init()), []
    for _ in range(TIMED):
        begun = time.process_time()
        moved, samples, counts = driver.sample(state)
        batch, _ = driver.evaluate(state.params, samples, counts)
        state, _ = jax.block_until_ready(driver.update(state, moved, batch))
        seconds.append(time.process_time() - begun)
    return min(seconds[1:])


def run(system: System, method: str, n_steps: int, seed: int) -> dict[str, Any]:
    driver = parts_of(system, method, n_steps, seed).task.functions
    state, last = driver.warmed(driver.init()), {}
    for _ in range(n_steps):
        moved, samples, counts = driver.sample(state)
        batch, _ = driver.evaluate(state.params, samples, counts)
        state, last = driver.update(state, moved, batch)
    final = driver.final(state.params, 64)
    found = {"energy": final.mean.real, "error": final.error, "variance": final.variance}
    return found | {
        name: float(last[name]) for name in ("shift_factor", "step_factor", "clipped", "rank") if name in last
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=", ".join(SYSTEMS))
    parser.add_argument("--only", nargs="*", default=list(METHODS), metavar="NAME", help=", ".join(METHODS))
    parser.add_argument("--out", type=Path, default=Path("relatives.jsonl"))
    options = parser.parse_args()
    for name in options.systems or SYSTEMS:
        system = SYSTEMS[name]
        print(f"\n| {name} | CPU seconds a step | steps | relative error of each seed | mean |\n|---|---|---|---|---|")
        costs: dict[tuple[str, ...], float] = {}  # by the keys: rates cost nothing
        for method in options.only:
            keys = tuple(METHODS[method][1])
            each = costs[keys] if keys in costs else costs.setdefault(keys, cost(system, method))
            n_steps, errors = int(system.seconds / each), []
            for seed in range(system.seeds):
                found = run(system, method, n_steps, seed)
                errors.append((found["energy"] - system.exact) / abs(system.exact))
                line = {"system": name, "method": method, "seed": seed, "step": each, "n_steps": n_steps} | found
                with options.out.open("a") as file:
                    file.write(json.dumps(line | {"relative_error": errors[-1]}) + "\n")
            spread = f" ± {np.std(errors, ddof=1) / len(errors) ** 0.5:.1e}" if len(errors) > 1 else ""
            told = ", ".join(f"{one:.2e}" for one in errors)
            print(f"| {method} | {each:.3f} | {n_steps} | {told} | {np.mean(errors):.2e}{spread} |", flush=True)


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
