"""nqs_hpc: a distributed job framework for neural quantum states.

In a notebook: `load_run`, `load_sweep`, `compose`, `build`. They are loaded when they are first asked for, so that
``import nqs_hpc`` loads neither jax nor MPI, and a job nothing of the library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nqs_hpc.library import build, compose, load_run, load_sweep

__version__ = "0.1.0"
__all__ = ["__version__", "build", "compose", "load_run", "load_sweep"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from nqs_hpc import library

    return getattr(library, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
