"""SciPy's routines of BLAS and LAPACK inside compiled programs; XLA's own factorisations use the same ones.

XLA calls C functions through its foreign-function interface. The functions registered here are written in Python: they
get the addresses of the buffers and pass them to a routine by its address, which runs without the interpreter's lock.
They are used only in programs for CPUs (`by_platform`). XLA refuses functions for another version of the interface, and
then the callers use XLA's own products and factors.

Python runs signal handlers on the main thread, between any two of its instructions, and an exception that a handler
raises inside a function called by XLA is lost. So these functions must not run on the main thread. XLA runs a program
on the calling thread if dispatch is not asynchronous or if the program is cheap, below a thousand operations without
calls like these. So we leave everything to XLA if dispatch is not asynchronous, and matrices of fewer than SMALLEST
rows always; programs of this package with larger matrices also compute thousands of other numbers.

BLAS has one thread here (`parallel.launch`). Large calls are split into parts for the threads of this rank, which sleep
while they have no part: `side_by_side`.
"""

from __future__ import annotations

import ctypes
import functools
import math
import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

import jax
from jax import Array

INTERFACE = (0, 3)  # the version of the interface whose structures are declared below
PREFIXES = {"float32": "s", "float64": "d", "complex64": "c", "complex128": "z"}
SIZES = {"float32": 4, "float64": 8, "complex64": 8, "complex128": 16}  # bytes
# How XLA numbers the types of a buffer.
TYPES = {4: "int32", 11: "float32", 12: "float64", 15: "complex64", 18: "complex128"}
SMALLEST = 64  # rows of a matrix


class View(NamedTuple):
    """A row-major array in memory that belongs to XLA."""

    dtype: str
    address: int
    shape: tuple[int, ...]


T = TypeVar("T")
Function = Callable[[list[View], list[View]], None]  # arguments, results


def by_platform(n: int, by_blas: Callable[..., T], by_xla: Callable[..., T], *arguments: Any) -> T:
    """The result of the first function in programs for CPUs with a matrix of n rows, else that of the second.

    The choice is made when a program is lowered: XLA compiles only one of the two, without a branch.
    """
    if not available(n):
        return by_xla(*arguments)
    return jax.lax.platform_dependent(*arguments, cpu=by_blas, default=by_xla)


def available(n: int) -> bool:
    """Whether XLA's CPU compiler uses functions of this module for a matrix of n rows."""
    if n < SMALLEST or not jax.config.values["jax_cpu_enable_async_dispatch"]:
        return False
    return _accepted(frozenset(_handlers))


def call_in_place(
    name: str,
    changed: tuple[Array, ...],
    read: tuple[Array, ...] = (),
    *,
    made: tuple[tuple[int, ...], ...] = (),
    numbers: Array | None = None,
) -> list[Array]:
    """Call the function ``name`` on the arrays ``changed`` and ``read``, all of one type. Returns ``changed``, modified
    in place if XLA can, and new arrays of the shapes ``made``. ``numbers``, int32, are its last argument.

    Raises TypeError for dtypes that BLAS does not have.
    """
    dtypes = {array.dtype.name for array in (*changed, *read)}
    if len(dtypes) != 1 or not dtypes <= set(PREFIXES):
        raise TypeError(f"{name}: arrays of {', '.join(sorted(dtypes))}; valid: all of one of {', '.join(PREFIXES)}")
    shapes = (*(array.shape for array in changed), *made)
    results = [jax.ShapeDtypeStruct(shape, *dtypes) for shape in shapes]
    aliases = {i: i for i in range(len(changed))}
    call = jax.ffi.ffi_call(name, results, input_output_aliases=aliases, vmap_method="sequential")
    return list(call(*changed, *read, *(() if numbers is None else (numbers,))))


def integers(view: View) -> list[int]:
    """The entries of an int32 array."""
    return list((ctypes.c_int32 * math.prod(view.shape)).from_address(view.address))


def register(name: str) -> Callable[[Function], Function]:
    """A decorator: XLA knows the function as ``name`` after the next call of ``available``."""

    def keep(function: Function) -> Function:
        def handle(frame: Any) -> None:
            try:
                _handle(frame.contents, function)
            except BaseException:  # exceptions cannot pass through XLA, and we must not continue with wrong numbers
                traceback.print_exc()
                sys.stderr.flush()
                os.abort()

        _handlers[name] = _Handler(handle)
        return function

    return keep


def scalar(dtype: str, value: float) -> Any:
    """A real number as BLAS expects it for arrays of ``dtype``."""
    real = ctypes.c_float if dtype in ("float32", "complex64") else ctypes.c_double
    return (real * 2)(value, 0.0) if dtype.startswith("complex") else real(value)


@functools.cache
def routine(module: str, name: str, n_arguments: int) -> Any:
    """A routine of ``scipy.linalg.cython_blas`` or ``cython_lapack`` with this many arguments."""
    import importlib

    capsule = importlib.import_module(f"scipy.linalg.{module}").__pyx_capi__[name]
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))
    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    prototype = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * n_arguments)
    return prototype(pointer_of(capsule, name_of(capsule)))


