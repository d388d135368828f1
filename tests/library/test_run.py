"""A run opened again: columns, parameters, and one clear line where it cannot be opened."""

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest

import nqs_hpc
from nqs_hpc.config.identity import physics
from nqs_hpc.library.run import Run
from nqs_hpc.parts import exported
from tests.library.conftest import N
from tests.mpi.starts import environment, metrics, summary


@pytest.fixture
def copy(ring, tmp_path) -> Path:
    return Path(shutil.copytree(ring, tmp_path / "copy"))


def one_line(act) -> str:
    with pytest.raises(ValueError) as caught:
        act()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_metrics_are_the_lines_as_columns(ring):
    found, lines = nqs_hpc.load_run(ring).metrics, metrics(ring)
    assert found["step"].dtype == np.int64 and found["rejected"].dtype == bool
    assert found["step"].tolist() == list(range(1, 41)) == [line["step"] for line in lines]
    assert found["energy"].tolist() == [line["energy"] for line in lines]  # every bit
    assert lines[0]["r_hat"] is None and np.isnan(found["r_hat"]).all() and found["r_hat"].dtype == np.float64
    assert set(found) == {name for line in lines for name in line}


def test_dataframe_has_a_row_a_step(ring):
    run = nqs_hpc.load_run(ring)
    table = run.dataframe()
    assert len(table) == 40 and table["energy"].tolist() == run.metrics["energy"].tolist()


def test_without_pandas_the_line_names_the_extra(ring, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    assert "nqs_hpc[pandas]" in one_line(nqs_hpc.load_run(ring).dataframe)


def test_summary_and_config_are_those_of_the_run(ring):
    run = nqs_hpc.load_run(str(ring))
    assert run.summary == summary(ring)
    assert physics(run.config) == json.loads((ring / "manifest.json").read_text())["physics"]
    assert run.config.task.n_steps == 40 and run.config.optimizer.average == 0.9


def leaf(path: Path, name: str) -> np.ndarray:
    with h5py.File(path) as file:
        return file[name][()]


def test_params_are_the_running_mean_of_the_newest_checkpoint(ring):
    run, path = nqs_hpc.load_run(ring), ring / "checkpoints" / "step_00000040.h5"
    mean = leaf(path, "memory/average/params/w") / leaf(path, "memory/average/weight")
    np.testing.assert_allclose(run.params.w, mean, rtol=1e-14)
    assert not np.allclose(mean, leaf(path, "params/w"), rtol=1e-3)
    assert run.step == 40 and run.origin == "running mean of the parameters after 40 updates, step_00000040.h5"


def test_a_step_picks_its_checkpoint(ring):
    run, path = nqs_hpc.load_run(ring, step=20), ring / "checkpoints" / "step_00000020.h5"
    assert run.step == 20 and "step_00000020.h5" in run.origin
    mean = leaf(path, "memory/average/params/b") / leaf(path, "memory/average/weight")
    np.testing.assert_allclose(run.params.b, mean, rtol=1e-14)
    assert "step=25 is not valid; valid in" in (line := one_line(lambda: nqs_hpc.load_run(ring, step=25)))
    assert line.endswith("20, 30, 40")


def test_without_a_mean_the_params_are_those_of_the_last_update(copy):
    """As a run without optimizer.average has left them."""
    path = copy / "checkpoints" / "step_00000040.h5"
    run = nqs_hpc.load_run(copy)
    run.checkpoint = run.checkpoint._replace(
        leaves={name: x for name, x in run.checkpoint.leaves.items() if not name.startswith("memory/average")}
    )
    assert np.array_equal(run.params.w, leaf(path, "params/w"))


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(copy):
    newest = copy / "checkpoints" / "step_00000040.h5"
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.warns(UserWarning, match=r"step_00000040.h5: its checksum does not fit .* step_00000030.h5 is taken"):
        assert nqs_hpc.load_run(copy).step == 30
    assert "step_00000040.h5: its checksum" in one_line(lambda: nqs_hpc.load_run(copy, step=40))


def test_a_running_job_can_be_opened(copy):
    """Before its first summary, with a line half written."""
    (copy / "summary.json").unlink()
    lines = (copy / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "metrics.jsonl").write_bytes(b"".join(lines[:5]) + lines[5][:20])
    run = nqs_hpc.load_run(copy)
    assert run.metrics["step"].tolist() == [1, 2, 3, 4, 5]
    assert "summary.json does not exist" in one_line(lambda: run.summary)


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("config.yaml", None, "has no config.yaml"),
        ("config.yaml", b"lattice: [1,\n", "config.yaml is not the configuration of a run: "),
        ("config.yaml", b"- 1\n", "config.yaml is not the configuration of a run: no keys"),
        ("config.yaml", b"lattice: {name: chain, length: -1}\n", "lattice.length=-1 is not valid"),
        ("config.yaml", b"new_key: 1\n", "the configuration has no key new_key"),
        ("config.yaml", b"seed: !!python/object/apply:os.mkdir [made]\n", "config.yaml is not the configuration"),
        ("summary.json", b'{"status": "do', "summary.json is not valid JSON"),
        ("summary.json", b"[]", "summary.json is not the summary of a run"),
        ("checkpoints", None, "there is none"),
    ],
)
def test_what_is_broken_is_named_in_one_line(copy, monkeypatch, name, content, part):
    monkeypatch.chdir(copy)
    if content is not None:
        (copy / name).write_bytes(content)
    elif (copy / name).is_dir():
        shutil.rmtree(copy / name)
    else:
        (copy / name).unlink()

    def read_all() -> None:
        run = nqs_hpc.load_run(copy)
        print(run.summary, run.params)

    assert part in one_line(read_all)
    assert not (copy / "made").exists()


