"""Files of every kind with bytes turned, cut out, doubled and put in: each reader ends in a result or in one line.

Never in another exception, a hang or more memory than the file explains. The cases are the same at every call.
"""

import json
import time
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nqs_hpc import reading
from nqs_hpc.job import files, lifecycle, lock, log, manifest, study, tensorboard
from nqs_hpc.job.lock import _owner
from nqs_hpc.library.run import read_config
from nqs_hpc.operators import pauli_strings
from nqs_hpc.report.files import table_csv
from nqs_hpc.report.places import holding
from nqs_hpc.report.plots import _columns
from nqs_hpc.report.rows import read_rows
from nqs_hpc.report.series import series
from nqs_hpc.report.status import _console, view
from nqs_hpc.resolve.line import one_line as one_line_of
from nqs_hpc.site import load_site
from nqs_hpc.sweep.local import last_line
from nqs_hpc.system.characters import read_permutations
from nqs_hpc.system.edges import read_edges
from nqs_hpc.system.points import read_points

FEW = settings(
    derandomize=True,
    deadline=None,
    max_examples=100,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
LINES = b"".join(
    json.dumps({"step": i, "energy": -1.5 * i, "energy_error": 0.1, "energy_variance": 0.2, "seconds": 0.1}).encode()
    + b"\n"
    for i in range(1, 5)
)
CONFIG = b"lattice: {name: chain, length: 4}\nhamiltonian: ising\ntask:\n  n_steps: 3\nseed: 1\n"
MANIFEST = json.dumps(
    {
        "command": "python -m nqs_hpc",
        "versions": {"jax": "0.10"},
        "physics": {"lattice": {"name": "chain", "extent": [4]}, "hamiltonian": {"name": "ising", "h": 1.0}},
        "starts": [{"time": "", "step": 0, "seconds": {"a": 1}, "exit": {"step": 4, "reason": "done: x"}}],
    }
).encode()
SUMMARY = json.dumps(
    {"status": "done", "reason": "x", "step": 4, "final": True, "n_sites": 4, "v_score": 1e-3}
    | {"energy": {"mean": -6.0, "error": 1e-3, "variance": 0.1}, "reference": {"energy": -6.1}}
).encode()
SWEEP = json.dumps(
    {
        "study": "s",
        "cwd": "/",
        "launcher": "local",
        "launches": [{"time": "", "command": "x"}],
        "points": [
            {"name": "p", "identity": "i", "swept": {"k": 1}, "overrides": ["k=1"], "command": "c", "n_sites": 4}
            | {"n_steps": 4, "after": None, "job": "1_2", "ticket": None, "state": "done", "why": ""}
        ],
    }
).encode()
LOCK = b'{"host": "node", "pid": 12, "job": null}\n'


@st.composite
def mutated(draw, seed: bytes) -> bytes:
    """``seed`` after one to four changes."""
    raw = bytearray(seed)
    for _ in range(draw(st.integers(1, 4))):
        at, n = draw(st.integers(0, max(len(raw) - 1, 0))), draw(st.integers(1, 8))
        match draw(st.sampled_from(["flip", "insert", "delete", "cut", "double", "number", "nest"])):
            case "flip" if raw:
                raw[at] ^= draw(st.integers(1, 255))
            case "insert":
                raw[at:at] = draw(st.binary(min_size=1, max_size=8))
            case "delete":
                del raw[at : at + n]
            case "cut":
                del raw[at:]
            case "double":
                raw[at:at] = raw[at : at + 4 * n]
            case "number":
                numbers = [b"1e999", b"-1", b"NaN", b"9" * 400, b"null", b"true", b"[]", b"{}", b'"\\ud800"', b"0x1"]
                raw[at : at + n] = draw(st.sampled_from(numbers))
            case "nest":
                raw[at:at] = draw(st.sampled_from([b"[", b"{", b"- ", b'{"a":', b"&a ", b"*a "])) * draw(
                    st.sampled_from([1, 70, 5000])
                )
    return bytes(raw)


def one_line(act) -> None:
    """``act`` ends well, or in one line, soon, and with the memory of what it has read."""
    begun = time.monotonic()
    try:
        act()
    except (ValueError, OSError) as error:  # InputError and reading.Unfit are among them
        said = error.strerror if isinstance(error, OSError) else str(error)
        assert said and "\n" not in said and len(said) < 5000
    assert time.monotonic() - begun < 20


def _terms(path):
    one_line_of("hamiltonian.file", path, lambda: pauli_strings.read(path))


READERS = {
    "manifest.json": (MANIFEST, lambda path: manifest.recorded_physics(path.parent)),
    "metrics.jsonl": (LINES, lambda path: (log.read(path), series(path, 10), log.cut(path, 3), _columns(path))),
    "DONE": (b"4\n", lambda path: lifecycle.done(path.parent)),
    ".lock": (LOCK, lambda path: (_owner(path.read_bytes()), lock.in_use(path.parent))),
    "config.yaml": (CONFIG, read_config),
    "summary.json": (SUMMARY, files.read_json),
    "output.log": (b"step 1\r\x1b[2Jx\nend\n", last_line),
    "site.yaml": (b"partition: small\npreamble: |\n  module load x\noptions: [--exclusive]\n", load_site),
    "bonds": (b"# ring\n0 1\n1 2 1\n2 0 2\n", read_edges),
    "positions": (b"0 0\n1 0.5\n2.5 -1e-1\n", read_points),
    "group": (b"0 1 2\n1 2 0\n2 0 1\n", lambda path: read_permutations(path, 3)),
    "terms.txt": (b"-1.0 Z0 Z1\n0.5 X0 # field\n", _terms),
    "terms.yaml": (b"- {coefficient: -1, operators: ZZ, sites: [0, 1]}\n", _terms),
}


@pytest.mark.parametrize("name", READERS)
def test_a_reader_ends_in_a_result_or_one_line(tmp_path, name):
    seed, read = READERS[name]
    path = tmp_path / name
    path.write_bytes(seed)
    read(path)  # as it is, it is valid

    @FEW
    @given(mutated(seed))
    def fuzz(raw):
        path.write_bytes(raw)
        one_line(lambda: read(path))

    fuzz()


def test_the_manifest_of_a_sweep(tmp_path):
    path = tmp_path / "manifest.json"

    @FEW
    @given(mutated(SWEEP))
    def fuzz(raw):
        path.write_bytes(raw)
        one_line(lambda: study.read(tmp_path))
        with suppress(ValueError):
            for point in getattr(study.read(tmp_path, strict=False), "points", ()):
                assert (tmp_path / point.name).resolve().parent == tmp_path.resolve()

    fuzz()


SEEDS = {"manifest.json": MANIFEST, "summary.json": SUMMARY, "metrics.jsonl": LINES, "config.yaml": CONFIG}
SEEDS |= {"DONE": b"4\n", ".lock": LOCK}


def test_a_run_folder_is_always_a_row(tmp_path, monkeypatch):
    """Of a folder with any files `status` makes a table, and `points.csv` a line, of text that can be printed."""
    monkeypatch.setenv("PATH", "/nowhere")  # no Slurm
    run = tmp_path / "run"
    run.mkdir()

    @FEW
    @given(st.sampled_from(sorted(SEEDS)).flatmap(lambda name: st.tuples(st.just(name), mutated(SEEDS[name]))))
    def fuzz(change):
        for name, seed in SEEDS.items():
            (run / name).write_bytes(change[1] if name == change[0] else seed)
        with suppress(ValueError):
            found = holding(str(run))
            rows = [one.row for one in read_rows(found, time.time())]
            json.dumps([row._asdict() for row in rows], allow_nan=False)
            console = _console()
            with console.capture() as shown:
                console.print(view(found, rows, console))
            assert "\x1b" not in shown.get() and table_csv(rows)

    fuzz()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=8), below, max_size=4),
    max_leaves=12,
)
KEYS = (
    "status",
    "reason",
    "step",
    "energy",
    "mean",
    "error",
    "starts",
    "exit",
    "physics",
    "lattice",
    "seconds",
    "name",
)


