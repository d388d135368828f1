"""The one rule of all readers: regular files of bounded size, opened without waiting; what they hold has bounds too."""

import io
import os
import socket

import pytest
import yaml

from nqs_hpc.inputs import reading
from nqs_hpc.inputs.reading import MIB, Unfit, harmless, is_name, parse_json, parse_yaml, printable


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\rthree\n")
    return path


def test_a_regular_file_is_read(file):
    assert reading.data(file, MIB) == file.read_bytes()
    assert reading.text(file, MIB) == "one\ntwo\nthree\n"
    with reading.opened(file) as stream:
        assert os.get_blocking(stream.fileno()) is False and os.get_inheritable(stream.fileno()) is False
    assert reading.data("/proc/self/cmdline", MIB)  # has no size before it is read


def test_links_are_followed_where_the_user_names_them(file, tmp_path):
    (tmp_path / "link").symlink_to(file)
    assert reading.text(tmp_path / "link", MIB, follow=True) == "one\ntwo\nthree\n"
    with pytest.raises(Unfit, match=r"link is a link, not a regular file$"):
        reading.data(tmp_path / "link", MIB)


@pytest.mark.parametrize("follow", [True, False])
@pytest.mark.parametrize("kind", ["FIFO", "socket", "directory", "device"])
def test_what_is_no_regular_file(tmp_path, monkeypatch, kind, follow):
    path = tmp_path / "x"
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "socket":
        monkeypatch.chdir(tmp_path)  # their paths are short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("x")
    else:
        path = "/dev/zero"
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Unfit, match=rf"is a {kind}") as caught:
        reading.data(path, MIB, follow=follow)
    assert "\n" not in str(caught.value) and caught.value.filename == str(path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_sizes_are_bounded(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"x" * 1024)
    assert len(reading.data(path, 1024)) == 1024
    with pytest.raises(Unfit, match=r"x is larger than 64 KiB$"):
        os.truncate(path, 65537)
        reading.data(path, reading.SMALL)
    with pytest.raises(Unfit, match=r"is larger than 64 MiB$"):
        os.truncate(path, 2**37)  # a hole
        reading.text(path, reading.SETTINGS)


def test_a_file_that_does_not_fit_into_memory(file, monkeypatch):
    class Large(io.FileIO):
        def read(self, n=-1):
            raise MemoryError

    monkeypatch.setattr(reading, "opened", lambda path, follow: Large(path))
    with pytest.raises(Unfit, match=r"file has 0 KiB, more than this machine has memory for$"):
        reading.data(file, MIB)


def test_a_file_that_grows_is_read_to_its_limit(tmp_path, monkeypatch):
    """Whoever appends while it is read does not keep the reader for ever."""
    path = tmp_path / "x"
    path.write_bytes(b"x")
    found = os.fstat

    def grown(descriptor):
        size = found(descriptor)
        path.write_bytes(b"x" * 3 * MIB)
        return size

    monkeypatch.setattr(os, "fstat", grown)
    with pytest.raises(Unfit, match="larger than 2 MiB"):
        reading.data(path, 2 * MIB)


def test_names_that_no_file_can_have(tmp_path):
    with pytest.raises(Unfit, match="a NUL is in it") as caught:
        reading.data(f"{tmp_path}/a\0b", MIB)
    assert str(caught.value).isprintable()
    with pytest.raises(FileNotFoundError):
        reading.data(tmp_path / "nothing", MIB)
    (tmp_path / "x").write_bytes(b"\xff")
    with pytest.raises(Unfit, match="is not a text file: byte 0 is not UTF-8"):
        reading.text(tmp_path / "x", MIB)


FLAT = [
    "a: 1\nb: [1, 2.5, x]\n",
    "- 1e3\n- 1.0e+3\n- 0x1f\n- 1_000\n- 12:30:45\n- 2001-01-01\n- ~\n- yes\n",
    "x",
    "",
    "[]",
]
MARKED = [
    "a: &x [1, 2]\nb: *x\n",
    "a: &x {k: 1}\nb:\n  <<: *x\n  l: 2\n",
    "!!str 1\n",
    "- !!set {a, b}\n",
    "? a\n: b\n",
]
MARKED += ["[" * 40 + "]" * 40, "a: '&'\n", "# *\n- 1\n"]


@pytest.mark.parametrize("text", FLAT + MARKED)
def test_yaml_is_that_of_the_safe_loader(text):
    assert parse_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize("text", ["!!python/object/apply:os.system [id]", "!x 1", "a: 1\na", "%", "\t- x", "*c"])
def test_yaml_that_is_none_is_one_line(text):
    with pytest.raises(ValueError) as caught:
        parse_yaml(text)
    assert str(caught.value).isprintable()


def test_values_that_a_yaml_text_stands_for_are_counted(monkeypatch):
    monkeypatch.setattr(reading, "NODES", 1000)
    assert len(parse_yaml("- 1\n" * 300)) == 300
    for text in (
        "- 1\n" * 1001,
        "x: [" + "1, " * 1001 + "]",
        "- &a 1\n" + "- 1\n" * 1000,
        "- &a [1, 1, 1]\n" + "- *a\n" * 300,
    ):
        with pytest.raises(ValueError, match="it stands for more than 1000 values"):
            parse_yaml(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 200_000 + "]" * 200_000, "nested more than 64 deep"),
        ("[" * 200 + '{"a":' * 65 + "1" + "}" * 65 + "]" * 200, "nested more than 64 deep"),
        ("9" * 5000, "digits"),
        ('{"a": 1', "delimiter"),
        ("", "Expecting value"),
        (b"\xff", "byte 0 is not text in UTF-8"),
    ],
)
def test_json_that_is_none_is_one_line(text, told):
    with pytest.raises(ValueError, match=told) as caught:
        parse_json(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 64 + "]" * 64,
        '["' + "[" * 300 + '"]',
        '["\\"' + "{" * 300 + '\\\\"]',
        "[" + "[]," * 300 + "1]",
        "\ufeff[1]".encode(),
    ],
)
def test_brackets_inside_of_strings_and_side_by_side_are_no_depth(text):
    assert isinstance(parse_json(text), list)


