"""The doctor's checks besides MPI: Slurm, the folder of the runs, compiled programs, clocks.

One function per check, as in `checks`: what a rank does by itself runs inside `together`.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from nqs_hpc.doctor.checks import MIB, Line, Outcome, count, failures, merged, together, who
from nqs_hpc.job import files, slurm
from nqs_hpc.job.lock import flock
from nqs_hpc.job.mounts import file_system
from nqs_hpc.parallel import compile_cache
from nqs_hpc.parallel.errors import error_text
from nqs_hpc.parallel.world import World

ASK_SECONDS = 5.0  # for a Slurm command to answer
SEEN_SECONDS = 10.0  # for a network file system to show a new file to the other hosts
SKEW_SECONDS = 1.0
WRITE = 8 * MIB  # bytes of the file that is timed
WORKS = "write, fsync, rename and flock work"
GIB = 2**30


# --- Slurm ---


class Asked(NamedTuple):
    """Queries to Slurm, sent all at once; each function waits for its answer and raises SlurmError."""

    version: Callable[[], str]
    plugins: Callable[[], list[str]]
    controller: Callable[[], str]
    end: Callable[[], float | None]  # of this job


def ask_slurm() -> Asked:
    """Query Slurm on several threads. If no controller answers, each command hangs until its time is over, but all
    together take no longer than one.
    """
    pool = ThreadPoolExecutor(4, "slurm")
    found = Asked(
        pool.submit(slurm.ask, "sbatch", "--version", limit=ASK_SECONDS).result,
        pool.submit(plugins).result,
        pool.submit(slurm.ask, "scontrol", "ping", limit=ASK_SECONDS).result,
        pool.submit(slurm.end_time, limit=ASK_SECONDS).result,
    )
    pool.shutdown(wait=False)
    return found


def begin(here: World) -> Asked | None:
    """Start rank 0's queries, if Slurm is installed; `queue` reads the answers."""
    there = shutil.which("sbatch") is not None or slurm.job_id() is not None
    return ask_slurm() if here.rank == 0 and there else None


def queue(here: World, asked: Asked | None) -> Line:
    """Slurm's version, its MPI plugins, its controller, this job and its remaining time, from rank 0's queries."""

    def act() -> Line | None:
        if here.rank > 0:
            return None
        return Line("ok", "not here") if asked is None else judge_queue(here.library, asked)

    return merged(together(here, act)[:1], "without Slurm use mpiexec")


def judge_queue(library: str, asked: Asked) -> Line:
    """Slurm's answers, compared with what the MPI ``library`` needs."""
    parts, trouble = [], []
    broken = "set SLURM_CONF, or run where Slurm works; mpiexec needs none"
    try:
        parts.append(asked.version())
        known = asked.plugins()
        parts.append(f"MPI plugins: {' '.join(known) or 'none'}")
        kind, starts = ("pmix", ("pmix",)) if "Open MPI" in library else ("pmi2", ("pmi", "cray"))
        if not any(name.startswith(starts) for name in known):
            trouble.append(f"start with mpiexec: srun has no {kind} for this MPI")
    except slurm.SlurmError as error:
        parts.append(str(error))
        trouble.append(broken)
    try:
        answer = " ".join(asked.controller().split())
        if "UP" not in answer.split():
            raise slurm.SlurmError(answer or "scontrol ping says nothing")
        parts.append("the controller answers")
    except slurm.NoSlurm:
        pass  # a node may have no scontrol
    except slurm.SlurmError as error:
        parts.append(f"no controller: {error}")
        trouble += [broken] if broken not in trouble else []
    job = slurm.job_id()
    if job is None:
        parts.append("not in a job")
    else:
        try:
            end = asked.end()
            left = "no time limit" if end is None else f"{max(0.0, end - time.time()) / 60:.0f} min left"
            parts.append(f"job {job}, {left}")
        except slurm.SlurmError as error:
            parts.append(f"job {job}, time left unknown: {error}")
            trouble.append("set max_seconds in jobs: they cannot see their limit come")
    return Line("warning" if trouble else "ok", "; ".join(parts), "; ".join(trouble))


def plugins() -> list[str]:
    """The kinds of MPI that srun can start; raises SlurmError."""
    done = slurm.run("srun", "--mpi=list", limit=ASK_SECONDS)
    return plugins_of(done.stdout + "\n" + done.stderr)  # the version decides which of the two it is


