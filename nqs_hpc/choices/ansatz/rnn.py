"""ansatz=rnn: a recurrent network along a path (`ansatz.rnn`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np

from nqs_hpc.choices.ansatz._masked import Autoregressive
from nqs_hpc.choices.keys import Auto, Examples, Float, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions

GRIDS = ("chain", "square", "triangular")  # one site per cell, along at most two directions


@dataclass(frozen=True)
class Rnn(Autoregressive):
    """Resolved: ``dimensions`` is a number."""

    examples: ClassVar[Examples] = (
        {"features": 4},
        {"features": 3, "layers": 2, "dtype": "complex"},
    )
    dimensions: Auto | Literal[1, 2] = key(
        checks.either("auto", checks.choice_of(1, 2)),
        "1: hidden states from the previous site on the path; 2: also from the previous row; auto: 2 if there are rows",
    )
    layers: int = key(checks.integer(below=2**8), "cells on top of each other")
    features: int = key(checks.integer(), "numbers in a hidden state")

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        has_rows = in_rows(lattice) and len(lattice.extent) == 2
        if self.dimensions == 2 and not has_rows:
            valid = "1, or auto: lattices in rows are square and triangular, of spins, bosons or atoms"
            raise bad(f"{prefix}.dimensions", self.dimensions, valid)
        dimensions: Literal[1, 2] = 2 if has_rows and self.dimensions != 1 else 1
        return dataclasses.replace(super().resolved(lattice, basis, prefix=prefix), dimensions=dimensions)

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.recurrent import folded, line, rows, zigzag
        from nqs_hpc.ansatz.rnn import rnn

        if self.dimensions == 2:
            along = rows((lattice.extent[0], lattice.extent[1]))
        elif not in_rows(lattice):
            along = line(np.arange(lattice.n_sites, dtype=np.int32))
        elif lattice.pbc == (True,):
            along = line(folded(lattice.n_sites))
        else:
            along = line(zigzag(lattice.extent))
        return rnn(along, layers=self.layers, features=self.features, **self.shared(basis, float_dtype))


def in_rows(lattice: Lattice) -> bool:
    return lattice.name in GRIDS and lattice.layers == 1
