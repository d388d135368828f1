"""States and rows, judged against what was done to each folder; nothing that lies in a folder may raise."""

import json
import math
import os
import time

import pytest

from nqs_hpc.report.places import find_runs
from nqs_hpc.report.rows import flat, read_rows
from nqs_hpc.report.states import STATES
from nqs_hpc.report.values import clean

from .conftest import N_STEPS, point

AN_HOUR = 3600.0
# What a row of a ground state has in CSV and JSON, which scripts of users rely on.
FIELDS = {
    *(
        "name",
        "swept",
        "state",
        "why",
        "trust",
        "step",
        "n_steps",
        "energy",
        "energy_error",
        "energy_variance",
        "final",
    ),
    *("energy_per_site", "energy_per_site_error", "v_score", "e_infinity", "reference", "relative_error", "r_hat"),
    *("tau", "acceptance", "seconds_per_step", "eta_seconds", "seconds", "restarts", "n_sites", "n_parameters"),
    *("n_ranks", "job", "command", "troubles"),
}


def rows(folder, now=None):
    """Row by name."""
    found = read_rows(find_runs(str(folder)), time.time() if now is None else now)
    return {one.row.name: one.row for one in found}


def state(folder, name="a", now=None):
    row = rows(folder, now)[name]
    assert row.state in STATES
    return row.state, row.why


def test_a_finished_run_says_what_its_files_say(runs):
    runs.copy("a")
    row = rows(runs.folder)["a"]
    summary = json.loads((runs.folder / "a" / "summary.json").read_text())
    lines = [json.loads(line) for line in (runs.folder / "a" / "metrics.jsonl").read_text().splitlines()]
    assert (row.state, row.why, row.step, row.n_steps, row.restarts) == ("done", "", N_STEPS, N_STEPS, 0)
    assert (
        row.final
        and row.get("energy") == summary["energy"]["mean"]
        and row.get("energy_error") == summary["energy"]["error"]
    )
    assert (
        row.get("energy_per_site") == row.get("energy") / 4
        and row.get("energy_per_site_error") == row.get("energy_error") / 4
    )
    assert row.get("reference") == summary["reference"]["energy"]
    assert row.get("relative_error") == pytest.approx(summary["relative_error"], rel=1e-12)
    assert (row.get("v_score"), row.get("r_hat"), row.get("tau")) == (
        summary["v_score"],
        summary["r_hat"],
        summary["tau"],
    )
    assert min(line["seconds"] for line in lines) < row.seconds_per_step < max(line["seconds"] for line in lines)
    assert row.eta_seconds is None and row.troubles == [] and row.command.endswith(f"run_dir={runs.real}")
    json.dumps(flat(row), allow_nan=False)


def test_a_run_of_a_sector_that_is_not_the_lowest_says_so(runs):
    reference = {"energy": -2.0, "method": "made up", "lowest": {"energy": -2.5, "sector": 0}, "above_lowest": 0.5}
    runs.copy("a", reference=reference, reason="12 steps; this sector does not hold the ground state")
    runs.copy("b", reference=reference | {"above_lowest": 0.0})
    runs.copy("c", reference={"energy": -2.0, "lowest": 3, "above_lowest": "\x1b"})
    assert state(runs.folder) == ("done", "12 steps; this sector does not hold the ground state")
    assert state(runs.folder, "b") == state(runs.folder, "c") == ("done", "")