def plugins_of(text: str) -> list[str]:
    """The names in the output of ``srun --mpi=list``, in its order."""
    names: list[str] = []
    for line in text.splitlines():
        words = line.strip().removeprefix("srun: ").strip()
        versioned = re.fullmatch(r"specific \w+ plugin versions available: (.+)", words)
        names += re.split(r"[,\s]+", versioned[1]) if versioned else re.findall(r"^[a-z]\w*$", words)
    return list(dict.fromkeys(names))


# --- files ---


def folder_works(here: World, folder: Path) -> Line:
    """Whether files of a run can be written in ``folder``; one rank per host tries it, rank 0 measures how fast."""

    def act() -> tuple[str, float] | None:
        if here.local_rank > 0:
            return None
        return file_system(folder), try_folder(folder, WRITE if here.rank == 0 else 4096)

    outcomes = together(here, act)
    lines = [o if o.value is None else o._replace(value=Line("ok", f"{o.value[0]}, {WORKS}")) for o in outcomes]
    line = merged(lines, "choose another folder (run_dir), or have quota, rights and mount options looked at", "host")
    speed = ""
    if not outcomes[0].error:
        seconds = outcomes[0].value[1]
        speed = f"; {WRITE // MIB} MiB on the disk in {duration(seconds)} ({WRITE / seconds / 1e6:.0f} MB/s)"
    return line._replace(found=f"{folder}: {line.found}{speed}")


