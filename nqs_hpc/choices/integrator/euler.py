"""integrator=euler: Euler's method, of first order (`integrators.euler`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nqs_hpc.choices.integrator.base import Fixed

if TYPE_CHECKING:
    from nqs_hpc.integrators.tableau import Integrator


@dataclass(frozen=True)
class Euler(Fixed):
    def make(self) -> Integrator:
        from nqs_hpc.integrators.euler import euler

        return euler(self.dt)
