import json
import math
import os

import numpy as np
import pytest

from nqs_hpc.job.log import NEWEST_BYTES, Cut, cut, log, newest, read


def lines(*steps):
    return b"".join(b'{"step": %d, "energy": %r}\n' % (step, -step / 3) for step in steps)


def test_lines_round_trip(tmp_path):
    path = tmp_path / "metrics.jsonl"
    values = [0.1 + 0.2, -1 / 3, 5e-324, 1.7976931348623157e308, -0.0]
    metrics = log(path)
    for step, value in enumerate(values, start=1):
        metrics.append({"step": np.int64(step), "energy": np.float64(value), "r_hat": None, "rejected": np.bool_(True)})
        assert path.read_bytes().endswith(b"\n")  # visible at once, without sync or close
    metrics.append({"step": 6, "energy": math.nan, "tau": np.inf})
    metrics.sync()
    metrics.close()
    log(path).append({"step": 7})  # a later start appends
    found = read(path)
    assert [line["step"] for line in found] == list(range(1, 8))
    assert [line["energy"].hex() for line in found[:5]] == [value.hex() for value in values]
    assert found[0]["rejected"] is True
    assert found[5] == {"step": 6, "energy": None, "tau": None}
    assert "NaN" not in path.read_text()


def test_each_line_is_one_write_and_sync_reaches_the_disk(tmp_path, monkeypatch):
    calls = []
    write, fsync = os.write, os.fsync
    metrics = log(tmp_path / "metrics.jsonl")
    monkeypatch.setattr(os, "write", lambda fd, data: (calls.append(bytes(data)), write(fd, data))[1])
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), fsync(fd))[1])
    metrics.append({"step": 1})
    metrics.sync()
    assert calls == [b'{"step": 1}\n', "fsync"]


@pytest.mark.parametrize(
    ("content", "step", "kept", "outcome"),
    [
        (lines(1, 2, 3, 4, 5), 3, [1, 2, 3], Cut(2, False)),
        (lines(1, 2, 3), 3, [1, 2, 3], Cut(0, False)),
        (lines(1, 2, 3), 0, [], Cut(3, False)),
        (lines(1, 2, 3) + b'{"step": 4, "ener', 3, [1, 2, 3], Cut(1, False)),
        (lines(1, 2, 3)[:-1], 3, [1, 2, 3], Cut(0, False)),  # the newline alone is lost
        (lines(1, 2, 3)[:-4], 3, [1, 2], Cut(1, True)),
        (lines(1, 2), 4, [1, 2], Cut(0, True)),
        (lines(1, 2, 2, 3, 1, 2, 3, 4), 3, [1, 2, 3], Cut(5, False)),
        (lines(1) + b"\x00\xff garbage\n\n[2]\n{}\n" + lines(2, 3), 3, [1, 2, 3], Cut(4, False)),
        (lines(1, 2) + b'{"step": tru\n' + lines(4, 5), 4, [1, 2, 4], Cut(2, True)),
        (b"", 0, [], Cut(0, False)),
        (b"", 2, [], Cut(0, True)),
        (None, 2, [], Cut(0, True)),
    ],
)
def test_cut(tmp_path, content, step, kept, outcome):
    path = tmp_path / "metrics.jsonl"
    if content is not None:
        path.write_bytes(content)
    assert cut(path, step) == outcome
    assert [line["step"] for line in read(path)] == kept
    if content:
        assert path.read_bytes() == lines(*kept)
        assert cut(path, step) == Cut(0, outcome.missing)
    metrics = log(path)
    metrics.append({"step": step + 1})
    metrics.close()
    assert [json.loads(text)["step"] for text in path.read_text().splitlines()] == [*kept, step + 1]


def test_cut_that_changes_nothing_does_not_write(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(lines(1, 2))
    before = path.stat().st_ino
    cut(path, 2)
    assert path.stat().st_ino == before


@pytest.mark.parametrize("end", [b"", b'{"step": 1001, "ener', b"\x00" * 40, b"[]\n\n"])
def test_the_newest_lines_are_the_end_of_all_lines(tmp_path, end):
    """Whatever stands at the end, and although the tail begins within a line."""
    path = tmp_path / "metrics.jsonl"
    assert newest(path) == read(path) == []
    path.write_bytes(lines(*range(1, 1001)) + end)
    found, whole = newest(path), read(path)
    assert len(whole) == 1000 and found == whole[-len(found) :] and 100 < len(found) < NEWEST_BYTES // 10
    path.write_bytes(lines(1, 2) + end)
    assert newest(path) == read(path) == whole[:2]


@pytest.mark.parametrize(("n", "at_most"), [(1000, 7), (1000, 2), (5, 5), (5, 9), (1, 4)])
def test_lines_are_chosen_evenly(tmp_path, n, at_most):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(lines(*range(1, n + 1)))
    steps = [line["step"] for line in read(path, at_most)]
    assert len(steps) == min(n, at_most) and (steps[0], steps[-1]) == (1, n)
    gaps = np.diff(steps)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1
