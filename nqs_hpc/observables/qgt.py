"""The spectrum of the quantum geometric tensor and its rank.

    S = Re <O^* O> - Re <O>^* <O>   (complex for holomorphic ansaetze),     O_p = d log psi / d theta_p,

the matrix of `update.sr`. The rank, eigenvalues above ``cut`` times the largest, counts the directions in which the
parameters change the state; where it stops growing with the network, more parameters bring nothing: Dash, Gravina,
Vicentini, Ferrero and Georges, Commun. Phys. (2025), doi:10.1038/s42005-025-02005-4, arXiv:2402.01565. The effective
rank is exp(-sum p ln p) with p the eigenvalues over their sum: Roy and Vetterli, EUSIPCO 2007.

Of n samples S has at most n - 1 eigenvalues that are not 0 (twice that for a complex ansatz): the rank means something
if there are many more samples.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.jacobian import jacobian, row_means, rows_per_sample, weigh
from nqs_hpc.gradient.qgt import pack, unpack
from nqs_hpc.gradient.rank_k import add_of_columns
from nqs_hpc.observables.states import candidates, likeliest
from nqs_hpc.parallel.chunk import chunked_map
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.types import Ansatz, Observable, Output, Samples, Tree

ROWS = 256  # samples whose log-derivatives are held at a time
BYTES = 80  # for each entry of S: it is held as sums, packed, over ranks, and by its eigenvalue solver


def most_parameters(memory: int) -> int:
    """For how many parameters S fits into ``memory`` bytes."""
    return int(np.sqrt(memory / BYTES))


def qgt(ansatz: Ansatz, hilbert: Hilbert, *, cut: float, chunk: int | None) -> Observable:
    """Outputs spectrum, descending, (P,) with P the length of the flat parameters, rank and effective_rank."""
    form = flat(jax.eval_shape(lambda: ansatz.init(jax.random.key(0))), ansatz.kind)
    n_p, n_rows = form.n_parameters, rows_per_sample(ansatz.kind)
    n_packed = n_p * (n_p + 1) // 2
    wide = jnp.complex128 if ansatz.kind == "holomorphic" else jnp.float64
    tried_nN = candidates(hilbert)
    unpacked = jax.jit(unpack, static_argnums=1)

    def sums(ansatz: Ansatz) -> Any:
        def of_samples(params: Tree, samples: Samples) -> Array:
            s_BN, w_B = samples
            # O less its value at one state, which cancels in S, so that little is lost where the mean is subtracted
            tried = jnp.asarray(tried_nN)
            log_n = chunked_map(lambda s_N: ansatz.log_psi(params, s_N), tried, chunk)
            first_N, _ = likeliest(log_n, tried)
            base_nP = jacobian(ansatz, form, params, first_N[None], None)

            size = min(len(w_B), chunk or ROWS, ROWS)
            pads = -len(w_B) % size
            s_BN = jnp.concatenate([s_BN, jnp.repeat(s_BN[:1], pads, axis=0)])
            w_B = jnp.pad(w_B, (0, pads))

            def add(total: tuple[Array, Array], some: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
                s_bN, w_b = some
                rows = jacobian(ansatz, form, params, s_bN, None).reshape(size, n_rows, n_p) - base_nP[None]
                rows = jnp.where(w_b[:, None, None] > 0, rows, 0).reshape(-1, n_p).astype(wide)
                w_rows = weigh(ansatz.kind, w_b)
                x = jnp.sqrt(w_rows)[:, None] * rows
                return (add_of_columns(total[0], x), total[1] + row_means(rows, w_rows, n_rows)), None

            nothing = (jnp.zeros((n_p, n_p), wide), jnp.zeros((n_rows, n_p), wide))
            inputs = (s_BN.reshape(-1, size, s_BN.shape[1]), w_B.reshape(-1, size))
            (second_PP, first_nP), _ = jax.lax.scan(add, nothing, inputs)
            return jnp.concatenate([pack(second_PP), first_nP.ravel()])

        return of_samples

    def derived(means: NDArray[Any]) -> dict[str, NDArray[Any]]:
        found = [of_tensor(tensor(one)) for one in means.reshape(-1, means.shape[-1])]
        leading = means.shape[:-1]
        return {name: np.stack([one[name] for one in found]).reshape(leading + x.shape) for name, x in found[0].items()}

    def tensor(means_D: NDArray[Any]) -> NDArray[Any]:
        upper = np.asarray(unpacked(means_D[:n_packed], n_p))
        first_nP = means_D[n_packed:].reshape(n_rows, n_p)
        matrix = upper - first_nP.conj().T @ first_nP
        return matrix if ansatz.kind == "holomorphic" else matrix.real

    def of_tensor(s_PP: NDArray[Any]) -> dict[str, NDArray[Any]]:
        spectrum = np.linalg.eigvalsh(s_PP, UPLO="U")[::-1]
        positive = spectrum[spectrum > 0]
        p = positive / positive.sum() if len(positive) else positive
        return {
            "spectrum": spectrum,
            "rank": np.asarray(float(np.sum(spectrum > cut * spectrum[0])) if spectrum[0] > 0 else 0.0),
            "effective_rank": np.asarray(np.exp(-np.sum(p * np.log(p)))) if len(p) else np.asarray(0.0),
        }

    outputs = (
        Output("spectrum", label="eigenvalues of the QGT", shape=(n_p,), axes=(("number", np.arange(n_p)),)),
        Output("rank", label="rank of the QGT"),
        Output("effective_rank", label="effective rank of the QGT"),
    )
    return Observable(sums=sums, outputs=outputs, derived=derived, n_values=n_packed + n_rows * n_p)
