import json
import struct
import subprocess
import sys

import numpy as np
import pytest

from nqs_hpc.report import plots
from nqs_hpc.report.plots import energy_png

PNG = b"\x89PNG\r\n\x1a\n"


def make_run(folder, n_steps=300, *, reference=-25.4906, final=True):
    """A made-up run that comes down exponentially, with what kills and rejected steps leave in metrics.jsonl."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    with open(folder / "metrics.jsonl", "w") as file:
        for step in range(1, n_steps + 1):
            far = 5 * np.exp(-step / 12) + 0.003
            error = 0.02 * far**0.5
            energy = None if step % 97 == 0 else -25.4906 + far + error * rng.normal()
            values = {"energy": energy, "energy_error": error, "energy_variance": far * 3}
            print(json.dumps({"step": step} | values), file=file)
            if step == 50:
                print('{"step": 51, "ener\n[]\n\x00', file=file)
        file.write('{"step": 301, "energy": -2')
    summary = {"status": "done", "final": final, "energy": {"mean": -25.4893, "error": 4e-4, "variance": 0.01}}
    summary["reference"] = None if reference is None else {"energy": reference, "method": "exact"}
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


@pytest.mark.parametrize(
    "options",
    [{}, {"reference": 0.0, "final": False}, {"n_steps": 1}, {"n_steps": 12, "reference": None}],
    ids=str,
)
def test_draws_every_kind_of_run(tmp_path, options):
    folder = make_run(tmp_path / "tfim_chain-1a2b3c4d", **options)
    path = energy_png(folder)
    assert path == folder / "energy.png" and path.read_bytes()[:8] == PNG
    pictures = ["energy.pdf", "energy.png", "energy.svg"]
    assert sorted(item.name for item in folder.iterdir()) == [*pictures, "metrics.jsonl", "summary.json"]


def test_pictures_are_fit_for_print(tmp_path):
    """As wide as a journal's column at 300 dpi; in the PDF fonts as TrueType, in the SVG text as text; no dates."""
    folder = make_run(tmp_path / "run", n_steps=20)
    energy_png(folder)
    width, _ = struct.unpack(">II", (folder / "energy.png").read_bytes()[16:24])
    assert abs(width - 3.375 * 300) <= 1
    printed = {kind: (folder / f"energy.{kind}").read_bytes() for kind in ("pdf", "svg")}
    assert b"/FontFile2" in printed["pdf"] and b"/Type3" not in printed["pdf"] and b"CreationDate" not in printed["pdf"]
    assert b">step</text>" in printed["svg"] and b"<image" not in printed["svg"]
    energy_png(folder)
    assert printed == {kind: (folder / f"energy.{kind}").read_bytes() for kind in printed}


def test_reads_the_intact_lines(tmp_path):
    step, energy, error, variance = plots._curve(make_run(tmp_path / "run") / "metrics.jsonl")
    assert step.tolist() == [k for k in range(1, 301) if k % 97]
    np.testing.assert_allclose(variance, 3 * (5 * np.exp(-step / 12) + 0.003))
    assert np.all(error > 0) and np.all(np.abs(energy + 25.4906 - variance / 3) < 6 * error)


def test_summary_may_be_missing_or_broken(tmp_path):
    folder = make_run(tmp_path / "run", n_steps=20)
    (folder / "summary.json").write_text('{"status": ')
    energy_png(folder)
    (folder / "summary.json").unlink()
    energy_png(folder)
    (folder / "metrics.jsonl").write_text('{"step": 1, "energy": -1.0, "energy_error": 0, "energy_variance": 0.0}\n')
    energy_png(folder)  # an exact eigenstate: nothing positive for a logarithmic axis


def test_nothing_to_draw(tmp_path):
    with pytest.raises(ValueError, match=r"metrics\.jsonl holds no energies"):
        energy_png(tmp_path)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "energy": null}\n')
    with pytest.raises(ValueError, match=r"metrics\.jsonl holds no energies"):
        energy_png(tmp_path)


def test_without_matplotlib_one_line_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ValueError, match=r"nqs_hpc\[plot\]") as caught:
        energy_png(make_run(tmp_path / "run"))
    assert "\n" not in str(caught.value)


def test_needs_neither_jax_nor_pyplot(tmp_path):
    folder = make_run(tmp_path / "run", n_steps=20)
    code = (
        "import sys; from pathlib import Path; from nqs_hpc.report.plots import energy_png;"
        "energy_png(Path(sys.argv[1])); assert not {'jax', 'mpi4py', 'matplotlib.pyplot'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
