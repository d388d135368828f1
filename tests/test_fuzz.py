"""Whatever stands in a file, its reader ends in what it is for, or in one line: no other exception, no hang, no flood.

Valid files, changed: bytes, and values in their place. Always the same examples.
"""

import io
import json
import os
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from nqs_hpc.cluster.site import load_site
from nqs_hpc.config.compose import compose
from nqs_hpc.config.identity import to_plain
from nqs_hpc.formats import safetensors
from nqs_hpc.inputs import reading
from nqs_hpc.job import checkpoint, checkpoint_file, files, lifecycle, lock, log, manifest, study, tensorboard
from nqs_hpc.library.run import load_run, read_config
from nqs_hpc.library.sweep import load_sweep
from nqs_hpc.operators import pauli_strings
from nqs_hpc.report.chapters import content
from nqs_hpc.report.curves import FitOptions
from nqs_hpc.report.files import page_markdown, table_csv
from nqs_hpc.report.places import find_runs
from nqs_hpc.report.rows import flat, read_rows
from nqs_hpc.report.series import series
from nqs_hpc.report.status import view
from nqs_hpc.system import cell_files, characters, edges, fcidump, points

MOST = 50 * 2**20  # bytes that reading a file of a few kilobytes may take at once


def fuzz(n):
    return settings(
        max_examples=n, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )


def ends_well(read, *arguments):
    """What ``read`` returns, None where it refuses in one line."""
    try:
        return read(*arguments)
    except (ValueError, OSError) as error:
        told = files.said(error) if isinstance(error, OSError) and error.filename else str(error)
        assert told and "\n" not in told and len(told) < 2000, repr(told[:300])
        return None


# --- what is put into files

FRAGMENTS = [
    b"[" * 2000,
    b'{"a":' * 500,
    b"- " * 200,
    b"&a [*a, *a]",
    b"*a",
    b"<<: *a",
    b"!!int ''",
    b"!!python/name:os.system",
]
FRAGMENTS += [
    b"!!timestamp x",
    b"!!binary =",
    b"!!set",
    b"!!omap [a]",
    b"? ",
    b"---\n",
    b"%YAML 9.9\n",
    b"\t",
    b"\r",
    b"\n",
    b" ",
]
FRAGMENTS += [
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b'"\\ud800"',
    b"\x1b[2J\x1b]0;x\x07",
    "\u202e\u2028".encode(),
]
FRAGMENTS += [
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-1",
    b"9" * 500,
    b"0x" + b"f" * 5000,
    b"1:" * 300 + b"1",
    b"null",
    b"true",
]
FRAGMENTS += [
    b"../../x",
    b"/etc/passwd",
    b"'",
    b'"',
    b"{",
    b"}",
    b"]",
    b",",
    b":",
    b"#",
    b"{{ 1 }}",
    "²٣".encode(),
    b"1_0",
]

EDIT = st.tuples(st.integers(0, 3), st.floats(0, 1), st.integers(0, 40), st.sampled_from(FRAGMENTS))


def changed(valid, edits):
    """``valid`` bytes after some edits: bytes replaced, removed, repeated, put in."""
    raw = bytearray(valid)
    for kind, where, n, fragment in edits:
        at = round(where * len(raw))
        if kind == 0:
            raw[at : at + 1] = bytes([n * 6])
        elif kind == 1:
            del raw[at : at + n]
        elif kind == 2:
            raw[at:at] = raw[max(0, at - n) : at]
        else:
            raw[at:at] = fragment
    return bytes(raw)


def mutants(*valid):
    return st.builds(changed, st.sampled_from(valid), st.lists(EDIT, max_size=4))


ODD = [
    None,
    True,
    -1,
    0,
    2**62,
    2**64,
    10**400,
    -1e-320,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x",
    "../x",
    "a/b",
    "\0",
]
ODD += [
    "\x1b[2J\n=1+1",
    "\ud800",
    "x" * 5000,
    "nan",
    "1e400",
    [],
    {},
    [[]],
    [None],
    [{}],
    {"": {}},
    [10**400],
    {"a": [1]},
]


