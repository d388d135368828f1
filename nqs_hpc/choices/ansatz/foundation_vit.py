"""ansatz=foundation_vit: a vision transformer with couplings of the Hamiltonian as inputs (`ansatz.foundation_vit`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from nqs_hpc.choices.ansatz.vit import Vit
from nqs_hpc.choices.keys import Auto, Float, derived, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.patches import patches
from nqs_hpc.types import Ansatz as Functions

if TYPE_CHECKING:
    from nqs_hpc.choices.hamiltonian.base import Hamiltonian


@dataclass(frozen=True)
class FoundationVit(Vit):
    """Resolved: ``couplings`` are names, and ``gamma`` their values in the Hamiltonian of the run."""

    takes_couplings: ClassVar[bool] = True
    couplings: tuple[str, ...] | Auto = key(
        checks.either("auto", checks.list_of(checks.name)),
        "list of couplings of the Hamiltonian that are inputs of the network; auto: those of task.couplings, else "
        "all of them",
    )
    gamma: tuple[float, ...] = derived(physics=False)  # it follows from the other keys

    def knowing(self, hamiltonian: Hamiltonian, swept: Sequence[str]) -> Self:
        known = list(hamiltonian.couplings())
        names = (tuple(swept) or tuple(known)) if self.couplings == "auto" else self.couplings
        given, owner = list(names), f"hamiltonian={hamiltonian.name}"
        if not known:
            raise bad("ansatz", self.name, f"vit: {owner} has no couplings that are numbers")
        if not names or len(set(names)) < len(names) or set(names) - set(known):
            raise bad("ansatz.couplings", given, f"auto, or different couplings of {owner}: {', '.join(known)}")
        if missing := [name for name in swept if name not in names]:
            raise bad(
                "ansatz.couplings", given, f"auto, or a list with {missing[0]}, of which task.couplings has several"
            )
        found = dataclasses.replace(self, couplings=names)
        return dataclasses.replace(found, gamma=found.told(hamiltonian))

    @property
    def told_names(self) -> tuple[str, ...]:
        return () if isinstance(self.couplings, str) else self.couplings

    def told(self, hamiltonian: Hamiltonian) -> tuple[float, ...]:
        values = [getattr(hamiltonian, name) for name in self.couplings]
        return tuple(float(x) for one in values for x in (one if isinstance(one, tuple) else (one,)))

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.foundation_vit import foundation_vit

        return foundation_vit(patches(lattice, self.patch), couplings=self.gamma, **self._options(basis, float_dtype))