def test_a_running_run_shows_its_newest_line(runs):
    runs.copy("a")
    runs.unfinish("a", status="running", ended=False)
    runs.edit("a", "manifest.json", lambda told: told["starts"].insert(0, told["starts"][0]))
    text = (runs.folder / "a" / "config.yaml").read_text()
    (runs.folder / "a" / "config.yaml").write_text(text.replace(f"n_steps: {N_STEPS}", "n_steps: 1000"))
    runs.hold("a")
    row = rows(runs.folder)["a"]
    line = json.loads((runs.folder / "a" / "metrics.jsonl").read_text().splitlines()[-1])
    assert (row.state, row.why, row.restarts, row.n_steps) == ("running", "", 1, 1000)
    # H has no trace: the V-score is that of the line, not that of the summary, which may be older
    assert row.get("e_infinity") == 0 and row.get("v_score") == pytest.approx(
        4 * line["energy_variance"] / line["energy"] ** 2
    )
    assert row.get("energy") == line["energy"] and row.get("acceptance") == line["acceptance"] and not row.final
    assert row.eta_seconds == pytest.approx((1000 - N_STEPS) * row.seconds_per_step)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stopped: signal SIGTERM", ("stopped", "signal SIGTERM")),
        ("failed: 10 steps in a row were not finite", ("failed", "10 steps in a row were not finite")),
        (None, ("failed", f"killed after step {N_STEPS}")),
    ],
)
def test_how_the_last_start_ended(runs, reason, expected):
    runs.copy("a")
    status, _, why = (reason or "running: ").partition(": ")
    runs.unfinish("a", status=status, reason=why, ended=reason is not None)
    runs.hold("a", pid=2**22 + 1)  # beyond every process number
    assert state(runs.folder) == expected


def test_a_stop_file_is_named(runs):
    runs.copy("a")
    runs.unfinish("a", status="running", ended=False)
    (runs.folder / "a" / "STOP").touch()
    found, why = state(runs.folder)
    assert found == "stopped" and "STOP" in why


def test_stalled_after_ten_steps_time_and_a_minute(runs):
    runs.copy("a")
    runs.unfinish("a", status="running", ended=False)
    runs.hold("a")
    config = runs.folder / "a" / "config.yaml"
    config.write_text(config.read_text().replace(f"n_steps: {N_STEPS}", "n_steps: 1000"))
    metrics = runs.folder / "a" / "metrics.jsonl"

    def after(seconds, per_step):
        lines = [json.loads(line) | {"seconds": per_step} for line in metrics.read_text().splitlines()]
        metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return state(runs.folder, now=metrics.stat().st_mtime + seconds)[0]

    assert after(59, 0.01) == "running" and after(61, 0.01) == "stalled"
    assert after(299, 30.0) == "running" and after(301, 30.0) == "stalled"
    assert after(-AN_HOUR, 0.01) == "running"  # the clock of the file's host is ahead of ours


def test_compiling_and_the_final_evaluation_are_no_standstill(runs):
    runs.copy("a")
    runs.unfinish("a", status="running", ended=False)
    runs.hold("a")
    now = (runs.folder / "a" / "metrics.jsonl").stat().st_mtime
    assert state(runs.folder, now=now + 600) == ("running", "final evaluation")
    assert state(runs.folder, now=now + AN_HOUR)[0] == "stalled"
    runs.edit("a", "manifest.json", lambda told: told["starts"][-1].update(seconds=None))
    now = (runs.folder / "a" / "manifest.json").stat().st_mtime
    os.utime(runs.folder / "a" / "metrics.jsonl", (now - AN_HOUR, now - AN_HOUR))  # lines of the start before
    assert state(runs.folder, now=now + 600) == ("running", "starting")
    assert state(runs.folder, now=now + AN_HOUR)[0] == "stalled"


def test_a_process_of_another_host_cannot_be_asked(runs):
    runs.copy("a")
    runs.unfinish("a", status="running", ended=False)
    runs.hold("a", host="elsewhere", pid=17)
    now = (runs.folder / "a" / "metrics.jsonl").stat().st_mtime
    assert state(runs.folder, now=now + 1)[0] == "running"
    found, why = state(runs.folder, now=now + AN_HOUR)
    assert found == "stalled" and "process 17 on elsewhere cannot be checked from here" in why


def test_slurm_is_asked_once_for_all_points(runs, squeue):
    asked = squeue(
        "7_0|8|PENDING|Resources|/x", "7_1|9|RUNNING|None|/x", "7_2|10|TIMEOUT|TimeLimit|/x", "7_3|7|PENDING|Held|/x"
    )
    for name in ("running", "killed", "again"):
        runs.copy(name)
        runs.unfinish(name, status="running", ended=name == "again")
    runs.hold("running", host="node1", job="9")
    runs.hold("killed", host="node2", job="10")
    names = ("fresh", "running", "killed", "again")
    points = [point(name, job=f"7_{i}", state="submitted") for i, name in enumerate(names)]
    points.append(point("gone", job="6", state="submitted"))
    runs.study(points)
    found = {name: (row.state, row.why) for name, row in rows(runs.folder).items()}
    assert found["fresh"] == ("queued", "job 7_0 is PENDING (Resources)")
    assert found["running"][0] == "running"
    assert found["killed"] == ("failed", f"killed after step {N_STEPS}, Slurm: TIMEOUT")
    assert found["again"] == ("requeued", "job 7_3 is PENDING (Held)")
    assert found["gone"] == ("failed", "job 6 is no longer in the queue, and no run has begun")
    (call,) = asked()
    assert f"--user={os.getuid()}" in call


