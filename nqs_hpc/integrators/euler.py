"""Euler's method, of first order: y_1 = y_0 + dt f(t_0, y_0)."""

from __future__ import annotations

from nqs_hpc.integrators.tableau import Integrator, Steps


def euler(dt: float) -> Integrator:
    return Integrator(((),), (1.0,), (0.0,), 1, Steps(dt))
