"""What an explicit Runge-Kutta method is: coefficients, and how it steps.

For y' = f(t, y) a step of length dt from y_0 at t_0 takes slopes

    k_i = f(t_0 + c_i dt, y_0 + dt sum_{j<i} a_ij k_j),    y_1 = y_0 + dt sum_i b_i k_i,

and where there is a second method in the same slopes the error of the step is that of dt sum_i (b_i - b*_i) k_i.
Hairer, Norsett and Wanner, Solving Ordinary Differential Equations I (1993), doi:10.1007/978-3-540-78862-1.
"""

from __future__ import annotations

from typing import NamedTuple


class Steps(NamedTuple):
    """How long steps are. Without ``tolerance`` all are ``first`` long, in units of time."""

    first: float
    tolerance: float | None = None  # of the error of one step, a distance in Hilbert space
    least: float = 0.0  # a step that is not longer is taken whatever its error
    most: float = float("inf")


class Integrator(NamedTuple):
    """An explicit Runge-Kutta method of S stages."""

    a: tuple[tuple[float, ...], ...]  # row i has i coefficients
    b: tuple[float, ...]
    c: tuple[float, ...]
    order: int
    steps: Steps
    error: tuple[float, ...] | None = None  # b - b*; None: no estimate of the error
    is_fsal: bool = False  # the last stage is at y_1, so that its slope is the first of the next step

    @property
    def n_stages(self) -> int:
        return len(self.b)

    @property
    def correction(self) -> float:
        """x of the estimate dt x (f(t_1, y_1) - k_S) of the error of a step, where there is no second method.

        The slope at the end stands in for the last one: the trapezoidal rule for those of Euler and Heun, Simpson's for
        those of the classical method. Of the order of the error itself for Euler and Heun, one below it for that.
        """
        return 0.5 if self.order == 1 else self.b[-1]
