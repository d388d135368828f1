"""Whether there is anything to start in a run folder: the questions that a job and ``submit`` ask alike.

Reads files, makes none; loads neither jax nor MPI.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from nqs_hpc.config import differences, physics
from nqs_hpc.job.files import check_places
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, STOPPED, done, stop_requested
from nqs_hpc.job.manifest import recorded_physics
from nqs_hpc.resolve.files import check_source
from nqs_hpc.schema import Config


class Leave(NamedTuple):
    """Nothing to run: a line for the user, and the exit code."""

    code: int
    line: str


def refusal(config: Config, folder: Path, *, source_is_there: bool = True) -> Leave | None:
    """Why ``config`` is not to start in ``folder``; None where it is.

    ``source_is_there``: whether the run that ``init_from`` names must be there already.
    Raises InputError for an ``init_from`` without checkpoints, ValueError for files of the folder that cannot be read,
    or that are no files.
    """
    check_places(folder)
    if stop_requested(folder):
        return Leave(STOPPED, f"{folder / 'STOP'} is there: the run stays stopped until you remove that file")
    known = recorded_physics(folder)
    if known is not None and (changed := differences(known, physics(config))):
        line = f"run_dir={folder} holds a run of another physics: {'; '.join(changed)}; choose another run_dir"
        return Leave(BAD_INPUT, line)
    reached = done(folder)
    if reached is not None and reached >= config.task.n_steps:
        return Leave(DONE, f"{folder} is done: {reached} of {config.task.n_steps} steps; nothing to do")
    if source_is_there and config.init_from is not None and not any((folder / "checkpoints").glob("step_*.h5")):
        check_source(config.init_from)  # a run with checkpoints of its own needs the other's no more
    return None
