"""The event file has the steps of metrics.jsonl, each once, after whatever end; judged by reading it back."""

import errno
import math
import os
import time

import numpy as np
import pytest

from nqs_hpc.job.log import both, cut, log
from nqs_hpc.job.tensorboard import NAME, board, match
from tests.events import crc32c, read_events


def line(step):
    return {"step": step, "energy": -step / 3, "r_hat": None, "scale": math.nan, "rejected": step == 2}


def run(folder, *steps):
    """A start that makes these steps, and its end without a word."""
    match(folder)
    journal = both(log(folder / "metrics.jsonl"), board(folder))
    for step in steps:
        journal.append(line(step))
    return journal


def steps(folder):
    first, *events = read_events(folder / "tensorboard")
    assert first.version == "brain.Event:2" and not first.scalars
    for event in events:
        assert event.scalars["energy"] == np.float32(-event.step / 3)
    return [event.step for event in events]


def test_the_reader_knows_the_checksum():
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C


def test_numbers_of_a_step_become_scalars(tmp_path):
    before = time.time()
    run(tmp_path, 1, 2).close()
    _, one, two = read_events(tmp_path / "tensorboard")
    assert one.scalars == {"energy": np.float32(-1 / 3), "rejected": 0.0}  # neither null nor NaN
    assert two.scalars["rejected"] == 1.0
    assert before <= one.wall_time <= two.wall_time <= time.time()
    assert [path.name for path in (tmp_path / "tensorboard").iterdir()] == [NAME]


def test_a_step_is_there_at_once(tmp_path):
    """Without sync or close, for a kill comes without either."""
    run(tmp_path, 1, 2, 3)
    assert steps(tmp_path) == [1, 2, 3]


def test_what_a_restart_makes_again_is_there_once(tmp_path):
    run(tmp_path, 1, 2, 3, 4, 5)
    untouched = read_events(tmp_path / "tensorboard")[:4]
    cut(tmp_path / "metrics.jsonl", 3)
    run(tmp_path, 4, 5, 6)
    assert steps(tmp_path) == [1, 2, 3, 4, 5, 6]
    assert read_events(tmp_path / "tensorboard")[:4] == untouched  # with the times of the first start


def test_a_file_that_fits_is_not_written_again(tmp_path):
    run(tmp_path, 1, 2)
    before = (tmp_path / "tensorboard" / NAME).stat().st_ino
    run(tmp_path, 3)
    assert (tmp_path / "tensorboard" / NAME).stat().st_ino == before and steps(tmp_path) == [1, 2, 3]


@pytest.mark.parametrize("lost", [1, 3, 20, 60, 70, 100])
def test_a_broken_end_is_made_good(tmp_path, lost):
    """A power cut, or a full disk: metrics.jsonl has steps of which the event file has a part or nothing."""
    run(tmp_path, 1, 2, 3)
    path = tmp_path / "tensorboard" / NAME
    path.write_bytes(path.read_bytes()[:-lost])
    run(tmp_path, 4)
    assert steps(tmp_path) == [1, 2, 3, 4]


def test_a_flipped_bit_is_made_good(tmp_path):
    run(tmp_path, 1, 2, 3)
    path = tmp_path / "tensorboard" / NAME
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 4
    path.write_bytes(raw)
    run(tmp_path, 4)
    assert steps(tmp_path) == [1, 2, 3, 4]


def test_switched_on_later_it_has_the_steps_before(tmp_path):
    journal = log(tmp_path / "metrics.jsonl")
    for step in (1, 2):
        journal.append(line(step))
    run(tmp_path, 3)
    assert steps(tmp_path) == [1, 2, 3]


def test_both_are_on_the_disk_before_a_checkpoint(tmp_path, monkeypatch):
    journal = run(tmp_path, 1)
    synced, fsync = set(), os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.add(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd))[1])
    journal.sync()
    assert synced == {str(tmp_path / "metrics.jsonl"), str(tmp_path / "tensorboard" / NAME)}


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    journal, write = run(tmp_path, 1), os.write

    def full(fd, data):
        if os.readlink(f"/proc/self/fd/{fd}").endswith(NAME):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(fd, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError) as caught:
        journal.append(line(2))
    assert caught.value.filename == str(tmp_path / "tensorboard" / NAME)
