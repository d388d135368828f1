"""The facts and methods of every integrator."""

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
    examples: ClassVar[Examples] = ({},)  # keys with which contract tests run it
    method: ClassVar[str] = "tvmc"  # the task.method that uses it

    def check(self, key: str, t_end: float) -> None:
        """Raise InputError if it does not fit an evolution until ``t_end``; ``key``: that of the integrator."""

    def is_real(self) -> bool:
        """Whether a real wave function stays real in imaginary time."""
        return True

    def make(self) -> Any:
        """The integrator for the method: an `integrators.tableau.Integrator`, or an `integrators.product.Product`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Fixed(Integrator):
    """Steps of one length, shortened only to reach times of output exactly."""

    dt: float = key(checks.positive, "length of a step, in units of time")

    def check(self, key: str, t_end: float) -> None:
        if t_end / self.dt > MOST_STEPS:
            raise bad(f"{key}.dt", self.dt, f"at least {t_end / MOST_STEPS:g}: at most {MOST_STEPS:g} steps")
