"""ansatz=equinox: a module of equinox by its import path (`ansatz.equinox_module`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from nqs_hpc.choices.ansatz._by_module import ByModule
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice


@dataclass(frozen=True)
class Equinox(ByModule):
    package: ClassVar[str | None] = "equinox"

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        if "key" in self.arguments:
            raise bad(f"{prefix}.arguments.key", self.arguments["key"], "other arguments: the key comes from the seed")
        return self

    def functions(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        from nqs_hpc.ansatz.equinox_module import equinox_class, equinox_module

        return equinox_class, equinox_module
