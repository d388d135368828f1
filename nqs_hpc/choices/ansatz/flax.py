"""ansatz=flax: a module of flax.linen by its import path (`ansatz.flax_module`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from nqs_hpc.choices.ansatz._by_module import ByModule


@dataclass(frozen=True)
class Flax(ByModule):
    package: ClassVar[str | None] = "flax"

    def functions(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        from nqs_hpc.ansatz.flax_module import flax_class, flax_module

        return flax_class, flax_module
