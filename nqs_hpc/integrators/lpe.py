"""Linear product expansions: the Taylor polynomial of exp(Lambda dt), factorised by its roots,

    sum_(n <= order) z^n / n! = prod_k (1 + a_k z),    a_k = -1 / (root k).

L. Gravina, V. Savona and F. Vicentini, 2024, arXiv:2410.10720 (LPE). The Taylor-root expansion of J. Nys, G. Pescia,
A. Sinibaldi and G. Carleo, 2024, arXiv:2403.07447, has the same factors.
"""

from __future__ import annotations

from nqs_hpc.integrators.product import Product
from nqs_hpc.integrators.tableau import Steps

# Written out: other machines would find other last digits of the roots.
FACTORS: dict[int, tuple[complex, ...]] = {
    1: (1.0 + 0.0j,),
    2: (0.5 - 0.5j, 0.5 + 0.5j),
    3: (
        0.18673085336460012 - 0.48077388455033115j,
        0.18673085336460012 + 0.48077388455033115j,
        0.62653829327079977 + 0.0j,
    ),
    4: (
        0.042626656502702475 - 0.39463295317211333j,
        0.042626656502702475 + 0.39463295317211333j,
        0.45737334349729753 - 0.23510048799854277j,
        0.45737334349729753 + 0.23510048799854277j,
    ),
}
MOST = max(FACTORS)


def lpe(order: int, dt: float) -> Product:
    """Of the orders 1 to 4, with as many substeps."""
    return Product(FACTORS[order], None, order, Steps(dt))
