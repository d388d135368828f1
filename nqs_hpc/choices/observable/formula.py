"""An observable that is a formula of the configuration (`observables.formula`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.choices.observable.base import Observable
from nqs_hpc.inputs.checks import Check, Invalid
from nqs_hpc.inputs.line import one_line
from nqs_hpc.observables import formula

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value).strip():
        raise Invalid
    return str(value)


@dataclass(frozen=True)
class Formula(Observable):
    of_sites: ClassVar[bool] = False
    examples: ClassVar[Examples] = (
        {"formula": "mean(stagger*s)**4"},
        {"formula": "abs(sum(s*roll(s, 2)))/n - (s[0] == 1)*exp(-x[3])"},
    )
    formula: str = key(
        Check("a formula of s that is one number, such as mean(stagger*s)**4", _text),
        "a number of the configuration: s (values of the sites), x, y, z (positions), stagger (signs of sublattices), "
        "n, pi; + - * / **, one comparison, s[3], roll(s, 1), abs sqrt exp log cos sin tanh, mean sum max min prod",
    )

    def resolved(self, context: Context, prefix: str) -> Self:
        names = formula.names_of(context.lattice)
        one_line(f"{prefix}.formula", self.formula, lambda: formula.read(self.formula, names, context.hilbert))
        return self

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.types import Observable as Functions
        from nqs_hpc.types import Output

        names = formula.names_of(pieces.lattice)
        found = formula.read(self.formula, names, pieces.hilbert)
        return Functions(formula.local_formula(found, names, pieces.chunk), (Output(label=self.formula),))
