"""Heun's method, of second order: the mean of the slopes at both ends of an Euler step.

K. Heun, Z. Math. Phys. 45, 23 (1900).
"""

from __future__ import annotations

from nqs_hpc.integrators.tableau import Integrator, Steps


def heun(dt: float) -> Integrator:
    return Integrator(((), (1.0,)), (0.5, 0.5), (0.0, 1.0), 2, Steps(dt))
