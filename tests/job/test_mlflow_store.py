"""The file store has the layout of MLflow's own, and each step of metrics.jsonl once, after whatever end."""

import errno
import json
import math
import os
import re
from pathlib import Path

import pytest

from nqs_hpc.inputs.reading import parse_yaml
from nqs_hpc.job import files
from nqs_hpc.job.log import both, cut, log
from nqs_hpc.job.mlflow_store import FINISHED, NAME, begin, end, file_name, store

RECORDED = json.loads((Path(__file__).parents[1] / "data" / "formats" / "mlflow_store.json").read_text())
CONFIG = {"lattice": {"length": 8, "pbc": [True, False]}, "task": {"n_steps": 3}, "run_dir": None, "empty": {}}


def run(folder, *steps, **more):
    """A start that makes these steps, and its end without a word."""
    begin(folder, "nqs_hpc", CONFIG, {"version.jax": "0.10"})
    journal = both(log(folder / "metrics.jsonl"), store(folder))
    for step in steps:
        journal.append({"step": step, "energy": -step / 3, "r_hat": None, "scale": math.nan, **more})
    return journal


def place(folder):
    (found,) = (folder / NAME).glob("*/*/")
    return found


def metric(folder, name="energy"):
    """(step, value) of each line."""
    lines = (place(folder) / "metrics" / name).read_text().splitlines()
    return [(int(step), float(value)) for _, value, step in map(str.split, lines)]


def expected(*steps):
    return [(step, -step / 3) for step in steps]


def test_the_layout_is_that_of_mlflow(tmp_path):
    run(tmp_path, 1, 2, 3, **{"observables.zz": 0.125}).close()
    end(tmp_path, FINISHED)
    found, root = place(tmp_path), place(tmp_path).parent
    assert re.fullmatch(r"[0-9]{1,18}", root.name) and re.fullmatch(r"[0-9a-f]{32}", found.name)
    for name, text in RECORDED.items():
        ours = (root / name.replace("RUN", found.name)).read_text()
        if name.endswith("meta.yaml"):
            theirs, about = parse_yaml(text), parse_yaml(ours)
            # of later versions alone, which do without
            needed = theirs.keys() - {"effective_trace_archival_retention", "trace_location", "workspace"}
            assert needed <= about.keys()
            assert all(type(about[key]) is type(theirs[key]) for key in needed)
            same = {"lifecycle_stage", "status", "source_type", "entry_point_name"} & needed
            assert {key: about[key] for key in same} == {key: theirs[key] for key in same}
        elif "/metrics/" in name:
            assert re.fullmatch(r"(\d{13} \S+ \d+\n)+", text) and re.fullmatch(r"(\d{13} \S+ \d+\n)+", ours)
        elif "runName" not in name:
            assert ours == text
    about = parse_yaml((found / "meta.yaml").read_text())
    assert about["experiment_id"] == root.name == parse_yaml((root / "meta.yaml").read_text())["experiment_id"]
    assert about["run_id"] == found.name and about["run_name"] == tmp_path.name
    assert (found / "params" / "lattice.pbc").read_text() == "[true, false]"
    assert (found / "params" / "run_dir").read_text() == "null" and (found / "params" / "empty").read_text() == "{}"
    assert sorted(path.name for path in (found / "metrics").iterdir()) == ["energy", "observables.zz"]


def test_a_step_is_there_at_once(tmp_path):
    """Without sync or close, for a kill comes without either."""
    run(tmp_path, 1, 2, 3)
    assert metric(tmp_path) == expected(1, 2, 3)


def test_a_restart_goes_on_in_the_same_run(tmp_path):
    run(tmp_path, 1, 2, 3, 4, 5).close()
    end(tmp_path, FINISHED)
    before, first = place(tmp_path), (place(tmp_path) / "metrics" / "energy").read_text().splitlines()[:3]
    cut(tmp_path / "metrics.jsonl", 3)
    begun = parse_yaml((before / "meta.yaml").read_text())
    run(tmp_path, 4, 5, 6)
    assert place(tmp_path) == before and metric(tmp_path) == expected(1, 2, 3, 4, 5, 6)
    assert (before / "metrics" / "energy").read_text().splitlines()[:3] == first  # with the times of the first start
    about = parse_yaml((before / "meta.yaml").read_text())
    assert (about["status"], about["end_time"], about["start_time"]) == (1, None, begun["start_time"])


@pytest.mark.parametrize("lost", [1, 5, 30, 10_000])
def test_a_broken_end_is_made_good(tmp_path, lost):
    run(tmp_path, 1, 2, 3, other=1)
    for name in ("energy", "other"):
        path = place(tmp_path) / "metrics" / name
        path.write_bytes(path.read_bytes()[:-lost])
    run(tmp_path, 4)
    assert metric(tmp_path) == expected(1, 2, 3, 4) and metric(tmp_path, "other") == [(1, 1), (2, 1), (3, 1)]


def test_switched_on_later_it_has_the_steps_before(tmp_path):
    journal = log(tmp_path / "metrics.jsonl")
    for step in (1, 2):
        journal.append({"step": step, "energy": -step / 3})
    run(tmp_path, 3)
    assert metric(tmp_path) == expected(1, 2, 3)


def test_two_runs_can_be_copied_together(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        run(tmp_path / name, 1)
    a, b = place(tmp_path / "a"), place(tmp_path / "b")
    assert a.parent.name == b.parent.name and a.name != b.name


def test_names_are_keys_of_mlflow_and_stay_in_their_folder():
    assert file_name("observables.zz") == "observables.zz"
    for name in ("../../x", "a/b", "", ".", "..", "a\nb", "x" * 1000, "ψ"):
        found = file_name(name)
        assert re.fullmatch(r"[\w.\- ]{1,250}", found, re.ASCII) and found not in (".", "..")


def test_links_below_a_folder_that_is_held_are_not_followed(tmp_path):
    folder, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    folder.mkdir()
    run(folder, 1).close()
    metrics = place(folder) / "metrics"
    elsewhere.mkdir()
    metrics.rename(tmp_path / "away")
    metrics.symlink_to(elsewhere)
    descriptor = os.open(folder, os.O_RDONLY)
    files.hold(folder, lambda: descriptor)
    try:
        with pytest.raises(OSError) as caught:
            store(folder).append({"step": 2, "energy": 1.0})
        assert caught.value.errno in (errno.ENOTDIR, errno.ELOOP) and str(metrics) in str(caught.value)
        with pytest.raises(OSError):
            begin(folder, "nqs_hpc", CONFIG, {})
    finally:
        files.let_go(folder)
        os.close(descriptor)
    assert not list(elsewhere.iterdir())
