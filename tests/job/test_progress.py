import contextlib
import fcntl
import io
import os
import struct
import termios
import time
from itertools import pairwise

import pytest

from nqs_hpc.inputs.numbers import with_error
from nqs_hpc.job.progress import progress
from nqs_hpc.job.quantities import GROUND_STATE, declared
from nqs_hpc.types import Quantity


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (-25.49061, 0.00123, "-25.4906(12)"),
        (-25.49, 0.0996, "-25.49(10)"),
        (-25.4951, 0.0994, "-25.495(99)"),
        (-25.49, 1.24, "-25.5(1.2)"),
        (-254.9, 12.4, "-255(12)"),
        (-5678.0, 1234.0, "-5700(1200)"),
        (-1.0, 9.96, "-1(10)"),
        (0.0, 2.5e-7, "0.00000000(25)"),
        (-25.5, 0.0, "-25.500000"),
        (-25.5, 1e-14, "-25.500000"),
        (-25.5, None, "-25.500000"),
        (-25.5, float("nan"), "-25.500000"),
        (None, None, "n/a"),
        (float("nan"), 0.1, "n/a"),
    ],
)
def test_with_error(value, error, text):
    assert with_error(value, error) == text


def line(step, **others):
    values = {"energy": -127.49061, "energy_error": 0.00123, "energy_variance": 0.03123}
    return {"step": step, "r_hat": 1.0123, "acceptance": 0.6234} | values | others


class Clock:
    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def test_plain_lines_come_first_then_rarely_and_at_the_end(monkeypatch):
    clock, stream = Clock(monkeypatch), io.StringIO()
    shown = progress("auto", 300, 0, stream)
    for step in range(1, 301):
        clock.now += 1.0
        shown.update(line(step))
    shown.say("done")
    shown.close()
    *lines, said = stream.getvalue().splitlines()
    assert said == "done"
    steps = [int(text.split()[1].split("/")[0]) for text in lines]
    assert steps[:3] == [1, 11, 23] and steps[-1] == 300 and 8 < len(steps) < 15
    gaps = [b - a for a, b in pairwise(steps[:-1])]
    assert gaps == sorted(gaps) and gaps[0] == 10
    assert lines[0] == "step   1/300 E -127.4906(12) var 0.0312 R-hat 1.012 acc 0.62 ETA --:--"
    assert lines[1].endswith("ETA 04:49")  # 289 steps at 1 s
    assert max(map(len, lines)) < 80


def test_the_last_step_of_a_stopped_run_is_shown_and_absent_numbers_are_left_out(monkeypatch):
    clock, stream = Clock(monkeypatch), io.StringIO()
    shown = progress("lines", 300, 20, stream)
    for step in (21, 22):
        clock.now += 1.0
        shown.update(line(step, r_hat=None, energy=None))
    shown.close()
    shown.close()
    assert stream.getvalue().splitlines() == [
        "step  21/300 E n/a var 0.0312 acc 0.62 ETA --:--",
        "step  22/300 E n/a var 0.0312 acc 0.62 ETA 04:38",
    ]


@pytest.mark.parametrize("columns", [None, "80", "100", "60"])
def test_bar_behind_a_pipe_fits_the_width(monkeypatch, columns):
    if columns is None:
        monkeypatch.delenv("COLUMNS", raising=False)
    else:
        monkeypatch.setenv("COLUMNS", columns)
    stream = io.StringIO()
    shown = progress("bar", 300, 20, stream)
    for step in range(21, 301):
        shown.update(line(step))
    shown.say("checkpoint 300")
    shown.close()
    pieces = stream.getvalue().replace("\n", "\r").split("\r")
    assert "checkpoint 300" in pieces
    bars = [text for text in pieces if "/300 |" in text]
    assert {len(text.rstrip()) for text in bars} <= set(range(int(columns or 80) + 1))
    assert bars[-1].startswith("300/300 |") and "E -127.4906(12) var" in bars[-1]
    if columns != "60":
        assert "R-hat 1.012 acc 0.62 ETA 00:00" in bars[-1]


