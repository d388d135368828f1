"""integrator=rk4: the classical Runge-Kutta method, of fourth order (`integrators.rk4`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nqs_hpc.choices.integrator.base import Fixed

if TYPE_CHECKING:
    from nqs_hpc.integrators.tableau import Integrator


@dataclass(frozen=True)
class Rk4(Fixed):
    def make(self) -> Integrator:
        from nqs_hpc.integrators.rk4 import rk4

        return rk4(self.dt)
