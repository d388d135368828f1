"""Bounds of the spectrum of a sum of products of fermion operators.

    H = sum_mn h_mn c^dagger_m c_n + sum_d v_d P_d + sum_k (c_k A_k + h.c.)

with P_d projectors on occupations (n_i n_j, say) and A_k products that change occupations. The first part is bounded by
the sums of the negative and of the positive eigenvalues of h, v_d P_d by 0 and v_d, and c_k A_k + h.c. by the modulus
of c_k, because A_k^2 = 0. The sums of these bounds bound the spectrum of H; so do the sums of moduli in Pauli strings,
and we take the tighter bounds.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from nqs_hpc.system.fermion_strings import FermionString, jordan_wigner, of_numbers
from nqs_hpc.system.orbitals import one_body


def bounds(strings: Iterable[FermionString], n_modes: int) -> tuple[float, float]:
    """Lower and upper bound of the spectrum of a Hermitian sum, for any number of fermions."""
    every = tuple(strings)
    levels = np.linalg.eigvalsh(one_body(every, n_modes))
    low, high = float(levels[levels < 0].sum()), float(levels[levels > 0].sum())
    for string in every:
        if len(string.operators) == 2 and string.operators[0][1] and not string.operators[1][1]:
            continue
        value = of_numbers(string)
        if value is not None:
            low, high = low + min(0.0, value), high + max(0.0, value)
        elif string.operators:
            reach = abs(string.coefficient) / 2  # the conjugate contributes the other half
            low, high = low - reach, high + reach
        else:
            constant = complex(string.coefficient).real
            low, high = low + constant, high + constant
    paulis = jordan_wigner(every)
    mean = sum(one.coefficient for one in paulis if not one.sites)
    reach = sum(abs(one.coefficient) for one in paulis if one.sites)
    return max(low, mean - reach), min(high, mean + reach)
