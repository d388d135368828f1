"""Disks that are full or cannot be written: one line, the documented exit code, every whole checkpoint still there."""

import pytest

from tests.faults.conftest import HALF, KEYS, one_line
from tests.mpi.starts import job, summary

pytestmark = pytest.mark.faults
table = pytest.mark.table


@pytest.mark.parametrize("every", ["every_steps=2", pytest.param("every_seconds=0.001", marks=table)])
def test_full_during_a_save(disk, every):
    """Room for the lines of the steps and the small files, none for a checkpoint."""
    disk.fill(leave=disk.run.checkpoint(HALF).stat().st_size - 4096)
    output = disk.run.go_on(f"checkpoint.{every}", code=1)
    one_line(output, "failed: ", ".h5 cannot be written: No space left on device; the checkpoints so far are intact")
    assert disk.run.whole() == [10, 20, 30] and not list(disk.run.folder.glob("**/.step*"))
    disk.empty()
    disk.run.go_on()
    disk.run.is_undisturbed()


@pytest.mark.parametrize("n_ranks", [2, pytest.param(1, marks=table)])
def test_full_during_logging(disk, n_ranks):
    """Room for the files of a start, and for a few of many lines."""
    disk.fill(leave=48 * 1024)
    words = (*KEYS, "task.n_steps=100000", "checkpoint.every_steps=null", "checkpoint.every_seconds=null")
    output = job(n_ranks, *words, cwd=disk.place, code=1)
    one_line(output, "failed: ", "cannot be written: No space left on device; the checkpoints so far are intact")
    assert disk.run.whole() == [10, 20, 30]
    disk.empty()
    if n_ranks == 2:  # on another number of ranks the bits would differ
        disk.run.go_on()
        disk.run.is_undisturbed()
        assert summary(disk.run.folder)["status"] in ("done", "doubtful")


@table
def test_full_at_the_start(disk):
    disk.fill(leave=0)
    one_line(disk.run.go_on(code=1), "cannot start: ", "cannot be written: No space left on device; the checkpoints")
    assert disk.run.whole() == [10, 20, 30]
    disk.empty()
    disk.run.go_on()
    disk.run.is_undisturbed()


def test_a_folder_that_is_read_only(disk):
    disk.remount("ro")
    output = disk.run.go_on(code=2)
    assert output.count("\n") == 1
    one_line(output, "run_dir=run is not valid; valid: a folder one can write to")
    disk.remount("rw")
    disk.run.go_on()
    disk.run.is_undisturbed()
