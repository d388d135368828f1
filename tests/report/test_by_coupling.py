"""A run of several couplings in the report: what a sweep over them with the same numbers has, number by number."""

import csv
import json
import math
import shutil
import time

import pytest

from nqs_hpc.job import log
from nqs_hpc.library.run import load_run
from nqs_hpc.library.sweep import load_sweep
from nqs_hpc.report import by_coupling
from nqs_hpc.report.couplings import against
from nqs_hpc.report.lines import couplings, lines
from nqs_hpc.report.page import report
from nqs_hpc.report.places import find_runs
from nqs_hpc.report.plots import energy_png
from nqs_hpc.report.rows import read_rows
from nqs_hpc.report.status import status

from .conftest import N_STEPS, Runs

pytestmark = pytest.mark.usefixtures("quick")

FIELDS, SIZES = (0.7, 0.9, 1.1, 1.3), (8, 12, 16)
TRUST = {"verdict": "good", "checks": {}}


def numbers(n, h):
    """Made-up values of one size and field; the order parameters of two sizes cross at h = 1."""
    exact = -n * (1 + h**2 / 4)
    binder = {"mean": 0.5 - 0.03 * n * (h - 1), "error": 1e-3, "unit": ""}
    return {"energy": exact * (1 - 1e-4 * h), "error": 1e-3, "variance": 0.01 * h, "exact": exact, "binder": binder}


def points_of(n, fields=FIELDS):
    """The entries of summary.json."""
    found = []
    for h in fields:
        own = numbers(n, h)
        relative = (own["energy"] - own["exact"]) / abs(own["exact"])
        found.append(
            {"hamiltonian.h": h, **{key: own[key] for key in ("energy", "error", "variance")}}
            | {
                "exact_energy": own["exact"],
                "relative_error": relative,
                "v_score": n * own["variance"] / own["exact"] ** 2,
            }
            | {
                "r_hat": 1 + h / 1000,
                "tau": h,
                "acceptance": h / 2,
                "trust": TRUST,
                "observables": {"m.binder": own["binder"]},
            }
        )
    return found


def one_run(runs, name, n, fields=FIELDS):
    """A run of all fields."""
    entries = points_of(n, fields)
    mean = {key: math.fsum(one[key] for one in entries) / len(entries) for key in ("energy", "variance")}
    runs.copy(name, n=n, **mean, error=5e-4, couplings=entries, reference={"energy": -1.0})

    path = runs.folder / name / "metrics.jsonl"
    told = [json.loads(line) for line in path.read_text().splitlines()]
    for line in told:
        line["energies"] = [one["energy"] + 1 / line["step"] for one in entries]
        line["energy_errors"] = [0.1 + k for k in range(len(entries))]
    path.write_text("".join(json.dumps(line) + "\n" for line in told))


def sweep(runs, n):
    """The same values of a run for each field."""
    for one in points_of(n):
        h, name = one["hamiltonian.h"], f"{n}-{one['hamiltonian.h']}"
        own = {key: one[key] for key in ("relative_error", "v_score", "r_hat", "tau", "acceptance", "trust")}
        runs.copy(name, n=n, **{key: one[key] for key in ("energy", "error", "variance")}, **own)
        more = {"observables": one["observables"], "reference": {"energy": one["exact_energy"]}}
        runs.edit(name, "summary.json", lambda told, more=more: told.update(more))
        runs.edit(name, "manifest.json", lambda told, h=h: told["physics"]["hamiltonian"].update(h=h))


@pytest.fixture(scope="module")
def both(real_run, tmp_path_factory):
    """A folder of runs of all fields, and one of the sweeps."""
    folder = tmp_path_factory.mktemp("both")
    together, apart = Runs(real_run, folder / "together"), Runs(real_run, folder / "apart")
    for n in SIZES:
        one_run(together, f"run{n:02d}", n)
        sweep(apart, n)
    return together.folder, apart.folder


def read(folder):
    return read_rows(find_runs(str(folder)), time.time(), each_coupling=True)


def test_rows_are_those_of_the_sweep(both):
    together, apart = map(read, both)
    key = lambda one: (one.row.n_sites, one.row.swept["hamiltonian.h"])  # noqa: E731
    together, apart = sorted(together, key=key), sorted(apart, key=key)
    assert len(together) == len(apart) == len(SIZES) * len(FIELDS)
    for ours, theirs in zip(together, apart, strict=True):
        assert ours.row.values == theirs.row.values and ours.row.swept == theirs.row.swept
        assert (ours.row.state, ours.row.trust) == ("done", "good")
    assert len({one.row.name for one in together}) == len(together) and together[0].row.name == "run08:h=0.7"


def test_lines_crossings_and_panels_are_those_of_the_sweep(both):
    for of in ("x", "name", "n_sites"):
        ours, theirs = ([getattr(line, of) for line in lines(read(folder), "hamiltonian.h")] for folder in both)
        assert ours == theirs and len(ours) == len(SIZES)
    assert [one.key for one in couplings(read(both[0]))] == ["hamiltonian.h"]
    (ours,), (theirs,) = (against(read(folder)) for folder in both)
    assert [panel.title for panel in ours.sheet.panels] == [panel.title for panel in theirs.sheet.panels]
    assert [panel.title for panel in ours.sheet.panels] == ["Energy", "Error of the energy", "m.binder"]
    assert (
        ours.notes == theirs.notes and ours.notes[0].startswith("Crossing of m.binder") and " h = 1.0" in ours.notes[0]
    )


