"""The dynamical structure factor from the response of all spins to a kick of one of them (`task.kick`).

With the kick U = exp(-i e Z_j) of the state |0>, Z = sigma^z, the spin at site r is, in the Heisenberg picture,

    <U+ Z_r(t) U> = cos^2(e) <Z_r(t)> + sin^2(e) <Z_j Z_r(t) Z_j> + sin(2 e) Im C_r(t),     C_r(t) = <Z_r(t) Z_j>,

exactly, because Z_j^2 = 1. So two kicks with opposite angles give

    Im C_r(t) = (<Z_r>_e - <Z_r>_-e) / (2 sin 2 e)                                          for any state and any angle;

and one kick gives Im C_r(t) = (<Z_r>_e(t) - <Z_r>_e(0)) / sin 2 e: for any angle if |0> is an eigenstate of H and of
the flip of all spins, else up to terms of order e. For a translation-invariant ground state, with
Z_q = 1/sqrt(N) sum_r exp(i q.r) Z_r and excitation energies w_n, sum_r cos(q.(r - r_j)) Im C_r(t) is
-sum_n |<n|Z_q|0>|^2 sin(w_n t), a mean over q and -q, and a window w(t) that falls from 1 to 0 at the last time T gives

    S(q, w) = -2/pi int_0^T dt w(t) sin(w t) sum_r cos(q.(r - r_j)) Im C_r(t)
            = sum_n |<n|Z_q|0>|^2 (d(w - w_n) - d(w + w_n)),        d(x) = 1/pi int_0^T dt w(t) cos(x t).

d is a peak of area 1 and width 2 pi / T: w(t) = cos^2(pi t / 2 T), after von Hann. A kick does not show the
contribution of the ground state itself, w_n = 0. Linear response with neural quantum states: Mendes-Santos, Schmitt and
Heyl, Phys. Rev. Lett. 131, 046501 (2023), arXiv:2303.08184.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

POINTS = 8  # frequencies within the width of a peak


class Spectrum(NamedTuple):
    """S(q, omega), of Pauli matrices."""

    omega_W: Array
    value_QW: Array
    error_QW: Array  # standard error, for independent times


def correlations(
    z_TN: Array, strength: float, *, opposite_TN: Array | None = None, errors: tuple[Array, ...] = ()
) -> tuple[Array, Array]:
    """Im C_r(t) (T, N) with its standard errors, from <Z_r> after a kick of ``strength``, the first time being 0.

    ``opposite_TN``: the same after a kick of -strength. ``errors``: standard errors of each of the two.
    """
    if opposite_TN is None:
        scale, signal_TN = np.sin(2 * strength), z_TN - z_TN[0]
        parts = [error_TN**2 + error_TN[0] ** 2 for error_TN in errors[:1]]
    else:
        scale, signal_TN = 2 * np.sin(2 * strength), z_TN - opposite_TN
        parts = [error_TN**2 for error_TN in errors]
    variance_TN = np.sum(parts, axis=0) if parts else np.zeros_like(z_TN)
    return signal_TN / scale, np.sqrt(variance_TN) / abs(scale)


def dynamical_structure_factor(
    times_T: Array,
    im_c_TN: Array,
    positions_ND: Array,
    site: int,
    q_QD: Array,
    *,
    error_TN: Array | None = None,
    omega_W: Array | None = None,
) -> Spectrum:
    """S(q, omega) from Im C_r(t), (T, N), at times from 0 on, one spacing apart, after a kick at ``site``.

    ``omega_W``: frequencies; None: from 0 to the highest that the times resolve, pi over their spacing.
    """
    dt, t_end = times_T[1] - times_T[0], times_T[-1]
    if omega_W is None:
        omega_W = np.linspace(0.0, np.pi / dt, max(2, int(np.ceil(POINTS * t_end / dt / 2))))
    weights_T = np.full(len(times_T), dt)
    weights_T[[0, -1]] /= 2
    weights_T = weights_T * np.cos(np.pi * times_T / (2 * t_end)) ** 2
    sine_TW = -2 / np.pi * weights_T[:, None] * np.sin(times_T[:, None] * omega_W)
    wave_QN = np.cos(q_QD @ (positions_ND - positions_ND[site]).T)
    value_QW = wave_QN @ im_c_TN.T @ sine_TW
    variance_QW = np.zeros_like(value_QW)
    if error_TN is not None:
        variance_QW = wave_QN**2 @ (error_TN**2).T @ sine_TW**2
    return Spectrum(omega_W, value_QW, np.sqrt(variance_QW))
