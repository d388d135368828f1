"""One BLAS thread for commands that check and compose, and start no rank.

Threads of OpenBLAS spin while they wait for each other. Where others use the cores, as on a login node, a Hartree-Fock
start of a 10x10 lattice took minutes instead of seconds. BLAS reads how many it may have as NumPy and SciPy are loaded.
Jobs that such a command starts, here or by Slurm, have the environment that the command was given.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

NAMES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
_added: dict[str, str] = {}


def one_thread() -> None:
    """Set what nobody has set, before NumPy is loaded; later it has no effect."""
    if "numpy" in sys.modules:
        return
    for name in NAMES:
        if name not in os.environ:
            os.environ[name] = _added[name] = "1"


def as_given(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` without what `one_thread` has set in it."""
    return {name: value for name, value in environment.items() if _added.get(name) != value}
