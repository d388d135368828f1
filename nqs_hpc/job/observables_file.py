"""observables.h5: what a run has measured, as HDF5 laid out like the results of ALPS (Bauer et al. 2011,
doi:10.1088/1742-5468/2011/05/P05001): /NAME/mean/value and /NAME/mean/error.

NAME is LABEL, or LABEL/OUTPUT where an observable has several outputs. /NAME has the attributes unit and label, and in
/NAME/axes what the entries of an array belong to. Attributes of the file: n_samples, n_sites, step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nqs_hpc.job.files import write
from nqs_hpc.types import Result

NAME = "observables.h5"


def save(folder: Path, results: Sequence[Result], facts: Mapping[str, int | None]) -> None:
    """Write ``folder``/observables.h5, atomically; OSError where that is not possible. ``facts``: of the file."""
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
