"""The content of a folder: a sweep, a folder of runs, or one run; and the folders of its points."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from nqs_hpc.job import study
from nqs_hpc.job.files import read_json
from nqs_hpc.report.values import clean

OWN = "report"  # the folder that `report` writes into
_OF_A_RUN = ("config.yaml", "metrics.jsonl", "summary.json", "checkpoints", "DONE")
VALID = "the folder of a sweep, of runs, or of one run"


class Place(NamedTuple):
    """One point of a sweep, or a single run."""

    name: str
    folder: Path  # absent while a point has not started
    point: study.Point | None  # from the manifest of the launcher
    sweep: Path | None  # the folder of its sweep


class RunFolders(NamedTuple):
    """What a folder holds."""

    folder: Path
    study: study.Study | None
    places: list[Place]
    troubles: list[str]  # lines about other things that could not be read


def find_runs(name: str) -> RunFolders:
    """The content of the folder ``name``; ValueError, one line, if there is nothing to show."""
    folder = Path(name)
    try:
        if not folder.is_dir():
            raise ValueError(f"{clean(name) or repr(name)} is not a folder; valid: {VALID}")
        try:
            found, troubles = study.read(folder, strict=False), []
        except ValueError as error:
            found, troubles = None, [clean(str(error))]
        if found is not None:
            places = [Place(one.name, folder / one.name, one, folder) for one in found.points]
            if not places:
                raise ValueError(f"{clean(name)} is a sweep without points; valid: {VALID}")
            return RunFolders(folder, found, places, [])
        if _is_run(folder):  # then a broken manifest.json belongs to the run, whose row reports it
            return RunFolders(folder, None, [Place(folder.resolve().name, folder, None, None)], [])
        below = sorted(item for item in folder.iterdir() if item.is_dir() and not item.name.startswith("."))
        sweeps = [item.name for item in below if _is_study(item)]
        runs = [item for item in below if item.name not in (OWN, *sweeps)]
        if not any(map(_is_run, runs)):
            hint = f"; it holds sweeps: {', '.join(map(clean, sweeps))}" if sweeps else ""
            why = f": {troubles[0]}" if troubles else ""
            raise ValueError(f"{clean(name)} holds no runs{why}{hint}; valid: {VALID}")
        return RunFolders(folder, None, [Place(item.name, item, None, None) for item in runs], troubles)
    except OSError as error:
        raise ValueError(f"{clean(name)} cannot be read: {error.strerror}; valid: {VALID}") from None


def _is_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in _OF_A_RUN) or "starts" in _manifest(folder)


def _is_study(folder: Path) -> bool:
    return "study" in _manifest(folder) and not any((folder / name).exists() for name in _OF_A_RUN)


def _manifest(folder: Path) -> dict[str, object]:
    try:
        found = read_json(folder / study.MANIFEST)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
