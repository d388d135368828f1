"""What a report draws of observables: against couplings, over the zone, after a Lanczos step; and files of others."""

import json
import os
import re

import h5py
import numpy as np
import pytest

from nqs_hpc.job.lifecycle import DONE
from nqs_hpc.job.observables_file import save
from nqs_hpc.report import arrays as reader
from nqs_hpc.report.arrays import measured_arrays
from nqs_hpc.report.couplings import against
from nqs_hpc.report.lanczos import Step, limit
from nqs_hpc.report.lines import Measurement, couplings, lines
from nqs_hpc.report.page import report
from nqs_hpc.report.places import find_runs
from nqs_hpc.report.rows import read_rows
from nqs_hpc.types import Output, Result

CRITICAL = 3.0
FIELDS = (2.6, 2.8, 3.1, 3.3)


def write(folder, *, side=4, h=3.0, task="ground_state", state="done", seed=1, ansatz="rbm", J=1.0, **more):
    """A finished run as any task leaves it."""
    folder.mkdir(parents=True)
    n = side * side
    physics = {"lattice": {"name": "square", "extent": [side, side], "pbc": [True, True]}, "seed": seed}
    physics |= {"hamiltonian": {"name": "ising", "J": J, "h": h}, "ansatz": {"name": ansatz}}
    start = {"time": "", "step": 0, "exit": {"step": 1, "reason": state, "time": ""}}
    summary = {
        "status": state,
        "reason": "",
        "doubts": ["R-hat"] if state == "doubtful" else [],
        "task": task,
        "step": 1,
    }
    summary |= {"final": state in ("done", "doubtful"), "n_sites": n, "observables": more}
    per_site = h if isinstance(h, float) else 1.0
    summary |= {"energy": {"mean": -per_site * n - seed * 0.1, "error": 0.01, "variance": 0.5}}
    summary |= {"reference": {"energy": -per_site * n - 0.5, "method": "made up"}}
    (folder / "manifest.json").write_text(json.dumps({"physics": physics, "starts": [start]}))
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "metrics.jsonl").write_text(json.dumps({"step": 1, "energy": -per_site * n, "energy_error": 0.01}) + "\n")
    (folder / "DONE").write_text("1\n")
    return folder


def measurement(mean, error=1e-3, unit=""):
    return {"mean": mean, "error": error, "unit": unit, "variance": None}


def study(root, **more):
    """Binder cumulants on straight lines that cross at CRITICAL."""
    for side, slope in ((4, -0.2), (6, -0.5)):
        for h in FIELDS:
            binder = measurement(0.4 + slope * (h - CRITICAL), 1e-3)
            write(root / f"{side}-{h}", side=side, h=h, **{"m.binder": binder, "m.m2": measurement(0.1)}, **more)
    return root


def points(root):
    return read_rows(find_runs(str(root)), 0.0)


def test_lines_are_told_apart_by_size_and_ansatz(tmp_path):
    found = points(study(tmp_path))
    (coupling,) = couplings(found)
    assert (coupling.key, coupling.short) == ("hamiltonian.h", "h")
    made = lines(found, coupling.key)
    assert [(line.name, line.x) for line in made] == [("4×4, rbm", list(FIELDS)), ("6×6, rbm", list(FIELDS))]
    assert len({line.family for line in made}) == 1


def test_a_binder_crossing_is_where_the_lines_cross(tmp_path):
    (of_h,) = against(points(study(tmp_path)))
    assert [panel.title for panel in of_h.sheet.panels] == ["Energy", "Error of the energy", "m.binder", "m.m2"]
    (note,) = (note for note in of_h.notes if note.startswith("Crossing"))
    value, error = re.fullmatch(r"Crossing of m.binder, 4×4 and 6×6 \(rbm\): h = ([\d.]+)\((\d+)\)\.", note).groups()
    assert float(value) == pytest.approx(CRITICAL, abs=1e-4) and 10 <= int(error) < 100


def test_doubtful_points_do_not_cross_and_unfinished_ones_are_named(tmp_path):
    study(tmp_path)
    write(tmp_path / "4-3.0", side=4, h=3.0, state="doubtful", **{"m.binder": measurement(0.9)})
    write(tmp_path / "6-3.0", side=6, h=3.0, state="failed", **{"m.binder": measurement(0.9)})
    (of_h,) = against(points(tmp_path))
    notes = " ".join(of_h.notes)
    assert "h = 3.0000(" in notes and "Open symbols are doubtful: 4-3.0." in notes
    assert "Not drawn, because they have no final values: 6-3.0." in notes


def test_evaluations_lie_at_the_coupling_of_their_run(tmp_path):
    """A sweep of task.run: what is swept are names of folders, the couplings are recorded."""
    for h in FIELDS:
        write(tmp_path / f"e{h}", h=h, task="evaluate", **{"m.m2": measurement(h)})
    point = {"overrides": [], "command": "", "n_sites": 16, "n_steps": None}
    told = [{"name": f"e{h}", "identity": str(h), "swept": {"task.run": f"runs/{h}"}, **point} for h in FIELDS]
    head = {"study": "s", "cwd": "/", "launcher": "local", "launches": [], "points": told}
    (tmp_path / "manifest.json").write_text(json.dumps(head))
    (line,) = lines(points(tmp_path), "hamiltonian.h")
    assert (line.name, line.x) == ("4×4, rbm", list(FIELDS))


