"""manifest.json: what ran, on what, and every start of it.

The top level describes the latest start (command, versions, git commit, MPI, ranks); ``starts`` lists all starts, each
with UTC time, step, rank count, hosts, reason, changes of the configuration, the Slurm job and how often Slurm had
restarted it, the seconds until the end of its first step, and how it ended. ``exit`` is null for a start that was
killed, ``seconds`` for one that made no step.
"""

from __future__ import annotations

import os
import platform
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any

from nqs_hpc import __version__
from nqs_hpc.inputs.reading import unfit
from nqs_hpc.job import slurm
from nqs_hpc.job.files import on_root, read_json, write_json
from nqs_hpc.parallel.world import World

PACKAGES = ("jax", "jaxlib", "numpy", "scipy", "optax", "mpi4py", "mpi4jax", "h5py", "hydra-core")


def start(folder: Path, world: World, *, step: int, reason: str, changed: list[str], physics: dict[str, Any]) -> None:
    """Record a start from ``step``, for a ``reason`` such as "new" or "resumed"; collective.

    ``changed`` lists the changes of the configuration since the last start, ``key: a -> b``. ``physics`` identifies the
    run: a start with a different one is refused (`recorded_physics`).

    Raises ValueError on every rank if there is a manifest that cannot be read.
    """
    cpus = sorted(os.sched_getaffinity(0))
    # XLA's CPU client takes its thread count from these, else from the affinity mask.
    threads = os.environ.get("PJRT_NPROC") or os.environ.get("NPROC") or len(cpus)
    ranks = world.gather({"host": socket.gethostname(), "threads": int(threads), "cpus": cpus})

    def act() -> None:
        assert ranks is not None
        path = folder / "manifest.json"
        starts = _read(path)["starts"] if path.exists() else []
        hosts = list(dict.fromkeys(rank["host"] for rank in ranks))
        entry = {"time": _now(), "step": step, "n_ranks": world.size, "hosts": hosts, "reason": reason}
        entry |= {"changed": changed, "slurm_job": slurm.job_id(), "restart_count": _restart_count()}
        description = {
            "command": shlex.join(sys.orig_argv),
            "versions": versions(),
            "git": git(Path(__file__).resolve().parents[2]),
            "mpi": world.library,
            "n_ranks": world.size,
            "hosts": hosts,
            "ranks": ranks,
            "physics": physics,
        }
        write_json(path, description | {"starts": [*starts, entry | {"seconds": None, "exit": None}]})

    on_root(world, act)


def first_step(folder: Path, moments: Mapping[str, float]) -> None:
    """Record how long the latest start took to the end of its first step, part by part; rank 0 calls it.

    ``moments``: clock readings by name, the first at the beginning; each part has the name of the moment that ends it.
    """
    manifest = _read(folder / "manifest.json")
    parts = {name: round(then - before, 3) for (_, before), (name, then) in pairwise(moments.items())}
    manifest["starts"][-1]["seconds"] = parts
    write_json(folder / "manifest.json", manifest)


def end(folder: Path, *, step: int, reason: str, saves: tuple[int, float], in_vain: bool = False) -> None:
    """Record how the latest start ended; rank 0 calls it. Raises ValueError if the manifest cannot be read.

    ``saves``: how many checkpoints it wrote, and how many seconds that took. ``in_vain``: its time ran out before it
    made progress.
    """
    manifest = _read(folder / "manifest.json")
    last = {"time": _now(), "step": step, "reason": reason, "saves": saves[0], "save_seconds": round(saves[1], 3)}
    last |= {"in_vain": True} if in_vain else {}
    manifest["starts"][-1]["exit"] = last
    write_json(folder / "manifest.json", manifest)


def was_in_vain(folder: Path) -> bool:
    """Whether the start before the latest one ran out of time before it made progress; rank 0 calls it."""
    starts = _read(folder / "manifest.json")["starts"]
    before = starts[-2].get("exit") if len(starts) > 1 else None
    return isinstance(before, dict) and before.get("in_vain") is True


def starts(folder: Path) -> list[dict[str, Any]]:
    """All starts of the run in ``folder``, oldest first; none if no run has started there."""
    path = folder / "manifest.json"
    found: list[dict[str, Any]] = _read(path)["starts"] if path.exists() else []
    return found


def recorded_physics(folder: Path) -> dict[str, Any] | None:
    """What the run in ``folder`` computes, as its first start recorded it; None if no run has started there."""
    path = folder / "manifest.json"
    return _read(path).get("physics") if path.exists() else None


def versions() -> dict[str, str | None]:
    """Versions of Python, this package and its dependencies, without importing them; null if not installed."""
    found: dict[str, str | None] = {"nqs_hpc": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def git(root: Path) -> dict[str, Any] | None:
    """Commit of the checkout at ``root``, and whether tracked files differ from it; None if there is no checkout."""
    try:
        # The package may be installed in a venv inside another project's checkout: only our own top level counts.
        if Path(_git(root, "rev-parse", "--show-toplevel")).resolve() != root.resolve():
            return None
        dirty = _git(root, "status", "--porcelain", "--untracked-files=no") != ""
        return {"commit": _git(root, "rev-parse", "HEAD"), "dirty": dirty}
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *words: str) -> str:
    command = ["git", "-C", str(root), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()


def _read(path: Path) -> dict[str, Any]:
    manifest = read_json(path)
    starts = manifest.get("starts") if isinstance(manifest, dict) else None
    if not isinstance(starts, list) or not all(isinstance(entry, dict) for entry in starts):
        raise unfit(path, "is not a manifest of nqs_hpc: it lists no starts; move it away")
    if not isinstance(manifest.get("physics", {}), dict):
        raise unfit(path, "is not a manifest of nqs_hpc: its physics is not an object; move it away")
    return manifest


def _restart_count() -> int | None:
    count = os.environ.get("SLURM_RESTART_COUNT", "")
    return int(count) if count.isdigit() else None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
