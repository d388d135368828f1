"""`compare` against differences that the test has made itself."""

import json
import math
import shutil

import pytest

from nqs_hpc.cli.compare import compare
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, FAULT


@pytest.fixture
def pair(made, tmp_path, monkeypatch):
    """Two copies of one run, in the current folder."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(made, tmp_path / "one"), shutil.copytree(made, tmp_path / "two")


def edit(folder, name, change):
    data = json.loads((folder / name).read_text())
    change(data)
    (folder / name).write_text(json.dumps(data))


def set_key(folder, old, new):
    file = folder / "config.yaml"
    assert file.read_text().count(old) == 1
    file.write_text(file.read_text().replace(old, new))


def told(capsys, *words, code=DONE):
    capsys.readouterr()
    assert compare([str(word) for word in words]) == code
    return capsys.readouterr().out


def test_a_run_and_its_copy_do_not_differ(pair, capsys):
    found = json.loads(told(capsys, "one", "two", "--json"))
    assert found["keys"] == found["machine"] == [] and found["curves"]["differ"] == {}
    assert found["energies"]["difference"] == found["energies"]["sigma"] == 0
    assert {one["difference"] for one in found["numbers"]} == {0}
    text = told(capsys, "one", "two")
    assert "all keys are the same" in text and "steps 1 to 10 of both; all metrics are the same to the last bit" in text


def test_every_difference_is_found(pair, capsys):
    one, two = pair
    set_key(two, "n_chains: 16", "n_chains: 32")
    set_key(two, "learning_rate: 0.05", "learning_rate: 0.025")
    edit(one, "summary.json", lambda data: data["energy"].update(mean=-10.0, error=0.03))
    edit(two, "summary.json", lambda data: (data["energy"].update(mean=-9.9, error=0.04), data.update(seconds=7.5)))
    edit(two, "manifest.json", lambda data: (data["versions"].update(jax="0.9"), data.update(hosts=["elsewhere"])))
    lines = [json.loads(line) for line in (two / "metrics.jsonl").read_text().splitlines()][:7]
    lines[4]["energy"] *= 1 + 1e-12
    lines[5]["energy"] *= 0.99
    lines[6]["tau"] = None if lines[6]["tau"] else 1.0
    lines[2]["seconds"] = 100.0  # of a clock: no difference
    for line in lines:
        line["rank"] = 3
    (two / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    found = json.loads(told(capsys, "one", "two", "--json"))
    keys = {entry["key"]: entry for entry in found["keys"]}
    assert keys.keys() == {"sampler.n_chains", "optimizer.learning_rate"}
    assert keys["sampler.n_chains"] == {"key": "sampler.n_chains", "a": 16, "b": 32, "physics": True}
    assert keys["optimizer.learning_rate"]["physics"] is False
    machine = {entry["key"]: (entry["a"], entry["b"]) for entry in found["machine"]}
    assert machine.keys() == {"versions.jax", "hosts"} and machine["hosts"][1] == ["elsewhere"]
    energies = found["energies"]  # 0.1 with an error of 0.05
    assert math.isclose(energies["sigma"], 2.0, rel_tol=1e-12) and math.isclose(energies["error"], 0.05, rel_tol=1e-12)
    numbers = {entry["key"]: entry for entry in found["numbers"]}
    assert numbers["seconds"]["b"] == 7.5 and math.isclose(numbers["energy"]["difference"], 0.1, rel_tol=1e-12)
    curves = found["curves"]
    assert (curves["first_common"], curves["last_common"], curves["last_a"], curves["last_b"]) == (1, 7, 10, 7)
    assert {key: entry["step"] for key, entry in curves["differ"].items()} == {"energy": 5, "tau": 7}
    assert math.isclose(curves["differ"]["energy"]["largest_relative"], 0.01, rel_tol=1e-9)
    assert curves["only"] == {"a": [], "b": ["rank"]}

    text = told(capsys, "one", "two")
    assert "energies: E_B - E_A = 0.100(50), 2.0 sigma" in text
    assert "the first that differ do so at step 5" in text and "A goes on to step 10" in text
    assert "B alone has: rank" in text


def test_energies_of_different_systems_are_no_sigma_apart(pair, capsys):
    set_key(pair[1], "h: 1.0", "h: 2.0")
    energies = json.loads(told(capsys, "one", "two", "--json"))["energies"]
    assert energies["sigma"] is None and "hamiltonian.h" in energies["why"]
    assert "the systems or states differ: hamiltonian.h" in told(capsys, "one", "two")


def test_runs_that_left_little_are_compared_all_the_same(pair, capsys):
    for name in ("metrics.jsonl", "DONE"):
        (pair[1] / name).unlink()
    (pair[1] / "summary.json").write_text("{")
    text = told(capsys, "one", "two")
    assert "energies: B has no energy" in text and "curves: no step of both" in text
    json.loads(told(capsys, "one", "two", "--json"))


def test_a_picture(pair, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("nqs_hpc.report.figures.DPI", 40)
    told(capsys, "one", "two", "--plot", "both.svg")
    picture = (pair[0].parent / "both.svg").read_text()
    assert "A one" in picture and "B two" in picture and "B − A" in picture
    told(capsys, "one", "two", "--plot=nowhere/both.png", code=FAULT)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["one", "three"], "three is not a folder; valid: the folder of one run"),
        (["one", "."], ". is not a run but a sweep or a folder of runs: empty, one, two; valid: the folder of one run"),
        (["one", "empty"], "empty holds no runs; valid: the folder of one run"),
        (["one"], "compare takes two runs, not 1; valid: "),
        (["one", "two", "--jsn"], "--jsn is not an option of compare; did you mean --json? valid: "),
        (["one", "two", "--plot"], "--plot needs a file; valid: "),
        (["one", "two", "--plot", "a.gif"], "--plot a.gif is not valid; valid: a file .png, .svg, .pdf"),
    ],
)
def test_bad_input_is_one_line(pair, capsys, words, line):
    (pair[0].parent / "empty").mkdir()
    capsys.readouterr()
    assert compare(words) == BAD_INPUT
    out = capsys.readouterr()
    assert out.out == "" and out.err.startswith(line) and out.err.count("\n") == 1
