"""RUN/mlruns: a copy of the numbers of metrics.jsonl and of the configuration as a file store of MLflow.

    mlruns/EXPERIMENT/meta.yaml
    mlruns/EXPERIMENT/RUN/meta.yaml, params/KEY, metrics/NAME, tags/KEY

EXPERIMENT is a number, RUN 32 hexadecimal digits. A metric is a file of lines ``milliseconds value step``, a parameter
or a tag is a file that holds its value. We use only this layout (`mlflow.store.tracking.file_store`, in MLflow up to 3
at least), so MLflow is not loaded. Stores of several runs can be merged by copying, because the number of an experiment
follows from its name and no two runs have the same number.

Each step appends one line to each metric by one write. After a kill or a power cut the next start continues the same
MLflow run and gives the store exactly the steps of metrics.jsonl; so nothing is flushed to the disk before a
checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nqs_hpc.inputs import reading
from nqs_hpc.inputs.plain import plain
from nqs_hpc.job import log
from nqs_hpc.job.files import subfolder, write

NAME = "mlruns"
RUNNING, FINISHED, FAILED, KILLED = 1, 3, 4, 5  # the states of a run, as MLflow numbers them
LONGEST = 500  # characters of a parameter's value that every version of MLflow accepts
_RUN, _EXPERIMENT = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9]{1,18}")


def begin(folder: Path, experiment: str, config: Mapping[str, Any], tags: Mapping[str, Any]) -> None:
    """Make the store of the run in ``folder``, or give the metrics of an existing one the steps of metrics.jsonl. Rank
    0 calls it, before the store is opened. OSError if a file cannot be written.

    ``config``, plain data, becomes parameters with dotted keys; lists become JSON, values longer than ``LONGEST`` are
    cut.
    """
    number = str(int(hashlib.sha256(experiment.encode()).hexdigest()[:14], 16))  # below 2^56
    known = _place(folder)
    of_experiment = subfolder(subfolder(folder / NAME) / (known.parent.name if known is not None else number))
    place = subfolder(known if known is not None else of_experiment / uuid.uuid4().hex)
    now = _milliseconds()
    started = _started(place, now)
    if not (of_experiment / "meta.yaml").exists():
        about = {"artifact_location": of_experiment.absolute().as_uri(), "creation_time": now, "experiment_id": number}
        about |= {"last_update_time": now, "lifecycle_stage": "active", "name": experiment}
        _write_yaml(of_experiment / "meta.yaml", about)
    for name, entries in (("params", dict(flat(config))), ("tags", {"mlflow.runName": folder.name, **tags})):
        inside = subfolder(place / name)
        for key, value in entries.items():
            _put(inside / file_name(key), reading.printable(str(value), LONGEST))
    subfolder(place / "artifacts")
    _match(folder, subfolder(place / "metrics"))
    _write_meta(folder, place, RUNNING, started, None)


def flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The keys and values of nested plain data as texts."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(plain(value))


def end(folder: Path, status: int) -> None:
    """Record in the store how the run ended; no effect if there is no store. Rank 0 calls it."""
    place = _place(folder)
    if place is not None:
        now = _milliseconds()
        _write_meta(folder, place, status, _started(place, now), now)


def store(folder: Path) -> log.Log:
    """The metrics of the run in ``folder``, open for appending; call `begin` before.

    All numbers of a line except its step become metrics with the names of metrics.jsonl; null ones are left out.
    """
    place = _place(folder)
    assert place is not None, "begin() has made it"
    opened: dict[str, log.Appender] = {}

    def append(line: dict[str, Any]) -> None:
        now = _milliseconds()
        for name, value in _numbers(line).items():
            if name not in opened:
                opened[name] = log.appender(place / "metrics" / name)
            opened[name].write(_text(now, value, line["step"]))

    def close() -> None:
        for file in opened.values():
            file.sync()
            file.close()

    return log.Log(append, lambda: None, close)


def file_name(key: str) -> str:
    """The file of a metric, a parameter or a tag: what MLflow takes as a key, and one component of a path."""
    return re.sub(r"[^A-Za-z0-9_.\- ]", "_", key).strip(".")[:240] or "_"


def _place(folder: Path) -> Path | None:
    """The folder of the run in the store of ``folder``, the first by name; None if there is none."""
    found = [
        run
        for experiment in sorted(_folders(folder / NAME))
        if _EXPERIMENT.fullmatch(experiment.name)
        for run in sorted(_folders(experiment))
        if _RUN.fullmatch(run.name)
    ]
    return found[0] if found else None


def _folders(place: Path) -> list[Path]:
    try:
        return [entry for entry in place.iterdir() if entry.is_dir() and not entry.is_symlink()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _match(folder: Path, metrics: Path) -> None:
    """Give each metric the steps of metrics.jsonl, with their times as far as they are known."""
    known: dict[int, int] = {}
    for path in sorted(metrics.iterdir()):
        for text in reading.lines(_bytes(path)):
            if found := re.fullmatch(rb"([0-9]{1,15}) \S+ ([0-9]{1,18})", text):
                known.setdefault(int(found[2]), int(found[1]))
    now = _milliseconds()
    wanted: dict[str, list[bytes]] = {}
    for line in log.read(folder / "metrics.jsonl"):
        for name, value in _numbers(line).items():
            wanted.setdefault(name, []).append(_text(known.get(line["step"], now), value, line["step"]))
    for path in metrics.iterdir():
        wanted.setdefault(path.name, [])
    for name, lines in wanted.items():
        content = b"".join(lines)
        if content != _bytes(metrics / name):
            write(metrics / name, content, durable=False)


def _numbers(line: Mapping[str, Any]) -> dict[str, float]:
    found = {}
    for key, value in line.items():
        if key != "step" and isinstance(value, int | float) and abs(value) < 1e300 and math.isfinite(value):
            found[file_name(key)] = float(value)
    return found


def _text(milliseconds: int, value: float, step: int) -> bytes:
    return f"{milliseconds} {value!r} {step}\n".encode()


def _bytes(path: Path) -> bytes:
    try:
        return reading.data(path, reading.METRICS)
    except FileNotFoundError:
        return b""


def _put(path: Path, text: str) -> None:
    """Write a file unless it holds exactly that already."""
    if not path.exists() or _bytes(path) != text.encode():
        write(path, text, durable=False)


def _write_meta(folder: Path, place: Path, status: int, started: int, ended: int | None) -> None:
    about: dict[str, Any] = {"artifact_uri": (place / "artifacts").absolute().as_uri(), "end_time": ended}
    about |= {
        "entry_point_name": "",
        "experiment_id": place.parent.name,
        "lifecycle_stage": "active",
        "run_id": place.name,
    }
    about |= {"run_name": folder.name, "run_uuid": place.name, "source_name": "nqs_hpc", "source_type": 4}
    about |= {"source_version": "", "start_time": started, "status": status, "tags": [], "user_id": str(os.getuid())}
    _write_yaml(place / "meta.yaml", about)


def _started(place: Path, otherwise: int) -> int:
    """When the run began, in milliseconds."""
    try:
        about = reading.parse_yaml(reading.data(place / "meta.yaml", reading.SMALL))
    except (OSError, ValueError):
        return otherwise
    found = about.get("start_time") if isinstance(about, dict) else None
    return found if type(found) is int and 0 <= found <= otherwise else otherwise


def _write_yaml(path: Path, value: Mapping[str, Any]) -> None:
    import yaml

    write(path, yaml.safe_dump(dict(value), allow_unicode=True))


def _milliseconds() -> int:
    return int(time.time() * 1000)
