"""The devices that jax uses, and whether devices and MPI work together."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

from nqs_hpc.doctor.checks import (
    BUILD,
    CHILD_SECONDS,
    MIB,
    Line,
    Outcome,
    child,
    failures,
    merged,
    together,
    who,
)
from nqs_hpc.parallel.errors import error_text
from nqs_hpc.parallel.world import World

SMALL, LOOPS = 8, 200  # numbers in a small message; reductions in a row, so that the overhead of the call is negligible
LARGE, REPEATS = 2**21, 5  # numbers in a large message: 16 MiB; calls, the fastest of which counts


class Device(NamedTuple):
    """The device of one rank."""

    platform: str  # cpu, gpu, ...
    kind: str
    number: int  # devices that jax sees
    given: str | None  # the GPU of this rank; None if there are no GPUs
    identity: str  # of that GPU, unique on its host
    hidden: str  # signs of GPUs that jax does not see, and what may hide them; else empty


def device(given: str | None) -> Device:
    """This rank's device; imports jax. ``given``: the id that `place` chose."""
    import jax

    try:
        found = jax.devices()
    except Exception as error:  # without a message if this jax was not built for JAX_PLATFORMS
        asked_for = os.environ.get("JAX_PLATFORMS", "")
        raise RuntimeError(f"jax finds no device, JAX_PLATFORMS={asked_for}: {error_text(error)}") from None
    nodes = list(Path("/dev").glob("nvidia[0-9]*"))
    hidden = ""
    if found[0].platform == "cpu" and (nodes or given is not None):
        words = [f"{len(nodes)} in /dev"] if nodes else []
        words += [
            f"{name}={os.environ[name]}" for name in ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS") if name in os.environ
        ]
        hidden = ", ".join(words)
    listing = ""
    if given is not None and shutil.which("nvidia-smi"):
        asked = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=CHILD_SECONDS)
        listing = asked.stdout
    return Device(found[0].platform, found[0].device_kind, len(found), given, gpu_identity(given, listing), hidden)


def gpu_identity(given: str | None, listing: str) -> str:
    """The UUID of a GPU's id, from ``nvidia-smi -L``: if Slurm shows each rank only its own GPU, all have number 0."""
    if given is None:
        return ""
    known = re.findall(r"^GPU (\d+): .*\(UUID: ([^)\s]+)\)", listing, flags=re.MULTILINE)
    return dict(known).get(given, given)


def devices(outcomes: list[Outcome]) -> Line:
    """The line about the devices of all ranks, from the outcomes of `device`."""
    use = [(o.rank, o.host, o.value.identity) for o in outcomes if not o.error and o.value.given is not None]

    def judge(outcome: Outcome) -> Line:
        own: Device = outcome.value
        if own.platform == "cpu":
            if own.hidden:
                advice = (
                    "pip install 'jax[cuda13]' (driver 580 or newer, else jax[cuda12]) and build mpi4jax with CUDA=1; "
                    "where it is, unset JAX_PLATFORMS and ask Slurm for GPUs"
                )
                return Line("warning", f"jax sees CPUs only, but there are GPUs ({own.hidden})", advice)
            return Line("ok", "CPU")
        found = f"{own.number} {own.platform} ({own.kind})"
        if any(rank != outcome.rank and (host, gpu) == (outcome.host, own.identity) for rank, host, gpu in use):
            advice = "one rank a GPU: as many --ntasks-per-node as --gpus-per-node"
            return Line("warning", f"{found}, GPU {own.given} shared with other ranks", advice)
        return Line("ok", found)

    lines = [outcome if outcome.error else outcome._replace(value=judge(outcome)) for outcome in outcomes]
    return merged(lines, "JAX_PLATFORMS and the installed jax must fit the machine: pip install jax or 'jax[cuda13]'")


# --- several ranks ---


