"""Safetensors: a file of the format's own library is read, it reads ours, and damaged files end in one line."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from nqs_hpc.config.compose import checked
from nqs_hpc.formats.safetensors import pack, unpack
from nqs_hpc.inputs.reading import parse_yaml
from nqs_hpc.job.checkpoint import Stored, load_parameters
from nqs_hpc.parallel.world import alone
from nqs_hpc.parts import exported

DATA = Path(__file__).parents[1] / "data" / "formats"
RECORDED = DATA / "rbm.safetensors"
W = np.arange(16.0).reshape(4, 4) / 8 - 1 - 1j * np.arange(16.0).reshape(4, 4) / 16
NETWORK = ["lattice.length=4", "ansatz=rbm", "ansatz.dtype=complex", "hamiltonian=heisenberg"]


def test_a_file_of_the_library_is_read():
    arrays, texts = unpack(RECORDED.read_bytes())
    assert sorted(arrays) == ["params/a", "params/b", "params/w"] and texts["writer"].startswith("safetensors ")
    assert np.array_equal(arrays["params/w"], W) and arrays["params/w"].dtype == np.complex128
    assert np.array_equal(arrays["params/b"], np.full(4, 1 - 0.5j))


def test_ours_come_back_with_every_bit():
    made = np.random.default_rng(0)
    arrays = {
        "scalar": np.array(-0.0),
        "none": np.zeros((0, 3), np.float32),
        "turned": np.asfortranarray(made.normal(size=(2, 3))),
        "big": np.array([1, 2**40], dtype=">i8"),
        "truth": np.array([True, False]),
        "z": (made.normal(size=3) + 1j * made.normal(size=3)).astype(np.complex64),
    }
    raw = pack(arrays, {"origin": "Ψ"})
    found, texts = unpack(raw)
    assert texts == {"origin": "Ψ"} and raw == pack(dict(reversed(arrays.items())), {"origin": "Ψ"})
    for name, array in arrays.items():
        assert np.array_equal(found[name], array) and found[name].dtype == array.dtype.newbyteorder("<")
    assert np.signbit(found["scalar"])
    library = pytest.importorskip("safetensors.numpy")
    theirs = library.load(raw)
    assert np.array_equal(theirs["z.imag"], arrays["z"].imag) and np.array_equal(theirs["turned"], arrays["turned"])
    assert np.array_equal(theirs["big"], arrays["big"]) and theirs["none"].shape == (0, 3)


def changed(**entry):
    """The recorded file with something else in the header of its first array."""
    raw = RECORDED.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    header["params/a.imag"] |= entry
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + raw[8 + size :]


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"", "is only 0 bytes long"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "its header would have"),
        ((4).to_bytes(8, "little") + b"[]{}", "its header is not JSON"),
        ((2).to_bytes(8, "little") + b"[]", "its header is not a mapping"),
        ((24).to_bytes(8, "little") + b'{"__metadata__":{"a":1}}', "its __metadata__ are not texts"),
        (RECORDED.read_bytes()[:-8], "params/w.real of shape (4, 4) has 128 bytes"),
        (RECORDED.read_bytes() + bytes(8), "its arrays have 384 bytes, and it holds 392"),
        (changed(dtype="BF16"), "has params/a.imag of dtype BF16; valid are F16"),
        (changed(shape=[5]), "params/a.imag of shape (5,) has 32 bytes"),
        (changed(shape=[-4]), "the shape or the place of params/a.imag is not valid"),
        (changed(shape=[2**60, 2**60]), "the shape or the place"),
        (changed(data_offsets=[8, 40]), "begins at byte"),
        (changed(shape=[2, 2]), "a real and an imaginary part of params/a that do not fit"),
        (pack({"x_real": np.ones(1)}, {}).replace(b"x_real", b"x.real"), "the complex array x without x.imag"),
    ],
)
def test_what_is_damaged_ends_in_one_line(raw, line):
    with pytest.raises(ValueError) as caught:
        unpack(raw)
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_what_the_format_does_not_have_is_refused():
    with pytest.raises(ValueError, match=r"^w is complex256|^w is float128"):
        pack({"w": np.ones(2, np.longdouble)}, {})
    with pytest.raises(ValueError, match="ends as the parts of a complex array do"):
        pack({"w.real": np.ones(2)}, {})


# --- as what a run begins with ---


def template(dtype=np.complex128, n=4):
    shape = {"a": (n,), "b": (n,), "w": (n, n)}
    return {name: jax.ShapeDtypeStruct(size, dtype) for name, size in shape.items()}


def begin(path, config, like):
    """As `run.resume` does it."""

    def judge(stored, fault):
        exported.check_network(config, stored)
        if fault:
            raise ValueError(fault)
        return ()

    return load_parameters(path, like, alone(), judge=judge, reader=exported.read).params


def test_a_run_begins_with_the_file_of_the_library():
    params = begin(RECORDED, checked(NETWORK, 1), template())
    assert np.array_equal(params["w"], W)


@pytest.mark.parametrize(
    ("words", "like", "line"),
    [
        (["ansatz.alpha=2"], template(), "is of another network: ansatz.alpha: 1.0 -> 2.0"),
        (["ansatz=jastrow", "ansatz.dtype=complex"], template(), "is of another network: ansatz.name: rbm -> jastrow"),
        ([], template(n=5), "params/a in rbm.safetensors is complex128 (4,), this run has complex128 (5,)"),
        ([], template(np.float64), "params/a in rbm.safetensors is complex128 (4,), this run has float64 (4,)"),
        ([], {"w": jax.ShapeDtypeStruct((4, 4), np.complex128)}, "params/a is in rbm.safetensors but not in this run"),
    ],
)
def test_other_parameters_are_refused(words, like, line):
    given = [word for word in NETWORK if word.split("=")[0] not in {new.split("=")[0] for new in words}]
    with pytest.raises(ValueError) as caught:
        begin(RECORDED, checked([*given, *words], 1), like)
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_written_is_read_and_of_a_mean_the_mean(tmp_path):
    config = checked(NETWORK, 1)
    w = np.arange(4.0) + 2j
    leaves = {"params/w": w, "memory/average/params/w": 0.5 * w + 1, "memory/average/weight": np.array(0.25)}
    exported.write(tmp_path / "x.safetensors", config, Stored(leaves, {}, Path("step_00000003.h5"), ()), "here")
    again = exported.read(tmp_path / "x.safetensors")
    assert np.array_equal(again.leaves["params/w"], (0.5 * w + 1) / 0.25)
    assert again.leaves["marshall_signs"].tolist() in ([1, -1, 1, -1], [-1, 1, -1, 1])
    assert parse_yaml((tmp_path / "x.yaml").read_bytes())["ansatz"]["dtype"] == "complex"
    exported.check_network(config, again)


def test_other_signs_and_other_arrays_are_refused(tmp_path):
    config, path = checked(NETWORK, 1), tmp_path / "x.safetensors"
    exported.write(path, config, Stored({"params/w": np.ones(4)}, {}, Path("s.h5"), ()), "here")
    plain = checked([*NETWORK, "hamiltonian.marshall=false"], 1)
    with pytest.raises(ValueError, match=r"^x.safetensors has other signs of basis states"):
        exported.check_network(plain, exported.read(path))
    path.write_bytes(pack({"w": np.ones(4)}, {}))
    with pytest.raises(ValueError, match=r"^x.safetensors holds w, not a parameter; valid are params/NAME"):
        exported.read(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"^x.safetensors is only 7 bytes long"):
        exported.read(path)
    (tmp_path / "x.yaml").write_text("ansatz: nobody")
    with pytest.raises(ValueError, match=r"^x.yaml beside it is not the configuration of a run: "):
        exported.read(path)
    with pytest.raises(ValueError, match=r"is not named as \.safetensors files are"):
        exported.write(tmp_path / "x.npz", config, Stored({}, {}, Path("s.h5"), ()), "")
