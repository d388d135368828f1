"""The arrays that a run measured, from its observables.h5: structure factors, correlations, ….

    /LABEL/mean/value, /LABEL/mean/error, /LABEL/axes/AXIS     or the same below /LABEL/OUTPUT

A damaged or crafted file can crash the HDF5 library, and with it the process. So a separate process (this module as a
program) reads the files and sends the arrays back as bytes; a file that crashes it becomes one line in the report. Only
arrays of bounded size that are stored plainly in the file are read (`job.checkpoint_file.stored`).
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from nqs_hpc.inputs import reading
from nqs_hpc.inputs.reading import printable

FILE = "observables.h5"
LARGEST = 256 * reading.MIB  # of a file
MOST_NUMBERS = 2**20  # of one array: the correlations of all pairs of 1024 sites
MOST = 64  # arrays of a file
SECONDS = 60.0  # for all files
_NAME = 64  # characters of a label, a unit or an axis


class MeasuredArray(NamedTuple):
    """One array that was measured."""

    name: str  # LABEL or LABEL.OUTPUT
    label: str  # in figures
    unit: str
    value: np.ndarray  # real, finite
    error: np.ndarray | None  # one standard error; None if there is none
    axes: dict[str, np.ndarray]  # the axes of the array


def measured_arrays(folders: Sequence[Path]) -> list[list[MeasuredArray] | str]:
    """The arrays of each folder, or one line that says why its file cannot be read. Folders without a file have
    none."""
    found: list[list[MeasuredArray] | str] = [[] for _ in folders]
    left = [i for i, folder in enumerate(folders) if os.path.lexists(folder / FILE)]
    while left:
        answers = _asked([folders[i] / FILE for i in left])
        for i, answer in zip(left, answers, strict=False):
            found[i] = answer
        if len(answers) < len(left):
            why = f"HDF5 crashes, or takes more than {SECONDS:g} s"
            found[left[len(answers)]] = f"{FILE} cannot be read: {why}"
        left = left[len(answers) + 1 :]
    return found


def _asked(paths: list[Path]) -> list[list[MeasuredArray] | str]:
    """The answers of the other process for the files that it reads before it ends."""
    # the package from the same place as in this process, which Python may not search by default
    package = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([package, *filter(None, [os.getenv("PYTHONPATH")])])}
    words = [sys.executable, "-P", "-m", "nqs_hpc.report.arrays", *map(os.path.abspath, paths)]
    try:
        done = subprocess.run(
            words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
        )
        sent = done.stdout
    except subprocess.TimeoutExpired as error:
        sent = error.stdout or b""
    answers: list[list[MeasuredArray] | str] = []
    while len(sent) >= 8 and len(sent) >= (end := 8 + int.from_bytes(sent[:8], "little")):
        answers.append(_unpacked(sent[8:end]))
        sent = sent[end:]
    return answers[: len(paths)]


def read(path: Path) -> list[MeasuredArray]:
    """The arrays of a file; raises OSError or ValueError in one line. A damaged file may end the process."""
    import h5py

    from nqs_hpc.job.checkpoint_file import Damaged, stored

    data = reading.data(path, LARGEST)
    sets: dict[str, np.ndarray] = {}
    words: dict[str, dict[str, str]] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Group):
            words[name] = {key: _text(item, key) for key in ("label", "unit")}
        elif isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf" and 0 < item.size <= MOST_NUMBERS:
            sets[name] = item

    with h5py.File(io.BytesIO(data), "r") as file:
        file.visititems(visit)  # follows only hard links, none of which leads out of the file
        names = [name for name in sets if name.endswith("/mean/value") and sets[name].ndim > 0][:MOST]
        found = []
        for name in names:
            place = name.removesuffix("/mean/value")
            wanted = {"value": name, "error": f"{place}/mean/error"}
            axes = {
                key.removeprefix(f"{place}/axes/"): key
                for key in sets
                if key.startswith(f"{place}/axes/") and key.count("/") == place.count("/") + 2
            }
            left = len(data)
            arrays: dict[str, np.ndarray] = {}
            for key, at in [*wanted.items(), *((f"axes/{axis}", at) for axis, at in axes.items())]:
                if at in sets:
                    left -= stored(at, sets[at], "iuf")
                    if left < 0:
                        raise Damaged("its arrays are larger than the file")
                    arrays[key] = np.asarray(sets[at][()], float)
            told = words.get(place, {})
            value, error = arrays["value"], arrays.get("error")
            if not np.isfinite(value).all():
                continue
            if error is not None and (error.shape != value.shape or not np.isfinite(error).all()):
                error = None
            plain = ".".join(printable(part, _NAME) for part in place.split("/"))
            of = {
                printable(key.removeprefix("axes/"), _NAME): array
                for key, array in arrays.items()
                if key.startswith("axes/") and np.isfinite(array).all()
            }
            found.append(MeasuredArray(plain, told.get("label") or plain, told.get("unit") or "", value, error, of))
    return found


def _text(item: Any, key: str) -> str:
    """An attribute that is a text; empty if there is none."""
    try:
        value = item.attrs.get(key, "")
    except Exception:  # attributes of other types, perhaps unknown to h5py
        return ""
    return printable(value, _NAME) if isinstance(value, str) else ""


def _packed(answer: list[MeasuredArray] | str) -> bytes:
    """Arrays, or a line, as bytes without pickle, so that data of the other process is never executed."""
    file = io.BytesIO()
    if isinstance(answer, str):
        np.savez(file, told=np.frombuffer(json.dumps(answer).encode(), np.uint8))
        return file.getvalue()
    arrays: dict[str, np.ndarray] = {}
    told = []
    for i, one in enumerate(answer):
        arrays |= {f"{i}-value": one.value} | ({f"{i}-error": one.error} if one.error is not None else {})
        arrays |= {f"{i}-axis-{k}": axis for k, axis in enumerate(one.axes.values())}
        told.append([one.name, one.label, one.unit, list(one.axes)])
    np.savez(file, told=np.frombuffer(json.dumps(told).encode(), np.uint8), **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def _unpacked(sent: bytes) -> list[MeasuredArray] | str:
    with np.load(io.BytesIO(sent), allow_pickle=False) as arrays:
        told = json.loads(arrays["told"].tobytes())
        if isinstance(told, str):
            return told
        return [
            MeasuredArray(
                *(name, label, unit, arrays[f"{i}-value"], arrays.get(f"{i}-error")),
                {axis: arrays[f"{i}-axis-{k}"] for k, axis in enumerate(axes)},
            )
            for i, (name, label, unit, axes) in enumerate(told)
        ]


def main(names: list[str], out: IO[bytes]) -> None:
    """Send the content of each file, one after the other."""
    for name in names:
        answer: list[MeasuredArray] | str
        try:
            answer = read(Path(name))
        except OSError as error:
            answer = f"{FILE} cannot be read: {printable(error.strerror or str(error))}"
        except Exception as error:  # HDF5 has many kinds of errors for broken files
            answer = f"{FILE} cannot be read: {printable(str(error)) or type(error).__name__}"
        packed = _packed(answer)
        out.write(len(packed).to_bytes(8, "little") + packed)
        out.flush()


if __name__ == "__main__":
    main(sys.argv[1:], sys.stdout.buffer)
