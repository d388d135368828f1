"""Safetensors: named arrays in one file without any code (https://huggingface.co/docs/safetensors, format 0.x).

A file begins with the length of the header, 8 bytes, little endian. The header is JSON: for each array its ``dtype``,
``shape`` and ``data_offsets`` [begin, end) in the data, and under ``__metadata__`` texts by name. The data are the
arrays, little endian and row by row, one after the other without gaps.

Not all readers know complex numbers: a complex array NAME is stored as NAME.real and NAME.imag.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.inputs.reading import parse_json, printable

Arrays = dict[str, NDArray[Any]]

TYPES = {
    **{f"F{8 * n}": np.dtype(f"<f{n}") for n in (2, 4, 8)},
    **{f"I{8 * n}": np.dtype(f"<i{n}") for n in (1, 2, 4, 8)},
    **{f"U{8 * n}": np.dtype(f"<u{n}") for n in (1, 2, 4, 8)},
    "BOOL": np.dtype("?"),
}
NAMES = {dtype: name for name, dtype in TYPES.items()}
REAL, IMAG = ".real", ".imag"
MOST_AXES = 32  # of an array; NumPy has 64
LONGEST_HEADER = 100_000_000  # bytes, as in the format's own library


def pack(arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file; the same arrays always give the same bytes. ValueError for an invalid name or dtype."""
    planes = dict(sorted(_planes(arrays).items()))
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, plane in planes.items():
        begin, end = end, end + plane.nbytes
        header[name] = {"dtype": NAMES[plane.dtype], "shape": list(plane.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the arrays begin at a multiple of 8
    return len(text).to_bytes(8, "little") + text + b"".join(plane.tobytes() for plane in planes.values())


def _planes(arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Only real arrays, little endian and row by row."""
    found: Arrays = {}
    for name, array in arrays.items():
        if name.endswith((REAL, IMAG)):
            raise ValueError(f"{printable(name, 80)} ends as the parts of a complex array do ({REAL}, {IMAG})")
        is_complex = array.dtype.kind == "c"
        for key, plane in ((name + REAL, array.real), (name + IMAG, array.imag)) if is_complex else ((name, array),):
            found[key] = np.asarray(plane, dtype=plane.dtype.newbyteorder("<"), order="C")
            if found[key].dtype not in NAMES:
                raise ValueError(f"{printable(name, 80)} is {array.dtype}, which safetensors do not have")
    return found


def unpack(raw: bytes) -> tuple[Arrays, dict[str, str]]:
    """The arrays of a file, complex ones reassembled, and its texts. ValueError, one line, if it is not such a file."""
    if len(raw) < 8:
        raise ValueError(f"is only {len(raw)} bytes long, not a safetensors file")
    size = int.from_bytes(raw[:8], "little")
    if size > min(LONGEST_HEADER, len(raw) - 8):
        raise ValueError(f"is not a safetensors file, or is cut short: its header would have {size} bytes")
    try:
        header = parse_json(raw[8 : 8 + size])
    except ValueError as error:
        raise ValueError(f"is not a safetensors file: its header is not JSON ({printable(str(error), 120)})") from None
    if not isinstance(header, dict):
        raise ValueError("is not a safetensors file: its header is not a mapping")
    texts = header.pop("__metadata__", {})
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise ValueError("is not a safetensors file: its __metadata__ are not texts")
    data = memoryview(raw)[8 + size :]
    planes, reached = {}, 0
    for name, entry in sorted(header.items(), key=_begin):
        planes[name], begin, end = _array(name, entry, data)
        if begin != reached:  # as in the format's own library: no gaps, and no overlaps
            raise ValueError(f"is damaged: {printable(name, 80)} begins at byte {begin}, not {reached}")
        reached = end
    if reached != len(data):
        raise ValueError(f"is damaged: its arrays have {reached} bytes, and it holds {len(data)}")
    return _complex(planes), texts


def _begin(item: tuple[str, Any]) -> int:
    offsets = item[1].get("data_offsets") if isinstance(item[1], dict) else None
    return offsets[0] if isinstance(offsets, list) and offsets and type(offsets[0]) is int else -1


def _array(name: str, entry: Any, data: memoryview) -> tuple[NDArray[Any], int, int]:
    """An array and the offsets of its begin and end."""
    what = printable(name, 80)
    if not isinstance(entry, dict):
        raise ValueError(f"is damaged: {what} is not an array")
    kind: Any
    shape: Any
    offsets: Any
    kind, shape, offsets = (entry.get(key) for key in ("dtype", "shape", "data_offsets"))
    if not isinstance(kind, str) or kind not in TYPES:
        raise ValueError(f"has {what} of dtype {printable(str(kind), 20)}; valid are {', '.join(TYPES)}")
    fits = isinstance(shape, list) and isinstance(offsets, list) and len(offsets) == 2 and len(shape) <= MOST_AXES
    if not fits or any(type(x) is not int or not 0 <= x < 2**53 for x in [*shape, *offsets]):
        raise ValueError(f"is damaged: the shape or the place of {what} is not valid")
    begin, end = offsets
    dtype = TYPES[kind]
    if not begin <= end <= len(data) or end - begin != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"is damaged: {what} of shape {tuple(shape)} has {end - begin} bytes")
    return np.frombuffer(data[begin:end], dtype=dtype).reshape(shape), begin, end


def _complex(planes: Arrays) -> Arrays:
    found = {name: plane for name, plane in planes.items() if not name.endswith((REAL, IMAG))}
    for one in sorted({name[: -len(REAL)] for name in planes if name.endswith((REAL, IMAG))}):
        real, imag = (planes.get(one + part) for part in (REAL, IMAG))
        if real is None or imag is None or one in found:
            which = "twice" if one in found else f"without {one + (REAL if real is None else IMAG)}"
            raise ValueError(f"has the complex array {printable(one, 80)} {printable(which, 100)}")
        if real.shape != imag.shape or real.dtype != imag.dtype or real.dtype.kind != "f" or real.dtype.itemsize < 4:
            raise ValueError(f"has a real and an imaginary part of {printable(one, 80)} that do not fit each other")
        found[one] = real + 1j * imag
    return found
