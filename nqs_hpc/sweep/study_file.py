"""The manifest of a study while its launcher works: every change is written to the disk at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nqs_hpc.config.schema import Config
from nqs_hpc.job import study as manifest
from nqs_hpc.job.study import Point, Study


class Todo(NamedTuple):
    """A point with what a launcher needs to run it."""

    point: Point
    config: Config
    words: list[str]  # after python -m nqs_hpc


class StudyFile:
    """The study in ``folder``."""

    def __init__(self, folder: Path, study: Study) -> None:
        self.folder, self.study = folder, study

    def point(self, name: str) -> Point:
        return next(point for point in self.study.points if point.name == name)

    def note(self, name: str, **changes: Any) -> None:
        """Change fields of one point."""
        self.note_all({name: changes})

    def note_all(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """Change fields of points, by name, in one write."""
        points = [point._replace(**changes.get(point.name, {})) for point in self.study.points]
        self.study = self.study._replace(points=points)
        self.write()

    def write(self) -> None:
        manifest.write(self.folder, self.study)
