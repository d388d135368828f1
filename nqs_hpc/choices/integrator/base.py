"""What every integrator answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks

if TYPE_CHECKING:
    from nqs_hpc.integrators.tableau import Integrator as Functions


@dataclass(frozen=True)
class Integrator:
    name: str
    examples: ClassVar[Examples] = ({},)  # keys under which contract tests try it

    def check(self, key: str, t_end: float) -> None:
        """Raise InputError where it does not fit an evolution until ``t_end``; ``key``: of the integrator."""

    def make(self) -> Functions:
        raise NotImplementedError


@dataclass(frozen=True)
class Fixed(Integrator):
    """Steps of one length, shortened only so that times of output are landed on."""

    dt: float = key(checks.positive, "length of a step, in units of time")
