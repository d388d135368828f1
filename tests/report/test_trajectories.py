"""Trajectories in status, report and pictures: of made-up folders whose numbers are known, and of a job."""

import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from nqs_hpc.job.lifecycle import DONE, STOPPED
from nqs_hpc.job.observables_file import save
from nqs_hpc.library import load_run
from nqs_hpc.report.arrays import MeasuredArray
from nqs_hpc.report.in_space import in_space
from nqs_hpc.report.in_time import site_map
from nqs_hpc.report.page import report
from nqs_hpc.report.places import find_runs
from nqs_hpc.report.plots import pictures
from nqs_hpc.report.rows import read_rows
from nqs_hpc.report.status import status
from nqs_hpc.report.trajectories import compared
from nqs_hpc.report.trajectory import deviation, off_limits, trajectory
from nqs_hpc.types import Output, Result
from tests.report.test_response import N, kicked, ring

pytestmark = pytest.mark.usefixtures("quick")
TIMES = np.round(np.arange(21) * 0.05, 12)


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)


def write_trajectory(folder, *, off=0.0, n_lines=21, status="done", **physics):
    """m(t) = cos(t) + off t^2, exactly cos(t); r2 grows as t^2 / 10."""
    folder.mkdir(parents=True)
    lines = []
    for step, t in enumerate(TIMES[:n_lines], 1):
        line = {"step": step, "time": t, "dt": 0.05 * (step > 1), "energy": -8.0, "energy_error": 0.1, "seconds": 2.0}
        line |= {"energy_drift": 0.01, "r2": 0.1 * t**2, "bound": 0.2 * t, "energy_variance": 1.0}
        if step % 2:
            line |= {"observables.m": np.cos(t) + off * t**2, "observables.m_error": 0.01}
        lines.append(json.dumps(line))
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    time_ = {"key": "time", "label": "t", "unit": "", "format": ".4g", "error": None}
    energy = {"key": "energy", "label": "E", "unit": "", "format": "error", "error": "energy_error"}
    trust = {"verdict": "doubtful", "checks": {"r2": {"limit": 0.01, "value": 0.1}, "bound": {"limit": 0.3}}}
    reached = float(TIMES[n_lines - 1])
    summary = {"status": status, "reason": "", "task": "dynamics", "step": n_lines, "n_sites": 4, "t_end": 1.0}
    summary |= {"progress": {"done": reached, "total": 1.0, "unit": "time"}, "quantities": [time_, energy]}
    summary |= {"final": status == "done", "energy": {"mean": -8.0, "error": 0.1, "variance": 1.0}, "trust": trust}
    (folder / "summary.json").write_text(json.dumps(summary))
    exact = {"times": TIMES.tolist(), "energy": [-8.02] * 21, "observables": {"m": np.cos(TIMES).tolist(), "x": [[1]]}}
    (folder / "reference.json").write_text(json.dumps({"trajectory": exact}))
    lattice = {"name": "chain", "extent": [4], "pbc": [True]}
    told = {"physics": {"lattice": lattice, "hamiltonian": {"name": "ising"}, "ansatz": {"name": "rbm"}, **physics}}
    (folder / "manifest.json").write_text(json.dumps(told | {"starts": [{"step": 0}]}))
    if status == "done":
        (folder / "DONE").write_text(f"{n_lines}\n")
    return folder


def rows_of(folder):
    return read_rows(find_runs(str(folder)), time.time())


def test_status_shows_the_time(tmp_path, capsys):
    write_trajectory(tmp_path / "runs" / "a")
    write_trajectory(tmp_path / "runs" / "b", n_lines=9, status="stopped")
    assert status([str(tmp_path / "runs")]) == DONE
    heading, first, second, *_ = capsys.readouterr().out.splitlines()
    assert heading.split()[:4] == ["point", "state", "progress", "energy"] and " t " not in heading
    assert first.split()[:4] == ["a", "done", "time", "1/1"] and second.split()[2:4] == ["time", "0.4/1"]
    one = rows_of(tmp_path / "runs")[1].row
    assert one.is_trajectory and one.progress == (0.4, 1.0, "time")
    assert status([str(tmp_path / "runs"), "--json"]) == DONE
    told = json.loads(capsys.readouterr().out)["points"][1]
    assert (told["progress"], told["progress_total"], told["progress_unit"]) == (0.4, 1.0, "time")


def test_time_left_is_that_of_the_pace(tmp_path):
    """0.05 in 2 s: 0.6 takes 24 s."""
    folder = write_trajectory(tmp_path / "runs" / "b", n_lines=9, status="running")
    from nqs_hpc.report.rows import _left
    from nqs_hpc.types import Progress

    [one] = rows_of(folder.parent)
    assert _left(one.traces, Progress(0.4, 1.0, "time")) == pytest.approx(24.0)


def test_curves_are_compared_with_exact_ones(tmp_path):
    found = trajectory(write_trajectory(tmp_path / "a", off=0.3))
    assert set(found.measured) == {"energy", "m"} and set(found.exact) == {"energy", "m"}
    assert len(found.measured["m"].time) == 11 and len(found.quality["r2"].time) == 21
    assert len(found.quality["dt"].time) == 20  # no step led to the first line
    assert off_limits(found) == pytest.approx(0.35)  # 0.1 t^2 > 0.01 from t = 0.3162 on
    assert deviation(found) == ("m", pytest.approx(0.3), 1.0)
    assert trajectory(tmp_path) is None


JUNK = ["[", "3", '{"trajectory": {"times": [0, 0], "energy": [1, 2]}}', '{"trajectory": []}']
JUNK += ['{"trajectory": {"times": [0, 1e999], "energy": "x"}}']


