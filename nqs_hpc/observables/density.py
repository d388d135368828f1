"""The density of particles of every site, and their number.

    n_i = <n_i>,     of fermions with spin  n_i = <n_iu + n_id>,     spin_i = <n_iu - n_id> / 2.

Diagonal: no ratio is needed. Along a trajectory it shows how what was put on some sites spreads to the others.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.layers import one_layer
from nqs_hpc.types import Local, Observable, Output, Tree


def density(lattice: Lattice, *, fixed: bool = False) -> Observable:
    """Outputs: the array ``density`` (N,) over the orbitals, and the number ``number``. Of fermions with spin also the
    arrays ``up``, ``down`` and ``spin`` (N,), the last in units of hbar = 1, and the numbers ``number_up`` and
    ``number_down``. Numbers that are ``fixed`` are left out.
    """
    one = one_layer(lattice)
    n, layers = one.n_sites, lattice.layers
    where = (("positions", one.positions),) if one.edges is None else ()
    axes = (("sites", np.arange(n)), *where)

    def values(frozen: Tree, s_BN: Array, time: Array | None = None) -> Array:
        del frozen, time
        return s_BN.astype(jnp.float64)

    def derived(means: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
        of_modes = np.real(means)
        of_layers = of_modes.reshape(*of_modes.shape[:-1], layers, n)
        found = {"density": of_layers.sum(axis=-2)} | ({} if fixed else {"number": of_modes.sum(axis=-1)})
        if layers == 1:
            return found
        up, down = of_layers[..., 0, :], of_layers[..., 1, :]
        numbers = {} if fixed else {"number_up": up.sum(axis=-1), "number_down": down.sum(axis=-1)}
        return found | {"up": up, "down": down, "spin": (up - down) / 2} | numbers

    outputs: tuple[Output, ...] = (
        Output("density", label="⟨nᵢ⟩", shape=(n,), axes=axes),
        *(() if fixed else (Output("number", label="⟨N⟩"),)),
    )
    if layers > 1:
        named = (("up", "⟨nᵢ↑⟩"), ("down", "⟨nᵢ↓⟩"), ("spin", "⟨Sᶻᵢ⟩"))
        outputs += tuple(Output(name, label=label, shape=(n,), axes=axes) for name, label in named)
        outputs += () if fixed else (Output("number_up", label="⟨N↑⟩"), Output("number_down", label="⟨N↓⟩"))
    return Observable(Local(lambda ansatz: values), outputs, derived, n_values=lattice.n_sites)
