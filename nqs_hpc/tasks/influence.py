"""R-hat, tau and n_eff of what is measured: of plain means, and of what is derived from several."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.stats.chains import diagnostics
from nqs_hpc.stats.host import host_estimate
from nqs_hpc.types import Observable


def statistics_of(
    values_TD: NDArray[np.complexfloating], w_T: NDArray[np.floating], length: int, observable: Observable
) -> dict[str, dict[str, float | None]]:
    """R-hat, tau and n_eff of each output that is a number, by its name; the variance of a plain mean.

    Of what is derived from means they are those of its change with each sample, sum_d df/dm_d (x_d - m_d).
    """
    if observable.derived is None:
        if observable.n_values > 1:
            return {}
        one = host_estimate(values_TD[:, 0], w_T, length)
        return {"": diagnostics(values_TD[:, 0], w_T, length, error=one.error) | {"variance": one.variance}}
    found: dict[str, dict[str, float | None]] = {}
    for name, influence_T in _influences(values_TD, w_T, observable).items():
        error = host_estimate(influence_T, w_T, length).error
        found[name] = diagnostics(influence_T, w_T, length, error=error) | {"variance": None}
    return found


def _influences(
    values_TD: NDArray[np.complexfloating], w_T: NDArray[np.floating], observable: Observable
) -> dict[str, NDArray[np.floating]]:
    """sum_d df/dm_d (x_d - m_d) of each output f that is a number: (T,), by central differences."""
    assert observable.derived is not None
    means_D = (w_T[:, None] * values_TD).sum(axis=0) / w_T.sum()
    apart_TD = values_TD - means_D
    numbers = [output.name for output in observable.outputs if output.shape == ()]
    found: dict[str, NDArray[np.floating]] = {name: np.zeros(len(w_T)) for name in numbers}
    spread_D = np.abs(apart_TD).mean(axis=0)
    if np.ptp(w_T) > 0:  # samples of little weight can have any value
        spread_D = (w_T[:, None] * np.abs(apart_TD)).sum(axis=0) / w_T.sum()
    for d, spread in enumerate(spread_D):
        for unit, part_T in ((1.0, apart_TD[:, d].real), (1j, apart_TD[:, d].imag)):
            if not np.any(part_T):
                continue
            step = 1e-4 * spread
            shift_D = np.zeros(len(means_D), complex)
            shift_D[d] = unit * step
            both = observable.derived(np.stack([means_D + shift_D, means_D - shift_D]))
            for name in numbers:
                slope = (both[name][0] - both[name][1]) / (2 * step)
                found[name] += slope * part_T if np.isfinite(slope) else np.nan
    return found
