"""Orbitals of files, open shells, and the arrangement of blocks."""

import numpy as np
import pytest

from nqs_hpc.system.fermion_strings import hop
from nqs_hpc.system.orbitals import arranged, free_levels, free_orbitals, from_array, open_shells, read, shape_in_file
from nqs_hpc.system.spaces import fermions


def ring(length: int):
    return tuple(
        one for i in range(length) for spin in (0, length) for one in hop(-1.0, spin + i, spin + (i + 1) % length)
    )


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("ending", [".npy", ".txt"])
def test_a_file_comes_back(tmp_path, dtype, ending):
    rng = np.random.default_rng(0)
    array = rng.normal(size=(4, 3)).astype(dtype)
    if dtype == "complex128":
        array += 1j * rng.normal(size=(4, 3))
    path = tmp_path / f"orbitals{ending}"
    if ending == ".npy":
        np.save(path, array)
    else:
        path.write_text("\n".join(" ".join(str(x).strip("()") for x in row) for row in array) + "  # the last\n")
    assert np.array_equal(read(str(path), (4, 3)), array)
    up, down = from_array("unrestricted", fermions(4, 2, 1), array)
    assert np.array_equal(up, array[:, :2]) and np.array_equal(down, array[:, 2:])


def test_what_is_no_file_of_orbitals(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"code": 1}], dtype=object), allow_pickle=True)
    for raw in (path.read_bytes(), b"", b"\x93NUMPY\x01\x00\xff\xff", b"not an array"):
        path.write_bytes(raw)
        with pytest.raises(ValueError, match="the file"):
            read(str(path), (4, 3))
    for array, why in (
        (np.ones((4, 2)), "shape"),
        (np.ones((4, 3)), "linearly"),
        (np.full((4, 3), np.nan), "not finite"),
    ):
        np.save(path, array)
        with pytest.raises(ValueError, match=why):
            read(str(path), (4, 3))
    text = tmp_path / "a.txt"
    for words in ("", "1 2 3\n4 5\n", "1 two 3\n"):
        text.write_text(words)
        with pytest.raises(ValueError, match="the file has"):
            read(str(text), (4, 3))


def test_shapes_of_files_and_blocks():
    space = fermions(4, 2, 1)
    assert shape_in_file("restricted", space) == (4, 2)
    assert shape_in_file("unrestricted", space) == (4, 3)
    assert shape_in_file("generalised", space) == (8, 3)
    blocks = free_orbitals(ring(4), space)
    (whole,) = arranged("generalised", blocks)
    assert whole.shape == (8, 3) and not whole[:4, 2].any() and not whole[4:, :2].any()
    assert arranged("restricted", blocks)[0].shape == (4, 2)


def test_an_open_shell_is_told():
    """Levels of the ring of four: -2, 0 twice, 2."""
    (line,) = open_shells(free_levels(ring(4), fermions(4, 2, 1)))
    assert "1 of 2 degenerate" in line and "spin up" in line
    assert open_shells(free_levels(ring(4), fermions(4, 3, 1))) == []
