"""integrator=slpe: split product expansions, the diagonal of H exact (`integrators.slpe`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nqs_hpc.choices.integrator.base import Fixed
from nqs_hpc.choices.keys import key
from nqs_hpc.inputs import checks

if TYPE_CHECKING:
    from nqs_hpc.integrators.product import Product


@dataclass(frozen=True)
class Slpe(Fixed):
    method: ClassVar[str] = "ptvmc"
    order: int = key(checks.integer(least=1, below=4), "order of the expansion in dt, 1 to 3, with 1, 2 and 4 substeps")

    def is_real(self) -> bool:
        return self.order == 1  # higher orders have complex factors

    def make(self) -> Product:
        from nqs_hpc.integrators.slpe import slpe

        return slpe(self.order, self.dt)
