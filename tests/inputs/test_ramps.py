"""Couplings in time as they are read, and what is refused of them."""

import math

import pytest

from nqs_hpc.config.identity import to_plain
from nqs_hpc.inputs.checks import InputError, apply
from nqs_hpc.inputs.ramps import Cosine, Linear, Ramp, extremes, ramp, value_at


def read(given):
    return apply(ramp, "task.ramp", given)


def test_normal_forms_are_read_again():
    given = {
        "h": [["0", 6.09], [2, 0]],
        "J": [[0, [1, 0]], [2, [1, 0.5]]],
        "g": {"mean": 0, "amplitude": 1, "omega": 2},
    }
    found = read(given)
    assert dict(found.entries)["h"] == Linear((0.0, 2.0), (6.09, 0.0))
    assert dict(found.entries)["g"] == Cosine(0.0, 1.0, 2.0, 0.0)
    assert to_plain(found) == {
        "J": [[0.0, [1.0, 0.0]], [2.0, [1.0, 0.5]]],
        "g": {"mean": 0.0, "amplitude": 1.0, "omega": 2.0, "phase": 0.0},
        "h": [[0.0, 6.09], [2.0, 0.0]],
    }
    assert read(to_plain(found)) == found
    assert read(None) is None and read({}) is None


def test_values_between_and_beyond():
    path = Linear((0.0, 1.0, 3.0), (2.0, 4.0, -4.0))
    assert [value_at(path, t) for t in (-1.0, 0.0, 0.25, 1.0, 2.0, 3.0, 9.0)] == [2.0, 2.0, 2.5, 4.0, 0.0, -4.0, -4.0]
    several = Linear((0.0, 2.0), ((1.0, 0.0), (1.0, 0.5)))
    assert value_at(several, 0.5) == (1.0, 0.125)
    wave = Cosine(0.5, -2.0, 3.0, 0.1)
    assert value_at(wave, 0.7) == pytest.approx(0.5 - 2.0 * math.cos(3.0 * 0.7 + 0.1), rel=1e-15)
    assert extremes(wave) == (2.5, -1.5)


def test_a_table_is_kept_by_what_it_holds(tmp_path):
    file = tmp_path / "drive.txt"
    file.write_text("# time field\n0 1.5\n\n0.5 2.5  # the top\n2e0 -1\n", encoding="utf-8")
    found = read({"h": str(file)})
    assert found == Ramp((("h", Linear((0.0, 0.5, 2.0), (1.5, 2.5, -1.0))),))
    file.unlink()
    assert read(to_plain(found)) == found
    file.write_text("0 1 0\n1 1 0.5\n", encoding="utf-8")
    assert dict(read({"J": str(file)}).entries)["J"].values == ((1.0, 0.0), (1.0, 0.5))


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"h": [[0, 1], [0, 2]]}, "task.ramp.h=[[0, 1], [0, 2]] is not valid; valid: times that go up, and 0 is there"),
        ({"h": [[1, 1], [0.5, 2]]}, "times that go up, and 0.5 comes after 1"),
        ({"h": []}, "task.ramp.h=[] is not valid"),
        ({"h": 3}, "task.ramp.h=3 is not valid"),
        ({"h": [[0, "x"]]}, "x is not one"),
        ({"h": [[0, math.nan]]}, "nan is not one"),
        ({"h": [[math.inf, 1]]}, "inf is not one"),
        ({"h": [[0, 1], [1, [1, 2]]]}, "the same number of them at each time"),
        ({"h": [[0, 1, 2]]}, "task.ramp.h=[[0, 1, 2]] is not valid"),
        ({"h": {"mean": 1, "amplitude": 1}}, "omega is missing"),
        ({"h": {"mena": 1}}, "task.ramp.h.mena=1 is not valid"),
        ({"h": {"mean": 1, "amplitude": [1, 2], "omega": 1}}, "task.ramp.h.amplitude=[1, 2] is not valid"),
        ([1], "task.ramp=[1] is not valid"),
    ],
)
def test_one_line_for_what_is_not_valid(given, line):
    with pytest.raises(InputError) as caught:
        read(given)
    assert line in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "line"),
    [("", "no time in it"), ("0 1\n1\n", "line 2 is '1'"), ("0 1\n1 2 3\n", "line 2"), ("1 1\n0 1\n", "comes after 1")],
)
def test_one_line_for_tables(tmp_path, content, line):
    file = tmp_path / "table"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read({"h": str(file)})
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match=r"^task\.ramp\.h="):
            read({"h": str(place)})
    large = tmp_path / "large"
    large.write_bytes(b"0 1\n" * 2**19)
    with pytest.raises(InputError, match=r"larger than 1 MiB"):
        read({"h": str(large)})
