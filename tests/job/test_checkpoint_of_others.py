"""Checkpoints with a right checksum that are not ours: they read no other file and allocate no more than their size."""

import json

import h5py
import numpy as np
import pytest

from nqs_hpc import reading
from nqs_hpc.job import checkpoint


def save(folder, fill, meta=b"{}"):
    """A file of our format whose content ``fill`` has made."""
    with h5py.File("image", "w", driver="core", backing_store=False, userblock_size=checkpoint.BLOCK) as file:
        file.attrs["format_version"] = checkpoint.FORMAT_VERSION
        file.create_dataset("step", data=np.int64(1))
        if meta is not None:
            file.create_dataset("meta", data=np.bytes_(meta))
        fill(file)
        file.flush()
        body = file.id.get_file_image()
    path = folder / "checkpoints" / "step_00000001.h5"
    path.parent.mkdir()
    path.write_bytes(checkpoint._header(body) + body)


def external(file):
    file.create_dataset("params/w", shape=(4,), dtype="u1", external=[("secret", 0, 4)])


def virtual(file):
    layout = h5py.VirtualLayout(shape=(4,), dtype="f8")
    layout[:] = h5py.VirtualSource("secret", "x", shape=(4,))
    file.create_virtual_dataset("params/w", layout)


def several_names(file):
    file["params/w0"] = np.zeros(1000)
    for i in range(1, 50):
        file[f"params/w{i}"] = file["params/w0"]


STRANGE = {
    "external storage": external,
    "virtual": virtual,
    "a terabyte of fill values": lambda file: file.create_dataset(
        "params/w", shape=(2**37,), dtype="f8", chunks=(2**10,)
    ),
    "a terabyte without storage": lambda file: file.create_dataset("params/w", shape=(2**37,), dtype="f8"),
    "compressed": lambda file: file.create_dataset("params/w", data=np.zeros(10**6), compression="gzip"),
    "text of any length": lambda file: file.create_dataset("params/w", data=["x"], dtype=h5py.string_dtype()),
    "a named type": lambda file: file.__setitem__("params/w", np.dtype("f8")),
    "references": lambda file: file.create_dataset("params/w", data=[file.ref], dtype=h5py.ref_dtype),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_what_no_checkpoint_holds_is_refused(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(b"SECRET")
    save(tmp_path, STRANGE[kind])
    with pytest.raises(checkpoint.CheckpointError, match="params/w") as caught:
        checkpoint.read(tmp_path)
    assert str(caught.value).isprintable()


def test_links_lead_nowhere(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = np.arange(3)

    def fill(file):
        file["params/w"] = np.zeros(2)
        file["params/out"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "x")
        file["params/soft"] = h5py.SoftLink("/step")

    save(tmp_path, fill)
    assert set(checkpoint.read(tmp_path).leaves) == {"step", "params/w"}


def test_meta_is_an_array_of_the_file_itself(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["meta"] = np.bytes_(b"{}")
    save(tmp_path, lambda file: file.__setitem__("meta", h5py.ExternalLink(str(tmp_path / "other.h5"), "meta")), None)
    with pytest.raises(checkpoint.CheckpointError, match="is not a checkpoint"):
        checkpoint.read(tmp_path)


@pytest.mark.parametrize("meta", [b"[" * 200000, b"[]", b"{", b"\xff", json.dumps("x").encode()])
def test_meta_that_is_none(tmp_path, meta):
    save(tmp_path, lambda file: None, meta)
    with pytest.raises(checkpoint.CheckpointError) as caught:
        checkpoint.read(tmp_path)
    assert str(caught.value).isprintable()


def test_names_of_one_array_are_counted_each(tmp_path):
    """HDF5 visits an object once, whatever its names: what is read stays within the file's size."""
    save(tmp_path, several_names)
    leaves = checkpoint.read(tmp_path).leaves
    assert sum(leaf.nbytes for leaf in leaves.values()) < reading.MIB
