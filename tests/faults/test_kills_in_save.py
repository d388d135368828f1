"""SIGKILL during a save, right before each call that it makes of the file system: the checkpoints before it stay."""

from pathlib import Path

import pytest

from tests.faults.conftest import KEYS, RANKS, WHOLE, copy, one_line
from tests.mpi.starts import kill_all, new_mark, small, start

pytestmark = pytest.mark.faults
HARNESS = str(Path(__file__).with_name("kill_in_save.py"))
SOONER = ("checkpoint.every_steps=1", f"task.n_steps={WHOLE}")


def killed_at(moment, run):
    """Exit code and output of a start that goes on from what is there, its rank 0 killed in its first save."""
    mark = new_mark()
    process = start(RANKS, HARNESS, str(moment), *small(*KEYS, *SOONER)[2:], cwd=run.cwd, mark=mark)
    output, _ = process.communicate(timeout=600)
    kill_all(mark)
    return process.returncode, output


@pytest.mark.parametrize("which", ["two", pytest.param("every", marks=pytest.mark.table)])
def test_killed_right_before_a_call(template, tmp_path, which):
    (tmp_path / "count").mkdir()
    code, output = killed_at("count", copy(template, tmp_path / "count"))
    assert code == 0
    calls = one_line(output, "calls:").split()[1:]
    assert {"write", "fsync", "replace", "unlink"} <= set(calls) and len(calls) >= 20, calls
    moments = list(range(1, len(calls) + 1))
    if which == "two":  # before the bytes are safe, before they have their name
        moments = [calls.index("fsync", calls.index("write")) + 1, calls.index("replace") + 1]

    run = copy(template, tmp_path)
    for moment in moments:
        before = run.whole()
        code, output = killed_at(moment, run)
        assert code not in (0, 2, 85) and "Traceback" not in output, output
        assert set(before[-2:]) <= set(run.whole()) and len(run.whole()) >= 3, (moment, calls[moment - 1])
        if run.whole()[-1] > WHOLE - 2:  # the last save came through whole, often enough: from the beginning again
            for step in run.whole():
                run.checkpoint(step).unlink()
            run = copy(template, tmp_path / f"again_{moment}")
    run.go_on()
    run.is_undisturbed()
