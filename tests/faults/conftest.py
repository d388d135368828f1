"""Runs to be broken: a short one that is stopped half way, and what it would have come to undisturbed."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from nqs_hpc.job.checkpoint_file import verified
from tests.mpi.starts import job, metrics, numbers
from tests.mpi.test_restart import same_checkpoints

RANKS = 2
HALF, WHOLE = 30, 40
KEYS = ("checkpoint.every_steps=10", "checkpoint.keep=3", "run_dir=run")


class Run(NamedTuple):
    """A run in ``cwd / "run"``."""

    cwd: Path
    folder: Path
    undisturbed: Path

    def go_on(self, *overrides: str, code: int = 0) -> str:
        """Start it again, to step 40; returns what it printed."""
        return job(RANKS, *KEYS, f"task.n_steps={WHOLE}", *overrides, cwd=self.cwd, code=code)

    def checkpoint(self, step: int) -> Path:
        return self.folder / "checkpoints" / f"step_{step:08d}.h5"

    def whole(self) -> list[int]:
        """The steps of its checkpoints, every one of which has a right checksum."""
        paths = self.checkpoint(0).parent.glob("step_*.h5")
        return sorted(int(path.stem[5:]) for path in paths if verified(path))

    def is_undisturbed(self) -> None:
        """Every step once, the same bits as a run that nobody broke."""
        assert [line["step"] for line in metrics(self.folder)] == list(range(1, WHOLE + 1))
        assert list(map(numbers, metrics(self.folder))) == list(map(numbers, metrics(self.undisturbed)))
        newest = f"checkpoints/step_{WHOLE:08d}.h5"
        assert same_checkpoints(self.folder / newest, self.undisturbed / newest)
        assert not list(self.folder.glob("**/*.tmp"))


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A run stopped at step 30 with checkpoints 10, 20, 30, and the run to step 40."""
    cwd = tmp_path_factory.mktemp("template")
    job(RANKS, *KEYS, f"task.n_steps={WHOLE}", cwd=cwd)
    (cwd / "run").rename(cwd / "undisturbed")
    job(RANKS, *KEYS, f"task.n_steps={HALF}", cwd=cwd)
    return cwd


@pytest.fixture
def broken(template, tmp_path):
    """A copy of the run that is stopped half way, to be broken."""
    return copy(template, tmp_path)


def copy(template: Path, cwd: Path) -> Run:
    shutil.copytree(template / "run", cwd / "run")
    return Run(cwd, cwd / "run", template / "undisturbed")


class Disk(NamedTuple):
    """A small file system of its own."""

    place: Path
    run: Run

    def fill(self, leave: int) -> None:
        """Take all its room but ``leave`` bytes."""
        found = os.statvfs(self.place)
        (self.place / "ballast").write_bytes(bytes(found.f_bavail * found.f_frsize - leave))

    def empty(self) -> None:
        (self.place / "ballast").unlink()

    def remount(self, mode: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.place)], check=True)


@pytest.fixture
def disk(template, tmp_path):
    """A tmpfs of 4 MiB with the stopped run on it; needs root."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(place)], check=True)
    try:
        yield Disk(place, copy(template, place))
    finally:
        subprocess.run(["umount", str(place)], check=True)


def one_line(output: str, *parts: str) -> str:
    """The line of ``output`` that holds all ``parts``; there is exactly one, and no traceback."""
    assert "Traceback" not in output, output
    found = [line for line in output.splitlines() if all(part in line for part in parts)]
    assert len(found) == 1, output
    return found[0]
