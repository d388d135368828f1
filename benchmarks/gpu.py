"""One step of each workload of the ladder on the GPU and on the CPU: the same numbers, and the seconds of both.

    python benchmarks/gpu.py [--device cuda|cpu] [--workloads W1,W4] [--full] [--steps 5] [--markdown FILE]

Chains are warmed up and drawn on the CPU; both devices then evaluate the same samples and make the same update, in
float64. Held to TOLERANCE, relative to the largest number: local energies, and the parameters after the step. Chains
of the two devices are not compared: one proposal that rounding decides otherwise makes them others for good. Small
settings unless --full: a comparison needs no more, and the times that it gives are those of small settings.
--device cpu lets the CPU stand for the GPU, so that this program can be tried without one.

Exit codes: 0; 1 where numbers differ; 2 for bad input, and where jax finds no such device, in one line.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

TOLERANCE = 1e-10
FERMIONS = (
    "lattice=square lattice.length=4 hamiltonian=hubbard hamiltonian.U=4.0 sector=[5,5] ansatz=jastrow_slater "
    "sampler.n_chains=256 sampler.n_samples=1024 optimizer=minsr optimizer.diag_shift=0.01 optimizer.learning_rate=0.02"
)
SMALL = {"sampler.n_chains": 32, "sampler.n_samples": 128}
PARTS = ("sample", "local energies", "update")


class Compared(NamedTuple):
    """A workload on both devices."""

    name: str
    title: str
    energies: float  # the largest difference of local energies, relative to the largest of them
    parameters: float  # that of the parameters after the step
    seconds: dict[str, dict[str, float]]  # device, part -> the median

    @property
    def agrees(self) -> bool:
        return max(self.energies, self.parameters) <= TOLERANCE


def workloads() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Name -> title and the words of a configuration."""
    from benchmarks.ladder import WORKLOADS

    found = {name: (work.title, work.ours) for name, work in WORKLOADS.items()}
    return dict(sorted((found | {"W9": ("Slater-Jastrow, Hubbard 4x4, 10 fermions", tuple(FERMIONS.split()))}).items()))


def words_of(ours: tuple[str, ...], *, full: bool) -> list[str]:
    if full:
        return list(ours)
    given = dict(word.split("=", 1) for word in ours)
    return [f"{key}={SMALL.get(key, value)}" for key, value in given.items()]


def compared(name: str, title: str, words: list[str], device: Any, host: Any, n_steps: int) -> Compared:
    import jax
    import numpy as np

    from nqs_hpc.config.compose import compose
    from nqs_hpc.parallel.comm import serial
    from nqs_hpc.parts import build

    def start() -> tuple[Any, ...]:
        driver = build(compose(words, 1), serial()).task.functions
        state = driver.warmed(driver.init())
        return driver, state, driver.sample(state)

    with jax.default_device(host):
        driver, state, drawn = start()
    state, drawn = jax.device_get((state, drawn))
    results, seconds = [], {}
    for label, where in (("cpu", host), ("device", device)):
        with jax.default_device(where):
            results.append(_step(driver, *jax.device_put((state, drawn), where)))
            seconds[label] = _seconds(driver, jax.device_put(state, where), n_steps)
    (e_host, p_host), (e_device, p_device) = results

    def difference(x: Any, y: Any) -> float:
        worst = 0.0
        for one, other in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True):
            scale = np.max(np.abs(one), initial=np.finfo(float).tiny)
            worst = max(worst, float(np.nan_to_num(np.max(np.abs(one - other), initial=0.0) / scale, nan=np.inf)))
        return worst

    return Compared(name, title, difference(e_host, e_device), difference(p_host, p_device), seconds)


def _step(driver: Any, state: Any, drawn: Any) -> Any:
    import jax

    moved, samples, counts = drawn
    batch, _ = driver.evaluate(state.params, samples, counts)
    after, _ = driver.update(state, moved, batch)
    return jax.device_get((batch.e_loc_B, after.params))


def _seconds(driver: Any, state: Any, n_steps: int) -> dict[str, float]:
    """Medians over steps, after one that compiles."""
    import jax

    found: dict[str, list[float]] = {part: [] for part in PARTS}
    for number in range(n_steps + 1):

        def timed(part: str, function: Callable[..., Any], *arguments: Any, counts: bool = number > 0) -> Any:
            begin = time.perf_counter()
            result = jax.block_until_ready(function(*arguments))
            if counts:
                found[part].append(time.perf_counter() - begin)
            return result

        moved, samples, counts = timed("sample", driver.sample, state)
        batch, _ = timed("local energies", driver.evaluate, state.params, samples, counts)
        state, _ = timed("update", driver.update, state, moved, batch)
    return {part: statistics.median(times) for part, times in found.items()}


def markdown(found: list[Compared], device: str) -> str:
    lines = [
        f"On {device} and on the CPU; seconds are medians of a step, differences relative.",
        "",
        "| workload | local energies | parameters | device: " + ", ".join(PARTS) + " | CPU |",
        "|---|---|---|---|---|",
    ]
    for one in found:
        device_s, host_s = (
            ", ".join(f"{one.seconds[label][part]:.2e}" for part in PARTS) for label in ("device", "cpu")
        )
        differences = f"{one.energies:.1e} | {one.parameters:.1e}"
        lines.append(f"| {one.name}: {one.title} | {differences} | {device_s} | {host_s} |")
    return "\n".join(lines) + "\n"


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--workloads", default=None, help="names with commas; all of them without it")
    parser.add_argument("--full", action="store_true", help="the workloads as the ladder has them")
    parser.add_argument("--steps", type=int, default=5, help="that are timed")
    parser.add_argument("--markdown", type=Path, default=None, help="where the table is written as well")
    options = parser.parse_args(words)
    known = workloads()
    names = list(known) if options.workloads is None else options.workloads.split(",")
    if options.steps < 1 or not set(names) <= set(known):
        parser.error(f"--steps is at least 1, --workloads of {', '.join(known)}")

    os.environ["JAX_PLATFORMS"] = "cpu" if options.device == "cpu" else "cuda,cpu"
    os.environ["JAX_ENABLE_X64"] = "1"
    os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "highest")
    import jax

    try:
        device, host = jax.devices(options.device)[0], jax.devices("cpu")[0]
    except RuntimeError as error:
        print(f"--device {options.device}: jax finds none: {str(error).splitlines()[0]}", file=sys.stderr)
        return 2
    found = []
    for name in names:
        title, ours = known[name]
        found.append(compared(name, title, words_of(ours, full=options.full), device, host, options.steps))
        said = "agree" if found[-1].agrees else f"DIFFER by more than {TOLERANCE:g}"
        print(f"{name}: the devices {said}", file=sys.stderr, flush=True)
    table = markdown(found, device.device_kind)
    print(table, end="")
    if options.markdown is not None:
        options.markdown.write_text(table)
    return 0 if all(one.agrees for one in found) else 1


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.exit(main())
