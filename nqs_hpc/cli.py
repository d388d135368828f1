"""The command line: what is asked, whether it makes sense, and the one exit code of all ranks.

Rank 0 alone reads and checks the input, before jax is loaded and before a folder is made, and tells the others: either
what to run, or the one line and the exit code with which all of them leave.
"""

from __future__ import annotations

import gc
import os
import sys
import time
import traceback
from pathlib import Path
from typing import NamedTuple

from nqs_hpc import __version__
from nqs_hpc.checks import InputError
from nqs_hpc.config import compose, differences, physics, run_folder
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, FAULT, STOPPED, done, stop_requested
from nqs_hpc.job.lock import lock
from nqs_hpc.job.manifest import recorded_physics
from nqs_hpc.parallel import compile_cache
from nqs_hpc.parallel.launch import launched, place
from nqs_hpc.parallel.world import World, world
from nqs_hpc.resolve import check_folder
from nqs_hpc.schema import Config
from nqs_hpc.usage import help_text


class Job(NamedTuple):
    """A job that can start."""

    config: Config
    folder: Path
    programs: Path | None  # where compiled programs are kept
    warning: str  # what the user should know before it starts; empty where there is nothing


class Leave(NamedTuple):
    """Nothing to run: a line for the user, and the exit code."""

    code: int
    line: str


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code, the same on every rank: 0 done, 1 fault, 2 bad input, 85 stopped."""
    begun = time.monotonic()
    gc.disable()
    words = sys.argv[1:] if argv is None else argv
    here = world()
    n_started, number = launched()
    if here.size != n_started:
        # Each would run the whole job, all of them in one folder.
        if number == 0:
            print(
                f"{n_started} ranks were started, but MPI ({here.library}) sees {here.size}: the launcher is not of "
                "this MPI; use the mpiexec beside this python, or the --mpi of srun that fits it",
                file=sys.stderr,
                flush=True,
            )
        return FAULT
    try:
        order = here.bcast(decide(words, here.size) if here.rank == 0 else None)
        if isinstance(order, Leave):
            if here.rank == 0:
                print(order.line, file=sys.stdout if order.code == DONE else sys.stderr, flush=True)
            return order.code
        if here.rank == 0 and order.warning:
            print(order.warning, file=sys.stderr, flush=True)
        checked = time.monotonic()
        placement = place(here)
        share = compile_cache.use(order.programs, placement.threads, here)
        from nqs_hpc.run import run  # loads jax, which reads what was just set

        # What is loaded stays. Searching it for garbage again and again took a quarter of a second to the first step.
        gc.freeze()
        gc.enable()
        start = {"begun": begun, "checked": checked, "imported": time.monotonic()}
        return run(order.config, order.folder, here, placement, share, start)
    except BaseException as error:
        return fail(here, error)


def decide(words: list[str], n_ranks: int) -> Job | Leave:
    """What a command line asks for. Rank 0 calls it; it never raises for what a user can get wrong."""
    if any(word in ("-h", "--help") for word in words):
        return Leave(DONE, help_text())
    if words == ["--version"]:
        return Leave(DONE, f"nqs_hpc {__version__}")
    if any(word in ("-m", "--multirun") for word in words):
        return Leave(BAD_INPUT, "-m: this version runs single jobs, no sweeps; valid: one value for each key")
    if flags := [word for word in words if word.startswith("-")]:
        return Leave(
            BAD_INPUT, f"{flags[0]} is not an option of nqs_hpc; valid: key=value overrides, --help, --version"
        )
    try:
        config = compose(words, n_ranks)
        programs, warning = kept_programs(config)
        folder = run_folder(config)
        if stop_requested(folder):
            return Leave(STOPPED, f"{folder / 'STOP'} is there: the run stays stopped until you remove that file")
        known = recorded_physics(folder)
        if known is not None and (changed := differences(known, physics(config))):
            line = f"run_dir={folder} holds a run of another physics: {'; '.join(changed)}; choose another run_dir"
            return Leave(BAD_INPUT, line)
        reached = done(folder)
        if reached is not None and reached >= config.task.n_steps:
            return Leave(DONE, f"{folder} is done: {reached} of {config.task.n_steps} steps; nothing to do")
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        if (owner := lock(folder)) is not None:
            return Leave(FAULT, f"{folder} is in use by {owner}: one job a run folder")
    except InputError as error:
        return Leave(BAD_INPUT, str(error))
    except (OSError, ValueError) as error:
        return Leave(FAULT, f"cannot start: {error}")
    return Job(config, folder, programs, warning)


def kept_programs(config: Config) -> tuple[Path | None, str]:
    """Where compiled programs are kept, and a line for the user where ``auto`` finds no place for them.

    Raises InputError for a folder that the user named and nobody can write to, and for a least time that is none.
    """
    least = os.environ.get(compile_cache.LEAST_SECONDS, "0")
    try:
        float(least)
    except ValueError:
        raise InputError(f"{compile_cache.LEAST_SECONDS}={least} is not valid; valid: a number of seconds") from None
    try:
        kept = compile_cache.folder(config.compile_cache)
        if kept is not None:
            check_folder(kept, "compile_cache", str(kept))
        return kept, ""
    except ValueError as error:
        if config.compile_cache != "auto":
            raise
        return None, f"compiled programs cannot be kept, so every start compiles them: {error}"


def fail(here: World, error: BaseException) -> int:
    """A fault: its traceback once, and the end of all ranks, for the others may wait for this one in a collective."""
    if here.rank > 0:
        time.sleep(0.5)  # where all ranks fail alike, rank 0 speaks and ends the job before the others do
    if isinstance(error, SystemExit | KeyboardInterrupt):
        print(f"rank {here.rank}: stopped at once by {type(error).__name__}", file=sys.stderr, flush=True)
    else:
        where = f"rank {here.rank} of {here.size} failed:\n" if here.size > 1 else ""
        print(where + "".join(traceback.format_exception(error)), file=sys.stderr, end="", flush=True)
    if here.size > 1:
        here.abort(FAULT)
    return FAULT
