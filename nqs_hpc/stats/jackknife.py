"""Errors of functions of means: ratios, logarithms, cumulants, Fourier transforms.

Each of n independent chains, or blocks of chains, is left out once: with f_c = f(means without c),

    error^2 = (n - 1) / n * sum_c |f_c - mean f|^2.

Quenouille 1956 (doi:10.1093/biomet/43.3-4.353), Tukey 1958; Efron 1982, "The jackknife, the bootstrap and other
resampling plans" (doi:10.1137/1.9781611970319). For weighted samples means are quotients of sums, and the weights of a
chain are left out with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.stats.chains import FEW_CHAINS, ONE_SIGMA

Derived = Callable[[NDArray[np.complexfloating]], dict[str, NDArray[np.floating]]]


class Estimated(NamedTuple):
    value: NDArray[np.floating]
    error: NDArray[np.floating]  # one standard deviation; NaN for a single chain


def real_part(means_D: NDArray[np.complexfloating]) -> dict[str, NDArray[np.floating]]:
    """The default for ``derived``: the means themselves, one number (...), or D of them (..., D)."""
    values = np.real(means_D)
    return {"": values[..., 0] if values.shape[-1] == 1 else values}


def exact(means_D: NDArray[np.complexfloating], derived: Derived | None) -> dict[str, Estimated]:
    """The same for exact sums, which have no statistical error: means (D,)."""
    found = (derived or real_part)(means_D)
    return {name: Estimated(np.asarray(value), np.zeros(np.shape(value))) for name, value in found.items()}


def jackknife(
    sums_CD: NDArray[np.complexfloating], w_C: NDArray[np.floating], derived: Derived | None
) -> dict[str, Estimated]:
    """Values and errors of ``derived`` (None: the means) from sum w x (C, D) and sum w (C,) of independent chains.

    Below FEW_CHAINS chains the error is widened to the quantile of Student's t that covers 68 %, as in `stats.chains`.
    """
    of = derived or real_part
    n = len(w_C)
    total_D, total = sums_CD.sum(axis=0), w_C.sum()
    value = of(total_D / total)
    if n == 1:
        return {name: Estimated(np.asarray(one), np.full(np.shape(one), np.nan)) for name, one in value.items()}
    without = of((total_D - sums_CD) / (total - w_C)[:, None])
    factor = np.sqrt((n - 1) / n) * widening(n)
    return {
        name: Estimated(
            np.asarray(one), factor * np.sqrt(np.sum(np.abs(without[name] - without[name].mean(axis=0)) ** 2, axis=0))
        )
        for name, one in value.items()
    }


def widening(n_chains: int) -> float:
    """The factor of an error from the spread of ``n_chains`` means, which has only n - 1 degrees of freedom."""
    if n_chains >= FEW_CHAINS or n_chains < 2:
        return 1.0
    from scipy.special import stdtrit  # only few chains need it

    return float(stdtrit(n_chains - 1, ONE_SIGMA))
