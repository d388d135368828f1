"""Whether there is anything to start in a run folder: the questions that a job and ``submit`` ask alike.

Reads files, makes none; loads neither jax nor MPI.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from nqs_hpc.config.files import check_source
from nqs_hpc.config.identity import differences, physics
from nqs_hpc.config.schema import Config
from nqs_hpc.job.files import check_places, read_json
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, FAULT, STOPPED, finished, stop_requested
from nqs_hpc.job.manifest import recorded_physics


class Answer(NamedTuple):
    """What a command ends with where there is nothing to run: a line for the user, and the exit code."""

    code: int
    line: str


def refusal(config: Config, folder: Path, *, source_is_there: bool = True) -> Answer | None:
    """Why ``config`` is not to start in ``folder``; None if it is.

    ``source_is_there``: whether the run that ``init_from`` names must be there already.
    Raises InputError for an ``init_from`` without checkpoints, ValueError for files of the folder that cannot be read,
    or that are not regular files.
    """
    check_places(folder)
    if stop_requested(folder):
        return Answer(STOPPED, f"{folder}/STOP is there: the run stays stopped until you remove that file")
    known = recorded_physics(folder)
    if known is not None and (changed := differences(known, physics(config))):
        line = f"run_dir={folder} holds a run of another physics: {'; '.join(changed)}; choose another run_dir"
        return Answer(BAD_INPUT, line)
    reached = finished(folder)
    total, asked = config.task.total_steps, config.task.samples_of_end
    is_over = total is None and (reached is not None and config.task.is_met(_summary(folder)))
    if reached is not None and (is_over or (total is not None and reached.step >= total)):
        of = "" if total is None else f" of {total}"
        said = f"{folder} is done: {reached.step}{of} steps"
        n_samples = reached.n_samples if reached.n_samples is not None else _evaluated(folder)
        if config.sampler.is_exact or n_samples is None or asked is None or asked <= n_samples:
            samples = "" if n_samples is None else f", the energy from {n_samples} samples"
            return Answer(DONE, f"{said}{samples}; nothing to do{_not_measured(config, folder)}")
        if not any((folder / "checkpoints").glob("step_*.h5")):  # a start would make all steps again
            few = f"{n_samples} final samples, {asked} are asked for"
            return Answer(FAULT, f"{said}, {few}, and no checkpoint is left to take them from")
    if source_is_there and config.init_from is not None and not any((folder / "checkpoints").glob("step_*.h5")):
        check_source("init_from", config.init_from)  # a run with checkpoints of its own needs the other's no more
    return None


def _evaluated(folder: Path) -> int | None:
    """The samples of the final evaluation, from the summary of a run whose DONE does not say; None if it is not known.

    Such a run is done whatever else its summary holds.
    """
    summary = _summary(folder)
    known = summary.get("n_samples") if summary.get("final") is True else None
    return known if type(known) is int and known > 0 else None


def _not_measured(config: Config, folder: Path) -> str:
    """What to do for observables that a run which is done has not measured; empty if there are none."""
    known = _summary(folder).get("observables")
    names = {str(name).partition(".")[0] for name in known} if isinstance(known, dict) else set()
    missing = [label for label in config.observables.measured if label not in names]
    if not missing:
        return ""
    how = f"task=evaluate task.run={folder} with the same observables measures them"
    return f". It has not measured {', '.join(missing)}: {how}"


def _summary(folder: Path) -> dict[str, Any]:
    """The content of summary.json, empty if it is not an object or cannot be read."""
    try:
        summary = read_json(folder / "summary.json")
    except (OSError, ValueError):
        return {}
    return summary if isinstance(summary, dict) else {}
