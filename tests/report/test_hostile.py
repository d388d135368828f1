"""Folders of somebody else: what `status`, `report` and a notebook show of them stays in them, and does nothing."""

import csv
import json
import os
import socket
import subprocess
import sys

import pytest

from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, FAULT
from nqs_hpc.library.run import load_run
from nqs_hpc.library.sweep import load_sweep
from nqs_hpc.report.page import report
from nqs_hpc.report.status import status

pytestmark = pytest.mark.usefixtures("quick")

ATTACK = "\x1b[2J\x1b]52;c;cm0gLXJmCg==\x07\r\n\u202efake\x9b31m"
FORMULA = '=HYPERLINK("http://x/"&A1)'
START = {"time": "", "step": 0, "n_ranks": 1, "hosts": [ATTACK], "reason": ATTACK, "slurm_job": ATTACK, "seconds": {}}
SUMMARY = {"status": "failed", "reason": ATTACK, "step": 2, "n_sites": 4, "energy": {"mean": -4.0, "error": 0.1}}
LINE = {"step": 2, "energy": -4.0, "energy_error": 0.1, "energy_variance": 0.5, "seconds": 0.1, ATTACK: ATTACK}
POINT = {"name": "run", "identity": "x", "swept": {ATTACK: ATTACK, "b": FORMULA}, "overrides": [f"{ATTACK}={ATTACK}"]}
POINT |= {"command": ATTACK, "n_sites": 4, "n_steps": 2, "after": None, "job": None, "ticket": ATTACK}
POINT |= {"state": "failed", "why": ATTACK}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of runs; nothing asks Slurm."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


def hostile(folder, name="run", **more):
    """A run all of whose words are an attack on a terminal."""
    run = folder / name
    run.mkdir()
    exit_ = {"step": 2, "reason": f"failed: {ATTACK}"}
    physics = {"lattice": {"name": ATTACK, "extent": [4]}, "ansatz": {"name": FORMULA}, "seed": 1}
    manifest = {"command": ATTACK, "versions": {ATTACK: ATTACK}, "git": {"commit": ATTACK, "dirty": True}}
    manifest |= {"physics": physics, "starts": [START | {"exit": exit_}]}
    (run / "manifest.json").write_text(json.dumps(manifest))
    (run / "summary.json").write_text(json.dumps(SUMMARY | more))
    (run / "metrics.jsonl").write_text(json.dumps(LINE) + "\n")
    (run / "config.yaml").write_text(json.dumps({"lattice": {"name": ATTACK}, "task": {"n_steps": 3, ATTACK: FORMULA}}))
    (run / ".lock").write_text(json.dumps({"host": ATTACK, "pid": 1, "job": ATTACK}))
    (run / "output.log").write_text(ATTACK)
    return run


def sweep_of(folder, **changes):
    head = {"study": ATTACK, "cwd": ATTACK, "launcher": "local", "launches": [{"time": ATTACK, "command": ATTACK}]}
    (folder / "manifest.json").write_text(json.dumps(head | {"points": [POINT | changes]}))


def fit_for_a_terminal(text):
    return all(char.isprintable() or char == "\n" for char in text)


@pytest.mark.parametrize("locked", [True, False])
@pytest.mark.parametrize("as_sweep", [True, False])
def test_nothing_of_a_folder_reaches_the_terminal(folder, capsys, as_sweep, locked):
    run = hostile(folder)
    if not locked:
        (run / ".lock").unlink()
    if as_sweep:
        sweep_of(folder)
    for words in ([str(folder)], [str(folder), "--json"], [str(run)], [str(folder), "--sort", ATTACK]):
        assert status(words) in (DONE, BAD_INPUT)  # what is swept is a key to sort by
        told = capsys.readouterr()
        assert fit_for_a_terminal(told.out) and fit_for_a_terminal(told.err), (words, told)
        assert locked or "fake" in told.out + told.err  # a run that may live says nothing of how it ended
    for column in load_sweep(folder).table().values():
        assert all(text.isprintable() for text in column if isinstance(text, str))


@pytest.mark.parametrize("as_sweep", [True, False])
def test_nor_the_files_of_a_report(folder, capsys, as_sweep):
    pytest.importorskip("matplotlib")
    hostile(folder)
    hostile(folder, FORMULA.replace("/", "|"))
    if as_sweep:
        sweep_of(folder)
    assert report([str(folder)]) == DONE
    assert fit_for_a_terminal("".join(capsys.readouterr()))
    for name in ("points.csv", "report.md", "varbench.md", "index.html"):
        assert fit_for_a_terminal((folder / "report" / name).read_text()), name


