"""What a step in sample space computes with: the kernel X X^dagger and the products of X."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import Array

from nqs_hpc.parallel.comm import Comm
from nqs_hpc.types import Batch


class SampleSpace(NamedTuple):
    """The same on every rank but for a kernel by rows; rows of all ranks."""

    # (rows, rows) X X^dagger, or X M X^dagger with a metric M; its upper triangle counts. By rows (local, padded), its
    # lower one
    kernel: Array
    image: Array | None  # (rows,) X v, where a v was given
    adjoint: Callable[[Array], Array]  # (k, rows) -> (k, P): X^dagger y, the one collective that is still to come


def mine(batch: Batch, comm: Comm, y_kA: Array) -> Array:
    """This rank's rows of what all ranks hold."""
    n_local = y_kA.shape[1] // comm.size
    return jax.lax.dynamic_slice_in_dim(y_kA, batch.rank * n_local, n_local, axis=1)