def test_no_folder_is_named_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    assert "nowhere does not exist" in one_line(lambda: nqs_hpc.load_run(tmp_path / "nowhere"))
    assert "file is not a folder" in one_line(lambda: nqs_hpc.load_run(tmp_path / "file"))
    assert "has no config.yaml" in one_line(lambda: nqs_hpc.load_run(tmp_path))


def test_a_checkpoint_of_another_physics_is_refused(copy):
    text = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(text.replace("h: 1.0", "h: 2.0"))
    assert "hamiltonian.h: 1.0 -> 2.0" in one_line(lambda: nqs_hpc.load_run(copy).params)


def test_export_is_read_by_plain_numpy(ring, tmp_path):
    run = nqs_hpc.load_run(ring)
    path = run.export(tmp_path / "out.npz")
    with np.load(path, allow_pickle=False) as found:
        assert np.array_equal(found["params/w"], run.params.w) and found["params/a"].shape == (N,)
        assert np.array_equal(found["metrics/energy"], run.metrics["energy"])
        config = json.loads(str(found["config"]))
        assert config["lattice"]["extent"] == [N] and str(found["origin"]) == run.origin
        assert "marshall_signs" not in found


def test_export_to_safetensors_has_the_mean_of_the_parameters(ring, tmp_path):
    run = nqs_hpc.load_run(ring)
    again = exported.read(run.export(tmp_path / "out.safetensors"))
    # the ring keeps a running mean, which XLA divides by its weight with another last bit
    assert again.leaves["params/w"] == pytest.approx(np.asarray(run.params.w), rel=4e-16)
    assert again.meta["physics"] == physics(run.config)


def test_files_are_read_without_jax_and_computed_without_mpi(ring):
    """In a notebook where jax was used before, in its 32-bit numbers: the wave function has 64 all the same."""
    s = [1, -1] * (N // 2)
    code = f"""
import sys, nqs_hpc
run = nqs_hpc.load_run({str(ring)!r})
run.metrics, run.summary, nqs_hpc.load_sweep({str(ring.parent)!r}).table(), nqs_hpc.compose(["lattice.length=4"])
assert not {{"jax", "mpi4py"}} & set(sys.modules)
import jax, jax.numpy as jnp
assert jax.jit(jnp.sum)(jnp.ones(3)).dtype == jnp.float32
print(repr(float(run.log_psi({s}))), run.params.w.dtype, run.log_psi({s}).dtype)
assert "mpi4py" not in sys.modules
"""
    made = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    value, *dtypes = made.stdout.split()
    assert dtypes == ["float64", "float64"]
    assert math.isclose(float(value), float(nqs_hpc.load_run(ring).log_psi(s)), rel_tol=1e-13)


def test_the_face_is_what_dir_says():
    assert {"load_run", "load_sweep", "build", "compose"} <= set(dir(nqs_hpc))
    assert isinstance(nqs_hpc.load_run, type(lambda: 0)) and Run.__module__ == "nqs_hpc.library.run"
    with pytest.raises(AttributeError, match="no_such"):
        nqs_hpc.no_such  # noqa: B018
    assert jax.config.jax_enable_x64
