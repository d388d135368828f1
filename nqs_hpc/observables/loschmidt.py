"""The Loschmidt echo of a trajectory: what of the first state is left in the present one.

    L(t) = |<psi(0)|psi(t)>|^2 / (<psi(0)|psi(0)> <psi(t)|psi(t)>),      rate(t) = -log L(t) / N

The rate per site is to time what a free energy is to temperature; it has cusps at dynamical quantum phase transitions
(Heyl, Polkovnikov and Kehrein, Phys. Rev. Lett. 110, 135704 (2013), arXiv:1206.2505). From samples of both states

    L = Re E_{s ~ |psi(t)|^2}[psi(0, s) / psi(t, s)]  E_{s ~ |psi(0)|^2}[psi(t, s) / psi(0, s)],

the product of two independent means, so that it has no bias, and the full norm of either state where the other
vanishes. Each mean is of the size of sqrt(L) with a noise of about 1 / sqrt(number of samples): below the inverse of
the number of samples L is not resolved. Of exact sums it is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.observables.states import candidates, likeliest
from nqs_hpc.parallel.chunk import chunked_map
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.types import Ansatz, Observable, Output, Tree

OUTPUTS = (Output("echo", label="|⟨ψ(0)|ψ(t)⟩|²"), Output("rate", label="−log |⟨ψ(0)|ψ(t)⟩|² / N"))


def loschmidt(hilbert: Hilbert, *, chunk: int | None) -> Observable:
    """Outputs ``echo`` and ``rate``, numbers; the rate is NaN where noise makes the echo negative."""
    tried_nN = candidates(hilbert)

    def between(ansatz: Ansatz) -> Callable[[Tree, Tree, Array], Array]:
        def values(own: Tree, other: Tree, s_BN: Array) -> Array:
            """(B, 1): psi_other / psi_own, times a constant that is its inverse where own and other are exchanged."""

            def log_psi(params: Tree, s_bN: Array) -> Array:
                found = chunked_map(lambda s_N: ansatz.log_psi(params, s_N), s_bN, chunk)
                return found.astype(jnp.complex128)

            tried = jnp.asarray(tried_nN)
            own_n, other_n = log_psi(own, tried), log_psi(other, tried)
            [best], _ = likeliest(own_n + other_n, jnp.arange(len(tried))[:, None])
            constant = jnp.real(other_n[best] - own_n[best])
            constant = jnp.where(jnp.isfinite(constant), constant, 0.0)
            own_B, other_B = log_psi(own, s_BN), log_psi(other, s_BN)
            none_B = jnp.isneginf(jnp.real(own_B)) | jnp.isneginf(jnp.real(other_B))
            return jnp.where(none_B, 0, jnp.exp(jnp.where(none_B, 0, other_B - own_B - constant)))[:, None]

        return values

    def derived(means: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """From the means over the present state and over the first, (..., 2)."""
        echo = np.real(means[..., 0] * means[..., 1])
        there = echo > 0
        rate = 0.0 - np.log(np.where(there, echo, 1.0)) / hilbert.n_sites
        return {"echo": echo, "rate": np.where(there, rate, np.nan)}

    return Observable(outputs=OUTPUTS, derived=derived, n_values=2, between=between)
