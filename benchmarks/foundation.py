"""One network for eight couplings against eight networks: the transverse-field Ising ring, CPU seconds and errors.

    PJRT_NPROC=1 OPENBLAS_NUM_THREADS=1 python benchmarks/foundation.py [--length 12] [--steps 120] [--samples 256]
        [--shared 1024] [--shared-steps 120] [--out FILE]

Whole jobs, compiling included, with fresh programs each and without second ensembles: eight runs of ansatz=vit, one a
coupling h, and one run of task=foundation over all of them, whose network has the same sizes. Reported are the CPU
seconds of each way and the relative errors of the energies, and of the network at couplings half way between those that
it was trained at, by sums over all states. The exact energies are those of free fermions (Pfeuty 1970,
doi:10.1016/0003-4916(70)90270-8). One JSON line goes to FILE; ``--steps 0`` leaves out
the single runs.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

FIELDS = tuple(float(h) for h in np.linspace(0.5, 1.5, 8).round(4))
CHAINS_OF_ONE = 16  # Markov chains of each wave function


def exact(n_sites: int, h: float) -> float:
    """-sum over momenta (2 m + 1) pi / N of sqrt(1 + h^2 + 2 h cos k)."""
    k = (2 * np.arange(n_sites) + 1) * np.pi / n_sites
    return -float(np.sum(np.sqrt(1 + h * h + 2 * h * np.cos(k))))


def job(folder: Path, *words: str) -> tuple[float, dict[str, Any]]:
    """A whole job: its CPU seconds and its summary."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "nqs_hpc", *words, f"run_dir={folder}", "task.second_samples=0"]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"JAX_ENABLE_COMPILATION_CACHE": "0"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, json.loads((folder / "summary.json").read_text())


def between(folder: Path, n_sites: int) -> list[float]:
    """Relative errors half way between neighbouring couplings, from all amplitudes of the network that is told them."""
    import jax
    import jax.numpy as jnp

    from nqs_hpc.library import load_run
    from nqs_hpc.operators.ising import ising

    run = load_run(folder)
    ansatz, params = run.parts.ansatz, run.params
    assert ansatz.bound is not None
    codes = np.arange(2**n_sites)
    s_BN = 1 - 2 * (codes[:, None] >> np.arange(n_sites) & 1)
    bonds = np.array([sorted((i, (i + 1) % n_sites)) for i in range(n_sites)])
    diagonal_B = np.asarray(jax.vmap(ising(n_sites, bonds, J=1.0, h=1.0).diagonal)(jnp.asarray(s_BN, jnp.int8)))

    @jax.jit
    def log_psi(gamma: Any) -> Any:
        return jax.vmap(lambda s_N: ansatz.bound(gamma).log_psi(params, s_N))(jnp.asarray(s_BN, jnp.int8))  # type: ignore[misc]

    found = []
    for h in (np.array(FIELDS[1:]) + FIELDS[:-1]) / 2:
        log = np.asarray(log_psi(jnp.array([h])))
        psi = np.exp(log - log.max())
        flipped = sum(psi[codes ^ 1 << i] for i in range(n_sites))
        energy = psi @ (diagonal_B * psi - h * flipped) / (psi @ psi)
        found.append(float(1 - energy / exact(n_sites, h)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("length", 12), ("steps", 120), ("samples", 256), ("shared", 1024), ("shared-steps", 120)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--out")
    given = parser.parse_args()
    sizes = [
        f"lattice.length={given.length}",
        "ansatz.width=8",
        "ansatz.heads=2",
        "ansatz.layers=1",
        "log.progress=lines",
    ]
    errors: dict[str, list[float]] = {}
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        several = "{h: [" + ", ".join(f"{h:g}" for h in FIELDS) + "]}"
        chains = len(FIELDS) * CHAINS_OF_ONE
        seconds["foundation"], summary = job(
            home / "several",
            *sizes,
            "ansatz=foundation_vit",
            "task=foundation",
            f"task.couplings={several}",
            f"task.n_steps={given.shared_steps}",
            f"sampler.n_chains={chains}",
            f"sampler.n_samples={given.shared}",
        )
        errors["foundation"] = [
            1 - one["energy"] / exact(given.length, h) for one, h in zip(summary["couplings"], FIELDS, strict=True)
        ]
        errors["between"] = between(home / "several", given.length)
        print(json.dumps({"seconds": seconds, "errors": errors}), flush=True)
        seconds["single"], errors["single"] = 0.0, []
        for h in FIELDS if given.steps else ():
            words = [f"hamiltonian.h={h:g}", "ansatz=vit", f"task.n_steps={given.steps}", "task.final_samples=4096"]
            words += [f"sampler.n_chains={4 * CHAINS_OF_ONE}", f"sampler.n_samples={given.samples}"]
            spent, summary = job(home / f"one-{h:g}", *sizes, *words)
            seconds["single"] += spent
            errors["single"].append(1 - summary["energy"]["mean"] / exact(given.length, h))
            print(h, round(spent, 1), errors["single"][-1], flush=True)
    for name, values in errors.items():
        worst = max(map(abs, values), default=0.0)
        print(f"{name:10} {seconds.get(name, 0):8.1f} s CPU, largest relative error {worst:.1e}")
    if given.out:
        with Path(given.out).open("a") as file:
            file.write(json.dumps({"given": vars(given), "seconds": seconds, "errors": errors}) + "\n")


if __name__ == "__main__":
    main()