def test_any_data_in_a_run_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    run = tmp_path / "run"
    run.mkdir()
    inner = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6)
    outer = st.dictionaries(st.sampled_from(KEYS), VALUES | inner | st.lists(inner, max_size=2), max_size=8)

    @FEW
    @given(outer, outer, outer)
    def fuzz(summary, told, line):
        (run / "summary.json").write_text(json.dumps(summary))
        (run / "manifest.json").write_text(json.dumps(told | {"starts": told.get("starts", [])}))
        (run / "metrics.jsonl").write_text(json.dumps(line | {"step": 3}) + "\n")
        (run / "config.yaml").write_text(json.dumps(line))
        found = holding(str(run))
        rows = [one.row for one in read_rows(found, time.time())]
        json.dumps([row._asdict() for row in rows], allow_nan=False)
        one_line(lambda: manifest.recorded_physics(run))
        one_line(lambda: read_config(run / "config.yaml"))

    fuzz()


def test_event_files(tmp_path):
    pytest.importorskip("tensorboardX")
    (tmp_path / "metrics.jsonl").write_bytes(LINES)
    tensorboard.match(tmp_path)
    path = tmp_path / "tensorboard" / tensorboard.NAME
    seed = path.read_bytes()
    garbage = tensorboard._record(b"\xff" * 9)  # a right checksum around what is no event

    @FEW
    @given(mutated(seed) | st.just(garbage) | st.just(seed + garbage))
    def fuzz(raw):
        path.write_bytes(raw)
        tensorboard.match(tmp_path)  # what is broken is made again from the metrics
        assert sorted(step for step, _ in tensorboard._records(path.read_bytes())) == [1, 2, 3, 4]

    fuzz()