@pytest.mark.parametrize("columns", [0, 80])
def test_auto_is_a_bar_on_a_terminal(columns):
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 25, columns, 0, 0))
    with open(theirs, "w") as stream:
        shown = progress("auto", 3, 0, stream)
        shown.update(line(1))
        shown.close()
    data = b""
    with contextlib.suppress(OSError):  # the end of a terminal whose other side is closed
        while chunk := os.read(ours, 100_000):
            data += chunk
    os.close(ours)
    text = data.decode()
    assert "1/3 |" in text and "R-hat 1.012 acc 0.62 ETA" in text and "step" not in text
    assert max(map(len, text.split("\r"))) <= 80


class Deaf(io.StringIO):
    """A pipe whose reader is gone."""

    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("mode", ["bar", "lines"])
def test_nobody_listening_is_not_the_end_of_a_run(mode):
    shown = progress(mode, 10, 0, Deaf())
    for step in range(1, 11):
        shown.update(line(step))
    shown.say("words")
    shown.close()


OTHER = (Quantity("infidelity", "1-F", format=".1e"), Quantity("m2", "m²", error="m2_error"))


@pytest.mark.parametrize(("mode", "start"), [("lines", "step 9, 0.25/2 1/J:"), ("bar", "0.25/2 1/J |")])
def test_another_total_and_other_quantities(monkeypatch, mode, start):
    """A run in time shows the time reached, and what it declares; a step of it is a small part of a unit."""
    clock, stream = Clock(monkeypatch), io.StringIO()
    monkeypatch.setattr("tqdm.std.time", lambda: clock.now)
    shown = progress(mode, 2.0, 0.0, stream, quantities=OTHER, unit="1/J")
    for step, done in ((8, 0.125), (9, 0.25)):
        clock.now += 10.0
        shown.update({"step": step, "infidelity": 2.5e-7, "m2": 0.1234, "m2_error": 0.0015}, done)
    shown.close()
    newest = stream.getvalue().replace("\r", "\n").split("\n")
    assert any(text.startswith(start.replace("9", "8").replace("0.25", "0.125")) for text in newest)
    assert any(text.startswith(start) and "1-F 2.5e-07 m² 0.1234(15) ETA 02:20" in text for text in newest)


def test_steps_as_floats_read_as_steps(monkeypatch):
    Clock(monkeypatch)
    stream = io.StringIO()
    shown = progress("lines", 10.0, 0.0, stream)
    shown.update(line(3), 3.0)
    assert stream.getvalue().startswith("step  3/10 E -127.4906(12) var")


@pytest.mark.parametrize(
    ("unit", "mode", "start"),
    [
        ("steps", "lines", "step 3 E -127.4906(12) var 0.0312 R-hat 1.012 acc 0.62\n"),
        ("steps", "bar", "3/? |"),
        ("1/J", "lines", "step 3, 0.5/? 1/J: E"),
        ("1/J", "bar", "0.5/? 1/J |"),
    ],
)
def test_a_total_that_is_not_known(unit, mode, start):
    stream = io.StringIO()
    shown = progress(mode, None, 0, stream, unit=unit)
    shown.update(line(3), 3 if unit == "steps" else 0.5)
    shown.close()
    assert any(text.startswith(start) for text in stream.getvalue().split("\r")) and "ETA" not in stream.getvalue()


def test_what_a_summary_declares():
    """As it is written it is read back; what others have put there does no harm."""
    assert declared({"quantities": [one._asdict() for one in OTHER]}) == OTHER
    assert declared({}) == declared({"quantities": "energy"}) == GROUND_STATE
    strange = [{"key": "a", "label": "\x1b[2J" + "l" * 99, "unit": 3, "format": ".999999f", "error": ["x"]}]
    strange += [{"key": 7}, "m2", None, {"key": "a", "label": "again"}, {"key": "b\n"}, {"label": "no key"}]
    (found,) = declared({"quantities": strange})
    assert found.label.isprintable() and len(found.label) == 40 and found[0::2] == ("a", "", None)
    assert found.format == ".6g" and format(1e100, found.format) == "1e+100"
    assert len(declared({"quantities": [{"key": f"q{i}"} for i in range(10**4)]})) == 32
