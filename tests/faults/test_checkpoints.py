"""Checkpoints that were damaged, lost, mixed up or made by another version: none that is whole is lost to it."""

import hashlib
import json
import random
import shutil
from pathlib import Path

import h5py
import pytest

from nqs_hpc.job.checkpoint_file import BLOCK
from tests.faults.conftest import RANKS, one_line
from tests.mpi.starts import job

pytestmark = pytest.mark.faults
table = pytest.mark.table


def signed(body: bytes) -> bytes:
    """A checkpoint of this body whose checksum is right."""
    header = f"nqs_hpc checkpoint\nsha256 {hashlib.sha256(body).hexdigest()}\n".encode()
    return header.ljust(BLOCK, b"\n") + body


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    "damage",
    [
        half,
        pytest.param(lambda data: data[:-1], marks=table, id="last byte missing"),
        pytest.param(lambda data: data[:BLOCK], marks=table, id="header alone"),
        pytest.param(lambda data: b"", marks=table, id="zero length"),
        pytest.param(lambda data: data + b"\0", marks=table, id="a byte too long"),
        pytest.param(lambda data: bytes(len(data)), marks=table, id="all zeros"),
    ],
)
def test_a_damaged_newest_gives_way_to_the_one_before(broken, damage):
    newest = broken.checkpoint(30)
    newest.write_bytes(damage(newest.read_bytes()))
    output = broken.go_on()
    one_line(output, "step_00000030.h5", "step_00000020.h5 is taken instead")
    one_line(output, "10 lines removed (after step 20), these steps are made again")
    broken.is_undisturbed()


def datasets() -> list[str]:
    """The datasets of the small job's checkpoints; `test_every_dataset_is_in_the_table` compares."""
    leaves = ("a", "b", "w")
    trees = ("params", "memory/good/params", "memory/good/average/params", "memory/average/params")
    names = [f"{tree}/{leaf}" for tree in trees for leaf in leaves]
    return [*names, *OTHERS]


OTHERS = (
    *("step", "meta", "memory/scale", "memory/rejected", "memory/untried"),
    *("memory/average/weight", "memory/good/average/weight"),
    *("chains/samples/chain_C", "chains/samples/s_CN", "memory/update/0", "memory/good/update/0"),
)


def offsets(path: Path) -> dict[str, tuple[int, int]]:
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.__setitem__(name, (item.id.get_offset(), item.id.get_storage_size()))
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return found


def test_every_dataset_is_in_the_table(broken):
    assert set(offsets(broken.checkpoint(30))) == set(datasets())


@pytest.mark.parametrize(
    "name",
    ["params/w", *(pytest.param(name, marks=table) for name in datasets() if name != "params/w")]
    + [pytest.param(name, marks=table) for name in ("checksum", "structure")],
)
def test_one_flipped_bit_is_seen(broken, name):
    newest = broken.checkpoint(30)
    data = bytearray(newest.read_bytes())
    places = offsets(newest) | {"checksum": (30, 20), "structure": (BLOCK, 96)}
    start, size = places[name]
    chosen = random.Random(name)
    data[start + chosen.randrange(size)] ^= 1 << chosen.randrange(8)
    newest.write_bytes(data)
    one_line(broken.go_on(), "step_00000030.h5: its checksum does not fit", "step_00000020.h5 is taken instead")
    broken.is_undisturbed()


def test_the_newest_two_damaged(broken):
    for step in (20, 30):
        broken.checkpoint(step).write_bytes(b"")
    output = broken.go_on()
    for step in (20, 30):
        one_line(output, f"step_000000{step}.h5: is only 0 bytes long; step_00000010.h5 is taken instead")
    broken.is_undisturbed()


