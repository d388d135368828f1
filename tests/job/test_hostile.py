"""Files of somebody else in a folder that many can write to: they lead nowhere, and what they claim is not believed."""

import io
import json
import os
import re
import socket
import tracemalloc

import h5py
import numpy as np
import pytest

from nqs_hpc.config.admission import refusal
from nqs_hpc.config.compose import compose
from nqs_hpc.config.identity import physics
from nqs_hpc.inputs.reading import MIB
from nqs_hpc.job import checkpoint, checkpoint_file, files, lifecycle, lock, log, manifest, study
from nqs_hpc.parts import Plan
from nqs_hpc.parts.plan import described
from nqs_hpc.run.resume import changes_since
from nqs_hpc.tasks.guard import Memory, why_impossible
from nqs_hpc.types import RunState

META = {"physics": {}, "plan": {"solver": "cholesky", "chunk_size": None}, "n_ranks": 1, "threads": 1, "seconds": 1.0}


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_bytes(np.arange(8.0).tobytes())
    return path


def planted(folder, fill, meta=META):
    """A checkpoint with a right checksum, whose arrays ``fill`` has put in; anybody can write one."""
    body = io.BytesIO()
    with h5py.File(body, "w") as file:
        file.attrs["format_version"] = checkpoint_file.FORMAT_VERSION
        if meta is not None:
            file.create_dataset("meta", data=np.bytes_(json.dumps(meta).encode()))
        file.create_dataset("step", data=np.int64(3))
        fill(file)
    path = folder / "checkpoints" / "step_00000003.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(checkpoint_file._header(body.getvalue()) + body.getvalue())
    return path


def external(file, secret):
    file.create_dataset("params/w", shape=(8,), dtype="f8", external=[(str(secret), 0, 64)])


def external_link(file, secret):
    with h5py.File(secret, "w") as other:
        other["w"] = np.arange(8.0)
    file["params/w"] = h5py.ExternalLink(str(secret), "w")