def places(value, path=()):
    """The way to each value in a document."""
    yield path
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in below:
        yield from places(inner, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    here = dict(value) if isinstance(value, dict) else list(value)
    here[path[0]] = replaced(here[path[0]], path[1:], new)
    return here


def documents(*valid):
    """``valid`` plain data with one or two values replaced by nonsense."""

    def change(document, choices):
        for number, new in choices:
            ways = list(places(document))
            document = replaced(document, ways[number % len(ways)], new)
        return document

    choices = st.lists(st.tuples(st.integers(0, 999), st.sampled_from(ODD)), min_size=1, max_size=3)
    return st.builds(change, st.sampled_from(valid), choices)


def as_json(value):
    return json.dumps(value, ensure_ascii=True).encode()


# --- texts

JSON = b'{"step": 12, "energy": {"mean": -1.5, "error": 1e-3}, "words": ["a\\n", null, true], "none": []}'
YAML = (
    b"lattice:\n  name: chain\n  extent: [4]\nterms: &a\n- {coefficient: -1.0, operators: ZZ}\nmore: *a\ntext: |\n  x\n"
)


@fuzz(300)
@given(mutants(JSON))
def test_json(raw):
    ends_well(reading.parse_json, raw)


@fuzz(300)
@given(mutants(YAML))
def test_yaml(raw):
    ends_well(reading.parse_yaml, raw)


BOMB = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [" % (k + 1, k + 1) + b", ".join([b"*%c" % k] * 9) + b"]\n" for k in range(ord("a"), ord("k"))
)
DEEP = [b"[" * 200_000, b"[" * 200_000 + b"]" * 200_000, b'{"a":' * 200_000, b"- " * 200_000, b"{a: " * 100_000]
DEEP += [b"? " * 100_000, b"!!seq " * 1000 + b"[" * 1000, b'["' + b"[" * 200_000 + b'"' + b"[" * 200, BOMB]
DEEP += [b"a: &a\n- *a\n", b"<<: &a\n  <<: *a\n", b"".join(b" " * k + b"a:\n" for k in range(1000)), b"1" * 100_000]
DEEP += [
    b"x: 0x" + b"f" * 100_000,
    b"x: " + b"1:" * 50_000 + b"1",
    b"x: 1" + b"_" * 100_000 + b"e5",
    b'"' + b"\\" * 100_001,
]


@pytest.mark.parametrize("raw", DEEP, ids=[raw[:12].decode() for raw in DEEP])
@pytest.mark.parametrize("parse", [reading.parse_json, reading.parse_yaml])
def test_depth_and_aliases_take_bounded_work(parse, raw):
    tracemalloc.start()
    try:
        found = ends_well(parse, raw)
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()
    assert found is None or raw[:1] in b"1x"  # numbers and words are what they are


# --- files that a user names


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