def test_an_element_that_runs_under_the_number_of_its_array(runs, squeue):
    runs.copy("a")
    runs.unfinish("a", status="running", ended=False)
    runs.hold("a", host="node1", job="7")
    squeue("7_3|7|RUNNING|None|/x", "7_2|7|PENDING|JobArrayTaskLimit|/x")
    assert state(runs.folder)[0] == "running"


def test_a_submitted_job_is_found_by_its_folder(runs, squeue):
    (runs.folder / "a").mkdir(parents=True)
    (runs.folder / "a" / "job.sbatch").touch()
    runs.copy("b")
    squeue(f"5|5|PENDING|Priority|{runs.folder / 'a'}")
    assert state(runs.folder) == ("queued", "job 5 is PENDING (Priority)")


def test_slurm_that_does_not_answer_is_named_where_it_matters(runs, squeue):
    asked = squeue("slurm_load_jobs error: Unable to contact", code=1)
    runs.copy("done")
    runs.study([point("done", job="1", state="submitted"), point("open", job="2", state="submitted")])
    found = rows(runs.folder)
    assert (found["done"].state, found["done"].why) == ("done", "")
    assert found["open"].state == "queued" and "job 2 is not known: slurm_load_jobs" in found["open"].why
    runs.study([point("done", job="1", state="submitted"), point("local")])
    n_before = len(asked())
    assert rows(runs.folder)["local"].state == "waiting"
    assert len(asked()) == n_before  # nothing that it could say is needed


def test_points_that_left_no_run(runs):
    runs.folder.mkdir()
    points = [
        point("waits"),
        point("chained", after="waits"),
        point("early", state="running"),
        point("refused", state="failed", why="exit code 2"),
        point("dead", state="running"),
        point("file", state="running"),
    ]
    for name in ("early", "dead"):
        (runs.folder / name).mkdir()
        (runs.folder / name / "output.log").write_text("loading\n\x1b[31mImportError: no libmpi\x1b[0m\n")
    (runs.folder / "file").write_text("not a folder")
    os.utime(runs.folder / "dead" / "output.log", (1, 1))
    runs.study(points)
    found = {name: (row.state, row.why) for name, row in rows(runs.folder).items()}
    assert found["waits"] == ("waiting", "")
    assert found["chained"] == ("waiting", "comes after waits, which is not done")
    assert found["early"] == ("running", "starting")
    assert found["refused"] == ("failed", "exit code 2")
    assert found["dead"] == ("failed", "ended early: ImportError: no libmpi")
    assert found["file"] == ("failed", "file is a file, not a run folder")


def test_what_comes_after_a_failed_point_waits(runs, squeue):
    """Slurm cancels a chain behind its first failure, or has forgotten it: that is no failure of theirs."""
    squeue("30|30|CANCELLED|None|/x", "31|31|PENDING|Dependency|/x", "40|40|FAILED|None|/x")
    runs.copy("ok")
    runs.copy("h1")
    runs.unfinish("h1", status="failed", reason="not finite")
    points = [
        point("h1", job="29", state="submitted"),
        point("h2", after="h1", job="30", state="submitted"),
        point("h3", after="h2", job="28", state="submitted"),
        point("h4", after="h1", job="31", state="submitted"),
        point("local", after="h1"),
        point("ok", job="39", state="submitted"),
        point("own", after="ok", job="40", state="submitted"),  # its own failure: what it needs is there
        point("itself", after="itself", job="28", state="submitted"),
    ]
    runs.study(points)
    found = {name: (row.state, row.why) for name, row in rows(runs.folder).items()}
    assert found["h1"] == ("failed", "not finite")
    assert found["h2"] == found["local"] == ("waiting", "comes after h1, which failed")
    assert found["h3"] == ("waiting", "comes after h2, which is not done")
    assert found["h4"] == ("queued", "job 31 is PENDING (Dependency)")
    assert found["own"] == ("failed", "job 40 ended as FAILED, and no run has begun")
    assert found["itself"][0] == "waiting"


