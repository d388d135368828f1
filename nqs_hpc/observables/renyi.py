"""The second Renyi entropy of a region A, S2 = -ln Tr rho_A^2, by the swap of two independent copies.

With s = (a, b), a the values in A and b those outside,

    Tr rho_A^2 = < psi(a2 b1) psi(a1 b2) / (psi(a1 b1) psi(a2 b2)) >   over pairs of samples of |psi|^2.

Hastings, Gonzalez, Kallin and Melko, Phys. Rev. Lett. 104, 157201 (2010), arXiv:1001.2335. The mean has a variance that
grows as exp(S2), so large regions need many samples.

Signs of basis states cancel: U(s) = u(a) v(b) is a product over sites, and each factor stands above and below. A
swapped state outside of the space counts 0, and a pair of which it is one contributes nothing.

Of fermions psi(a, b) is the amplitude with the modes of A in front of all others: the sign of sorting them so,

    eta(s) = (-1)^(pairs of occupied modes i in B, j in A with i < j),

stands beside each psi. The wave function has to have one parity of the number of fermions, as a sector has.

From exact sums over all states, with psi as a matrix M_ab of norm 1: Tr rho_A^2 = sum_ab |M_ab|^2 (M M^+ M)_ab / M_ab.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.observables.states import inside
from nqs_hpc.parallel.chunk import chunked_map
from nqs_hpc.system.hilbert import Hilbert, codes, decode
from nqs_hpc.types import Ansatz, Local, Observable, Output, Tree

MAX_MATRIX = 2**22  # entries of M, d^N, that a rank holds for exact sums

OUTPUTS = (Output("s2", label="S₂"), Output("purity", label="Tr ρ²"))


def entropies(means: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """From the mean (..., 1): the purity Tr rho_A^2 and s2, NaN where the mean is not positive."""
    purity = np.real(means[..., 0])
    return {"s2": -np.log(np.where(purity > 0, purity, np.nan)), "purity": purity}


def is_turned(region: Sequence[int], s: Any, xp: Any) -> Any:
    """Whether eta is -1 of occupations (..., N), of NumPy or jax: (...) bool."""
    n = s.shape[-1]
    inside_N = np.isin(np.arange(n), region)
    crossed_NN = xp.asarray(np.triu(~inside_N[:, None] & inside_N[None, :], 1).astype(np.int32))
    whole = s.astype(xp.int32)
    return ((whole @ crossed_NN) * whole).sum(axis=-1) % 2 == 1


def renyi_by_swap(region: Sequence[int], hilbert: Hilbert, *, chain_length: int, chunk: int | None) -> Observable:
    """From the samples of a rank, chain by chain: chains 2k and 2k + 1 are a pair, and each has its values.

    Four values of psi a pair of samples; of independent samples, chains of length 1, neighbours are a pair. Where the
    weights of samples differ a pair has the product of both: the purity is then a quotient of two means.
    """
    in_region_N = np.zeros(hilbert.n_sites, bool)
    in_region_N[list(region)] = True

    def prepare(ansatz: Ansatz) -> Any:
        def values(params: Tree, s_BN: Array, time: Array | None = None) -> Array:
            del time
            n_pairs = s_BN.shape[0] // (2 * chain_length)
            s_PCLN = s_BN.reshape(n_pairs, 2, chain_length, -1)
            other_BN = s_PCLN[:, ::-1].reshape(s_BN.shape)
            swapped_BN = jnp.where(jnp.asarray(in_region_N)[None], other_BN, s_BN)
            log_B, swapped_B = (
                chunked_map(lambda s_N: ansatz.log_psi(params, s_N), x, chunk) for x in (s_BN, swapped_BN)
            )
            swapped_B = jnp.where(inside(hilbert, swapped_BN), swapped_B, -jnp.inf)
            if hilbert.fermionic:
                turned_B, turned_swapped_B = (is_turned(region, x, jnp) for x in (s_BN, swapped_BN))
                log_B, swapped_B = log_B + 1j * jnp.pi * turned_B, swapped_B + 1j * jnp.pi * turned_swapped_B

            def product(log_B: Array) -> Array:
                return jnp.sum(log_B.reshape(n_pairs, 2, chain_length), axis=1)

            old_PL, new_PL = product(log_B), product(swapped_B)
            # the inner where keeps -inf - (-inf) out of states of weight 0
            none_PL = jnp.isneginf(jnp.real(old_PL)) | jnp.isneginf(jnp.real(new_PL))
            ratio_PL = jnp.where(none_PL, 0, jnp.exp(jnp.where(none_PL, 0, new_PL - old_PL)))
            return jnp.repeat(ratio_PL[:, None], 2, axis=1).reshape(-1)

        return values

    def of_chains(chain_length: int, are_weighted: bool) -> Observable:
        same = renyi_by_swap(region, hilbert, chain_length=chain_length, chunk=chunk)
        plain = same.local
        assert plain is not None
        if not are_weighted:
            return same

        def prepare(ansatz: Ansatz) -> Any:
            values = plain.prepare(ansatz)

            def weighted(params: Tree, s_BN: Array, time: Array | None = None, *, w_B: Array) -> Array:
                """(B, 2): whatever a mean multiplies by the weight of one sample, with that of the pair instead."""
                w_PCL = w_B.reshape(-1, 2, chain_length)
                both_PL, sum_PL = w_PCL[:, 0] * w_PCL[:, 1], w_PCL[:, 0] + w_PCL[:, 1]
                pair_PL = len(w_B) * both_PL / jnp.where(sum_PL > 0, sum_PL, 1)
                pair_B = jnp.repeat(pair_PL[:, None], 2, axis=1).reshape(-1)
                ratio_B = values(params, s_BN, time)
                # a pair of weight 0 counts as 0 whatever its ratio
                return jnp.stack([jnp.where(pair_B > 0, pair_B * ratio_B, 0), pair_B.astype(ratio_B.dtype)], axis=1)

            return weighted

        def of_quotient(means: NDArray[Any]) -> dict[str, NDArray[Any]]:
            return entropies(means[..., :1] / means[..., 1:])

        return Observable(
            Local(prepare), OUTPUTS, of_quotient, n_values=2, joined=2, takes_params=True, takes_weights=True
        )

    return Observable(Local(prepare), OUTPUTS, entropies, joined=2, takes_params=True, of_chains=of_chains)


def renyi_exact(region: Sequence[int], hilbert: Hilbert, *, chunk: int | None) -> Observable:
    """From samples that are all states with their weights. Every rank evaluates psi of all states and holds M twice.

    Raises ValueError if d^N is larger than ``MAX_MATRIX``.
    """
    d, n = len(hilbert.local_values), hilbert.n_sites
    if d**n > MAX_MATRIX:
        raise ValueError(f"{d}^{n} amplitudes are too many for an exact entropy: at most {MAX_MATRIX} are possible")
    inner = sorted(region)
    outer = sorted(set(range(n)) - set(inner))
    s_nN = decode(hilbert, codes(hilbert))

    def digit(s: Array | NDArray[Any]) -> Array | NDArray[Any]:
        first, second = (*hilbert.local_values, hilbert.local_values[0] + 1)[:2]
        return (s - first) // (second - first)

    def place(s: Any, sites: list[int], xp: Any) -> Any:
        powers = xp.asarray([d**i for i in range(len(sites))])
        return (digit(s[:, np.array(sites)].astype(xp.int64)) * powers[None]).sum(axis=1)

    a_n, b_n = place(s_nN, inner, np), place(s_nN, outer, np)

    def prepare(ansatz: Ansatz) -> Any:
        def values(params: Tree, s_BN: Array, time: Array | None = None) -> Array:
            del time
            log_n = chunked_map(lambda s_N: ansatz.log_psi(params, s_N), jnp.asarray(s_nN), chunk)
            psi_n = jnp.exp(log_n - jnp.max(jnp.real(log_n)))
            psi_n = psi_n / jnp.sqrt(jnp.sum(jnp.abs(psi_n) ** 2))
            if hilbert.fermionic:
                psi_n = jnp.where(is_turned(region, s_nN, np), -psi_n, psi_n)
            m_ab = jnp.zeros((d ** len(inner), d ** len(outer)), psi_n.dtype).at[a_n, b_n].set(psi_n)
            # the smaller of the two reduced density matrices
            product_ab = (m_ab @ m_ab.conj().T) @ m_ab if len(inner) <= len(outer) else m_ab @ (m_ab.conj().T @ m_ab)
            a_B, b_B = place(s_BN, inner, jnp), place(s_BN, outer, jnp)
            own_B, found_B = m_ab[a_B, b_B], product_ab[a_B, b_B]
            return jnp.where(own_B == 0, 0, found_B / jnp.where(own_B == 0, 1, own_B))

        return values

    return Observable(Local(prepare), OUTPUTS, entropies, takes_params=True)