NAMED = {
    "edges": (edges.read_bonds, "b.txt", [b"# ring\n0 1\n1 2 1\n2 3 2\n0 3\n", b"0 1 {}\n1 2 {}\n"]),
    "weights": (lambda path: edges.read_bonds(path, weighted=True, first_site=1), "b.txt", [b"1 2 0.5\n2 3 -1e-3\n"]),
    "points": (points.read_points, "p.txt", [b"0 0\n1 0\n0.5 0.8660\n", b"0\n1.5\n# x\n2e0\n"]),
    "unit cell": (
        lambda path: cell_files.read_unit_cell(path, None),
        "u.yaml",
        [
            b"vectors: [[1, 0], [1/2, sqrt(3)/2]]\nbasis: [[0, 0], [1/3, 1/3]]\nfractional: true\n",
            b"vectors: [[1]]\nbasis: [[0], [0.4]]\nbonds: [{from: 0, to: 1}, {from: 1, to: 0, cell: [1], order: 2}]\n",
        ],
    ),
    "alps": (
        lambda path: cell_files.read_unit_cell(path, None),
        "u.xml",
        [
            b'<L><LATTICE name="s"><PARAMETER name="a" default="1"/><BASIS><VECTOR>a 0</VECTOR><VECTOR>0 a</VECTOR>'
            b'</BASIS></LATTICE><UNITCELL><VERTEX/><EDGE type="1"><SOURCE vertex="1"/>'
            b'<TARGET vertex="1" offset="0 1"/></EDGE></UNITCELL></L>'
        ],
    ),
    "permutations": (
        lambda path: characters.read_permutations(path, 4),
        "g.txt",
        [b"0 1 2 3\n1 2 3 0\n2 3 0 1\n3,0,1,2\n", b"0 1 2 3\n3 2 1 0\n"],
    ),
    "pauli": (pauli_strings.read, "h.txt", [b"-1.0 Z0 Z1\n0.5 [X0 X1] +\n-1.5 I\n(0.5+0j) ZZI\n"]),
    "pauli yaml": (
        pauli_strings.read,
        "h.yaml",
        [
            b"- {coefficient: -1.0, operators: ZZ, sites: [0, 1]}\n- 0.5 Z0\n"
            b"- {coefficient: 1, operators: XX, neighbours: 1}\n"
        ],
    ),
    "networkx": (
        lambda path: edges.read_bonds(path, weighted=True),
        "b.txt",
        [b"0 1 {'weight': 0.5}\n1 2 {'weight': 2}\n"],
    ),
    "graph": (
        edges.read_bonds,
        "g.xml",
        [
            b'<L><GRAPH vertices="3"><EDGE type="0" source="1" target="2"/>'
            b'<EDGE type="4" source="2" target="3"/></GRAPH></L>'
        ],
    ),
    "openfermion": (pauli_strings.read, "h.txt", [b"QubitOperator:\n-1.0 [Z0 Z1] +\n(0.5+0j) []\n"]),
    "qiskit": (
        lambda path: pauli_strings.read(path, "qiskit"),
        "h.json",
        [b"[('IZZ', (-1+0j)), ('XII', np.complex128(0.5+0j))]", b'[["ZZ", [0, 2], -1.0], ["X", [1], [0.5, 0]]]'],
    ),
    "quspin": (
        lambda path: pauli_strings.read(path, "quspin"),
        "h.json",
        [b'[["zz", [[1.0, 0, 1], [-0.5, 1, 2]]], ["+-", [[0.5, 0, 1]]], ["-+", [[[0.5, 0], 0, 1]]], ["I", [[1, 0]]]]'],
    ),
    "fcidump": (
        fcidump.read,
        "f.fcidump",
        [
            b"&FCI NORB=2,NELEC=2,MS2=0,\n&END\n0.5 1 1 1 1\n0.1 2 1 2 1\n-1.0D0 1 1 0 0\n0.7 0 0 0 0\n",
            b"&FCI NORB=1,NELEC=1,MS2=1,IUHF=1,\n&END\n0.5 1 1 1 1\n0.0 0 0 0 0\n0.4 1 1 1 1\n0.0 0 0 0 0\n"
            b"0.3 1 1 1 1\n0.0 0 0 0 0\n-1 1 1 0 0\n0.0 0 0 0 0\n-2 1 1 0 0\n0.0 0 0 0 0\n0.7 0 0 0 0\n",
        ],
    ),
    "safetensors": (
        lambda path: safetensors.unpack(path.read_bytes()),
        "x.safetensors",
        [safetensors.pack({"params/w": np.arange(6.0).reshape(2, 3), "params/z": np.ones(2) * 1j}, {"origin": "here"})],
    ),
    "site": (
        lambda path: load_site(str(path)),
        "site.yaml",
        [b"partition: x\noptions: [--exclusive]\npreamble: |\n  ml mpich\n"],
    ),
}


@pytest.mark.parametrize("kind", NAMED)
def test_files_that_a_user_names(place, kind):
    read, name, valid = NAMED[kind]
    path = place / name

    @fuzz(120)
    @given(mutants(*valid))
    def run(raw):
        path.write_bytes(raw)
        ends_well(read, path)

    for raw in valid:
        path.write_bytes(raw)
        assert read(path) is not None
    run()


TERMS = [
    {"coefficient": -1.0, "operators": "ZZ", "sites": [0, 1]},
    {"coefficient": 1, "operators": "X", "sites": "all"},
]


@fuzz(150)
@given(documents([*TERMS, "0.5 Z0 Z1"]))
def test_terms_of_any_kind(place, document):
    (place / "t.yaml").write_bytes(as_json(document))
    ends_well(pauli_strings.read, place / "t.yaml")


# --- run folders

SUMMARY = {"status": "done", "reason": "", "doubts": [], "step": 2, "final": True, "n_sites": 4, "v_score": 0.01}
SUMMARY |= {"energy": {"mean": -4.5, "error": 0.01, "variance": 0.2}, "reference": {"energy": -4.6}, "r_hat": 1.01}
SUMMARY |= {"task": "measure", "e_infinity": 0.0, "observables": {"m2": {"mean": 0.5, "error": 0.1}}}
SUMMARY["quantities"] = [{"key": k, "label": k, "format": "error", "error": f"{k}_error"} for k in ("energy", "m2")]
START = {"time": "2024-05-01T10:00:00+00:00", "step": 0, "n_ranks": 1, "hosts": ["a"], "reason": "new", "changed": []}
START |= {"slurm_job": "12", "restart_count": None, "seconds": {"load": 1.0}, "exit": {"step": 2, "reason": "done"}}
PHYSICS = {"lattice": {"name": "chain", "extent": [4]}, "ansatz": {"name": "rbm"}}
MANIFEST = {"command": "python -m nqs_hpc", "versions": {"jax": "1"}, "git": {"commit": "ab", "dirty": False}}
MANIFEST |= {"mpi": None, "n_ranks": 1, "physics": PHYSICS, "starts": [START, START | {"exit": None}]}
LINES = [{"step": k, "energy": -4.0 - k, "energy_error": 0.1, "energy_variance": 0.5, "seconds": 0.1} for k in (1, 2)]
OWNER = {"host": "elsewhere", "pid": 17, "job": "12"}
CONFIG = to_plain(compose(["lattice=chain", "lattice.length=4", "run_dir=x"], None))
POINT = study.Point("p0", "id", {"ansatz": "rbm"}, ["ansatz=rbm"], "python -m nqs_hpc", 4, 2, job="12_0")
STUDY = {"study": "s", "cwd": "/somewhere", "launcher": "local", "launches": [{"time": "t", "command": "c"}]}
STUDY |= {"points": [POINT._asdict(), POINT._replace(name="p1", after="p0", state="failed", why="code 1: x")._asdict()]}


