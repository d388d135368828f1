"""Results of a run as ALPS stores them in HDF5: /simulation/results/NAME/count, mean/value, mean/error and, for numbers
if known, variance/value and tau/value; parameters of the run are in /parameters.

ALPS' own `mcdata` and `AbstractSimpleObservable` save this layout and its Python module reads it (loadMeasurements of
pyalps; B. Bauer et al., J. Stat. Mech. P05001 (2011), doi:10.1088/1742-5468/2011/05/P05001). A slash in a name is
written as &#47;. ALPS has only vectors: an array is stored row by row, and ``labels`` name its entries by indices
joined by two dashes, or by the values of its only axis. In ALPS error^2 = variance (1 + 2 tau) / count, so tau is 0 for
independent samples.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Entry(NamedTuple):
    """One result."""

    value: NDArray[Any]  # a number or an array, real
    error: NDArray[Any]  # of the same shape
    axes: Mapping[str, NDArray[Any]]
    variance: float | None = None
    tau: float | None = None  # 1 for independent samples


def pack(results: Mapping[str, Entry], count: int, parameters: Mapping[str, Any]) -> bytes:
    """The bytes of the file. ``count``: the samples behind each result. ValueError for a complex result."""
    import h5py

    with h5py.File("image", "w", driver="core", backing_store=False) as file:
        for name, value in parameters.items():
            file[f"parameters/{_encoded(name)}"] = value
        for name, one in results.items():
            if np.iscomplexobj(one.value):
                raise ValueError(f"{name} is complex, which has no place in ALPS' results")
            group = file.create_group(f"simulation/results/{_encoded(name)}")
            group["count"] = np.uint64(count)
            flat = () if one.value.ndim == 0 else (-1,)
            group["mean/value"] = np.asarray(one.value, np.float64).reshape(flat)
            group["mean/error"] = np.asarray(one.error, np.float64).reshape(flat)
            if one.value.ndim == 0 and one.variance is not None:
                group["variance/value"] = one.variance
            if one.value.ndim == 0 and one.tau is not None:
                group["tau/value"] = (one.tau - 1) / 2
            if one.value.ndim:
                group["labels"] = labels(one)
                group.create_group("timeseries")  # without it pyalps does not read the errors of a vector
        file.flush()
        return bytes(file.id.get_file_image())


def labels(one: Entry) -> list[str]:
    """The label of each entry of an array."""
    axes = [np.asarray(axis) for axis in one.axes.values()]
    if one.value.ndim == 1 and len(axes) == 1 and axes[0].shape == one.value.shape and axes[0].dtype.kind in "iuf":
        return [repr(x) for x in axes[0].tolist()]
    return ["--".join(map(str, index)) for index in itertools.product(*map(range, one.value.shape))]


def _encoded(name: str) -> str:
    return name.replace("&", "&#38;").replace("/", "&#47;")