BANNER = """
===================================================================================
=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES
=   PID 24 RUNNING AT node
=   EXIT CODE: 9
=   CLEANING UP REMAINING PROCESSES
=   YOU CAN IGNORE THE BELOW CLEANUP MESSAGES
===================================================================================
YOUR APPLICATION TERMINATED WITH THE EXIT STRING: Killed (signal 9)
This typically refers to a problem with your application.
Please see the FAQ page for debugging suggestions
"""
START = "/x/a: new, step 0 of 12; 4 sites, 24 parameters, 64 samples a step, solver cholesky, 1 threads"


@pytest.mark.parametrize(
    ("log", "launched", "told"),
    [
        (START, "", ""),
        (f"{START}\nstep 3/12 E -3.85(17) var 3.22 acc 0.97 ETA --:--", "", ""),
        (
            f"{START}\nstep 3/12 E -3.85(17){BANNER}",
            "code 9: Please see the FAQ page for debugging suggestions",
            "code 9",
        ),
        (f"{START}\nnumpy.linalg.LinAlgError: singular{BANNER}", "", "numpy.linalg.LinAlgError: singular"),
        (START, "killed by SIGKILL", "killed by SIGKILL"),
        (START, f"code 1: {START}", "code 1"),
        (START, "code 1: OSError: no space", "code 1: OSError: no space"),
    ],
)
def test_why_a_killed_point_failed(runs, log, launched, told):
    """Neither what every run prints nor what mpiexec prints of every death is the reason."""
    runs.copy("a")
    runs.unfinish("a", status="running", ended=False)
    (runs.folder / "a" / "output.log").write_text(log + "\n")
    runs.study([point("a", state="failed" if launched else "running", why=launched)])
    assert state(runs.folder) == ("failed", f"killed after step {N_STEPS}{': ' if told else ''}{told}")


def test_a_done_run_whose_summary_is_gone_says_so(runs):
    for name, content in (("torn", '{"status": "done", "ener'), ("gone", None), ("whole", ...)):
        path = runs.copy(name) / "summary.json"
        path.write_text(content) if isinstance(content, str) else content is ... or path.unlink()
    found = rows(runs.folder)
    assert {name: (row.state, row.why) for name, row in found.items()} == {
        "torn": ("done", "summary.json cannot be read: the energy is that of the last step"),
        "gone": ("done", "summary.json is missing: the energy is that of the last step"),
        "whole": ("done", ""),
    }


def test_no_time_is_left_to_a_target_that_lies_behind(runs):
    runs.copy("a")
    runs.unfinish("a", status="running", ended=False)
    runs.hold("a")
    runs.study([point("a", n_steps=N_STEPS - 5)])
    row = rows(runs.folder)["a"]
    assert (row.state, row.step, row.n_steps, row.eta_seconds) == ("running", N_STEPS, N_STEPS - 5, None)


def test_a_longer_sweep_is_not_done(runs):
    runs.copy("a")
    runs.study([point("a", n_steps=500, state="done")])
    assert state(runs.folder) == ("stopped", f"done at step {N_STEPS}, 500 steps requested")


