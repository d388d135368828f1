"""A number that is drawn for each bond or site: ``{random: normal, mean: 0, width: 1, seed: 7}``.

normal     mean + width x,    x of the normal distribution with variance 1
uniform    mean + width x,    x between -1 and 1
sign       mean + width x,    x = +1 or -1 with the same probability
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Check, Invalid

KINDS = ("normal", "uniform", "sign")
FORM = "{random: normal, uniform or sign, mean: 0, width: 1, seed: 0}"


@dataclass(frozen=True)
class Drawn:
    """How numbers are drawn; another seed gives other numbers."""

    random: str
    mean: float
    width: float
    seed: int

    def in_words(self) -> str:
        return f"{self.random}, mean {self.mean:g}, width {self.width:g}, seed {self.seed}"


_CHECKS = {
    "random": checks.choice(*KINDS),
    "mean": checks.number(),
    "width": checks.positive,
    "seed": checks.integer(least=0, below=2**63),
}


def number_or_drawn() -> Check:
    """A number, returned as float, or a mapping, returned as `Drawn`."""
    number = checks.number()

    def read(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return number.read(value)
        if "random" not in value or set(value) - set(_CHECKS):
            raise Invalid
        given = {"mean": 0.0, "width": 1.0, "seed": 0, **value}
        found = {}
        for name, check in _CHECKS.items():
            try:
                found[name] = check.read(given[name])
            except Invalid:
                raise Invalid(name, given[name], check.valid) from None
        return Drawn(**found)

    return Check(f"{number.valid}, or drawn {FORM}", read)
