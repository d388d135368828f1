"""A sweep as one table: what is finished has its numbers, all else is a row that says what became of it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import nqs_hpc
from nqs_hpc.job import study
from nqs_hpc.report.status import status
from tests.mpi.starts import summary


def point(name: str, **other) -> study.Point:
    swept = {"ansatz": "rbm", "lattice.length": len(name)}
    fields = {"identity": name, "swept": swept, "overrides": [], "command": "", "n_sites": 8, "n_steps": 40}
    return study.Point(name, **(fields | other))


def kill(folder: Path) -> None:
    """Make a finished run one that was killed after its last step."""
    (folder / "DONE").unlink()
    told = summary(folder) | {"status": "running", "reason": "", "final": False}
    (folder / "summary.json").write_text(json.dumps(told))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["starts"][-1]["exit"] = None
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def sweep(ring, tmp_path) -> Path:
    """A study of seven points, one of each fate."""
    for name in ("done", "going", "broken", "no_config", "dead"):
        shutil.copytree(ring, tmp_path / name)
    kill(tmp_path / "going")
    kill(tmp_path / "dead")
    (tmp_path / "broken" / "summary.json").write_text('{"status": "done", "ener')
    (tmp_path / "no_config" / "config.yaml").unlink()
    (tmp_path / "notes").mkdir()
    points = [
        point("done", state="running"),  # the launcher was killed before it saw the end
        point("going", state="failed", why="killed by the \x1b[31mqueue"),
        point("broken", state="done"),
        point("no_config", state="done"),
        point("never", swept={"ansatz": "mlp", "lattice.length": 5}),
        point("lost", state="done"),
        point("dead", state="running"),  # the machine went down with the launcher
    ]
    study.write(tmp_path, study.Study("fates", "/", "local", [], points))
    return tmp_path


def test_every_point_is_a_row(sweep, ring):
    table = nqs_hpc.load_sweep(sweep).table()
    assert list(table)[:5] == ["point", "ansatz", "lattice.length", "state", "why"]
    assert table["point"].tolist() == ["done", "going", "broken", "no_config", "never", "lost", "dead"]
    assert table["state"].tolist() == ["done", "failed", "done", "done", "waiting", "failed", "failed"]
    assert table["ansatz"].tolist() == ["rbm"] * 4 + ["mlp", "rbm", "rbm"]
    assert table["lattice.length"].tolist() == [4, 5, 6, 9, 5, 4, 4]
    known = summary(ring)
    expected = [known["energy"]["mean"], np.nan, np.nan, known["energy"]["mean"], np.nan, np.nan, np.nan]
    np.testing.assert_array_equal(table["energy"], expected)
    np.testing.assert_array_equal(table["step"], [40, 40, 40, 40, np.nan, np.nan, 40])
    assert table["v_score"][0] == known["v_score"] and table["reference"][0] == known["reference"]["energy"]
    assert "killed by the queue" in table["why"][1] and "summary.json cannot be read" in table["why"][2]
    assert "holds no run" in table["why"][5] and "killed after step 40" in table["why"][6]


def test_a_sweep_is_what_status_says(sweep, capsys):
    assert status([str(sweep), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["points"]
    points = nqs_hpc.load_sweep(sweep).points
    assert [(one["name"], one["state"], one["why"]) for one in told] == [(p.name, p.state, p.why) for p in points]


def test_text_from_files_is_fit_for_a_terminal(sweep):
    manifest = json.loads((sweep / "manifest.json").read_text())
    for one in manifest["points"]:
        one["swept"] |= {"hamiltonian.file": "a\x1b[2Jb\u202e", "j\x07": ["\x1b[1mc"]}
    (sweep / "manifest.json").write_text(json.dumps(manifest))
    table = nqs_hpc.load_sweep(sweep).table()
    assert all(name.isprintable() for name in table)
    assert all(text.isprintable() for column in table.values() if column.dtype.kind == "U" for text in column)
    assert table["hamiltonian.file"][0] == "ab\N{REPLACEMENT CHARACTER}"


def test_rows_are_those_of_the_dataframe(sweep):
    opened = nqs_hpc.load_sweep(sweep)
    frame = opened.dataframe()
    assert len(frame) == 7 and frame["energy"].isna().sum() == 5
    assert frame[frame.state == "done"]["point"].tolist() == ["done", "broken", "no_config"]


def test_points_open_their_runs_when_asked(sweep, ring):
    points = {one.name: one for one in nqs_hpc.load_sweep(sweep).points}
    assert points["done"].swept == {"ansatz": "rbm", "lattice.length": 4}
    assert points["done"].run.metrics["energy"].tolist() == nqs_hpc.load_run(ring).metrics["energy"].tolist()
    with pytest.raises(ValueError, match=r"has no config.yaml"):
        points["no_config"].run  # noqa: B018
    with pytest.raises(ValueError, match="does not exist"):
        points["never"].run  # noqa: B018


def test_any_folder_of_runs_is_a_sweep(sweep):
    """Without a manifest the swept keys are those in which the configurations differ."""
    (sweep / "manifest.json").unlink()
    shutil.rmtree(sweep / "dead")
    config = (sweep / "going" / "config.yaml").read_text()
    for a, b in (("h: 1.0", "h: 2.5"), ("extent:\n  - 8", "extent:\n  - 6"), ("n_steps: 40", "n_steps: 50")):
        assert a in config
        config = config.replace(a, b)
    (sweep / "going" / "config.yaml").write_text(config)
    (sweep / "broken" / "config.yaml").write_text("lattice: [\n")
    table = nqs_hpc.load_sweep(sweep).table()
    assert table["point"].tolist() == ["broken", "done", "going", "no_config", "notes"]
    assert list(table)[1:5] == ["lattice.extent", "hamiltonian.h", "task.n_steps", "state"]
    np.testing.assert_array_equal(table["hamiltonian.h"], [np.nan, 1.0, 2.5, np.nan, np.nan])
    assert table["lattice.extent"].tolist() == ["", "[8]", "[6]", "", ""]
    assert table["state"].tolist() == ["done", "done", "failed", "done", "failed"]


def test_what_is_no_sweep_is_named_in_one_line(ring, tmp_path):
    for folder, part in ((tmp_path / "x", "is not a folder"), (tmp_path, "holds no runs"), (ring, "is itself a run")):
        with pytest.raises(ValueError) as caught:
            nqs_hpc.load_sweep(folder)
        assert part in str(caught.value) and "\n" not in str(caught.value)
    (tmp_path / "manifest.json").write_text('{"study": "x"}')
    with pytest.raises(ValueError, match="is not the manifest of a sweep"):
        nqs_hpc.load_sweep(tmp_path)
