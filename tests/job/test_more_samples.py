"""More final samples than a finished run has: whether there is something to start, and what its folder says then."""

import json
import os

import pytest

from nqs_hpc.config.admission import refusal
from nqs_hpc.config.compose import compose
from nqs_hpc.job.lifecycle import DONE, FAULT, done, finished, write_done
from nqs_hpc.report.places import find_runs
from nqs_hpc.report.rows import read_rows

KEYS = ["lattice.length=4"]


@pytest.fixture
def run(tmp_path):
    """A run of which 12 steps are made and its energy taken from 512 samples."""
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "step_00000012.h5").touch()
    write_done(tmp_path / "run", 12, 512)
    return tmp_path / "run"


def asked(run, n_samples, *words, n_steps=12):
    return refusal(compose([*KEYS, f"task.n_steps={n_steps}", f"task.final_samples={n_samples}", *words], 1), run)


def test_more_samples_are_something_to_do(run):
    assert done(run) == 12 and finished(run) == (12, 512)
    assert asked(run, 513) is None
    for n_samples in (512, 100):
        left = asked(run, n_samples)
        assert left.code == DONE and left.line.endswith(
            "is done: 12 of 12 steps, the energy from 512 samples; nothing to do"
        )
    assert asked(run, 513, n_steps=8) is None  # it has made more steps than are asked for
    assert asked(run, 100, n_steps=13) is None
    assert asked(run, 513, "sampler=enumerate").code == DONE  # exact sums have no samples


def test_an_old_done_holds_the_step_alone(run):
    (run / "DONE").write_text("12\n")
    assert finished(run) == (12, None) and asked(run, 10**6).code == DONE  # nobody knows with how many it was done
    summary = {"final": True, "n_samples": 512}
    (run / "summary.json").write_text(json.dumps(summary))
    assert asked(run, 513) is None and asked(run, 512).code == DONE
    for odd in ({"final": False, "n_samples": 512}, {"final": True, "n_samples": "512"}, {"final": True}, []):
        (run / "summary.json").write_text(json.dumps(odd))
        assert asked(run, 513).code == DONE
    (run / "summary.json").write_text("{")
    assert asked(run, 513).code == DONE


def test_without_a_checkpoint_no_step_is_made_again(run):
    (run / "checkpoints" / "step_00000012.h5").unlink()
    left = asked(run, 513)
    assert left.code == FAULT and "no checkpoint is left" in left.line and "\n" not in left.line
    assert asked(run, 512).code == DONE


@pytest.mark.parametrize("text", ["12 ", "12  512", "12 512 3", "12 many", "12 -1", "x", "", "1" * 20])
def test_a_done_that_says_something_else(run, text):
    (run / "DONE").write_text(text)
    if text.strip() == "12":
        assert finished(run) == (12, None)
    else:
        with pytest.raises(ValueError, match=r"DONE holds .*expected the step reached"):
            finished(run)


def fill(run, *, asks, status="done", reason="12 steps", ended=True, final=True):
    """What a start leaves that was to evaluate with ``asks`` samples."""
    energy = {"mean": -6.5, "error": 0.01, "variance": 0.1}
    summary = {"status": status, "reason": reason, "final": final, "step": 12, "energy": energy, "n_samples": 512}
    (run / "summary.json").write_text(json.dumps(summary))
    exit_ = {"time": "", "step": 12, "reason": f"{status}: {reason}"} if ended else None
    (run / "manifest.json").write_text(json.dumps({"physics": {}, "starts": [{"step": 12, "exit": exit_}]}))
    (run / "config.yaml").write_text(f"task: {{n_steps: 12, final_samples: {asks}}}\nsampler: {{name: metropolis}}\n")


@pytest.mark.parametrize(
    ("traces", "state", "why"),
    [
        ({"asks": 512}, "done", ""),
        ({"asks": 100}, "done", ""),
        (
            {"asks": 4096, "status": "stopped", "reason": "max_seconds, during the final evaluation"},
            "stopped",
            "max_seconds, during the final evaluation; done with 512 final samples, 4096 requested",
        ),
        (
            {"asks": 4096, "ended": False},
            "failed",
            "killed after step 12: done with 512 final samples, 4096 requested",
        ),
        (
            {"asks": 4096, "status": "failed", "reason": "two starts in a row were stopped"},
            "failed",
            "two starts in a row were stopped; done with 512",
        ),
    ],
)
def test_what_the_status_says(run, traces, state, why):
    fill(run, **traces)
    (one,) = read_rows(find_runs(str(run)), 0.0)
    assert one.row.state == state and one.row.why.startswith(why) and one.row.get("energy") == -6.5
    assert one.row.final  # the former energy is not lost


def test_one_that_is_evaluated_again_is_running(run):

    fill(run, asks=4 * 10**6, ended=False)
    owner = {"host": os.uname().nodename, "pid": os.getpid(), "job": None}
    (run / ".lock").write_text(json.dumps(owner))
    (run / "metrics.jsonl").write_text(json.dumps({"step": 12, "energy": -6.5, "seconds": 0.1}) + "\n")
    begun = (run / "manifest.json").stat().st_mtime
    for after, state in ((1.0, "running"), (1000.0, "running"), (10**5, "stalled")):
        (one,) = read_rows(find_runs(str(run)), begun + after)
        assert one.row.state == state
        assert state == "stalled" or one.row.why == "final evaluation"


def test_a_summary_keeps_the_former_energy(run):
    from nqs_hpc.run.final import evaluated, kept_final

    fill(run, asks=4096)
    former = evaluated(run, 12)
    assert former is not None and former["n_samples"] == 512
    assert evaluated(run, 13) is None  # of another step
    ended = {"status": "stopped", "reason": "signal SIGTERM, during the final evaluation", "seconds": 3.0}
    told = kept_final(former, ended | {"energy": {"mean": -5.0}, "final": False, "n_samples": 64})
    assert told["status"] == "stopped" and told["final"] is True and told["n_samples"] == 512
    assert told["energy"]["mean"] == -6.5 and told["seconds"] == 3.0
    assert told["reason"].startswith("signal SIGTERM, during the final evaluation; the energy is that of the final")
    (run / "DONE").unlink()
    assert evaluated(run, 12) is None
