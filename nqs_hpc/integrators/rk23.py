"""The adaptive method of third order with an error of second order by Bogacki and Shampine, Appl. Math. Lett. 2, 321
(1989), doi:10.1016/0893-9659(89)90079-7. Its fourth slope is the first of the next step.
"""

from __future__ import annotations

from nqs_hpc.integrators.tableau import Integrator, Steps

LOWER = (7 / 24, 1 / 4, 1 / 3, 1 / 8)  # the method of second order


def rk23(*, tolerance: float, first: float, least: float, most: float) -> Integrator:
    """``tolerance``: of the error of a step, a distance in Hilbert space; the others: lengths of steps."""
    a = ((), (1 / 2,), (0.0, 3 / 4), (2 / 9, 1 / 3, 4 / 9))
    b = (2 / 9, 1 / 3, 4 / 9, 0.0)
    error = tuple(upper - lower for upper, lower in zip(b, LOWER, strict=True))
    return Integrator(a, b, (0.0, 1 / 2, 3 / 4, 1.0), 3, Steps(first, tolerance, least, most), error, is_fsal=True)
