"""integrator=rk23: adaptive steps by Bogacki and Shampine, of third order (`integrators.rk23`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nqs_hpc.choices.integrator.base import Integrator
from nqs_hpc.choices.keys import key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad

if TYPE_CHECKING:
    from nqs_hpc.integrators.tableau import Integrator as Functions


@dataclass(frozen=True)
class Rk23(Integrator):
    tolerance: float = key(
        checks.number(above=0, below=1),
        "largest error of one step, a distance in Hilbert space; a step with more is repeated shorter",
    )
    dt_first: float = key(
        checks.positive, "length of the first step; small, because the state may look stationary at the start"
    )
    dt_least: float = key(checks.positive, "shortest step, which is taken whatever its error, with a warning")
    dt_most: float = key(checks.positive, "longest step")

    def check(self, key: str, t_end: float) -> None:
        if self.dt_first < self.dt_least:
            raise bad(f"{key}.dt_first", self.dt_first, f"at least {key}.dt_least={self.dt_least:g}")
        if self.dt_most < self.dt_first:
            raise bad(f"{key}.dt_most", self.dt_most, f"at least {key}.dt_first={self.dt_first:g}")

    def make(self) -> Functions:
        from nqs_hpc.integrators.rk23 import rk23

        return rk23(tolerance=self.tolerance, first=self.dt_first, least=self.dt_least, most=self.dt_most)
