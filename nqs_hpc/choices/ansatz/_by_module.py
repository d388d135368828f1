"""Networks by import path: the one place where a configuration has code run, which its command has to name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

from nqs_hpc.choices.ansatz.base import Ansatz
from nqs_hpc.choices.keys import Examples, Float, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import base_state
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz as Functions


@dataclass(frozen=True)
class ByModule(Ansatz):
    """Somebody else's network."""

    examples: ClassVar[Examples] = ()  # a network of somebody else
    runs_code: ClassVar[bool] = True
    module: str = key(
        checks.import_path,
        "import path PACKAGE.MODULE:CLASS of the module, which is imported and run: name it yourself",
    )
    arguments: dict[str, Any] = key(checks.arguments, "arguments of the class, plain data")
    holomorphic: bool = key(
        checks.boolean, "log psi is holomorphic in its parameters, all of them complex, which is tried: half the work"
    )

    def row_size(self) -> int:
        return 2 if self.holomorphic else 1  # the least: what the network is, is known once it has been imported

    def is_real(self) -> bool:
        return False  # known once it has been imported

    def functions(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """What loads the class of a path, and what makes of class, arguments, a state and a dtype the network."""
        raise NotImplementedError

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        """Imports what ``module`` names. InputError, one line, where that is missing, or makes no wave function."""
        assert self.package is not None
        if find_spec(self.package) is None:
            valid = "another one, or with the extra modules installed: pip install 'nqs_hpc[modules]'"
            raise bad("ansatz", self.name, valid)
        import jax

        from nqs_hpc.ansatz.by_path import module_ansatz

        load, make = self.functions()
        s_N = jax.numpy.asarray(base_state(basis.hilbert))
        cls = one_line("ansatz.module", self.module, lambda: load(self.module))
        made: tuple[Any, Any] = one_line(
            "ansatz.arguments", self.arguments, lambda: make(cls, self.arguments, s_N, float_dtype)
        )
        holomorphic = self.holomorphic
        init, log_psi = made
        return one_line(
            "ansatz.holomorphic", holomorphic, lambda: module_ansatz(init, log_psi, s_N, holomorphic=holomorphic)
        )
