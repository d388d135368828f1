"""Networks by import path. Only here can a configuration run code, and the command has to name that code."""

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
    """A network that the user provides."""

    examples: ClassVar[Examples] = ()  # the user provides the network
    runs_code: ClassVar[bool] = True
    module: str = key(
        checks.import_path,
        "import path PACKAGE.MODULE:CLASS of the module; it is imported and run, so the command has to name it",
    )
    arguments: dict[str, Any] = key(checks.arguments, "arguments of the class, plain data")
    holomorphic: bool = key(
        checks.boolean,
        "log psi is holomorphic in its parameters, which are all complex (this is checked): half the work",
    )

    def row_size(self) -> int:
        return 2 if self.holomorphic else 1  # the least: the network is known only after its import

    def is_real(self) -> bool:
        return False  # known once it has been imported

    def functions(self) -> tuple[Callable[..., Any], Callable[..., Any]]:
        """A function that loads the class of a path, and one that makes the network from class, arguments, state and
        dtype."""
        raise NotImplementedError

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        """Imports ``module``. InputError, one line, if it is missing or its network is not a wave function."""
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