def try_folder(folder: Path, size: int) -> float:
    """Write ``size`` bytes like a checkpoint and try locks; returns the seconds of the write.

    Raises OSError for what does not work. Leaves nothing behind.
    """
    data = os.urandom(size)  # not compressible
    with scratch(folder) as place:
        begun = time.perf_counter()
        files.write(place / "probe", data)
        seconds = time.perf_counter() - begun
        if (place / "probe").read_bytes() != data:
            raise OSError(f"{place / 'probe'} does not read back as it was written")
        with open(place / "probe", "rb+") as first, open(place / "probe", "rb+") as second:
            flock(first.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB, place / "probe")
            if lockable(second.fileno(), place / "probe"):
                raise OSError(f"{place / 'probe'} can be locked twice at once (flock)")
    return seconds


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A temporary folder in ``folder``."""
    with tempfile.TemporaryDirectory(prefix=".nqs_hpc-doctor-", dir=folder) as place:
        yield Path(place)


def lockable(descriptor: int, path: Path) -> bool:
    """Lock the open file ``path``; whether nobody else holds the lock."""
    try:
        flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, path)
    except BlockingIOError:
        return False
    return True


def space(here: World, folder: Path) -> Line:
    """The free space on the file system of ``folder``, as rank 0 sees it."""

    def act() -> Line | None:
        if here.rank > 0:
            return None
        usage = shutil.disk_usage(folder)
        return judge_space(usage.free, usage.total)

    return merged(together(here, act)[:1], "choose another folder (run_dir)")


def judge_space(free: int, total: int) -> Line:
    """The line about ``free`` and ``total`` bytes, as far as the user may use them."""
    found = f"{free / GIB:.1f} GiB free of {total / GIB:.1f}" if free >= GIB else f"{free / MIB:.0f} MiB free"
    advice = "make room, or choose another folder (run_dir)"
    if free < 100 * MIB:
        return Line("fault", found, advice)
    return Line("warning", found, advice) if free < 5 * GIB or free < 0.02 * total else Line("ok", found)


def existing(folder: Path) -> Path:
    """``folder``, or its nearest existing parent; ValueError if a file is in the way."""
    for place in (folder, *folder.parents):
        if place.is_dir():
            return place
        if os.path.lexists(place):
            raise ValueError(f"{place} is {'a link to nothing' if place.is_symlink() else 'a file'}")
    raise ValueError(f"{folder} is not an absolute path")


def folder_shared(here: World, folder: Path) -> Line:
    """Whether all ranks see the same ``folder``: rank 0 writes a file and locks it, the others look for it."""
    if here.size == 1:
        return Line("ok", "one rank: no other has to see it")
    token = here.bcast(uuid.uuid4().hex)
    path = folder / f".nqs_hpc-doctor-{token}"
    held: list[int] = []

    def leave() -> None:
        if here.rank == 0:
            files.write(path, token)
            held.append(os.open(path, os.O_RDWR))
            flock(held[0], fcntl.LOCK_EX | fcntl.LOCK_NB, path)

    def remove() -> None:
        if here.rank == 0:
            for descriptor in held:
                os.close(descriptor)
            path.unlink(missing_ok=True)

    # every rank gets here, whatever failed before
    left = together(here, leave)
    seen = together(here, lambda: look(path, token) if here.rank > 0 and not left[0].error else None)
    removed = together(here, remove)
    broken = failures(left, "choose another folder (run_dir)") or failures(removed, f"remove {path}")
    return judge_shared(seen) if broken is None else broken


def look(path: Path, token: str, wait: float = SEEN_SECONDS) -> tuple[bool, bool]:
    """Whether ``path`` with ``token`` in it appears within ``wait`` seconds, and whether its lock is held."""
    end = time.monotonic() + wait
    while True:
        try:
            os.listdir(path.parent)  # makes NFS ask its server again
            if path.read_text() == token:
                break
        except OSError:
            pass  # not there, or not yet
        if time.monotonic() > end:
            return False, False
        time.sleep(0.1)
    descriptor = os.open(path, os.O_RDWR)
    try:
        return True, not lockable(descriptor, path)
    finally:
        os.close(descriptor)


def judge_shared(outcomes: list[Outcome]) -> Line:
    """The line that follows from the results of `look` on all ranks except rank 0, which wrote and locked the file."""
    others = outcomes[1:]
    if blind := [outcome for outcome in others if outcome.error or not outcome.value[0]]:
        words = next((f" ({outcome.error})" for outcome in blind if outcome.error), "")
        found = f"what rank 0 on {outcomes[0].host} writes is not seen by {who(blind)}{words}"
        return Line("fault", found, "choose a folder on a file system that all hosts share")
    if free := [outcome for outcome in others if not outcome.value[1]]:
        advice = "mount it with flock for all hosts; until then a second job in a folder is found through Slurm only"
        return Line("warning", f"seen by all ranks, but a lock of rank 0 does not hold for {who(free)}", advice)
    return Line("ok", f"seen by {len(outcomes)} ranks, locks hold for all")


def programs(here: World) -> Line:
    """Where compiled programs are kept; one rank per host looks."""
    advice = "set JAX_COMPILATION_CACHE_DIR to a folder with room, or every start compiles again"

    def act() -> Line | None:
        if here.local_rank > 0:
            return None
        try:
            kept = compile_cache.folder("auto")
            assert kept is not None  # None only for the setting null
            entries = [path.stat().st_size for path in kept.rglob("*-cache")] if kept.is_dir() else []
            place = next(place for place in (kept, *kept.parents) if place.exists())
            with tempfile.TemporaryFile(dir=place) as file:
                file.write(b"\0" * 4096)
            free = shutil.disk_usage(place).free
        except (OSError, ValueError) as error:
            return Line("warning", error_text(error), advice)
        found = f"{kept}: {count(len(entries), 'program')}, {sum(entries) / MIB:.0f} MiB"
        if free < 100 * MIB:
            return Line("warning", f"{found}, {free / MIB:.0f} MiB free", advice)
        return Line("ok", found)

    return merged(together(here, act), advice, "host")


# --- clocks ---


def clocks(here: World) -> Line:
    """The differences between the clocks of the ranks."""
    apart = [float("inf")] * here.size
    for _ in range(3):  # a rank may leave a barrier late: the best of three counts
        here.barrier()
        outcomes = together(here, time.time)
        apart = [min(least, abs(o.value - outcomes[0].value)) for least, o in zip(apart, outcomes, strict=True)]
    if here.size == 1:
        return Line("ok", "one rank: one clock")
    return judge_clocks(apart, outcomes)


def judge_clocks(apart: list[float], outcomes: list[Outcome]) -> Line:
    """The line about clocks; ``apart``: seconds between each rank's clock and rank 0's."""
    if odd := [outcome for outcome, seconds in zip(outcomes, apart, strict=True) if seconds > SKEW_SECONDS]:
        found = f"{who(odd)}: {max(apart):.1f} s from rank 0's"
        return Line("warning", found, "have the administrators look at NTP there: ages of files and limits go by it")
    return Line("ok", f"{duration(max(apart))} apart at most")


def duration(seconds: float) -> str:
    """A short time in words."""
    return f"{1e3 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
