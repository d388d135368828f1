"""`status` as a user calls it: what it prints, for whom, and how it leaves."""

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from nqs_hpc.job.lifecycle import BAD_INPUT, DONE
from nqs_hpc.report import status as command
from nqs_hpc.report.places import find_runs
from nqs_hpc.report.rows import read_rows
from nqs_hpc.report.status import status
from nqs_hpc.report.table import columns, totals

from .conftest import N_STEPS, point
from .test_rows import FIELDS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def sweep(runs):
    """Two sizes and two ansätze: three done, one of them with an odd energy, and one that failed."""
    runs.copy("r4", energy=-6.1234567, error=0.0012)
    runs.copy("r6", n=6, energy=-9.5, error=0.02)
    runs.copy("m4", ansatz="mlp", energy=-6.2, error=0.001)
    runs.copy("m6", n=6, ansatz="mlp")
    runs.unfinish("m6", status="failed", reason="10 steps in a row were not finite")
    swept = {"r4": (4, "rbm"), "r6": (6, "rbm"), "m4": (4, "mlp"), "m6": (6, "mlp")}
    runs.study([point(name, {"lattice.length": n, "ansatz": kind}) for name, (n, kind) in swept.items()])
    return runs


def printed(capsys, *words):
    code = status([str(word) for word in words])
    out = capsys.readouterr()
    assert code == DONE and out.err == "", out.err
    return out.out


def test_the_table(sweep, capsys):
    text = printed(capsys, sweep.folder)
    lines = text.splitlines()
    assert lines[0].split()[:5] == ["length", "ansatz", "state", "step", "energy"]
    assert lines[1].split()[:5] == ["4", "rbm", "done", f"{N_STEPS}/{N_STEPS}", "-6.1235(12)"]
    assert lines[2].split()[:2] == ["6", "rbm"] and lines[4].split()[:3] == ["6", "mlp", "failed"]
    assert "10 steps in a row were not finite" in text
    assert lines[-1] == "s  4 points: 3 done, 1 failed"
    ends = {line.index(f"{N_STEPS}/{N_STEPS}") for line in lines[1:5]}
    assert len(ends) == 1 and "\x1b" not in text


def test_json_has_every_field_and_nulls(sweep, capsys):
    told = json.loads(printed(capsys, "--json", sweep.folder))
    assert told["study"] == "s" and told["troubles"] == []
    assert [one["name"] for one in told["points"]] == ["r4", "r6", "m4", "m6"]
    assert all(set(one) == FIELDS for one in told["points"])
    first = told["points"][0]
    assert first["energy"] == -6.1234567 and first["swept"] == {"lattice.length": 4, "ansatz": "rbm"}
    assert first["eta_seconds"] is None and first["job"] is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--sort", "energy"], ["r6", "m4", "r4", "m6"]),
        (["--sort=-energy"], ["m6", "r4", "m4", "r6"]),
        (["--sort", "length"], ["r4", "m4", "r6", "m6"]),
        (["--filter", "ansatz=mlp"], ["m4", "m6"]),
        (["--filter", "lattice.length=6.0", "--filter=state=done"], ["r6"]),
        (["--filter", "state=queued"], []),
    ],
)
def test_sorted_and_filtered(sweep, capsys, words, expected):
    (sweep.folder / "m6" / "metrics.jsonl").write_text('{"step": 12, "energy": -5.0, "energy_error": 0.1}\n')
    told = json.loads(printed(capsys, sweep.folder, "--json", *words))
    assert [one["name"] for one in told["points"]] == expected
    printed(capsys, sweep.folder, *words)  # an empty table is one too


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "takes one folder, not 0"),
        (["a", "b"], "takes one folder, not 2"),
        (["/nowhere"], "/nowhere is not a folder"),
        (["--colour", "."], "--colour is not an option"),
        (["--watch=3", "."], "--watch is not an option"),
        (["--sort"], "--sort needs a value"),
        (["DIR", "--sort", "mood"], "--sort mood is not valid; valid: name, swept, state"),
        (["DIR", "--filter", "state"], "--filter state is not valid; valid: KEY=VALUE"),
        (["DIR", "--filter", "state=fail"], "state=fail is not valid; valid: done, doubtful, running"),
        (["DIR", "--filter", "mood=good"], "--filter mood is not valid"),
        (["DIR", "--watch", "--json"], "--watch and --json"),
    ],
)
def test_bad_input_is_one_line(sweep, capsys, words, named):
    assert status([str(sweep.folder) if word == "DIR" else word for word in words]) == BAD_INPUT
    out = capsys.readouterr()
    assert out.out == "" and named in out.err and "valid" in out.err and out.err.count("\n") == 1


