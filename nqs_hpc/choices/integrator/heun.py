"""integrator=heun: Heun's method, of second order (`integrators.heun`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nqs_hpc.choices.integrator.base import Fixed

if TYPE_CHECKING:
    from nqs_hpc.integrators.tableau import Integrator


@dataclass(frozen=True)
class Heun(Fixed):
    def make(self) -> Integrator:
        from nqs_hpc.integrators.heun import heun

        return heun(self.dt)