def test_no_cell_is_a_formula(folder, capsys):
    pytest.importorskip("matplotlib")
    for name in ("=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1", "  =2"):
        hostile(folder, name, reason=FORMULA)
    sweeps = folder / "a"
    assert report([str(folder)]) == DONE
    capsys.readouterr()
    with open(folder / "report" / "points.csv", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    bad = [cell for cell in cells if cell.strip().startswith(("=", "+", "@")) or cell.startswith("-1+")]
    assert bad == [] and "'=1+1" in cells and not sweeps.exists()


def test_points_are_in_the_folder_of_their_sweep(folder, tmp_path, capsys):
    """A name that leads out of it is not gone to, and no folder is made there."""
    outside = hostile(tmp_path, "outside")
    (outside / "summary.json").write_text(json.dumps(SUMMARY | {"reason": "a secret"}))
    hostile(folder)
    for name in ("../outside", str(outside)):
        sweep_of(folder, name=name)
        assert status([str(folder)]) == DONE
        told = capsys.readouterr().out
        assert "a secret" not in told and "is not the manifest of a sweep: point 0 has name" in " ".join(told.split())


KINDS = ["FIFO", "socket", "link", "device", "folder"]
NAMES = ["manifest.json", "summary.json", "metrics.jsonl", "config.yaml", ".lock", "DONE", "output.log", "job.sbatch"]


def plant(kind, path, target):
    path.unlink(missing_ok=True)
    match kind:
        case "FIFO":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                cwd = os.getcwd()
                os.chdir(path.parent)  # their paths are short
                server.bind(path.name)
                os.chdir(cwd)
        case "link":
            path.symlink_to(target)
        case "device":
            path.symlink_to("/dev/zero")
        case "folder":
            path.mkdir()


@pytest.mark.parametrize("kind", KINDS)
def test_special_files_are_named_and_nobody_waits(folder, tmp_path, capsys, kind):
    """Each in the place of each file; one table of all of them, and a notebook's view."""
    (tmp_path / "secret").write_text('{"status": "done", "reason": "secret", "starts": [], "step": 1}')
    for name in NAMES:
        plant(kind, hostile(folder, f"of_{name}") / name, tmp_path / "secret")
    hostile(folder, "saved")
    (folder / "saved" / "checkpoints").mkdir()
    plant(kind, folder / "saved" / "checkpoints" / "step_00000002.h5", tmp_path / "secret")
    assert status([str(folder), "--json"]) == DONE
    out = capsys.readouterr().out
    assert "secret" not in out.replace(str(tmp_path), "")
    rows = {row["name"]: row for row in json.loads(out)["points"]}
    for name in NAMES[:6]:
        (trouble,) = (line for line in rows[f"of_{name}"]["troubles"] if line.startswith(name))
        assert "cannot be read: Is a " in trouble, trouble
    for name in NAMES:
        with pytest.raises(ValueError) as caught:  # config.yaml is none of a run anyhow
            load_run(folder / f"of_{name}")
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("kind", KINDS)
def test_a_manifest_of_a_sweep_that_is_no_file(folder, tmp_path, capsys, kind):
    (tmp_path / "secret").write_text(json.dumps({"study": "secret", "points": []}))
    hostile(folder)
    plant(kind, folder / "manifest.json", tmp_path / "secret")
    assert status([str(folder)]) == DONE
    told = capsys.readouterr().out
    assert "secret" not in told and "manifest.jsonisa" in "".join(told.split())  # lines end anywhere in a long path


@pytest.mark.parametrize(
    ("place", "stream", "code", "said"),
    [
        (".", "stdout", FAULT, "the table cannot be printed: No space left on device\n"),
        ("nothing", "stderr", BAD_INPUT, None),
    ],
)
def test_a_full_disk_takes_what_is_printed(folder, place, stream, code, said):
    hostile(folder)
    with open("/dev/full", "w") as full:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | {stream: full}
        words = [sys.executable, "-m", "nqs_hpc", "status", str(folder / place)]
        done = subprocess.run(words, **streams, text=True, timeout=600)
    assert done.returncode == code and done.stderr == said