def test_a_narrow_terminal_cuts_nothing(sweep, monkeypatch, capsys):
    for width in (200, 80, 60):
        monkeypatch.setenv("COLUMNS", str(width))
        lines = printed(capsys, sweep.folder).splitlines()
        assert max(map(len, lines)) <= width
        assert all("…" not in line for line in lines)
        assert lines[1].split()[:5] == ["4", "rbm", "done", f"{N_STEPS}/{N_STEPS}", "-6.1235(12)"]


def test_names_from_users_are_text(runs, capsys):
    runs.copy("[red]x[nonsense]")
    runs.study([point("[red]x[nonsense]", {"[bold]k": "\x1b[2Jv", "l": ":smile:"})])
    text = printed(capsys, runs.folder)
    assert "[bold]k" in text and ":smile:" in text and "\x1b" not in text
    (runs.folder / "manifest.json").unlink()
    assert "[red]x[nonsense]" in printed(capsys, runs.folder)


def test_watch_ends_with_the_last_point(sweep, monkeypatch, capsys):
    sweep.unfinish("r4", status="running", ended=False)
    sweep.hold("r4")
    naps = []

    def nap(seconds):
        naps.append(seconds)
        assert len(naps) < 3
        if len(naps) == 2:
            (sweep.folder / "r4" / "DONE").write_text(str(N_STEPS))

    monkeypatch.setattr(command.time, "sleep", nap)
    assert "3 done, 1 failed" in printed(capsys, sweep.folder, "--watch")
    assert naps == [command.WATCH_SECONDS] * 2


def test_watch_ends_by_an_interrupt(sweep, monkeypatch, capsys):
    sweep.unfinish("r4", status="running", ended=False)
    sweep.hold("r4")

    def interrupt(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(command.time, "sleep", interrupt)
    printed(capsys, sweep.folder, "--watch")


def test_colours_follow_the_state(sweep):
    found = find_runs(str(sweep.folder))
    rows = [one.row for one in read_rows(found, time.time())]
    console = Console(width=120, force_terminal=True, color_system="standard", file=io.StringIO())
    console.print(command.view(found, rows, console))
    text = console.file.getvalue()
    assert "\x1b[32mdone" in text and "\x1b[31mfailed" in text


def test_columns_that_say_nothing_are_left_out(sweep):
    rows = [one.row for one in read_rows(find_runs(str(sweep.folder)), time.time())]
    titles = {column.title for column in columns(rows)}
    assert "ETA" not in titles and "restarts" not in titles and "energy" in titles
    again = [row._replace(restarts=2, eta_seconds=90.0) for row in rows]
    assert {"ETA", "restarts"} <= {column.title for column in columns(again)}
    assert totals(rows[:1]) == "1 point: 1 done"


def test_the_program_answers_without_anything_heavy(sweep):
    """As a process of its own; of the modules it loads none is slow."""
    code = "import sys; from nqs_hpc.report.status import status; code = status(sys.argv[1:])\n"
    code += "heavy = {'jax', 'numpy', 'scipy', 'mpi4py', 'matplotlib', 'pandas'} & sys.modules.keys()\n"
    code += "sys.exit(code or bool(heavy))"
    words = [sys.executable, "-c", code, str(sweep.folder)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "4 points" in done.stdout, done.stderr
    for words, expected in ((["status", str(sweep.folder)], 0), (["status"], 2), (["status", "--help"], 0)):
        done = subprocess.run([sys.executable, "-m", "nqs_hpc", *words], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == expected and "Traceback" not in done.stderr