@table
def test_all_damaged(broken):
    for step in (10, 20, 30):
        broken.checkpoint(step).write_bytes(b"x" * 1000)
    before = {path: path.read_bytes() for path in broken.folder.rglob("*") if path.is_file()}
    one_line(broken.go_on(code=1), "no checkpoint in", "is usable", "step_00000010.h5")
    after = {path: path.read_bytes() for path in broken.folder.rglob("*") if path.is_file() and path.name != ".lock"}
    assert after == {path: data for path, data in before.items() if path.name != ".lock"}


def test_the_newest_deleted(broken):
    broken.checkpoint(30).unlink()
    one_line(broken.go_on(), "resumed from step_00000020.h5")
    broken.is_undisturbed()


@table
def test_all_deleted(broken):
    shutil.rmtree(broken.folder / "checkpoints")
    output = broken.go_on()
    one_line(output, "30 lines removed (there is no checkpoint), these steps are made again")
    broken.is_undisturbed()


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ("seed=1", ("is of another physics: seed: 1 -> 0", "choose another run_dir")),
        pytest.param("ansatz.alpha=2", ("checkpoint: ", "(8, 16), expected float64 (8, 8)"), marks=table),
        pytest.param("optimizer.average=null", ("memory/average/params/", "is in this run but not in"), marks=table),
    ],
)
def test_one_of_another_run(broken, other, words):
    job(RANKS, "task.n_steps=1", "run_dir=other", other, cwd=broken.cwd)
    strange = broken.checkpoint(50)
    shutil.copy(broken.cwd / "other" / "checkpoints" / "step_00000001.h5", strange)
    with h5py.File(strange, "r+") as file:
        file["step"][...] = 50  # as its name says: else that is the fault
    strange.write_bytes(signed(strange.read_bytes()[BLOCK:]))
    one_line(broken.go_on(code=1), *words)
    strange.unlink()  # what was whole is still there
    broken.go_on()
    broken.is_undisturbed()


def test_one_of_a_future_version(broken):
    newest = broken.checkpoint(30)
    own = newest.read_bytes()
    with h5py.File(newest, "r+") as file:
        file.attrs["format_version"] = 99
    newest.write_bytes(signed(newest.read_bytes()[BLOCK:]))
    one_line(broken.go_on(code=1), "step_00000030.h5 has format 99, and this nqs_hpc reads 1 and 2")
    newest.write_bytes(own)
    broken.go_on()
    broken.is_undisturbed()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: data[:-40], ("10 lines removed (after step 20)",)),
        pytest.param(lambda data: data[:-1], (), marks=table, id="no newline at the end"),
        pytest.param(lambda data: data + b'{"step": 31, "ene', ("1 lines removed",), marks=table, id="a step begun"),
        pytest.param(lambda data: data + b"\0" * 4096, ("1 lines removed",), marks=table, id="zeros of a power cut"),
    ],
)
def test_metrics_cut_in_mid_line(broken, spoil, words):
    """A kill leaves a broken tail; the checkpoint may be older than it, never younger."""
    path = broken.folder / "metrics.jsonl"
    if words and "20" in words[0]:
        broken.checkpoint(30).unlink()
    path.write_bytes(spoil(path.read_bytes()))
    output = broken.go_on()
    if words:
        one_line(output, *words)
    broken.is_undisturbed()


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("manifest.json", 1, ("cannot start", "manifest.json is not valid JSON")),
        pytest.param("DONE", 1, ("cannot start", "expected the step reached"), marks=table),
        pytest.param("config.yaml", 0, ("config.yaml cannot be read",), marks=table),
        pytest.param("summary.json", 0, (), marks=table),
        pytest.param("reference.json", 0, (), marks=table),
        pytest.param(".lock", 0, (), marks=table),
    ],
)
def test_other_files_that_are_garbage(broken, name, code, words):
    (broken.folder / name).write_bytes(b"{garbage: [\n")
    output = broken.go_on(code=code)
    if words:
        one_line(output, *words)
    if code:
        (broken.folder / name).unlink()
        broken.go_on()
    broken.is_undisturbed()
    assert json.loads((broken.folder / "summary.json").read_text())["status"] in ("done", "doubtful")