@FEW
@given(st.text(max_size=60))
def test_text_is_printable_whatever_it_is(raw):
    assert reading.printable(raw).isprintable() and len(reading.printable(raw, 10)) <= 10
    assert reading.harmless(raw).replace("\n", "").replace("\t", "").isprintable()


@FEW
@given(st.text(alphabet='[]{}"\\,:a1 \n', max_size=40))
def test_json_is_what_json_makes_of_it(raw):
    """Up to the depth that we allow, the scan before parsing changes nothing."""
    try:
        known = json.loads(raw)
    except ValueError:
        with pytest.raises(ValueError):
            reading.parse_json(raw)
    else:
        assert reading.parse_json(raw) == known


@FEW
@given(st.text(alphabet="&*a: [],{}-?!\n<>|", max_size=60))
def test_yaml_ends_in_data_or_one_line(raw):
    one_line(lambda: reading.parse_yaml(raw))


def test_memory_stays_with_the_file():
    bomb = "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 20))
    tracemalloc.start()
    try:
        for text in (bomb, "[" * 10**6, "- " * 10**5):
            with pytest.raises(ValueError):
                reading.parse_yaml(text)
            with pytest.raises(ValueError):
                reading.parse_json(text)
        assert tracemalloc.get_traced_memory()[1] < 64 * reading.MIB
    finally:
        tracemalloc.stop()


def test_checkpoints(tmp_path):
    """Without a right checksum: around changed structures of HDF5 the library itself can crash."""
    checkpoint = pytest.importorskip("nqs_hpc.job.checkpoint")
    image = checkpoint._pack({"step": np.int64(3), "params/w": np.arange(6.0)}, {"plan": {}})
    path = tmp_path / "checkpoints" / "step_00000003.h5"
    path.parent.mkdir()

    @FEW
    @given(mutated(image))
    def fuzz(raw):
        path.write_bytes(raw)
        if raw != image:
            with pytest.raises(checkpoint.CheckpointError) as caught:
                checkpoint.read(tmp_path)
            assert "\n" not in str(caught.value)

    fuzz()