def test_one_of_several_couplings(tmp_path):
    """J1 and J2 stand in one list; it is J2 that was swept."""
    for second in (0.4, 0.5, 0.6):
        write(tmp_path / str(second), J=[1.0, second])
    (coupling,) = couplings(points(tmp_path))
    assert (coupling.key, coupling.short) == ("hamiltonian.J[2]", "J₂")


def test_seeds_are_one_point_of_a_line(tmp_path):
    for h in (1.0, 2.0):
        for seed in (1, 2):
            write(tmp_path / f"{h}-{seed}", h=h, seed=seed)
    (line,) = lines(points(tmp_path), "hamiltonian.h")
    assert line.x == [1.0, 1.0, 2.0, 2.0]


def test_nothing_is_drawn_against_sizes_and_networks(tmp_path):
    for side in (4, 6):
        for ansatz in ("rbm", "mlp"):
            write(tmp_path / f"{side}-{ansatz}", side=side, ansatz=ansatz)
    assert against(points(tmp_path)) == []


def step(errors=(0.0, 0.0, 0.0, 0.0), c=0.3, exact=-10.0, variances=(2.0, 0.5)):
    energies = [exact + c * v for v in variances]
    values = [Measurement(value, error, "") for value, error in zip((*energies, *variances), errors, strict=True)]
    return Step(tuple(values[:2]), tuple(values[2:]))


def test_the_line_of_a_lanczos_step():
    to = limit(step())
    assert to.energy == pytest.approx(-10.0, abs=1e-12) and to.slope == pytest.approx(0.3) and to.error == 0.0
    assert limit(step(variances=(0.5, 0.5))) is None and limit(step(variances=(0.5, 0.6))) is None


def test_its_error_is_that_of_drawing_the_numbers_anew():
    errors = (0.02, 0.01, 0.05, 0.03)
    rng, base = np.random.default_rng(3), step(errors)
    drawn = []
    for _ in range(4000):
        noisy = [one._replace(value=rng.normal(one.value, one.error)) for one in (*base.energies, *base.variances)]
        drawn.append(limit(Step(tuple(noisy[:2]), tuple(noisy[2:]))).energy)
    assert limit(base).error == pytest.approx(np.std(drawn), rel=0.05)


def save_structure(folder, side=4, label="structure", **more):
    q = 2 * np.pi * np.array([(i, j) for i in range(side) for j in range(side)]) / side
    axes = (("q", q), ("cell", 2 * np.pi * np.eye(2)))
    value = np.cos(q).sum(axis=1)
    result = Result(label, value, 0.1 + 0 * value, Output("", "a unit", "S(q)", value.shape, axes))
    pairs = Result(
        "pairs.zz",
        np.eye(side**2),
        0 * np.eye(side**2),
        Output("zz", "", "ZZ", (side**2,) * 2, (("sites", np.arange(side**2)),)),
    )
    save(folder, [result, pairs], {"n_samples": 10, "n_sites": side**2, "step": 1})
    return value


def test_arrays_as_the_package_writes_them(tmp_path):
    value = save_structure(tmp_path)
    (found,) = measured_arrays([tmp_path])
    pairs, structure = sorted(found, key=lambda one: one.name)
    np.testing.assert_array_equal(structure.value, value)
    assert (structure.name, structure.label, structure.unit) == ("structure", "S(q)", "a unit")
    assert pairs.name == "pairs.zz" and pairs.value.shape == (16, 16) and set(structure.axes) == {"q", "cell"}


def test_a_page_with_all_pictures(tmp_path, quick, capsys):
    shapes = {"structure": {"shape": [16], "unit": ""}, "pairs.zz": {"shape": [16, 16], "unit": ""}}
    names = ("initial_energy", "initial_variance", "energy", "variance")
    of_step = {
        f"step.{name}": measurement(mean, 0.01) for name, mean in zip(names, (-10.0, 2.0, -11.0, 0.5), strict=True)
    }
    for h in FIELDS[:2]:
        write(tmp_path / f"4-{h}", h=h, **{"m.binder": measurement(0.1)}, **shapes, **of_step)
    for folder in sorted(tmp_path.iterdir()):
        save_structure(folder)
    assert report([str(tmp_path)]) == DONE
    text = (tmp_path / "report" / "report.md").read_text()
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert headings[:4] == ["Against h", "Lanczos step", "Wave vectors", "Correlations"]
    # -11 - 0.5 (-10 + 11)/(2 - 0.5), over 16 sites
    assert f"{(-11 - 0.5 / 1.5) / 16:.4f}"[:6] in text and "standard errors from it" in text
    page = (tmp_path / "report" / "index.html").read_text()
    assert all(f">{title}</h2>" in page for title in ("Against h", "Wave vectors", "Correlations"))
    assert not (tmp_path / "report" / "against_h.pdf").exists()  # of this quick report alone
    row = (tmp_path / "report" / "points.csv").read_text().splitlines()[0]
    assert "observables.m.binder" in row.split(",") and "observables.m.binder_error" in row.split(",")


