"""The command line: what is asked, whether it makes sense, and the one exit code of all ranks.

Only rank 0 reads and checks the input, before jax is loaded and before a folder is made. It sends the others either
what to run, or the one line and the exit code with which all of them leave.
"""

from __future__ import annotations

import gc
import os
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from nqs_hpc import __version__
from nqs_hpc.config.admission import Answer, refusal
from nqs_hpc.config.commands import COMMANDS, GENERAL
from nqs_hpc.config.compose import compose
from nqs_hpc.config.explain import asked, explained
from nqs_hpc.config.files import check_folder
from nqs_hpc.config.identity import run_folder
from nqs_hpc.config.schema import Config
from nqs_hpc.config.usage import help_text
from nqs_hpc.inputs.checks import InputError, nearest
from nqs_hpc.inputs.reading import harmless
from nqs_hpc.job import files, streams
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, FAULT, Signals, leave, listen
from nqs_hpc.job.lock import Lost, lock, release, withdraw
from nqs_hpc.job.manifest import versions
from nqs_hpc.parallel import compile_cache
from nqs_hpc.parallel.agreement import disagreement, settings
from nqs_hpc.parallel.launch import launched, other_threads, place
from nqs_hpc.parallel.world import World, world

MULTIRUN = ("-m", "--multirun")


