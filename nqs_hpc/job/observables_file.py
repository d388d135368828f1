"""observables.h5: what a run has measured, as HDF5 laid out like the results of ALPS (Bauer et al. 2011,
doi:10.1088/1742-5468/2011/05/P05001): /NAME/mean/value and /NAME/mean/error.

NAME is LABEL, or LABEL/OUTPUT if an observable has several outputs. /NAME has the attributes unit and label; /NAME/axes
holds the axes of an array. The first axis of a trajectory is ``time``. The file has the attributes n_samples, n_sites
and step.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nqs_hpc.inputs import reading
from nqs_hpc.inputs.reading import printable
from nqs_hpc.job.checkpoint_file import Damaged, stored
from nqs_hpc.job.files import write
from nqs_hpc.types import Result

NAME = "observables.h5"
LARGEST = 4096 * reading.MIB  # of a file that is read


class Kept(NamedTuple):
    """A result in the file."""

    value: np.ndarray  # a number or an array
    error: np.ndarray  # standard error of each entry; 0 if the sum is exact, NaN if the error is unknown
    unit: str
    label: str
    axes: dict[str, np.ndarray]  # what the entries of an array belong to


def save(folder: Path, results: Sequence[Result], facts: Mapping[str, int | None]) -> None:
    """Write ``folder``/observables.h5, atomically; OSError if that fails. ``facts``: the attributes of the file."""
    write(folder / NAME, pack(results, facts))


def pack(results: Sequence[Result], facts: Mapping[str, int | None]) -> bytes:
    """The bytes of the file; the same results always give the same bytes."""
    import h5py

    with h5py.File("image", "w", driver="core", backing_store=False) as file:
        for name, fact in facts.items():
            if fact is not None:
                file.attrs[name] = fact
        for one in results:
            group = file.create_group(one.name.replace(".", "/"))
            group.attrs["unit"], group.attrs["label"] = one.output.unit, one.output.label or one.name
            group.create_dataset("mean/value", data=one.value)
            group.create_dataset("mean/error", data=one.error)
            for axis, values in one.output.axes:
                group.create_dataset(f"axes/{axis}", data=values)
        file.flush()
        return bytes(file.id.get_file_image())


def load(path: Path) -> dict[str, Kept]:
    """The results of a file by name, LABEL or LABEL.OUTPUT; ValueError, one line, if it is not such a file."""
    import h5py

    found: dict[str, Kept] = {}
    try:
        data = reading.data(path, LARGEST)
        with h5py.File(io.BytesIO(data), "r") as file:
            names: list[str] = []
            file.visit(lambda name: names.append(name) if name.endswith("/mean/value") else None)
            for name in names:
                group = file[name.removesuffix("/mean/value")]
                axes = {axis: _array(item) for axis, item in group["axes"].items()} if "axes" in group else {}
                value, error = _array(group["mean/value"]), _array(group["mean/error"])
                unit, label = (printable(str(group.attrs[key])) for key in ("unit", "label"))
                found[group.name.strip("/").replace("/", ".")] = Kept(value, error, unit, label, axes)
    except Exception as error:  # HDF5 has many kinds of errors for broken files
        why = printable(str(error)) or type(error).__name__
        raise ValueError(f"{printable(str(path), 1000)} cannot be read: {why}") from None
    return found


def _array(item: Any) -> np.ndarray:
    try:
        stored(item.name, item, "biufc")
    except AttributeError:
        raise Damaged("it holds something else than arrays") from None
    return np.asarray(item[()])
