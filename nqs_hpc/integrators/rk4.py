"""The classical method of fourth order: W. Kutta, Z. Math. Phys. 46, 435 (1901)."""

from __future__ import annotations

from nqs_hpc.integrators.tableau import Integrator, Steps


def rk4(dt: float) -> Integrator:
    a = ((), (0.5,), (0.0, 0.5), (0.0, 0.0, 1.0))
    return Integrator(a, (1 / 6, 1 / 3, 1 / 3, 1 / 6), (0.0, 0.5, 0.5, 1.0), 4, Steps(dt))
