"""Split linear product expansions: the diagonal part of H is exponentiated exactly, a factor of each configuration.

The coefficients of all products of X and Z up to the order are those of exp(X + Z): as many equations as unknowns for
1, 2 and 4 substeps, and solutions with a_k = b_k. L. Gravina, V. Savona and F. Vicentini, 2024, arXiv:2410.10720
(S-LPE).
"""

from __future__ import annotations

import math

from nqs_hpc.integrators.product import Product
from nqs_hpc.integrators.tableau import Steps

SMALL, LARGE = (3 - math.sqrt(3)) / 12, (3 + math.sqrt(3)) / 12
FACTORS: dict[int, tuple[complex, ...]] = {
    1: (1.0 + 0.0j,),
    2: (0.5 - 0.5j, 0.5 + 0.5j),
    # of all solutions those of the smallest factors, and of these the one whose next order is the nearest
    3: (complex(LARGE, -SMALL), complex(SMALL, LARGE), complex(SMALL, -LARGE), complex(LARGE, SMALL)),
}
MOST = max(FACTORS)


def slpe(order: int, dt: float) -> Product:
    """Of the orders 1, 2 and 3, with 1, 2 and 4 substeps."""
    return Product(FACTORS[order], FACTORS[order], order, Steps(dt))
