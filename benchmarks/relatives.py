"""Relatives of minSR against minSR at equal time: J1-J2 at J2/J1 = 0.5 by an RBM of shared weights, or a perceptron.

    PJRT_NPROC=1 OPENBLAS_NUM_THREADS=1 python benchmarks/relatives.py [SYSTEM ...] [--only NAME ...] [--out FILE]

One process and one thread. Steps are timed in CPU seconds, and a method whose step costs more than minSR's makes as
many fewer; schedules end with the last step of each. Energies are those of fresh chains. The
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
ALIKE = 1.1  # two steps whose times differ by less take the same


class System(NamedTuple):
    keys: list[str]
    exact: float
    n_steps: int  # of minsr
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
        120,
        3,
    ),
    "4x4 mlp": System(
        [
            *(key for key in COMMON if not key.startswith("ansatz=")),
            "ansatz=mlp",
            "ansatz.alphas=[2,2]",
            "lattice.length=4",
            "sampler.n_chains=128",
            "sampler.n_samples=1024",
        ],
        -8.457923351,
        60,
        1,
    ),
    "6x6": System(
        [*COMMON, "lattice.length=6", "ansatz.alpha=8", "sampler.n_chains=128", "sampler.n_samples=512"],
        36 * -0.503810,
        100,
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
    "line_search": (RATE, ["optimizer.line_search=[0.25,0.5,1]"]),
    "line_search, twice the rate": (2 * RATE, ["optimizer.line_search=[0.125,0.25,0.5,1]"]),
    "line_search, 4 times the rate": (4 * RATE, ["optimizer.line_search=[0.125,0.25,0.5,1]"]),
    "sr": (RATE, ["optimizer=sr", "optimizer.solver=cholesky"]),
    "block_diagonal=layers": (RATE, ["optimizer=sr", "optimizer.block_diagonal=layers"]),
    "block_diagonal=layers, rate/2": (RATE / 2, ["optimizer=sr", "optimizer.block_diagonal=layers"]),
    "block_diagonal=leaves": (RATE, ["optimizer=sr", "optimizer.block_diagonal=leaves"]),
}


def parts_of(system: System, method: str, n_steps: int, seed: int) -> Parts:
    rate, keys = METHODS[method]
    schedule = f"{{schedule: cosine, init_value: {rate}, decay_steps: {n_steps}, alpha: 0.1}}"
    shift = f"{{schedule: exponential, init_value: 0.01, transition_steps: {n_steps // 2}, decay_rate: 0.1}}"
    given = [f"optimizer.learning_rate={schedule}", f"optimizer.diag_shift={shift}", f"seed={seed}"]
    return build(compose([*system.keys, *keys, *given], 1), SERIAL)


def run(system: System, method: str, n_steps: int, seed: int) -> dict[str, Any]:
    """A run to its end, with the CPU seconds of its cheapest step."""
    driver = parts_of(system, method, n_steps, seed).task.functions
    state, last, seconds = driver.warmed(driver.init()), {}, []
    for _ in range(n_steps):
        begun = time.process_time()
        moved, samples, counts = driver.sample(state)
        batch, _ = driver.evaluate(state.params, samples, counts)
        state, last = jax.block_until_ready(driver.update(state, moved, batch))
        seconds.append(time.process_time() - begun)
    final = driver.final(state.params, 64)
    found = {"energy": final.mean.real, "error": final.error, "variance": final.variance, "step": min(seconds[1:])}
    names = ("shift_factor", "step_factor", "step_fraction", "clipped", "rank")
    return found | {name: float(last[name]) for name in names if name in last}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="*", metavar="SYSTEM", help=", ".join(SYSTEMS))
    parser.add_argument("--only", nargs="*", default=list(METHODS), metavar="NAME", help=", ".join(METHODS))
    parser.add_argument("--reference", type=float, metavar="SECONDS", help="of a step of minsr; the first method's")
    parser.add_argument("--out", type=Path, default=Path("relatives.jsonl"))
    options = parser.parse_args()
    for name in options.systems or SYSTEMS:
        system = SYSTEMS[name]
        print(f"\n| {name} | CPU seconds a step | steps | relative error of each seed | mean |\n|---|---|---|---|---|")
        reference = options.reference
        for method in options.only:
            n_steps, runs = system.n_steps, []
            for seed in range(system.seeds):
                found = run(system, method, n_steps, seed)
                reference = reference or found["step"]
                if not seed and found["step"] > ALIKE * reference:  # then fewer steps are as long
                    n_steps = round(system.n_steps * reference / found["step"])
                    found = run(system, method, n_steps, seed)
                runs.append(found | {"relative_error": (found["energy"] - system.exact) / abs(system.exact)})
                with options.out.open("a") as file:
                    line = {"system": name, "method": method, "seed": seed, "n_steps": n_steps} | runs[-1]
                    file.write(json.dumps(line) + "\n")
            errors, each = [one["relative_error"] for one in runs], min(one["step"] for one in runs)
            spread = f" ± {np.std(errors, ddof=1) / len(errors) ** 0.5:.1e}" if len(errors) > 1 else ""
            told = ", ".join(f"{one:.2e}" for one in errors)
            print(f"| {method} | {each:.3f} | {n_steps} | {told} | {np.mean(errors):.2e}{spread} |", flush=True)


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()
