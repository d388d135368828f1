"""What a product expansion of the evolution operator is: a step of time as substeps that are linear in H.

With Lambda = -x H = X + Z, x = i in real and 1 in imaginary time, a step of length dt is

    exp(Lambda dt) = prod_(k = S, ..., 1) exp(b_k dt Z) (1 + a_k dt X) + O(dt^(order + 1)),

the factor k = 1 first. Z is diagonal in the basis of the configurations, and its exponential is exact. Where ``b`` is
None nothing is split: X is all of Lambda. L. Gravina, V. Savona and F. Vicentini, 2024, arXiv:2410.10720.

A Hamiltonian that depends on time is taken at the middle of the step: the error of a step is then O(dt^3) at least,
whatever the order (W. Magnus, Commun. Pure Appl. Math. 7, 649 (1954), doi:10.1002/cpa.3160070404).
"""

from __future__ import annotations

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

    @property
    def is_real(self) -> bool:
        """Whether a real wave function stays real in imaginary time."""
        return all(complex(factor).imag == 0 for factor in (*self.a, *(self.b or ())))