def hostile(kind, folder):
    path = folder / "observables.h5"
    match kind:
        case "junk":
            path.write_bytes(os.urandom(4096))
        case "torn":
            save_structure(folder)
            path.write_bytes(path.read_bytes()[:-500])
        case "link":
            save_structure(folder)
            os.rename(path, folder.parent / "secret.h5")
            path.symlink_to(folder.parent / "secret.h5")
        case "FIFO":
            os.mkfifo(path)
        case "holes":
            with open(path, "wb") as file:
                file.truncate(2**40)
        case "outside":
            np.arange(4.0).tofile(folder.parent / "secret")
            with h5py.File(path, "w") as file:
                stored = [(str(folder.parent / "secret"), 0, 32)]
                file.create_dataset("a/mean/value", (4,), "f8", external=stored)
        case "filled":
            with h5py.File(path, "w") as file:
                file.create_dataset("a/mean/value", (2**20,), "f8", compression="gzip", fillvalue=1.0)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("junk", "file signature not found"),
        ("torn", "truncated"),
        ("link", "Is a link"),
        ("FIFO", "Is a FIFO"),
        ("holes", "larger than 256 MiB"),
        ("outside", "in another file"),
        ("filled", "not stored as we store arrays"),
    ],
)
def test_files_of_others(tmp_path, kind, why):
    (tmp_path / "run").mkdir()
    hostile(kind, tmp_path / "run")
    (told,) = measured_arrays([tmp_path / "run"])
    assert isinstance(told, str) and told.startswith("observables.h5 cannot be read: ") and why in told
    assert told.isprintable()


def test_a_file_that_ends_hdf5_costs_its_own_line_alone(tmp_path, monkeypatch):
    """Stands for a crash of the library in the second file: the process answers for the first and no more."""
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        save_structure(tmp_path / name)
    real = reader._asked
    monkeypatch.setattr(reader, "_asked", lambda paths: real(paths[:1]))
    first, second, third = measured_arrays([tmp_path / name for name in ("a", "b", "c")])
    assert "HDF5 crashes" in second and len(first) == len(third) == 2


def test_shapes_that_do_not_fit_are_left_out(tmp_path, quick, capsys):
    """Axes of other lengths, cells that are none, numbers that are none: a report all the same."""
    nan, big = np.full(16, np.nan), np.full((16, 2), 1e300)
    odd = {
        "a": (np.ones(16), {"q": np.ones((7, 2)), "cell": np.eye(2)}),
        "b": (np.ones(16), {"q": np.ones((16, 2)), "cell": np.ones((2, 2))}),
        "c": (nan, {"q": np.ones((16, 2)), "cell": np.eye(2)}),
        "d": (np.ones(16), {"q": big, "cell": np.eye(2)}),
        "e": (np.ones((2, 2, 2)), {"q": np.ones((16, 2)), "cell": np.eye(2)}),
        "f": (np.ones((16, 16)) * 1e300, {"sites": np.arange(3)}),
        "g": (np.ones(16), {"q": np.zeros((16, 2)), "cell": np.eye(2)}),
        "h": (np.ones(1), {"q": np.zeros((1, 2)), "cell": np.eye(2)}),
    }
    folder = write(tmp_path / "runs" / "r", **{f"odd.{name}": {"shape": [1], "unit": 5} for name in odd})
    with h5py.File(folder / "observables.h5", "w") as file:
        for name, (value, axes) in odd.items():
            file[f"{name}/mean/value"] = value
            file[name].attrs["label"] = "\x1b[2J$\\frac{" + name
            file[name].attrs["unit"] = np.arange(3)
            for axis, values in axes.items():
                file[f"{name}/axes/{axis}"] = values
    assert report([str(folder.parent)]) == DONE
    page = (folder.parent / "report" / "index.html").read_text()
    assert "\x1b" not in page and "Wave vectors" in page


def test_a_file_that_cannot_be_read_is_a_line_of_the_page(tmp_path, quick, capsys):
    folder = write(tmp_path / "runs" / "r", structure={"shape": [16], "unit": ""})
    hostile("junk", folder)
    assert report([str(folder.parent)]) == DONE
    assert "r: observables.h5 cannot be read" in (folder.parent / "report" / "index.html").read_text()


def test_hostile_numbers_of_a_summary(tmp_path, quick, capsys):
    odd = {"x": {"mean": 1e99, "error": -1}, "y": {"mean": "a"}, "z.binder": {"mean": 0.0, "error": None}, "w": 3}
    for i, h in enumerate((1.0, 1.0, 2.0, 3.0)):
        write(tmp_path / "runs" / str(i), h=h, seed=i, side=4 + 2 * (i % 2), **odd)
    write(tmp_path / "runs" / "text", h="<script>", **odd)
    write(tmp_path / "runs" / "list", h=[1, "x"], **odd)
    assert report([str(tmp_path / "runs")]) == DONE
    assert "<script>" not in (tmp_path / "runs" / "report" / "index.html").read_text()
