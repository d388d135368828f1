"""integrator=lpe: linear product expansions of exp(-i H dt), the roots of its Taylor polynomial (`integrators.lpe`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from nqs_hpc.choices.integrator.base import Fixed
from nqs_hpc.choices.keys import key
from nqs_hpc.inputs import checks

if TYPE_CHECKING:
    from nqs_hpc.integrators.product import Product


@dataclass(frozen=True)
class Lpe(Fixed):
    method: ClassVar[str] = "ptvmc"
    order: int = key(
        checks.integer(least=1, below=5), "order of the expansion in dt, 1 to 4, which is also the number of substeps"
    )

    def is_real(self) -> bool:
        return self.order == 1  # higher orders have complex factors

    def make(self) -> Product:
        from nqs_hpc.integrators.lpe import lpe

        return lpe(self.order, self.dt)
