"""What every integrator answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad

MOST_STEPS = 1e7


@dataclass(frozen=True)
class Integrator:
    name: str
    examples: ClassVar[Examples] = ({},)  # keys under which contract tests try it
    method: ClassVar[str] = "tvmc"  # the task.method whose parameters it moves in time

    def check(self, key: str, t_end: float) -> None:
        """Raise InputError where it does not fit an evolution until ``t_end``; ``key``: of the integrator."""

    def is_real(self) -> bool:
        """Whether a real wave function stays real in imaginary time."""
        return True

    def make(self) -> Any:
        """What the method takes: an `integrators.tableau.Integrator`, or an `integrators.product.Product`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Fixed(Integrator):
    """Steps of one length, shortened only so that times of output are landed on."""

    dt: float = key(checks.positive, "length of a step, in units of time")

    def check(self, key: str, t_end: float) -> None:
        if t_end / self.dt > MOST_STEPS:
            raise bad(f"{key}.dt", self.dt, f"at least {t_end / MOST_STEPS:g}: at most {MOST_STEPS:g} steps")