BROKEN = {
    "no summary": {"summary.json": None},
    "cut line": {"metrics.jsonl": b'{"step": 1, "energy": -2.0, "seconds": 0.1}\n{"step": 2, "ener'},
    "garbage summary": {"summary.json": b'{"status": '},
    "list for a summary": {"summary.json": b"[1, 2]"},
    "garbage manifest": {"manifest.json": b"{{{"},
    "other manifest": {"manifest.json": b'{"starts": [3, null, {"exit": 7, "seconds": "x", "step": []}]}'},
    "unreadable config": {"config.yaml": b"a: [1\n\tb: {"},
    "null energies": {
        "metrics.jsonl": b'{"step": 12, "energy": null, "energy_error": NaN}\n',
        "summary.json": b'{"status": "failed", "energy": {"mean": null}, "v_score": Infinity, "final": true}',
    },
    "wrong types": {
        "summary.json": b'{"status": 3, "energy": [1], "step": "x", "n_sites": -2, "reference": 1e400}',
        "DONE": b"soon",
    },
    "huge numbers": {"summary.json": b'{"energy": {"mean": 1' + b"0" * 400 + b'}, "n_sites": 0}'},
    "extreme numbers": {
        "summary.json": b'{"final": true, "status": "done", "energy": {"mean": 1e99, "error": 1e-99, "variance": 1e300}'
        b', "n_sites": 9, "v_score": 1e-99, "reference": {"energy": 1e-320}, "seconds": 1e308, "n_parameters": 1'
        + b"0" * 400
        + b"}",
        "metrics.jsonl": b'{"step": 1, "energy": -1e300, "energy_variance": 1e308, "seconds": 1e308}\n' * 3,
    },
    "binary junk": dict.fromkeys(
        ("summary.json", "manifest.json", "metrics.jsonl", "config.yaml", "DONE", ".lock", "output.log"),
        bytes(range(256)),
    ),
    "deep nesting": dict.fromkeys(("summary.json", "manifest.json", "metrics.jsonl", ".lock"), b"[" * 200000),
    "folders for files": dict.fromkeys(("summary.json", "metrics.jsonl", "config.yaml", "DONE"), ...),
    "nothing": dict.fromkeys(
        ("summary.json", "manifest.json", "metrics.jsonl", "config.yaml", "reference.json", "DONE", ".lock"), None
    ),
}


def break_run(folder, what):
    for name, content in what.items():
        (folder / name).unlink(missing_ok=True)
        if content is ...:
            (folder / name).mkdir()
        elif content is not None:
            (folder / name).write_bytes(content)


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("kind", BROKEN)
def test_every_broken_run_is_a_row(runs, kind, finished):
    runs.copy("a")
    runs.copy("whole")
    if not finished:
        runs.unfinish("a", status="running", ended=False)
    break_run(runs.folder / "a", BROKEN[kind])
    found = rows(runs.folder)
    assert found["whole"].state == "done" and found["whole"].troubles == []
    row = found["a"]
    assert set(flat(row)) == FIELDS and row.state in STATES
    assert row.state == "done" or row.why
    if not finished or kind in ("binary junk", "nothing"):
        assert row.state == "failed"
    json.dumps(flat(row), allow_nan=False)
    assert all(text is None or text.isprintable() for text in (row.name, row.why, row.command, *row.troubles))
    for value in (row.get("energy"), row.get("energy_error"), row.get("v_score"), row.get("relative_error")):
        assert value is None or math.isfinite(value)
    if kind.startswith(("garbage", "list", "unreadable", "binary", "folders")):
        lines = {"output.log", "metrics.jsonl", ".lock"}  # read as far as they go, but for a folder
        unreadable = {name for name, text in BROKEN[kind].items() if text is ... or name not in lines}
        assert {trouble.split()[0] for trouble in row.troubles} == unreadable


def test_text_from_files_is_one_printable_line():
    assert clean("\x1b[1;31mred\x1b[0m\a \u202eand\n  more\t") == "red\ufffd \ufffdand more"
    assert clean("x" * 1000) == "x" * 299 + "…"


def test_swept_keys_of_a_sweep_and_of_loose_runs(runs):
    runs.copy("a", n=4)
    runs.copy("b", n=6)
    runs.copy("c", n=6, ansatz="mlp")
    assert {name: row.swept for name, row in rows(runs.folder).items()} == {
        "a": {"lattice.length": 4, "ansatz": "rbm"},
        "b": {"lattice.length": 6, "ansatz": "rbm"},
        "c": {"lattice.length": 6, "ansatz": "mlp"},
    }
    runs.study(
        [point("a", {"lattice.length": 4, "optimizer.diag_shift": 1e-3}), point("b", {"hamiltonian.J": [1, 0.5]})]
    )
    assert [row.swept for row in rows(runs.folder).values()] == [
        {"lattice.length": 4, "optimizer.diag_shift": 1e-3, "hamiltonian.J": 1.0},
        {"lattice.length": 6, "optimizer.diag_shift": 0.01, "hamiltonian.J": "[1, 0.5]"},
    ]