@pytest.mark.parametrize("junk", JUNK)
def test_junk_is_no_exact_curve(tmp_path, junk):
    folder = write_trajectory(tmp_path / "a")
    (folder / "reference.json").write_text(junk)
    assert trajectory(folder).exact == {}


def test_pictures_of_a_run(tmp_path):
    folder = write_trajectory(tmp_path / "a")
    value = np.outer(TIMES[::2], np.arange(4))
    axes = (("time", TIMES[::2]), ("sites", np.arange(4)))
    save(folder, [Result("z", value, 0 * value, Output(label="z_i", shape=value.shape, axes=axes))], {"n_sites": 4})
    assert {path.name for path in pictures(folder)} == {"energy.png", "trajectory.png", "observables.png"}
    assert all((folder / f"{name}.png").stat().st_size > 1000 for name in ("energy", "trajectory", "observables"))
    told = MeasuredArray("z", "z", "", value, None, dict(axes))
    assert site_map(told) is not None and site_map(told._replace(value=value.T)) is None


def test_a_report_compares_trajectories(tmp_path, capsys):
    write_trajectory(tmp_path / "runs" / "a")
    write_trajectory(tmp_path / "runs" / "b", off=0.3, ansatz={"name": "jastrow"})
    seen = compared(rows_of(tmp_path / "runs"))
    assert [panel.title for panel in seen.measured.panels] == ["energy", "m"] and len(seen.quality.panels) == 4
    table = [dict(zip(seen.titles, cells, strict=True)) for cells in seen.table]
    assert table[1]["t"] == "1 of 1" and table[1]["farthest from exact"] == "0.3 in m at t = 1"
    assert (table[0]["bound"], table[0]["largest r²"], table[0]["r² above its limit from"]) == (
        "0.2",
        "0.1",
        "t = 0.35",
    )
    assert report([str(tmp_path / "runs")]) == DONE
    goal = tmp_path / "runs" / "report"
    page = (goal / "index.html").read_text()
    assert "How far trajectories can be believed" in page and "0.3 in m at t = 1" in page
    assert "Convergence" not in page and "Zero variance" not in page and "No point has its final energy" not in page
    assert "| jastrow | 1 of 1 |" in (goal / "report.md").read_text()
    assert (goal / "trajectories.png").exists() and (goal / "believed.png").exists()


def test_opposite_kicks_make_one_picture(tmp_path):
    """Of any state of the ring of 6: the two runs differ in the sign of the kick alone."""
    state = ring()[1][:, 0]
    lattice = {"name": "chain", "extent": [N], "pbc": [True]}
    for name, strength in (("plus", 0.3), ("minus", -0.3)):
        task = {"name": "dynamics", "kick": {"site": 2, "strength": strength}}
        folder = write_trajectory(tmp_path / "runs" / name, lattice=lattice, task=task)
        times, z = kicked(strength, state, 2)
        axes = (("time", times), ("sites", np.arange(N)))
        save(folder, [Result("s.z", z, 0 * z, Output("z", label="z", shape=z.shape, axes=axes))], {})
    found = in_space(rows_of(tmp_path / "runs"))
    assert [panel.title for panel in found.spectra.panels] == ["plus"] and len(found.maps.panels) == 2
    assert found.notes == ["plus: S(q, ω) from two opposite kicks; peaks are 0.52 wide."] and not found.troubles
    shutil.rmtree(tmp_path / "runs" / "minus")
    assert "from one kick" in in_space(rows_of(tmp_path / "runs")).notes[0]


SMALL = ["task=dynamics", "lattice.length=4", "hamiltonian.h=0.5", "ansatz=jastrow", "ansatz.dtype=complex"]
SMALL += ["sampler=enumerate", "task.spacing=0.05", "observables=[local_spins,loschmidt]"]


def test_a_job_that_is_stopped_and_goes_on(tmp_path):
    """What lies behind is in observables.h5 after a stop; with the rest it is what one start writes."""
    folder, whole = tmp_path / "run", tmp_path / "whole"
    command = [sys.executable, "-m", "nqs_hpc", *SMALL]
    job = subprocess.Popen([*command, "task.t_end=40", f"run_dir={folder}"], stderr=subprocess.DEVNULL)
    metrics, deadline = folder / "metrics.jsonl", time.monotonic() + 120
    while not (metrics.exists() and metrics.read_bytes().count(b"\n") > 12) and time.monotonic() < deadline:
        time.sleep(0.05)
    job.send_signal(signal.SIGUSR1)
    assert job.wait(60) == STOPPED
    behind = load_run(folder).results
    times = behind["energy"].axes["time"]
    assert len(times) >= 2 and np.array_equal(times, np.round(np.arange(len(times)) * 0.05, 12))
    assert behind["local_spins.x"].value.shape == (len(times), 4)
    assert json.loads((folder / "summary.json").read_text())["progress"]["total"] == 40
    t_end = 0.05 * len(times)
    for where in (folder, whole):
        done = subprocess.run([*command, f"task.t_end={t_end:g}", f"run_dir={where}"], capture_output=True, text=True)
        assert done.returncode == DONE, done.stderr
    first, second = load_run(folder).results, load_run(whole).results
    assert set(first) == set(second) and len(first["energy"].value) == len(times) + 1
    assert all(np.array_equal(first[name].value, second[name].value) for name in first)
    assert np.array_equal(first["energy"].value[:-1], behind["energy"].value)
    assert (folder / "observables.png").exists() and (folder / "trajectory.png").exists()