def test_what_a_terminal_would_obey_is_taken_out():
    attack = "a\x1b[2J\x1b]0;title\x07b\r\n\u202ec\u2028\x9b31m"
    assert printable(attack).isprintable() and "\x1b" not in harmless(attack) and "\r" not in harmless(attack)
    assert harmless("a\tb\nc") == "a\tb\nc" and printable("a\tb\nc") == "a b c" and len(printable("x" * 1000)) == 300


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/", "../a", "a\0", "a\n", "\x1b[2J", "ä" * 128, None, 1, b"a"])
def test_names_are_one_component_of_a_path(name):
    assert not is_name(name)
    assert is_name("L=4, ansatz=rbm") and is_name("ä" * 127) and is_name("...")


@pytest.mark.parametrize("raw", [b"", b"a", b"a\n", b"a\nb", b"a\r\n\nb\n", b"\n"])
def test_lines_are_those_of_the_bytes(raw):
    assert list(reading.lines(raw)) == raw.splitlines()


def test_numbers_as_keys_are_few():
    """The hashes of whole numbers can be made all the same, and a mapping of them takes time with their square."""
    table = "".join(f"{k}: {k}\n" for k in range(1000))
    assert parse_yaml(table)[999] == 999
    alike = "".join(f"{(2**61 - 1) * k}: 1\n" for k in range(60_000))
    for text in (alike, "a: &x 1\nb: *x\nc:\n" + "".join(f"  {line}\n" for line in alike.splitlines())):
        with pytest.raises(ValueError, match="more than 1000 keys that are not words"):
            parse_yaml(text)