class Job(NamedTuple):
    """A job that can start."""

    config: Config
    folder: Path
    programs: Path | None  # where compiled programs are kept
    warning: str  # what the user should know before the start; empty if there is nothing
    made: list[Path]  # the folders that were made for it


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code, the same on every rank: 0 done, 1 fault, 2 bad input, 85 stopped."""
    begun = time.monotonic()
    streams.fill()
    words = sys.argv[1:] if argv is None else argv
    if words[:1] == ["doctor"]:
        from nqs_hpc.doctor.command import doctor

        with streams.undisturbed():
            code = doctor(words[1:])
        leave()
        return code
    if words[:1] == ["status"]:
        from nqs_hpc.report.status import status

        return status(words[1:])
    if words[:1] == ["sectors"]:
        from nqs_hpc.cli.sectors import sectors

        with streams.undisturbed():
            return sectors(words[1:])
    what = "-m" if any(word in MULTIRUN for word in words) else words[0] if words else ""
    if what in ("-m", *ALONE):
        # One process does these. MPI stays unloaded: a child that inherited it could not start its own.
        n_started, number = launched()
        if n_started > 1:
            line = f"{what} inside a step of {n_started} tasks: each would do it all; start it outside of srun"
            return _leave(Answer(BAD_INPUT, line), speaks=number == 0)
        with streams.undisturbed():  # the work is finished even if `| head` has stopped reading
            return {"-m": _sweep, **ALONE}[what](words)
    with streams.undisturbed():
        return _job(words, begun)


def _submit(words: list[str]) -> int:
    from nqs_hpc.cluster.submit import submit

    return submit(words[1:])


def _report(words: list[str]) -> int:
    from nqs_hpc.report.page import report

    return report(words[1:])


def _export(words: list[str]) -> int:
    from nqs_hpc.cli.export import export

    return export(words[1:])


def _reproduce(words: list[str]) -> int:
    from nqs_hpc.reproduce.command import reproduce

    return reproduce(words[1:])


def _clean(words: list[str]) -> int:
    from nqs_hpc.cli.clean import clean

    return clean(words[1:])


def _compare(words: list[str]) -> int:
    from nqs_hpc.cli.compare import compare

    return compare(words[1:])


def _completion(words: list[str]) -> int:
    from nqs_hpc.cli.completion import completion

    return completion(words[1:])


ALONE = {
    "submit": _submit,
    "report": _report,
    "export": _export,
    "reproduce": _reproduce,
    "clean": _clean,
    "compare": _compare,
    "completion": _completion,
}  # commands of one process


def _sweep(words: list[str]) -> int:
    """Launch a sweep; the report of one that ran here is made at once, and whether that works is not its exit code."""
    from nqs_hpc.sweep.command import sweep

    code, ran_in = sweep(words)
    if ran_in is not None:
        _report(["report", str(ran_in)])
    return code


def _job(words: list[str], begun: float) -> int:
    """One job on all ranks."""
    gc.disable()
    here: World | None = None

    def abort(code: int) -> None:
        if here is not None:
            here.abort(code)

    signals = listen(abort)  # a signal that comes during the start is obeyed before the first step
    try:
        here = world()
        n_started, number = launched()
        if here.size != n_started:
            # Each would run the whole job, all of them in one folder.
            return _leave(Answer(FAULT, singletons(here, n_started)), speaks=number == 0)
        facts = {**versions(), "MPI": here.library, **settings()} if here.size > 1 else {}
        if odd := disagreement(facts, here):
            return _leave(Answer(FAULT, odd), speaks=here.rank == 0)
        order = here.bcast(decide(words, here.size) if here.rank == 0 else None)
        if isinstance(order, Answer):
            return _leave(order, speaks=here.rank == 0)
        if here.rank == 0 and order.warning:
            print(harmless(order.warning), file=sys.stderr, flush=True)
        return _run(order, here, signals, begun)
    except BaseException as error:
        return fail(here, error)
    finally:
        leave()


def _run(job: Job, here: World, signals: Signals, begun: float) -> int:
    """Load jax and run; what all ranks cannot do alike ends in one line."""
    checked = time.monotonic()
    wanted, asked = job.config.resources.threads, os.environ.get("PJRT_NPROC")
    placement = place(here, None if wanted == "auto" else wanted)
    if here.rank == 0 and wanted != "auto" and (line := other_threads(wanted, placement, asked)):
        print(line, file=sys.stderr, flush=True)
    share = compile_cache.use(job.programs, placement.threads, here)
    from nqs_hpc.run.resume import Refused  # loads jax, which reads what was just set
    from nqs_hpc.run.run import run

    # What is loaded stays. Searching it for garbage again and again took a quarter of a second to the first step.
    gc.freeze()
    gc.enable()
    start = {"begun": begun, "checked": checked, "imported": time.monotonic()}
    try:
        code = run(job.config, job.folder, here, placement, share, signals, start)
    except InputError as error:  # known only once the network was built; the same on all ranks
        if here.rank == 0:
            withdraw(job.folder, job.made)
        code = _leave(Answer(BAD_INPUT, str(error)), speaks=here.rank == 0)
    except Refused as error:
        code = _leave(Answer(FAULT, str(error)), speaks=here.rank == 0)
    except (OSError, Lost) as error:
        if not files.on_all_ranks(error):
            raise
        code = _leave(Answer(FAULT, files.why(error)), speaks=here.rank == 0)
    if here.rank == 0:
        release(job.folder)
    return code


def _leave(left: Answer, *, speaks: bool) -> int:
    """The exit code of ``left``, whose line one rank prints."""
    if speaks:
        print(harmless(left.line), file=sys.stdout if left.code == DONE else sys.stderr, flush=True)
    return left.code


def singletons(here: World, n_started: int) -> str:
    """What to say where MPI does not see the ranks that the launcher started."""
    kind = "pmix" if "Open MPI" in here.library else "pmi2"
    return (
        f"{n_started} ranks were started, but MPI ({here.library}) sees {here.size}: the launcher does not speak with "
        f"this MPI. With srun: --mpi={kind} (`srun --mpi=list` shows what it has; site.yaml keeps it for submit); "
        f"else: the mpiexec beside {sys.executable}"
    )


def decide(words: list[str], n_ranks: int) -> Job | Answer:
    """What a command line asks for. Rank 0 calls it; it never raises for what a user can get wrong."""
    if (about := asked(words)) is not None:
        try:
            return Answer(DONE, explained(about).rstrip("\n") if about else help_text())
        except InputError as error:
            return Answer(BAD_INPUT, str(error))
    if words == ["--version"]:
        return Answer(DONE, f"nqs_hpc {__version__}")
    # after a mistyped command, such as `submt --dry-run`, the option is not the mistake
    odd = next((word for word in words if word.startswith("-") or "=" not in word), "")
    if flags := [odd] if odd.startswith("-") else []:
        near = nearest(flags[0], GENERAL)
        valid = f"key=value overrides, -m, {', '.join(COMMANDS)}, --help, --version"
        return Answer(BAD_INPUT, f"{flags[0]} is not an option of nqs_hpc; {near}valid: {valid}")
    try:
        config = compose(words, n_ranks)
        programs, warning = kept_programs(config)
        folder = run_folder(config)
        if (left := refusal(config, folder)) is not None:
            return left
        made = files.make(folder / "checkpoints")
        if (reason := lock(folder)) is not None:
            return Answer(FAULT, reason)
    except InputError as error:
        return Answer(BAD_INPUT, str(error))
    except (OSError, ValueError) as error:
        return Answer(FAULT, f"cannot start: {files.why(error)}")
    return Job(config, folder, programs, warning, made)


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


def fail(here: World | None, error: BaseException) -> int:
    """A fault: its traceback once, and the end of all ranks, which may wait for this one in a collective."""
    several = here is not None and here.size > 1
    rank = here.rank if here is not None else 0
    if rank > 0:
        time.sleep(0.5)  # where all ranks fail alike, rank 0 speaks and ends the job before the others do
    if isinstance(error, SystemExit | KeyboardInterrupt):
        text = f"rank {rank}: stopped at once by {type(error).__name__}\n"
    else:
        where = f"rank {rank} of {here.size} failed:\n" if here is not None and several else ""
        text = where + "".join(traceback.format_exception(error))
    with suppress(OSError):  # whether or not anybody reads it, the others must end
        print(text, file=sys.stderr, end="", flush=True)
    if here is not None and several:
        here.abort(FAULT)
    return FAULT