def allreduce(here: World) -> Line:
    """One sum over all ranks inside jit: its value, the latency of small messages and the bandwidth of large ones."""
    if here.size == 1:
        return Line("ok", "one rank: nothing to send")
    programs: dict[str, Any] = {}

    def prepare() -> None:
        import jax
        import jax.numpy as jnp

        from nqs_hpc.parallel.comm import comm

        links = comm(here)

        def many(x: jax.Array) -> jax.Array:
            return jax.lax.fori_loop(0, LOOPS, lambda _, x: links.sum(x) / links.size, x)

        small, large = jnp.full(SMALL, 3.0), jnp.arange(LARGE, dtype=float) % 1024 + here.rank
        programs["small"], programs["large"] = (jax.jit(many), small), (jax.jit(links.sum), large)
        for function, x in programs.values():
            # A program that cannot be compiled fails here, where no other rank waits. We do not call the result: after
            # its first call a compiled program of mpi4jax loses the token that orders its messages (jax 0.10).
            function.lower(x).compile()

    def run() -> tuple[float, float, int]:
        import numpy as np

        times, results = {}, {}
        for name, (function, x) in programs.items():
            times[name] = float("inf")
            for _ in range(REPEATS):
                begun = time.perf_counter()
                results[name] = function(x).block_until_ready()
                times[name] = min(times[name], time.perf_counter() - begun)
        # integers below 2**53: the sums are exact in any order
        expected = np.arange(LARGE) % 1024 * here.size + here.size * (here.size - 1) // 2
        wrong = np.sum(np.asarray(results["large"]) != expected) + np.sum(np.asarray(results["small"]) != 3.0)
        return times["small"] / LOOPS, times["large"], int(wrong)

    advice = f"build mpi4jax for this MPI (CUDA=1 for GPUs): {BUILD}"
    ready = together(here, prepare)
    if (broken := failures(ready, advice)) is not None:
        return broken
    ran = together(here, run)
    if (broken := failures(ran, advice)) is not None:
        return broken
    if wrong := [outcome for outcome in ran if outcome.value[2]]:
        return Line("fault", f"wrong sums on {who(wrong)}", f"{advice}; else ask for another MPI or network setting")
    latency, large_s = (max(outcome.value[part] for outcome in ran) for part in (0, 1))
    speed = f"{8 * LARGE / MIB:.0f} MiB in {1e3 * large_s:.1f} ms ({8 * LARGE / large_s / 1e9:.2f} GB/s)"
    return Line("ok", f"sums over {here.size} ranks are right; {8 * SMALL} bytes in {1e6 * latency:.1f} us, {speed}")


CUDA_AWARE = """
import jax, jax.numpy as jnp, mpi4jax
from mpi4py import MPI
x = jnp.arange(1024.0)
y = jax.jit(lambda x: mpi4jax.allreduce(x, op=MPI.SUM, comm=MPI.COMM_WORLD))(x)
print("equal" if bool((x == y).all()) else "not equal", jax.devices()[0].platform)
"""


def cuda_aware(here: World, found: list[Outcome]) -> Line:
    """Whether MPI accepts GPU memory; one rank per host tries it in a child, because a failure is a crash.

    ``found``: the outcomes of `device`. A fault only if the user has switched it on, so that jobs would crash.
    """
    gpus = {outcome.host for outcome in found if not outcome.error and outcome.value.platform != "cpu"}
    if not gpus:
        return Line("ok", "does not apply: jax computes on CPUs")

    def act() -> Line | None:
        if here.local_rank > 0 or socket.gethostname() not in gpus:
            return None
        in_use = os.environ.get("MPI4JAX_USE_CUDA_MPI", "").lower() in ("1", "true", "on")
        return judge_cuda_aware(*child(CUDA_AWARE, {"MPI4JAX_USE_CUDA_MPI": "1"}), in_use=in_use)

    return merged(together(here, act), "leave MPI4JAX_USE_CUDA_MPI unset", "host")


def judge_cuda_aware(answer: str, trouble: str, *, in_use: bool) -> Line:
    """The line that follows from the last line of the child, or why it printed none; ``in_use``: jobs here rely on
    it."""
    if answer.startswith("equal"):
        return Line("ok", "works on one rank" + ("" if in_use else "; MPI4JAX_USE_CUDA_MPI=1 would use it"))
    found = f"does not work with MPI4JAX_USE_CUDA_MPI=1 ({trouble or 'wrong sums'})"
    if in_use:
        return Line("fault", f"{found}, which is set", "unset it: messages then go through host memory")
    return Line("warning", found, "leave that unset: messages go through host memory; or use a CUDA-aware MPI")
