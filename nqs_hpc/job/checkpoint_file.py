"""A checkpoint as a file: a checksum followed by one HDF5 image, and the checks when it is read.

The first 512 bytes, which HDF5 leaves to the user, hold the SHA-256 of the rest. It is checked before HDF5 opens the
file: one flipped bit in HDF5's own structures can crash the library, and then no start would get past the damaged file.

A correct checksum does not say who wrote the file. HDF5 allows arrays whose content lies in other files or is made up
when they are read. We store arrays plainly in the file and read no others, so we never allocate more than the file's
size.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nqs_hpc.inputs import reading
from nqs_hpc.inputs.plain import plain
from nqs_hpc.inputs.reading import printable

if TYPE_CHECKING:
    import h5py

FORMAT_VERSION = 2
# format 1 knew only ground states: what is distributed over the ranks, and what else was kept
_CHAINS_1, _MEMORY_1 = "sampler", ("update", "good", "average", "scale", "rejected", "untried")
BLOCK = 512  # bytes of the user block; HDF5 allows powers of two from 512
LARGE = 256 * reading.MIB  # larger files are verified before they are read

Leaves = dict[str, np.ndarray]


class CheckpointError(ValueError):
    """There are checkpoints, but this program can use none of them."""


class Damaged(Exception):
    pass


def newest_first(folder: Path) -> list[Path]:
    """The checkpoints of a run folder by their names, unverified."""
    paths = (folder / "checkpoints").glob("step_*.h5")
    return sorted((path for path in paths if re.fullmatch(r"step_\d{8,}\.h5", path.name)), key=step_of, reverse=True)


def step_of(path: Path) -> int:
    """The step of a checkpoint by its name."""
    return int(path.stem.removeprefix("step_"))


def pack(leaves: Leaves, meta: dict[str, Any]) -> bytes:
    """The bytes of a checkpoint file; the same leaves and meta always give the same bytes."""
    import h5py  # only at the first checkpoint, so that a start does not wait for it

    with h5py.File("image", "w", driver="core", backing_store=False, userblock_size=BLOCK) as file:
        file.attrs["format_version"] = FORMAT_VERSION
        for name, leaf in leaves.items():
            if leaf.dtype.kind not in "biufc":
                raise ValueError(f"checkpoint: {name} has dtype {leaf.dtype}; booleans and numbers can be stored")
            file.create_dataset(name, data=leaf)
        # A dataset, because an attribute cannot exceed 64 KiB and a composed config can.
        file.create_dataset("meta", data=np.bytes_(json.dumps(plain(meta), allow_nan=False).encode()))
        file.flush()
        body = file.id.get_file_image()  # without the user block
    return _header(body) + body


def _header(body: bytes | memoryview) -> bytes:
    return _header_of(hashlib.sha256(body).hexdigest())


def _header_of(checksum: str) -> bytes:
    return f"nqs_hpc checkpoint\nsha256 {checksum}\n".encode().ljust(BLOCK, b"\n")


def verified(path: Path, limit: int = reading.CHECKPOINT, *, follow: bool = False) -> bytes:
    """The bytes of an intact checkpoint file; Damaged if its checksum does not fit, OSError if it cannot be read."""
    with reading.opened(path, follow=follow) as file:
        if os.fstat(file.fileno()).st_size > LARGE:
            check(path, limit, follow=follow)  # before it takes memory: a sparse file can claim any size
    data = reading.data(path, limit, follow=follow)
    if len(data) <= BLOCK:
        raise Damaged(f"is only {len(data)} bytes long")
    if data[:BLOCK] != _header(memoryview(data)[BLOCK:]):
        raise Damaged(f"its checksum does not fit its {len(data)} bytes")
    return data


def check(path: Path, limit: int, *, follow: bool = False) -> None:
    """As `verified`, block by block, without the bytes."""
    with reading.opened(path, follow=follow) as file:
        if (size := os.fstat(file.fileno()).st_size) > limit:
            raise Damaged(f"is larger than {limit // reading.MIB} MiB")
        header, found = file.read(BLOCK), hashlib.sha256()
        while part := file.read(8 * reading.MIB):
            found.update(part)
    if header != _header_of(found.hexdigest()):
        raise Damaged(f"its checksum does not fit its {size} bytes")


def unpack(path: Path, data: bytes) -> tuple[Leaves, dict[str, Any]]:
    """The leaves and the meta of a file's bytes; Damaged if they hold what no checkpoint holds."""
    import h5py

    found: dict[str, h5py.Dataset] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item
        elif not isinstance(item, h5py.Group):
            raise Damaged(f"{printable(name)} in it is not an array")

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            if (version := int(file.attrs["format_version"])) not in (1, FORMAT_VERSION):
                known = f"has format {version}, and this nqs_hpc reads 1 and {FORMAT_VERSION}"
                raise CheckpointError(
                    f"{path} {known}: go on with the version that wrote it, or choose another run_dir"
                )
            file.visititems(visit)  # follows only hard links, none of which leads out of the file
            left = len(data)
            for name, item in found.items():
                kinds = "S" if name == "meta" and item.shape == () else "biufc"
                if (left := left - stored(name, item, kinds)) < 0:  # several names for the same bytes
                    raise Damaged("its arrays are larger than the file")
            meta = reading.parse_json(bytes(found.pop("meta")[()]))
            leaves = {name: np.asarray(item[()]) for name, item in found.items()}
    except (Damaged, CheckpointError):
        raise
    except Exception as error:  # HDF5 has many kinds of errors for broken files
        raise Damaged(f"is not a checkpoint: {printable(str(error)) or type(error).__name__}") from None
    if not isinstance(meta, dict):
        raise Damaged("is not a checkpoint: its meta is not an object")
    return _of_format_1(leaves) if version == 1 else leaves, meta


def _of_format_1(leaves: Leaves) -> Leaves:
    """The leaves under the names that they have now."""
    found = {}
    for name, leaf in leaves.items():
        top, slash, rest = name.partition("/")
        new = "chains/samples" if top == _CHAINS_1 else f"memory/{top}" if top in _MEMORY_1 else top
        found[new + slash + rest] = leaf
    return found


def stored(name: str, item: h5py.Dataset, kinds: str) -> int:
    """The number of bytes of an array that is stored plainly in the file; Damaged for any other, which is never read.

    Other arrays have their content in files of any name (external, virtual), or grow when read (filters, fill values).
    """
    import h5py

    plan = item.id.get_create_plist()
    outside = item.external or item.is_virtual
    plain = plan.get_layout() in (h5py.h5d.CONTIGUOUS, h5py.h5d.COMPACT) and plan.get_nfilters() == 0
    n_bytes = -1 if item.shape is None else math.prod(item.shape) * item.dtype.itemsize
    if outside or not plain or item.dtype.kind not in kinds or item.id.get_storage_size() != n_bytes:
        raise Damaged(f"{printable(name)} in it is {'in another file' if outside else 'not stored as we store arrays'}")
    return n_bytes
