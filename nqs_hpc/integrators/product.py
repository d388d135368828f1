"""What a product expansion of the evolution operator is: a step of time as substeps that are linear in H.

With Lambda = -x H = X + Z, x = i in real and 1 in imaginary time, a step of length dt is

    exp(Lambda dt) = prod_(k = S, ..., 1) exp(b_k dt Z) (1 + a_k dt X) + O(dt^(order + 1)),

the factor k = 1 first. Z is diagonal in the basis of the configurations, and its exponential is exact. Where ``b`` is
None nothing is split: X is all of Lambda. L. Gravina, V. Savona and F. Vicentini, 2024, arXiv:2410.10720.

A Hamiltonian that depends on time is taken at the middle of the step: the error of a step is then O(dt^3) at least,
whatever the order (W. Magnus, Commun. Pure Appl. Math. 7, 649 (1954), doi:10.1002/cpa.3160070404).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from nqs_hpc.integrators.tableau import Steps


class Product(NamedTuple):
    """A product expansion of S substeps."""

    a: tuple[complex, ...]
    b: tuple[complex, ...] | None  # None: the diagonal is not split off
    order: int
    steps: Steps

    @property
    def n_substeps(self) -> int:
        return len(self.a)

    def error(self, dt: float, variance: float) -> float:
        """An estimate of the error of a step, a distance in Hilbert space: the first term that is left out,

            dt^(p+1) / (p+1)! || (H - E)^(p+1) psi ||  ~  (dt sigma)^(p+1) sqrt((2 p + 1)!!) / (p + 1)!

        for an order p and energies that are normally distributed with the variance sigma^2. Of a split expansion it
        is the order of magnitude.
        """
        p = self.order
        moments = math.prod(range(2 * p + 1, 0, -2))
        return (dt * math.sqrt(max(variance, 0.0))) ** (p + 1) * math.sqrt(moments) / math.factorial(p + 1)

    @property
    def is_real(self) -> bool:
        """Whether a real wave function stays real in imaginary time."""
        return all(complex(factor).imag == 0 for factor in (*self.a, *(self.b or ())))