def test_the_report_of_one_run(both, tmp_path, capsys):
    shutil.copytree(both[0] / "run08", tmp_path / "run")
    assert report([str(tmp_path / "run")]) == 0, capsys.readouterr().err
    capsys.readouterr()
    table = list(csv.DictReader((tmp_path / "run" / "report" / "points.csv").read_text().splitlines()))
    assert [float(row["hamiltonian.h"]) for row in table] == list(FIELDS)
    assert [float(row["energy"]) for row in table] == [numbers(8, h)["energy"] for h in FIELDS]
    assert (tmp_path / "run" / "report" / "against_h.png").exists()
    assert status([str(tmp_path / "run")]) == 0  # a job is one row
    assert capsys.readouterr().out.count(f"{N_STEPS}/{N_STEPS}") == 1


def test_each_coupling_has_its_own_verdict(runs):
    one_run(runs, "a", 8)

    def doubt(told):
        why = {"verdict": "doubtful", "checks": {"tails": {"verdict": "doubtful", "why": "rare large values"}}}
        told["couplings"][1]["trust"] = why
        told |= {"status": "doubtful", "reason": "h=0.9: rare large values"}

    runs.edit("a", "summary.json", doubt)
    rows = [one.row for one in read(runs.folder)]
    assert [row.state for row in rows] == ["done", "doubtful", "done", "done"] and rows[1].why == "rare large values"
    assert [row.trust for row in rows] == ["good", "doubtful", "good", "good"]


def test_before_its_end_a_run_has_the_energies_of_its_newest_step(runs):
    one_run(runs, "a", 8)
    runs.unfinish("a", status="stopped", reason="STOP")
    rows = [one.row for one in read(runs.folder)]
    assert [row.state for row in rows] == ["stopped"] * len(FIELDS)
    expected = [one["energy"] + 1 / N_STEPS for one in points_of(8)]
    assert [row.get("energy") for row in rows] == expected
    assert [row.get("energy_error") for row in rows] == [0.1, 1.1, 2.1, 3.1]
    assert rows[0].get("energy_variance") is None is rows[0].get("v_score")  # those of the mean are of no coupling


def test_tables_of_a_notebook(both, tmp_path):
    pandas = pytest.importorskip("pandas")
    table = load_sweep(both[0]).table()
    assert sorted(table["hamiltonian.h"]) == sorted(FIELDS * len(SIZES))
    alone = load_sweep(both[0] / "run12").dataframe()
    assert isinstance(alone, pandas.DataFrame)
    assert list(alone["hamiltonian.h"]) == list(FIELDS)
    assert list(alone["energy"]) == [numbers(12, h)["energy"] for h in FIELDS]
    metrics = load_run(both[0] / "run12").metrics
    assert metrics["energies_3"][0] == points_of(12)[3]["energy"] + 1 and "energies" not in metrics
    assert metrics["energy_errors_1"].dtype == float and len(metrics["energies_0"]) == N_STEPS


def test_lists_of_couplings_and_many_of_them(runs):
    one_run(runs, "a", 8)
    first, *_ = points_of(8)
    del first["hamiltonian.h"]

    def change(told):
        told["couplings"] = [first | {"hamiltonian.J": [1.0, J / 8]} for J in range(5)]

    runs.edit("a", "summary.json", change)
    assert [one.row.swept["hamiltonian.J"] for one in read(runs.folder)][:2] == ["[1.0, 0.0]", "[1.0, 0.125]"]
    assert [one.key for one in couplings(read(runs.folder))] == ["hamiltonian.J[2]"]
    one_run(runs, "many", 12, fields=[0.5 + k / 100 for k in range(100)])
    assert len(log.newest(runs.folder / "many" / "metrics.jsonl")) >= 2
    assert report([str(runs.folder / "many")]) == 0
    assert energy_png(runs.folder / "many").exists()


@pytest.mark.parametrize(
    "entries",
    [7, [], [1], [{}], [{"hamiltonian.h": "x"}], [{"hamiltonian.h": [None]}], [{"hamiltonian.": 1}],
     [{"hamiltonian.h": 1.0}] * (by_coupling.MOST + 1)],
    ids=str,
)  # fmt: skip
def test_what_says_no_couplings_is_one_row(runs, entries):
    runs.copy("a", couplings=entries)
    (row,) = (one.row for one in read(runs.folder))
    assert row.name == "a" and row.state == "done"


@pytest.mark.parametrize("bad", [None, "x", [], {"verdict": 3, "checks": 4}, {"verdict": "bad", "checks": {"a": 1}}])
def test_entries_of_any_content_are_rows(runs, bad):
    entry = dict.fromkeys(("energy", "error", "variance", "exact_energy", "trust", "observables", "r_hat"), bad)
    runs.copy("a", couplings=[{"hamiltonian.h": h} | entry for h in (0.5, 1.0)])
    runs.edit("a", "summary.json", lambda told: told.update(status="doubtful"))
    rows = [one.row for one in read(runs.folder)]
    assert [row.get("energy") for row in rows] == [None, None] and report([str(runs.folder)]) == 0
