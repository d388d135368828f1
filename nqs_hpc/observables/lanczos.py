"""The energy after one Lanczos step, psi + alpha (H - <H>) psi with the best alpha: never above <H>.

From the moments mu_k = <(H - <H>)^k>, in the orthonormal basis of psi and (H - <H>) psi / sqrt(mu_2),

    E_1 = <H> + (t - sqrt(t^2 + 4 mu_2)) / 2,    t = mu_3 / mu_2,    alpha = (E_1 - <H>) / mu_2,

and the variance after the step follows from mu_4. The moments are means over |psi|^2 of products of two local values,
E(s) = (H psi)(s) / psi(s) and E2(s) = (H^2 psi)(s) / psi(s) = sum_s' H_ss' psi(s') / psi(s) E(s'):

    <H> = <Re E>,   <H^2> = <|E|^2>,   <H^3> = <Re E* E2>,   <H^4> = <|E2|^2>.

Sorella, Phys. Rev. B 64, 024512 (2001), arXiv:cond-mat/0009149; Becca and Sorella 2017, "Quantum Monte Carlo approaches
for correlated systems", ch. 5.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.observables.states import candidates, likeliest
from nqs_hpc.operators.local_values import local_energies
from nqs_hpc.parallel.chunk import chunked, chunked_map
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.types import Ansatz, Local, Move, Observable, Operator, Output, Tree

PAIRS = 2**16  # pairs (s', s'') whose moves are held at a time, beside those of one sample at least
EIGENSTATE = 1e-20  # mu_2 below this part of <H>^2 is rounding: no step is taken

UNIT = "units of the couplings"
OUTPUTS = (
    Output("initial_energy", UNIT, "E"),
    Output("initial_variance", f"({UNIT})²", "variance of E"),
    Output("energy", UNIT, "E₁"),
    Output("variance", f"({UNIT})²", "variance of E₁"),
    Output("alpha", f"1 / ({UNIT})", "α"),
)


def lanczos(operator: Operator, hilbert: Hilbert, *, chunk: int | None, memory: int) -> Observable:
    """Of a Hermitian operator as the ansatz sees it. A sample costs its K + 1 local energies, each of K ratios.

    States where psi is 0 to the bit bring nothing to E2: exact where (H psi)(s) is 0 there too, as outside of a sector.
    """
    tried_nN = candidates(hilbert)
    n_connected = operator.n_connected

    def prepare(ansatz: Ansatz) -> Any:
        energies = local_energies(ansatz, operator, chunk=chunk, memory=memory)

        def values(params: Tree, s_BN: Array, time: Array | None = None) -> Array:
            del time
            frozen = ansatz.freeze(params)

            def log_psi(s_BN: Array) -> Array:
                return chunked_map(lambda s_N: ansatz.log_psi(params, s_N), s_BN, chunk)

            tried = jnp.asarray(tried_nN)
            first_N, _ = likeliest(log_psi(tried), tried)

            def of_some(s_bN: Array) -> Array:
                """The four products of samples (b, N)."""
                moves_bKF, elements_bK = jax.vmap(operator.connected)(s_bN)
                goal_AN = jax.vmap(jax.vmap(_moved, in_axes=(None, 0)))(s_bN, moves_bKF).reshape(-1, s_bN.shape[1])
                log_b, log_A = jnp.split(log_psi(jnp.concatenate([s_bN, goal_AN])), [len(s_bN)])
                # one call: a program holds the code of local energies once
                e = energies(frozen, jnp.concatenate([first_N[None], s_bN, goal_AN]))
                # H - c instead of H keeps digits; c is near the energy where psi is near an eigenstate
                c = jnp.where(jnp.isfinite(jnp.real(e[0])), jnp.real(e[0]), 0.0)
                e_b, e_A = jnp.split(e[1:] - c, [len(s_bN)])
                log_bK, e_bK = log_A.reshape(elements_bK.shape), e_A.reshape(elements_bK.shape)
                alive_bK = (elements_bK != 0) & ~jnp.isneginf(jnp.real(log_bK))
                ratio_bK = jnp.exp(jnp.where(alive_bK, log_bK - log_b[:, None], 0))
                e2_b = (jax.vmap(operator.diagonal)(s_bN) - c) * e_b
                e2_b = e2_b + jnp.sum(jnp.where(alive_bK, elements_bK * ratio_bK * e_bK, 0), axis=1)
                # c is the same for all samples: it goes along as an imaginary part, which no statistics of E look at
                first_b = jax.lax.complex(jnp.real(e_b), jnp.broadcast_to(c, e_b.shape)).astype(jnp.complex128)
                products = [jnp.abs(e_b) ** 2, jnp.real(jnp.conj(e_b) * e2_b), jnp.abs(e2_b) ** 2]
                return jnp.stack([first_b, *(one.astype(jnp.complex128) for one in products)], axis=1)

            n = len(s_BN)
            size = min(n, max(1, PAIRS // max(1, n_connected) ** 2))
            padded = jnp.concatenate([s_BN, jnp.repeat(s_BN[:1], -n % size, axis=0)])
            return chunked(of_some, padded, size)[:n]

        return values

    return Observable(Local(prepare), OUTPUTS, best_step, n_values=4, takes_params=True)


def _moved(s_N: Array, move: Move) -> Array:
    return s_N.at[move.sites].add(move.deltas.astype(s_N.dtype))


def best_step(means: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """From the means (..., 4) of Re E' + i c, |E'|^2, Re E'* E2' and |E2'|^2 of H' = H - c."""
    h1, c = np.real(means[..., 0]), np.imag(means[..., 0])
    h2, h3, h4 = (np.real(means[..., i]) for i in (1, 2, 3))
    mu2 = np.maximum(h2 - h1**2, 0.0)
    mu3 = h3 - 3 * h1 * h2 + 2 * h1**3
    mu4 = h4 - 4 * h1 * h3 + 6 * h1**2 * h2 - 3 * h1**4
    moves = mu2 > EIGENSTATE * (1 + (c + h1) ** 2)
    safe = np.where(moves, mu2, 1.0)
    t = mu3 / safe
    gain = np.where(moves, (t - np.hypot(t, 2 * np.sqrt(mu2))) / 2, 0.0)
    alpha = gain / safe
    square = (mu2 + 2 * alpha * mu3 + alpha**2 * mu4) / (1 + alpha**2 * mu2)
    return {
        "initial_energy": c + h1,
        "initial_variance": mu2,
        "energy": c + h1 + gain,
        "variance": np.maximum(square - gain**2, 0.0),
        "alpha": alpha,
    }