def call(module: str, name: str, *arguments: Any) -> None:
    """A Fortran routine: ctypes numbers and bytes are passed by reference, ints are addresses."""
    addresses = [
        argument
        if isinstance(argument, int)
        else ctypes.cast(ctypes.c_char_p(argument), ctypes.c_void_p)
        if isinstance(argument, bytes)
        else ctypes.addressof(argument)
        for argument in arguments
    ]
    routine(module, name, len(arguments))(*addresses)


def n_threads() -> int:
    """Over how many threads a large call is split: those of this rank, or 1 if BLAS has its own threads."""
    given = os.environ.get("PJRT_NPROC", "")
    return int(given) if given.isdigit() and os.environ.get("OPENBLAS_NUM_THREADS") == "1" else 1


def side_by_side(parts: Sequence[Callable[[], None]], n_threads: int) -> None:
    """Run ``parts`` in their order on this thread and ``n_threads`` - 1 others; returns when all are done.

    A thread without a core takes no part, so on a busy machine this thread does the rest.
    """
    left, done, errors = deque(parts), threading.Semaphore(0), []

    def work() -> None:
        while True:
            try:
                part = left.popleft()
            except IndexError:
                return
            try:
                part()
            except BaseException as error:
                errors.append(error)
            done.release()

    n_helpers = min(n_threads, len(parts)) - 1
    if n_helpers > 0:
        jobs = _helpers(n_threads - 1)
        for _ in range(n_helpers):
            jobs.put(work)
    work()
    for _ in parts:
        done.acquire()
    if errors:
        raise errors[0]


@functools.cache
def _helpers(n: int) -> SimpleQueue[Callable[[], None]]:
    """A queue that this many threads serve until the process ends."""
    jobs: SimpleQueue[Callable[[], None]] = SimpleQueue()

    def serve() -> None:
        while True:
            jobs.get()()

    for i in range(n):
        threading.Thread(target=serve, name=f"blas-{i}", daemon=True).start()
    return jobs


@functools.cache
def _accepted(names: frozenset[str]) -> bool:
    try:
        for name in names - _registered:
            jax.ffi.register_ffi_target(name, _capsule(_handlers[name]), platform="cpu")
            _registered.add(name)
        for prefix in PREFIXES.values():
            routine("cython_lapack", f"{prefix}posv", 8)
    except Exception as error:
        print(f"BLAS is not available, so XLA's slower routines are used: {error}", file=sys.stderr, flush=True)
        return False
    return True


# --- XLA's foreign-function interface, xla/ffi/api/c_api.h, as far as it is used here ---


class _Buffer(ctypes.Structure):
    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("extension", ctypes.c_void_p),
        ("dtype", ctypes.c_int),
        ("data", ctypes.c_void_p),
        ("rank", ctypes.c_int64),
        ("dims", ctypes.POINTER(ctypes.c_int64)),
    )


class _Buffers(ctypes.Structure):
    """XLA_FFI_Args and XLA_FFI_Rets."""

    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("extension", ctypes.c_void_p),
        ("size", ctypes.c_int64),
        ("types", ctypes.c_void_p),
        ("buffers", ctypes.POINTER(ctypes.POINTER(_Buffer))),
    )


class _Metadata(ctypes.Structure):
    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("version_size", ctypes.c_size_t),
        ("version_extension", ctypes.c_void_p),
        ("major", ctypes.c_int),
        ("minor", ctypes.c_int),
        ("traits", ctypes.c_uint32),
        ("state_type_id", ctypes.c_int64),
    )


class _Extension(ctypes.Structure):
    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("type", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("metadata", ctypes.POINTER(_Metadata)),
    )


class _Frame(ctypes.Structure):
    _fields_ = (
        ("struct_size", ctypes.c_size_t),
        ("extension", ctypes.POINTER(_Extension)),
        ("api", ctypes.c_void_p),
        ("context", ctypes.c_void_p),
        ("stage", ctypes.c_int),
        ("arguments", _Buffers),
        ("results", _Buffers),
    )


_METADATA = 1  # the type of an extension that asks for the version
_Handler = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(_Frame))
_handlers: dict[str, Any] = {}  # kept alive as long as XLA may call them
_registered: set[str] = set()


def _handle(frame: _Frame, function: Function) -> None:
    extension = frame.extension
    if extension and extension.contents.type == _METADATA:
        metadata = extension.contents.metadata.contents
        metadata.major, metadata.minor = INTERFACE
        metadata.traits = 0
        return
    function(_views(frame.arguments), _views(frame.results))


def _views(found: _Buffers) -> list[View]:
    buffers = [found.buffers[i].contents for i in range(found.size)]
    return [View(TYPES[b.dtype], b.data or 0, tuple(b.dims[i] for i in range(b.rank))) for b in buffers]


def _capsule(function: Any) -> Any:
    prototype = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    new = prototype(("PyCapsule_New", ctypes.pythonapi))
    return new(ctypes.cast(function, ctypes.c_void_p).value, None, None)
