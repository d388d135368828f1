"""Results in ALPS' layout, against a file that ALPS wrote."""

import io
from pathlib import Path

import h5py
import numpy as np
import pytest

from nqs_hpc.cli.export import export
from nqs_hpc.formats.alps_results import Entry, pack
from nqs_hpc.job import observables_file
from nqs_hpc.types import Output, Result

RECORDED = Path(__file__).parents[1] / "data" / "formats" / "alps_spinmc.h5"


def datasets(file):
    found = {}
    file.visititems(lambda name, item: found.__setitem__(name, item) if isinstance(item, h5py.Dataset) else None)
    return found


def test_a_number_stands_where_alps_has_it():
    """The same names, types and shapes, and the same numbers where ALPS' own are given."""
    with h5py.File(RECORDED) as theirs:
        energy = {name: item[()] for name, item in datasets(theirs["simulation/results/Energy"]).items()}
        one = Entry(
            *(np.array(energy[f"mean/{key}"]) for key in ("value", "error")),
            {},
            energy["variance/value"],
            1 + 2 * energy["tau/value"],
        )
        with h5py.File(io.BytesIO(pack({"Energy": one}, int(energy["count"]), {"L": 4})), "r") as ours:
            found = datasets(ours["simulation/results/Energy"])
            assert sorted(found) == ["count", "mean/error", "mean/value", "tau/value", "variance/value"]
            for name, item in found.items():
                assert item.dtype == theirs[f"simulation/results/Energy/{name}"].dtype and item.shape == ()
                assert item[()] == pytest.approx(energy[name], rel=1e-15)
            assert ours["parameters/L"][()] == 4 and "L" in theirs["parameters"]
    # what tau means there: error^2 = variance (1 + 2 tau) / count
    expected = energy["variance/value"] * (1 + 2 * energy["tau/value"]) / int(energy["count"])
    assert energy["mean/error"] ** 2 == pytest.approx(expected, rel=1e-3)


def test_arrays_are_vectors_with_labels():
    ladder = Entry(np.arange(6.0).reshape(2, 3), np.full((2, 3), 0.1), {"site": np.arange(2), "other": np.arange(3)})
    curve = Entry(np.arange(3.0), np.full(3, 0.2), {"distance": np.array([1.0, 2**0.5, 2.0])})
    with h5py.File(io.BytesIO(pack({"a/b&c": ladder, "curve": curve}, 8, {})), "r") as file:
        results = file["simulation/results"]
        assert sorted(results) == ["a&#47;b&#38;c", "curve"]  # as ALPS writes these characters
        assert results["a&#47;b&#38;c/mean/value"][()].tolist() == [0, 1, 2, 3, 4, 5]
        assert results["a&#47;b&#38;c/labels"].asstr()[()].tolist() == ["0--0", "0--1", "0--2", "1--0", "1--1", "1--2"]
        assert results["curve/labels"].asstr()[()].tolist() == ["1.0", repr(2**0.5), "2.0"]
    with h5py.File(RECORDED) as theirs:
        assert theirs["simulation/results/Bond-type Energy/mean/value"].ndim == 1
    with pytest.raises(ValueError, match="x is complex"):
        pack({"x": Entry(np.array(1j), np.array(0.0), {})}, 8, {})


def test_of_a_run(tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("lattice.length: 4\n")
    axes = (("distance", np.array([0.0, 1.0])),)
    measured = [
        Result("m", np.array(0.5), np.array(0.1), Output("m", "")),
        Result("corr.zz", np.array([1.0, -0.5]), np.array([0.0, 0.1]), Output("zz", "", axes=axes)),
    ]
    observables_file.save(tmp_path / "run", measured, {"n_samples": 64})
    (tmp_path / "run" / "summary.json").write_text(
        '{"n_samples": 64, "tau": 3.0, "energy": {"mean": -5.0, "error": 0.25, "variance": 2.0},'
        ' "observables": {"m": {"mean": 0.5, "error": 0.1, "variance": 0.6, "tau": null}}}'
    )
    path = tmp_path / "alps.h5"
    assert export([str(tmp_path / "run"), "--observables", str(path)]) == 0 and capsys.readouterr().out
    with h5py.File(path) as file:
        results = file["simulation/results"]
        assert sorted(results) == ["Energy", "corr.zz", "m"]
        assert results["Energy/tau/value"][()] == 1.0 and results["Energy/mean/error"][()] == 0.25
        assert results["m/variance/value"][()] == 0.6 and "tau" not in results["m"]
        assert results["corr.zz/labels"].asstr()[()].tolist() == ["0.0", "1.0"]
        assert results["corr.zz/count"][()] == 64
        assert file["parameters/MODEL"].asstr()[()] == "ising" and file["parameters/hamiltonian.h"][()] == 1.0
    assert export(["lattice.length=4", "--observables", str(path)]) == 2
    assert "valid: with the folder of a run" in capsys.readouterr().err
