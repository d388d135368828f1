"""Runs of other tasks than ground states: what they declare is displayed, and nothing of the readers knows them."""

import csv
import json
import time

import pytest

from nqs_hpc.job.lifecycle import DONE
from nqs_hpc.library.sweep import load_sweep
from nqs_hpc.report.page import report
from nqs_hpc.report.places import find_runs
from nqs_hpc.report.rows import read_rows
from nqs_hpc.report.status import status

pytestmark = pytest.mark.usefixtures("quick")

ENERGY = {"key": "energy", "label": "E", "unit": "units of the couplings", "format": "error", "error": "energy_error"}
M2 = {"key": "m2", "label": "m²", "unit": "", "format": "error", "error": "m2_error"}
FIDELITY = {"key": "fidelity", "label": "F", "unit": "%", "format": ".1f", "error": None}


def write_run(folder, task, quantities, line, **more):
    """A finished run of a task that this package has not, as any task leaves it; ``line``: of every step."""
    folder.mkdir(parents=True)
    steps = [{"step": step, "seconds": 0.5, **line} for step in range(1, 11)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(step) + "\n" for step in steps))
    summary = {"status": "done", "reason": "", "task": task, "quantities": quantities, "step": 10, "n_sites": 8}
    (folder / "summary.json").write_text(json.dumps(summary | {"seconds": 5.0} | more))
    (folder / "config.yaml").write_text(f"task: {{name: {task}, n_steps: 10}}\n")
    (folder / "DONE").write_text("10\n")
    return folder


def shown(capsys, folder, *words):
    assert status([str(folder), *words]) == DONE
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """pytest's workers set the width of a terminal, on which columns would be left out."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def measured(tmp_path):
    """A run that measures an energy and an order parameter."""
    values = {"energy": -3.25, "energy_error": 0.0012, "m2": 0.51234, "m2_error": 0.00015}
    return write_run(tmp_path / "runs" / "measured", "measure", [ENERGY, M2], values, e_infinity=1.0)


def test_status_shows_what_a_run_declares(measured, capsys):
    heading, line, *_ = shown(capsys, measured).splitlines()
    assert heading.split() == ["point", "state", "step", "energy", "m²", "s/step"]
    assert line.split() == ["measured", "done", "10/10", "-3.2500(12)", "0.51234(15)", "0.500"]


def test_json_and_sorting_know_its_quantities(measured, capsys):
    told = json.loads(shown(capsys, measured, "--json", "--filter", "m2=0.51234", "--sort", "m2"))
    (point,) = told["points"]
    assert (point["m2"], point["m2_error"], point["task"]) == (0.51234, 0.00015, "measure")
    assert point["energy"] == -3.25 and point["e_infinity"] == 1.0  # an energy has what belongs to it
    assert json.loads(shown(capsys, measured, "--json", "--filter", "m2=0.5"))["points"] == []


def test_values_in_a_summary_count_where_there_are_no_lines(measured, capsys):
    (measured / "metrics.jsonl").unlink()
    summary = json.loads((measured / "summary.json").read_text())
    summary |= {"observables": {"m2": {"mean": 0.25, "error": 0.01}}, "energy": {"mean": -3.5, "error": 0.1}}
    (measured / "summary.json").write_text(json.dumps(summary))
    assert {"-3.50(10)", "0.250(10)"} < set(shown(capsys, measured).split())


def test_a_final_evaluation_counts_and_the_last_step_where_it_says_nothing(measured, capsys):
    summary = json.loads((measured / "summary.json").read_text())
    summary |= {"final": True, "energy": {"mean": -3.5, "error": 0.1, "variance": 0.2}}
    (measured / "summary.json").write_text(json.dumps(summary))
    assert {"-3.50(10)", "0.51234(15)"} < set(shown(capsys, measured).split())


def test_runs_of_several_tasks_in_one_table(measured, runs, capsys, tmp_path):
    """A ground state, a task without an energy, one with two quantities: each has the cells that it declares."""
    ground = runs.copy("ground")
    write_run(ground.parent / "evolved", "evolve", [FIDELITY], {"fidelity": 99.25})
    heading, evolved, first, second, *_ = shown(capsys, ground.parent).splitlines()
    columns = ("point", "state", "step", "energy", "V-score", "R-hat", "acc.", "F [%]", "m²", "s/step")
    places = [heading.index(title) for title in columns]
    assert places == sorted(places)
    assert evolved.split() == ["evolved", "done", "10/10", "99.2", "0.500"]
    assert first.split()[0] == "ground" and second.split()[-2:] == ["0.51234(15)", "0.500"]
    assert report([str(ground.parent)]) == DONE
    goal = ground.parent / "report"
    table = {row["point"]: row for row in csv.DictReader((goal / "points.csv").read_text().splitlines())}
    assert table["evolved"]["fidelity"] == "99.25" and table["evolved"]["energy"] == ""
    assert (table["measured"]["m2"], table["measured"]["task"], table["ground"]["task"]) == ("0.51234", "measure", "")
    page = (goal / "index.html").read_text()
    assert "99.2" in page and "0.51234(15)" in page and "F [%]" in page
    columns = load_sweep(ground.parent).table()
    assert columns["m2"].tolist()[2] == 0.51234 and columns["fidelity"][0] == 99.25


def test_a_quantity_cannot_take_the_place_of_a_field(tmp_path, capsys):
    named = [{"key": key, "label": key} for key in ("state", "seconds", "restarts", "swept", "final")]
    write_run(tmp_path / "a", "strange", named, {one["key"]: 7.0 for one in named})
    (point,) = json.loads(shown(capsys, tmp_path / "a", "--json"))["points"]
    assert (point["state"], point["seconds"], point["restarts"], point["swept"]) == ("done", 5.0, None, {})
    shown(capsys, tmp_path / "a")


def test_e_infinity_is_what_the_summary_says(runs):
    """Not what its V-score would give; that is asked of folders alone that do not say it."""
    for name, more in {"new": {"e_infinity": -0.5}, "unknown": {"e_infinity": None}, "old": {}}.items():
        runs.copy(name, energy=-4.0, variance=0.5, v_score=0.08, **more)
    runs.edit("old", "summary.json", lambda told: told.pop("e_infinity"))
    rows = {one.row.name: one.row for one in read_rows(find_runs(str(runs.folder)), time.time())}
    assert [rows[name].get("e_infinity") for name in ("new", "unknown")] == [-0.5, None]
    assert rows["old"].get("e_infinity") == pytest.approx(1.0)  # 4 · 0.5 / 0.08 = (1 + 4)²
