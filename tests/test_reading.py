"""The one rule for files of others: what is opened, how much of it is read, how deep it may be nested."""

import os
import socket
import time
from pathlib import Path

import pytest

from nqs_hpc import reading
from nqs_hpc.batch import Entry, job_script
from nqs_hpc.checks import InputError, show
from nqs_hpc.config import compose
from nqs_hpc.job import files, lifecycle, log, study
from nqs_hpc.job.manifest import recorded_physics
from nqs_hpc.report.files import _cell
from nqs_hpc.report.places import holding
from nqs_hpc.report.rows import read_rows
from nqs_hpc.site import Found, load_site, slurm_dir

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
CHAIN = "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [[*a{i - 1}]]\n" for i in range(1, 60))
POINT = {"name": "p", "identity": "i", "swept": {}, "overrides": [], "command": "", "n_sites": 4, "n_steps": 1}


def make(kind: str, path: Path) -> None:
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(os.path.relpath(path))
    elif kind == "link":
        path.symlink_to("/etc/hostname")
    else:
        path.mkdir()


@pytest.mark.parametrize("kind", ["FIFO", "socket", "link", "directory"])
def test_what_is_no_regular_file_is_named_at_once(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    for name in ("manifest.json", "metrics.jsonl", "DONE", "config.yaml", "summary.json"):
        make(kind, tmp_path / name)
    for read in (recorded_physics, lifecycle.done, lambda folder: log.read(folder / "metrics.jsonl")):
        with pytest.raises(OSError, match=kind) as caught:
            read(tmp_path)
        assert "\n" not in files.why(caught.value)
    (found,) = read_rows(holding(str(tmp_path)), time.time())
    assert len(found.row.troubles) >= 4 and all(kind in line for line in found.row.troubles)


def test_a_file_that_the_user_names_may_be_a_link(tmp_path):
    (tmp_path / "there").write_bytes(b"\xef\xbb\xbf1 2\r\n")
    (tmp_path / "link").symlink_to("there")
    assert reading.text(tmp_path / "link", 100, follow=True) == "1 2\n"
    with pytest.raises(reading.Unfit, match="is a link, not a regular file"):
        reading.data(tmp_path / "link", 100)
    with pytest.raises(reading.Unfit, match="is a device"):
        reading.data("/dev/zero", 100, follow=True)


def test_size_is_bounded(tmp_path):
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, 2**40)  # it has no blocks, and would have a terabyte of memory
    with pytest.raises(reading.Unfit, match="is larger than 64 MiB"):
        files.read_json(path)
    path.write_bytes(b"x" * 101)
    assert len(reading.data(path, 101)) == 101
    with pytest.raises(reading.Unfit, match="larger"):
        reading.data(path, 100)


@pytest.mark.parametrize(
    "text", ["[" * 200000, "[" * 200000 + "]" * 200000, '{"a":' * 200000, "9" * 10**5, '"\udc00', "{"]
)
def test_json_beyond_any_of_ours(text):
    with pytest.raises(ValueError) as caught:
        reading.parse_json(text)
    assert "\n" not in str(caught.value)


def test_json_depth_counts_brackets_outside_of_strings():
    deep = "[" * reading.DEPTH + '"[[\\"[[\\\\"' + "]" * reading.DEPTH
    assert reading.parse_json('["' + "[" * 200000 + '"]') and reading.parse_json(deep)
    with pytest.raises(ValueError, match="nested more than 64"):
        reading.parse_json(f"[{deep}]")


@pytest.mark.parametrize(
    "text",
    [
        *(BOMB, CHAIN, "[" * 200000, "- " * 200000, "? " * 200000, "&a [*a]", 'x: !!int ""', "x: 1" + ":1" * 50000),
        *("x: 2020-99-99", "x: !!python/object/apply:os.getpid []"),
    ],
)
def test_yaml_beyond_any_of_ours(text):
    with pytest.raises(ValueError) as caught:
        reading.parse_yaml(text)
    assert "\n" not in str(caught.value)


def test_yaml_of_plain_data_is_read_as_ever():
    text = "a: &x {b: [1, 2.5]}\nc: *x\nd: {<<: *x, e: null}\n"
    assert reading.parse_yaml(text) == {"a": {"b": [1, 2.5]}, "c": {"b": [1, 2.5]}, "d": {"b": [1, 2.5], "e": None}}
    assert reading.parse_yaml(b"\xef\xbb\xbfa: 1\n") == {"a": 1}


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a/b", "..", ".", "", ".lock", "a\0b", "a\x1b[2J", "x" * 300, 7])
def test_names_of_points_are_names(tmp_path, name):
    files.write_json(
        tmp_path / "manifest.json",
        {"study": "s", "cwd": "/", "launcher": "local", "launches": [], "points": [POINT | {"name": name}]},
    )
    for strict in (True, False):
        with pytest.raises(ValueError, match="is not the manifest of a sweep: point 0 has name") as caught:
            study.read(tmp_path, strict=strict)
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "field",
    [{"job": "1; rm"}, {"job": 3}, {"after": "../x"}, {"n_sites": "4"}, {"state": 1}, {"swept": []}, {"odd": 1}],
)
def test_fields_of_points_are_what_they_should_be(tmp_path, field):
    head = {"study": "s", "cwd": "/", "launcher": "local", "launches": []}
    files.write_json(tmp_path / "manifest.json", head | {"points": [POINT | {"job": "12_3"}]})
    assert study.read(tmp_path).points[0].job == "12_3"
    files.write_json(tmp_path / "manifest.json", head | {"points": [POINT | field]})
    with pytest.raises(ValueError, match="is not the manifest of a sweep"):
        study.read(tmp_path)


def test_text_of_files_does_nothing_to_a_terminal():
    wild = "a\x1b[31mb\x1b]0;title\x07\x9b2J\u202e\ud800\r\nc"
    assert reading.printable(wild).isprintable() and show({wild: [wild]}).isprintable()
    assert reading.harmless("a\n  b\tc") == "a\n  b\tc" and "\x1b" not in reading.harmless(wild)


def test_formulas_do_not_reach_a_spreadsheet():
    cells = ["=1+1", "+x", "-x", "@x", " =x", "\t=x", "rbm", "-1", "+2e3", -1.5, None]
    assert list(map(_cell, cells)) == ["'=1+1", "'+x", "'-x", "'@x", "' =x", "'\t=x", "rbm", "-1", "+2e3", -1.5, None]


@pytest.mark.parametrize(
    "template",
    [
        "{{ cycler.__init__.__globals__.os.popen('touch made') }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ options.__class__.__base__ }}",
        "{{ 'x' * 10**10 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{% for i in range(10) %}{% endfor %}",
        "{{ 1 // 0 }}",
        "{% include 'cpu.sbatch' %}",
        "{% include '../../../etc/passwd' %}",
        "{{ nothing }}",
        "{% if",
    ],
)
def test_a_template_reaches_nothing(tmp_path, monkeypatch, template):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cpu.sbatch").write_text(template)
    with pytest.raises(InputError, match=r"cpu\.sbatch cannot be filled in: ") as caught:
        job_script(
            compose([], None).resources, Found(load_site(None).site, (tmp_path, slurm_dir())), Entry(tmp_path, [])
        )
    assert "\n" not in str(caught.value) and not (tmp_path / "made").exists()


def test_a_bomb_in_site_yaml_is_one_line(tmp_path):
    (tmp_path / "site.yaml").write_text(BOMB)
    with pytest.raises(InputError, match="stand for more than"):
        load_site(str(tmp_path / "site.yaml"))