def test_what_differs_between_launches_is_a_column_too(runs):
    """Each launch notes what it swept itself; the field, the boundary and the network were its own."""
    own = {"lattice.pbc": [False], "hamiltonian.h": 1.5}
    for name, n, h, pbc in (("a4", 4, 1.5, False), ("a6", 6, 1.5, False), ("b4", 4, 0.5, False), ("b6", 6, 0.5, True)):
        runs.copy(name, n=n)
        change = {"h": h}, {"pbc": [pbc]}

        def physics(told, change=change):
            told["physics"]["hamiltonian"] |= change[0]
            told["physics"]["lattice"] |= change[1]

        runs.edit(name, "manifest.json", physics)
    points = [point(name, {"lattice.length": int(name[1])}) for name in ("a4", "a6", "b4", "b6")]
    waits = point("c8", {"lattice.length": 8}, overrides=["lattice.length=8", "lattice.pbc=False", "hamiltonian.h=2"])
    runs.study([*points, waits])
    found = rows(runs.folder)
    assert {name: tuple(row.swept.values()) for name, row in found.items()} == {
        "a4": (4, "false", 1.5),
        "a6": (6, "false", 1.5),
        "b4": (4, "false", 0.5),
        "b6": (6, "true", 0.5),
        "c8": (8, "false", 2),
    }
    assert list(found["c8"].swept) == ["lattice.length", *own]


def test_networks_with_keys_of_their_own_are_told_apart_by_name(runs):
    """What only a perceptron has is no column: ansatz says it."""
    for name, alpha in (("a", 1.0), ("b", 2.0)):
        runs.copy(name)
        runs.edit(name, "manifest.json", lambda told, alpha=alpha: told["physics"]["ansatz"].update(alpha=alpha))
    runs.copy("c", ansatz="mlp")
    network = {"name": "mlp", "alphas": [2, 2], "init_scale": 1.0}
    runs.edit("c", "manifest.json", lambda told: told["physics"].update(ansatz=network))
    runs.study([point("a", {"ansatz.alpha": 1}), point("b", {"ansatz.alpha": 2}), point("c", {"lattice.length": 4})])
    assert [row.swept for row in rows(runs.folder).values()] == [
        {"ansatz.alpha": alpha, "lattice.length": 4, "ansatz": ansatz}
        for alpha, ansatz in ((1, "rbm"), (2, "rbm"), (None, "mlp"))
    ]


def test_a_manifest_with_values_of_other_kinds(runs):
    runs.copy("a")
    odd = point("a", ["no", "mapping"], n_sites="x", n_steps=None, command=7, after=3, why=[], job=None)
    runs.study([odd, point("b", {"k": {"a": [1]}}, state=9, after={})])
    found = rows(runs.folder)
    assert found["a"].state == "done" and found["a"].command is None and found["a"].swept == {"k": None}
    assert found["b"].swept == {"k": '{"a": [1]}'} and found["b"].state == "failed"


def test_what_a_folder_can_be(runs, tmp_path):
    one = runs.copy("a")
    (runs.folder / "report").mkdir()
    (runs.folder / "empty").mkdir()
    assert list(rows(one)) == ["a"] and list(rows(runs.folder)) == ["a", "empty"]
    (tmp_path / "sweeps" / "s").mkdir(parents=True)
    (tmp_path / "sweeps" / "s" / "manifest.json").write_text('{"study": "s", "points": []}')
    (tmp_path / "file").touch()
    for name, words in (
        ("missing", "is not a folder"),
        ("file", "is not a folder"),
        ("sweeps", "holds sweeps: s"),
        ("sweeps/s", "is not the manifest of a sweep"),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            find_runs(str(tmp_path / name))
        assert "\n" not in str(caught.value) and "valid: the folder of a sweep" in str(caught.value)


def test_a_broken_manifest_of_a_sweep_leaves_its_runs(runs):
    runs.copy("a")
    (runs.folder / "manifest.json").write_text("{")
    found = find_runs(str(runs.folder))
    assert [place.name for place in found.places] == ["a"] and "not valid JSON" in found.troubles[0]
