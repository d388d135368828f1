"""Streams that are closed at the start or end in mid-run are not the run's affair, nor its exit code's."""

import errno
import io
import os
import subprocess
import sys

import pytest

from nqs_hpc.job.progress import progress
from nqs_hpc.job.streams import patient, undisturbed

FILLED = """
import os, sys
from nqs_hpc.job.streams import fill
fill()
with open(sys.argv[1], "w") as file:  # it would be number 1 or 2, and all that is printed land in it
    os.write(1, b"a library prints")
    os.write(2, b"a library complains")
    print("and so do we", flush=True)
    print("and so do we", file=sys.stderr, flush=True)
    file.write("ours")
    assert file.fileno() > 2 and all(os.get_inheritable(number) for number in range(3))
"""


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", ">&-", "2>&-"])
def test_streams_closed_at_the_start(tmp_path, closed):
    command = [sys.executable, "-c", FILLED, str(tmp_path / "file")]
    done = subprocess.run(["bash", "-c", f'"$@" {closed}', "bash", *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "file").read_text() == "ours"


class Broken(io.StringIO):
    """A stream whose reader is gone."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def write(self, text):
        raise self.error

    def flush(self):
        raise self.error


GONE = [OSError(number, os.strerror(number)) for number in (errno.EIO, errno.EPIPE, errno.EBADF, errno.ENOSPC)]


@pytest.mark.parametrize("error", [*GONE, ValueError("I/O operation on closed file")], ids=str)
@pytest.mark.parametrize("mode", ["bar", "lines"])
def test_a_terminal_that_is_gone(error, mode):
    show = progress(mode, 2, 0, Broken(error))
    show.say("a line")
    for step in (1, 2):
        show.update({"step": step, "energy": -1.0, "energy_error": 0.1})
    show.close()


def test_all_that_is_printed_in_a_job(monkeypatch):
    broken = Broken(OSError(errno.EIO, "terminal"))
    monkeypatch.setattr(sys, "stdout", broken)
    monkeypatch.setattr(sys, "stderr", broken)
    with undisturbed():
        print("a line", flush=True)
        print("a complaint", file=sys.stderr, flush=True)
        assert patient(sys.stdout) is sys.stdout
    assert sys.stdout is broken and sys.stderr is broken


PRINTS = """
import sys
from nqs_hpc.job.streams import undisturbed
with undisturbed():
    print("first", flush=True)
    sys.stdin.readline()
    for _ in range(3):
        print("out", flush=True)
        print("err", file=sys.stderr, flush=True)
raise SystemExit(85)
"""


def test_a_pipe_that_is_closed_does_not_change_the_exit_code():
    """Python would end with 120, because it cannot empty its buffers."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", PRINTS], **pipes) as process:
        assert process.stdout.readline() == b"first\n"
        process.stdout.close()
        process.stderr.close()
        process.stdin.close()
        assert process.wait(timeout=120) == 85
