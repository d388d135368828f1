"""ansatz=rbm_local: a restricted Boltzmann machine of local range (`ansatz.rbm_local`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.ansatz.rbm import Rbm
from nqs_hpc.choices.keys import Examples, Float, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice, neighbours
from nqs_hpc.types import Ansatz as Functions

MOST_HIDDEN = 2**20  # units; each has a list of sites


@dataclass(frozen=True, kw_only=True)
class RbmLocal(Rbm):
    examples: ClassVar[Examples] = (
        {"alpha": 1.5, "range": 1, "init_scale": 0.3},
        {"alpha": 1, "range": 2, "dtype": "complex", "init_scale": 0.3},
    )
    range: int = key(checks.integer(below=2**15), "range of a hidden unit around its site, in nearest-neighbour bonds")

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        one_line(f"{prefix}.range", self.range, lambda: near(lattice, self.range))
        if self.alpha * lattice.n_sites > MOST_HIDDEN:
            raise bad(
                f"{prefix}.alpha", self.alpha, f"at most {MOST_HIDDEN // lattice.n_sites} on {lattice.n_sites} sites"
            )
        return super().resolved(lattice, basis, prefix=prefix)

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.rbm_local import rbm_local

        return rbm_local(
            near(lattice, self.range),
            n_hidden=max(1, round(self.alpha * lattice.n_sites)),
            dtype=self.dtype,
            bias=self.bias,
            init_scale=self.init_scale,
            local_values=basis.hilbert.local_values,
            float_dtype=float_dtype,
        )


def near(lattice: Lattice, bonds: int) -> NDArray[np.bool_]:
    """(N, N) whether two sites are at most ``bonds`` nearest-neighbour bonds apart; sites of different layers of the
    lattice at the same place are 0 apart.
    """
    n_places = lattice.n_sites // lattice.layers
    joined = np.eye(n_places, dtype=bool)
    pairs = neighbours(lattice, 1)
    pairs = pairs[(pairs < n_places).all(axis=1)]
    joined[pairs[:, 0], pairs[:, 1]] = joined[pairs[:, 1], pairs[:, 0]] = True
    found = np.eye(n_places, dtype=bool)
    for _ in range(min(bonds, n_places)):
        wider = found.astype(np.float32) @ joined > 0
        if (wider == found).all():
            break
        found = wider
    return np.tile(found, (lattice.layers, lattice.layers))
