"""nqs_hpc in a notebook or a script: opens runs and sweeps, and gives the parts of a job for one's own loop.

It uses one process, without MPI. Files are read without jax; computations load it.
"""

from __future__ import annotations

from nqs_hpc.library.pieces import build, compose
from nqs_hpc.library.run import Run, load_run
from nqs_hpc.library.sweep import Sweep, load_sweep

__all__ = ["Run", "Sweep", "build", "compose", "load_run", "load_sweep"]
