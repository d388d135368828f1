"""Whether runs still have the bits they had at an earlier revision: the yardstick of a refactor.

    make same-bits BASE=REV          REV: any revision of git

Runs short jobs, every ansatz family, Hamiltonian, sampler and optimizer at least once, on one rank and on two, one of
them stopped and started again, in a worktree of REV and in this tree. Compares metrics.jsonl line by line without the
seconds, the numbers of summary.json, and the parameters of the last checkpoint, and names what differs. Exit code 1
where something does. Results of REV are kept in .same-bits/REV and computed once; both trees share compiled programs.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".same-bits"
NET = """
import flax.linen as nn
import jax.numpy as jnp

class Net(nn.Module):
    width: int = 8

    @nn.compact
    def __call__(self, s):
        x = nn.Dense(self.width, param_dtype=jnp.float64)(s.astype(jnp.float64))
        return jnp.sum(jnp.log(jnp.cosh(x)), axis=-1)
"""
# what depends on the clock, on the place or on the machine
TIMES = {"seconds", "sample_s", "local_energy_s", "solve_s"}
ELSEWHERE = {"seconds", "reason", "doubts", "warnings", "threads", "n_ranks", "task", "quantities", "trust"}


class Job(NamedTuple):
    words: str
    ranks: int = 1
    stopped: bool = False  # stopped on the way, and started again by the same command


SMALL = "sampler.n_samples=64 sampler.n_chains=16"
JOBS = {
    "rbm_sgd": Job(f"lattice.length=8 optimizer=sgd {SMALL} seed=3"),
    "rbm_complex": Job(
        f"lattice=square lattice.length=4 hamiltonian=heisenberg ansatz.dtype=complex ansatz.alpha=1 optimizer=sr "
        f"optimizer.solver=cholesky symmetrize.group=translations {SMALL}",
        2,
    ),
    "jastrow": Job(
        "lattice.length=6 hamiltonian=bose_hubbard ansatz=jastrow optimizer=sr optimizer.solver=eigh "
        f"sampler.move={{hop:0.7,hamiltonian:0.3}} {SMALL}"
    ),
    "mlp": Job(
        "lattice.length=6 hamiltonian=pauli 'hamiltonian.terms=[{coefficient: -1.0, operators: ZZ, neighbours: 1},"
        "{coefficient: -0.7, operators: X, sites: all},{coefficient: 0.2, operators: YY, neighbours: 1}]' "
        f"ansatz=mlp optimizer=adam optimizer.average=0.9 {SMALL}"
    ),
    "cnn": Job(
        f"lattice.length=8 hamiltonian=rydberg ansatz=cnn ansatz.layers=2 ansatz.features=4 ansatz.kernel=3 {SMALL}", 2
    ),
    "resnet": Job(
        "lattice=square lattice.length=4 hamiltonian=heisenberg hamiltonian.J=[1,0.5] ansatz=resnet "
        f"ansatz.dtype=complex ansatz.layers=2 ansatz.features=4 ansatz.kernel=3 optimizer=sr "
        f"optimizer.solver=minsr {SMALL}"
    ),
    "vit": Job(
        "lattice=square lattice.length=2 hamiltonian=toric_code ansatz=vit ansatz.patch=1 ansatz.width=8 "
        "ansatz.heads=2 ansatz.layers=1 sampler=tempering sampler.n_replicas=3 " + SMALL
    ),
    "gcnn": Job(
        "lattice=square lattice.length=4 hamiltonian=heisenberg ansatz=gcnn ansatz.layers=2 ansatz.features=2 "
        "ansatz.activation=gelu "  # its selu was a function of its own once, with other rounding
        f"optimizer=sr optimizer.solver=cg sampler.sweep=adaptive {SMALL}"
    ),
    "modulus_phase": Job(
        "lattice=triangular lattice.length=3 hamiltonian=heisenberg ansatz=modulus_phase ansatz.modulus=rbm "
        "ansatz.phase=mlp sampler=enumerate optimizer.momentum=0.9"
    ),
    "masked_dense": Job(
        "lattice.length=6 hamiltonian=bose_hubbard ansatz=masked_dense ansatz.layers=2 ansatz.features=4 "
        "sampler=autoregressive sampler.n_samples=64"
    ),
    "masked_conv": Job(
        "lattice.length=8 hamiltonian=heisenberg ansatz=masked_conv ansatz.layers=2 ansatz.features=4 ansatz.kernel=3 "
        "sampler=autoregressive sampler.n_samples=64 ansatz.dtype=complex",
        2,
    ),
    "flax": Job(f"lattice.length=6 ansatz=flax ansatz.module=net_of_flax:Net optimizer.solver=eigh {SMALL}"),
    "restarted": Job(f"lattice.length=8 optimizer=sr optimizer.average=0.8 task.n_steps=60 {SMALL}", 2, stopped=True),
}
COMMON = "task.n_steps=4 task.final_samples=1024 checkpoint.every_steps=1 compile_cache={cache} resources.threads=1"


def start(tree: Path, job: Job, folder: Path, *, n_steps: str = "") -> subprocess.Popen[bytes]:

    words = shlex.split(job.words)
    given = {word.partition("=")[0] for word in words}
    common = [w for w in COMMON.format(cache=HOME / "xla").split() if w.partition("=")[0] not in given]
    command = [sys.executable, "-m", "nqs_hpc", *words, *common, f"run_dir={folder}"]
    if job.ranks > 1:
        command = [str(Path(sys.executable).parent / "mpiexec"), "-n", str(job.ranks), *command]
    environment = os.environ | {"PYTHONPATH": str(tree)}
    return subprocess.Popen(
        command, cwd=HOME / "here", env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def ended(process: subprocess.Popen[bytes], name: str, *codes: int) -> None:
    _, said = process.communicate()
    if process.returncode not in codes:
        raise SystemExit(f"{name}: exit code {process.returncode}\n{said.decode()}")


def run(tree: Path, name: str, job: Job, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    process = start(tree, job, folder)
    if job.stopped:
        log = folder / "metrics.jsonl"
        while process.poll() is None and not (log.exists() and log.read_bytes().count(b"\n") >= 3):
            time.sleep(0.02)
        if process.poll() is None:
            (folder / "STOP").touch()
        ended(process, name, 0, 85)
        if not (folder / "STOP").exists():
            raise SystemExit(f"{name} ended before it could be stopped: give it more steps")
        (folder / "STOP").unlink()
        process = start(tree, job, folder)
    ended(process, name, 0)


def lines(folder: Path) -> Iterator[dict[str, Any]]:
    for text in (folder / "metrics.jsonl").read_text().splitlines():
        yield {key: value for key, value in json.loads(text).items() if key not in TIMES}


def flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {k: v for name, below in value.items() for k, v in flat(below, f"{prefix}.{name}").items()}
    return {prefix.lstrip("."): value}


def parameters(folder: Path) -> dict[str, np.ndarray]:
    newest = max((folder / "checkpoints").glob("step_*.h5"))
    found = {}
    with h5py.File(newest, "r") as file:
        file["params"].visititems(
            lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {})
        )
    return found


def differences(before: Path, now: Path) -> list[str]:
    """What differs between two run folders, a line each."""
    found = []
    old, new = list(lines(before)), list(lines(now))
    if len(old) != len(new):
        found.append(f"metrics.jsonl has {len(new)} lines, before {len(old)}")
    for a, b in zip(old, new, strict=False):
        odd = [key for key in a if key not in b or b[key] != a[key]]
        found += [f"step {a['step']}: {key} {a[key]!r} -> {b.get(key, '(absent)')!r}" for key in odd]
    a, b = (flat(json.loads((folder / "summary.json").read_text())) for folder in (before, now))
    for key, value in a.items():
        if key.partition(".")[0] not in ELSEWHERE and (key not in b or b[key] != value):
            found.append(f"summary.json: {key} {value!r} -> {b.get(key, '(absent)')!r}")
    p, q = parameters(before), parameters(now)
    if p.keys() != q.keys():
        found.append(f"parameters {sorted(p)} -> {sorted(q)}")
    found += [f"parameters {name} differ" for name in p if name in q and p[name].tobytes() != q[name].tobytes()]
    return found


def main(base: str, only: list[str]) -> int:
    revision = subprocess.run(
        ["git", "rev-parse", "--verify", f"{base}^{{commit}}"], cwd=ROOT, capture_output=True, text=True
    )
    if revision.returncode:
        print(f"BASE={base} is no revision of this repository")
        return 2
    commit = revision.stdout.strip()
    kept, here, tree = HOME / commit[:12], HOME / "here", HOME / "tree"
    for folder in (kept, here):
        folder.mkdir(parents=True, exist_ok=True)
    (here / "net_of_flax.py").write_text(NET)
    jobs = {name: job for name, job in JOBS.items() if not only or name in only}
    if any(not (kept / name / "DONE").exists() for name in jobs):
        subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, capture_output=True)
        subprocess.run(
            ["git", "worktree", "add", "--detach", "--force", str(tree), commit],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )
        try:
            for name, job in jobs.items():
                if not (kept / name / "DONE").exists():
                    run(tree, name, job, kept / name)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(tree)], cwd=ROOT, capture_output=True)
    n_odd = 0
    for name, job in jobs.items():
        run(ROOT, name, job, here / name)
        odd = differences(kept / name, here / name)
        n_odd += bool(odd)
        told = f"differs from {base}" if odd else "same bits"
        print(f"{name:14s} {job.ranks} rank{'s' * (job.ranks > 1)}  {told}", flush=True)
        for line in odd[:12]:
            print(f"    {line}")
        if len(odd) > 12:
            print(f"    and {len(odd) - 12} more")
    return int(n_odd > 0)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("python benchmarks/same_bits.py REV [JOB ...]")
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