def lines(of):
    return b"".join(as_json(line) + b"\n" for line in of)


FILES = {
    "summary.json": as_json(SUMMARY),
    "manifest.json": as_json(MANIFEST),
    "metrics.jsonl": lines(LINES),
    "config.yaml": yaml.safe_dump(CONFIG).encode(),
    ".lock": as_json(OWNER),
    "DONE": b"2\n",
    "slurm-12.log": b"step 1\r\x1b[31mfailed: no luck\n",
}
PLAIN = {"summary.json": SUMMARY, "manifest.json": MANIFEST, "config.yaml": CONFIG, ".lock": OWNER, "DONE": 2}


@pytest.fixture(scope="module")
def run_folder(place):
    """A finished run, as far as files say; nothing asks Slurm."""
    folder = place / "runs" / "run"
    folder.mkdir(parents=True)
    patched = pytest.MonkeyPatch()
    patched.setenv("PATH", str(place))
    yield folder
    patched.undo()


def restore(folder, **changes):
    for name, raw in {**FILES, **changes}.items():
        (folder / name).write_bytes(raw)


def shown(folder):
    """What status, the table of the report and a notebook make of ``folder``: they show all there is."""
    found = find_runs(str(folder))
    rows = [one.row for one in read_rows(found, 1.7e9)]
    console = Console(file=io.StringIO(), width=200)
    console.print(view(found, rows, console))
    table = table_csv(rows)
    pages = page_markdown(content(found, read_rows(found, 1.7e9), FitOptions()))
    json.dumps([flat(row) for row in rows], allow_nan=False)
    for text in (console.file.getvalue(), table, pages):
        assert all(char.isprintable() or char == "\n" for char in text), [c for c in text if not c.isprintable()]
    text = load_sweep(folder).table()
    assert len(text["point"]) == len(rows)
    return rows


CHANGED_FILE = st.sampled_from(sorted(FILES)).flatmap(
    lambda name: st.tuples(
        st.just(name), mutants(FILES[name]) | (documents(PLAIN[name]).map(as_json) if name in PLAIN else st.nothing())
    )
)
CHANGED_FILE |= st.tuples(
    st.just("metrics.jsonl"), documents(LINES).map(lambda of: lines(of) if isinstance(of, list) else as_json(of))
)


@fuzz(250)
@given(CHANGED_FILE, st.booleans())
def test_a_run_is_shown_whatever_it_holds(run_folder, change, finished):
    name, raw = change
    restore(run_folder, **{name: raw})
    if not finished:
        (run_folder / "DONE").unlink()
    (row,) = shown(run_folder.parent)
    assert row.name == "run"
    curve = series(run_folder / "metrics.jsonl", 10)
    assert curve is None or len(curve.step) > 1
    if name in ("config.yaml", "metrics.jsonl", "summary.json"):
        run = ends_well(load_run, run_folder)
        if run is not None:
            ends_well(lambda: (run.metrics, run.summary, repr(run)))


@fuzz(80)
@given(
    mutants(FILES["config.yaml"])
    | documents(CONFIG).map(lambda of: yaml.safe_dump(of).encode("utf-8", "surrogateescape"))
)
def test_a_configuration(place, raw):
    (place / "config.yaml").write_bytes(raw)
    ends_well(read_config, place / "config.yaml")


@fuzz(200)
@given(mutants(as_json(STUDY)) | documents(STUDY).map(as_json))
def test_a_sweep(place, raw):
    folder = place / "sweep"
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_bytes(raw)
    found = ends_well(study.read, folder)
    if found is not None:
        assert all((folder / point.name).parent == folder and "\0" not in point.name for point in found.points)
    ends_well(shown, folder)
    assert os.listdir(folder) == ["manifest.json"]