def virtual(file, secret):
    with h5py.File(secret, "w") as other:
        other["w"] = np.arange(8.0)
    layout = h5py.VirtualLayout(shape=(8,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(secret), "w", shape=(8,))
    file.create_virtual_dataset("params/w", layout)


def soft_link(file, secret):
    file["params/w"] = h5py.SoftLink("/step")


@pytest.mark.parametrize("fill", [external, virtual])
def test_arrays_in_other_files_are_not_read(tmp_path, secret, fill):
    path = planted(tmp_path, lambda file: fill(file, secret))
    with pytest.raises(checkpoint.CheckpointError, match="params/w in it is in another file") as caught:
        checkpoint.read(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(checkpoint.CheckpointError):
        checkpoint.read(path)


@pytest.mark.parametrize("fill", [external_link, soft_link])
def test_links_are_no_arrays(tmp_path, secret, fill):
    """Neither out of the file nor inside of it: the array is not there."""
    planted(tmp_path, lambda file: fill(file, secret))
    assert set(checkpoint.read(tmp_path).leaves) == {"step"}


def compact(file):
    file.create_dataset("params/w", shape=(2**17, 2**20), dtype="f8", chunks=(2**10, 2**10))  # 1 TiB, no chunk written


def zipped(file):
    file.create_dataset("params/w", data=np.zeros(2**22), compression="gzip", compression_opts=9)  # 32 MiB from 32 KiB


def filled(file):
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    space = h5py.h5s.create_simple((2**37,))
    h5py.h5d.create(file.id, b"w", h5py.h5t.NATIVE_DOUBLE, space, plan)  # 1 TiB that was never written


def texts(file):
    file.create_dataset("params/w", data=np.array([b"x" * 100] * 10))


def of_any_length(file):
    file.create_dataset("params/w", data=["one", "two"], dtype=h5py.string_dtype())


def references(file):
    file.create_dataset("params/w", data=[file["step"].ref], dtype=h5py.ref_dtype)


def compound(file):
    file.create_dataset("params/w", data=np.zeros(3, dtype=[("a", "f8"), ("b", "i4")]))


def named_type(file):
    file["params/w"] = np.dtype("f8")


def long_meta(file):
    file.create_dataset("meta", shape=(2**37,), dtype="i1", chunks=(2**20,))


PLANTED = {f.__name__: f for f in (compact, zipped, filled, texts, of_any_length, references, compound)}
PLANTED |= {"named_type": named_type}


@pytest.mark.parametrize("fill", PLANTED.values(), ids=PLANTED)
def test_what_no_checkpoint_holds_is_refused_before_it_is_read(tmp_path, fill):
    path = planted(tmp_path, fill)
    assert path.stat().st_size < 2 * MIB
    refused(tmp_path)


def test_an_array_of_many_names_is_read_once(tmp_path):
    def fill(file):
        file.create_dataset("params/w0", data=np.zeros(2**16))
        for k in range(1, 400):  # half a MiB, four hundred times
            file[f"params/w{k}"] = file["params/w0"]

    planted(tmp_path, fill)
    assert set(checkpoint.read(tmp_path).leaves) == {"step", "params/w0"}


def test_a_description_of_any_length(tmp_path):
    planted(tmp_path, long_meta, meta=None)
    refused(tmp_path)


def refused(folder):
    tracemalloc.start()
    try:
        with pytest.raises(checkpoint.CheckpointError) as caught:
            checkpoint.read(folder)
        assert tracemalloc.get_traced_memory()[1] < 20 * MIB
    finally:
        tracemalloc.stop()
    assert str(caught.value).isprintable() and "step_00000003.h5: " in str(caught.value)


def test_a_file_larger_than_any_checkpoint_of_the_run(tmp_path, serial):
    """It is not read at all: its size says that it is none of this run."""
    path = tmp_path / "checkpoints" / "step_00000003.h5"
    path.parent.mkdir()
    with open(path, "wb") as file:
        file.truncate(2**37)  # a hole: nothing on the disk
    template = {"step": np.int64(0)}
    tracemalloc.start()
    try:
        with pytest.raises(checkpoint.CheckpointError, match="larger than 64 MiB"):
            checkpoint.load(tmp_path, template, serial)
        with pytest.raises(checkpoint.CheckpointError, match="larger than 65536 MiB"):
            checkpoint.read(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 20 * MIB
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("meta", [[], {}, {"physics": 3}, META | {"plan": {"solver": "x", "chunk_size": -1}}])
def test_what_a_checkpoint_says_of_itself_is_looked_at(tmp_path, meta):
    assert described(META)
    planted(tmp_path, lambda file: None, meta=meta)
    if isinstance(meta, dict):
        assert not described(checkpoint.read(tmp_path).meta)
    else:
        refused(tmp_path)


# --- special files where others are wanted


def plant(kind, path, target):
    path.parent.mkdir(parents=True, exist_ok=True)
    match kind:
        case "link":
            path.symlink_to(target)
        case "FIFO":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/zero")
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                cwd = os.getcwd()
                os.chdir(path.parent)  # their paths are short
                server.bind(path.name)
                os.chdir(cwd)


READERS = {
    "manifest.json": manifest.recorded_physics,
    "summary.json": lambda folder: files.read_json(folder / "summary.json"),
    "metrics.jsonl": lambda folder: log.read(folder / "metrics.jsonl"),
    "DONE": lifecycle.done,
    "checkpoints/step_00000003.h5": checkpoint.read,
}
SPECIAL = ["link", "FIFO", "folder", "device", "socket"]


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_file_of_the_folder_is_named_and_nobody_waits(tmp_path, secret, name, kind):
    plant(kind, tmp_path / "run" / name, secret)
    with pytest.raises((OSError, ValueError)) as caught:
        READERS[name](tmp_path / "run")
    told = files.said(caught.value) if isinstance(caught.value, OSError) else str(caught.value)
    word = {"folder": "directory", "device": "link"}.get(kind, kind)
    assert word in told and "\n" not in told and name.rpartition("/")[2] in told


# --- the manifest of a sweep


def manifest_of(folder, **point):
    told = study.Point("p", "id", {}, [], "command", 4, 2)._asdict() | point
    head = {"study": "s", "cwd": "/", "launcher": "local", "launches": []}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(head | {"points": [told]}))


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize(
    "name", ["../out", "/tmp/out", "a/b", "..", ".", "", ".lock", "a\0b", "a\nb", "x" * 256, None, 3, ["p"]]
)
def test_names_of_points_are_names(tmp_path, name, strict):
    manifest_of(tmp_path, name=name)
    with pytest.raises(ValueError, match=r"is not the manifest of a sweep: point 0 has name ") as caught:
        study.read(tmp_path, strict=strict)
    assert str(caught.value).isprintable()


WRONG = {
    "after": "../p",
    "job": "12; rm -rf ~",
    "state": "asleep",
    "overrides": "run_dir=/",
    "n_steps": -1,
    "swept": [],
}


@pytest.mark.parametrize("field", WRONG)
def test_fields_of_points_are_what_they_should_be(tmp_path, field):
    manifest_of(tmp_path, **{field: WRONG[field]})
    with pytest.raises(ValueError, match=f"point 0 has {field} "):
        study.read(tmp_path)
    assert study.read(tmp_path, strict=False) is not None  # shown all the same


# --- what a start says


ATTACK = "\x1b[2J\x1b]0;x\x07\r\n\u202efake"


def test_what_a_start_says_of_a_folder_is_fit_for_a_terminal(tmp_path):
    """Of the physics, the owner of the lock, and the settings that the files of the folder name."""
    config = compose(["lattice=chain", "lattice.length=4", f"run_dir={tmp_path}"], None)
    known = physics(config) | {"seed": ATTACK, ATTACK: [ATTACK]}
    (tmp_path / "manifest.json").write_text(json.dumps({"starts": [], "physics": known}))
    left = refusal(config, tmp_path)
    assert left.code == 2 and "another physics" in left.line and "fake" in left.line
    (tmp_path / "manifest.json").unlink()
    (tmp_path / "config.yaml").write_text(json.dumps({"seed": ATTACK, "task": {ATTACK: 3}}))
    plan = Plan(**dict.fromkeys(Plan._fields))
    changed = changes_since(tmp_path, config, plan)
    (tmp_path / "config.yaml").write_text("[" * 100_000)
    garbled = changes_since(tmp_path, config, plan)
    assert "fake" in changed.messages[0] and "cannot be read" in garbled.messages[0]
    owner = lock._owner(json.dumps({"host": ATTACK, "pid": 1, "job": ATTACK}).encode())
    for line in (left.line, *changed.lines, *changed.messages, *garbled.messages, str(owner)):
        assert line.isprintable(), line


@pytest.mark.parametrize("raw", ["[" * 200_000, "{}", "[]", '{"starts": [3]}', '{"starts": [], "physics": 3}'])
def test_a_start_names_a_manifest_that_is_none(tmp_path, raw):
    (tmp_path / "manifest.json").write_text(raw)
    config = compose(["lattice=chain", "lattice.length=4", f"run_dir={tmp_path}"], None)
    with pytest.raises(ValueError, match=r"manifest\.json is not (a manifest of nqs_hpc|valid JSON): ") as caught:
        refusal(config, tmp_path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("step", -5, "step in step_00000003.h5 is -5, expected 3"),
        ("step", 2147483647, "is 2147483647, expected 3"),
        ("chains/chain_C", [0, -1], "chains/chain_C in step_00000003.h5 does not number the chains 0 to 1"),
    ],
)
def test_values_that_no_run_has_written(tmp_path, serial, name, value, said):
    good = {"step": 3, "chains/chain_C": np.arange(2, dtype=np.int32)}

    def fill(file, given):
        del file["step"]
        for key, one in given.items():
            file.create_dataset(key, data=np.asarray(one, np.asarray(good[key]).dtype))

    template = RunState(np.int64(0), (), {"chain_C": np.zeros(2, np.int32)}, ())
    planted(tmp_path, lambda file: fill(file, good))
    loaded = checkpoint.load(tmp_path, template, serial)
    assert loaded is not None and int(loaded.state.step) == 3
    planted(tmp_path, lambda file: fill(file, good | {name: value}))
    with pytest.raises(ValueError, match=re.escape(said)) as caught:
        checkpoint.load(tmp_path, template, serial)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("scale", "rejected", "said"),
    [(np.inf, 0, "scale is inf, expected"), (np.nan, 0, "is nan"), (0.0, 0, "is 0"), (0.5, -5, "rejected is -5")],
)
def test_what_no_ground_state_has_kept(scale, rejected, said):
    memory = Memory((), (), None, np.float64(scale), np.int64(rejected), np.bool_(False))
    assert said in why_impossible(memory) and why_impossible(memory._replace(scale=1.0, rejected=0)) == ""


def test_a_large_file_among_the_checkpoints_costs_a_save_nothing(tmp_path, serial):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    with open(folder / "step_99999999.h5", "wb") as file:
        file.truncate(2**37)
    state = RunState(np.int64(3), (), {"chain_C": np.arange(2, dtype=np.int32)}, ())
    tracemalloc.start()
    try:
        checkpoint.save(tmp_path, state, serial, meta=META, keep=2)
        assert tracemalloc.get_traced_memory()[1] < 20 * MIB
    finally:
        tracemalloc.stop()
    assert sorted(path.name for path in folder.iterdir()) == ["step_00000003.h5", "step_99999999.h5"]


def test_a_log_that_is_another_runs_as_well_is_copied_first(tmp_path):
    """`cp -al` of a run folder: both have the same file."""
    theirs, ours = tmp_path / "theirs" / "metrics.jsonl", tmp_path / "ours" / "metrics.jsonl"
    for path in (theirs, ours):
        path.parent.mkdir()
    theirs.write_text('{"step": 1}\n')
    os.link(theirs, ours)
    opened = log.log(ours)
    opened.append({"step": 2})
    opened.close()
    assert theirs.read_text() == '{"step": 1}\n' and ours.read_text() == '{"step": 1}\n{"step": 2}\n'
