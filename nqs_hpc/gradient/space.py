"""The data of a step in sample space: the kernel X X^dagger and the products of X."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import Array

from nqs_hpc.parallel.comm import Comm
from nqs_hpc.types import Batch


class SampleSpace(NamedTuple):
    """The same on every rank, except for a kernel by rows; rows are those of all ranks."""

    # (rows, rows) X X^dagger, or X M X^dagger with a metric M; only its upper triangle is defined. By rows: (local,
    # padded), only the lower one
    kernel: Array
    image: Array | None  # (rows,) X v, if v is given
    adjoint: Callable[[Array], Array]  # (k, rows) -> (k, P): X^dagger y, one more collective


def mine(batch: Batch, comm: Comm, y_kA: Array) -> Array:
    """This rank's rows of an array that all ranks hold."""
    n_local = y_kA.shape[1] // comm.size
    return jax.lax.dynamic_slice_in_dim(y_kA, batch.rank * n_local, n_local, axis=1)