@fuzz(150)
@given(mutants(as_json(MANIFEST)) | documents(MANIFEST).map(as_json))
def test_a_manifest(place, raw):
    folder = place / "starts"
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_bytes(raw)
    ends_well(manifest.recorded_physics, folder)
    ends_well(manifest.was_in_vain, folder)
    ends_well(lambda: manifest.end(folder, step=1, reason="done", saves=(1, 0.5)))


@fuzz(150)
@given(
    mutants(FILES["metrics.jsonl"])
    | documents(LINES).map(as_json)
    | documents(*LINES).map(lambda of: lines([of, LINES[1]]))
)
def test_lines_of_steps_and_their_events(place, raw):
    pytest.importorskip("tensorboardX")
    folder = place / "steps"
    folder.mkdir(exist_ok=True)
    (folder / "metrics.jsonl").write_bytes(raw)
    (folder / "tensorboard" / tensorboard.NAME).unlink(missing_ok=True)
    ends_well(log.last, folder / "metrics.jsonl")
    ends_well(tensorboard.match, folder)
    ends_well(log.cut, folder / "metrics.jsonl", 2)
    assert all(type(line["step"]) is int for line in log.read(folder / "metrics.jsonl"))


@fuzz(100)
@given(st.lists(EDIT, min_size=1, max_size=4))
def test_an_event_file(place, edits):
    pytest.importorskip("tensorboardX")
    folder = place / "events"
    (folder / "tensorboard").mkdir(parents=True, exist_ok=True)
    (folder / "metrics.jsonl").write_bytes(FILES["metrics.jsonl"])
    path = folder / "tensorboard" / tensorboard.NAME
    tensorboard.match(folder)
    path.write_bytes(changed(path.read_bytes(), edits))
    ends_well(tensorboard.match, folder)
    assert [step for step, _ in tensorboard._records(path.read_bytes())] == [1, 2]


@fuzz(150)
@given(mutants(as_json(OWNER), b"2\n") | documents(OWNER).map(as_json))
def test_a_lock_and_done(place, raw):
    folder = place / "locked"
    folder.mkdir(exist_ok=True)
    (folder / ".lock").write_bytes(raw)
    (folder / "DONE").write_bytes(raw)
    owner = lock._owner(raw)
    assert owner is None or str(owner).isprintable()
    ends_well(lifecycle.done, folder)
    why = ends_well(lock.in_use, folder)
    assert why is None or why.isprintable()


# --- checkpoints

META = {
    "physics": PHYSICS,
    "plan": {"solver": "cholesky", "chunk_size": None},
    "n_ranks": 1,
    "threads": 1,
    "seconds": 1.0,
}


@pytest.fixture(scope="module")
def image():
    leaves = {"step": np.int64(2), "params/w": np.arange(6.0).reshape(2, 3), "sampler/s": np.ones((4, 4), np.int8)}
    return checkpoint_file.pack({name: np.asarray(leaf) for name, leaf in leaves.items()}, META)


def sealed(body):
    """A file with the right checksum, as anybody can write it."""
    return checkpoint_file._header(body) + body


@fuzz(250)
@given(st.lists(EDIT, min_size=1, max_size=3), st.booleans())
def test_a_checkpoint(place, image, edits, right):
    """HDF5's own structures too: their checksum is right."""
    folder = place / "saved"
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    path = folder / "checkpoints" / "step_00000002.h5"
    path.write_bytes(sealed(changed(image[checkpoint_file.BLOCK :], edits)) if right else changed(image, edits))
    tracemalloc.start()
    try:
        for what in (path, folder):
            ends_well(checkpoint.read, what)
        assert tracemalloc.get_traced_memory()[1] < MOST
    finally:
        tracemalloc.stop()


@fuzz(60)
@given(documents(META))
def test_what_a_checkpoint_says_of_itself(place, document):
    from nqs_hpc.parts.plan import described

    body = io.BytesIO()
    with h5py.File(body, "w") as file:
        file.attrs["format_version"] = 1
        file.create_dataset("meta", data=np.bytes_(as_json(document)))
        file.create_dataset("step", data=2)
    (place / "one.h5").write_bytes(b"\n" * checkpoint_file.BLOCK)
    leaves = ends_well(checkpoint_file.unpack, Path("one.h5"), body.getvalue()) if isinstance(document, dict) else None
    if leaves is not None:
        assert isinstance(described(leaves[1]), bool)
