"""ansatz=anchored: any network, shifted so that it begins as a product state (`ansatz.anchored`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices import initial
from nqs_hpc.choices.ansatz.base import Ansatz
from nqs_hpc.choices.keys import Examples, Float, inner, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad, show
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.product_states import TINY, character, reduced
from nqs_hpc.types import Ansatz as Functions


@dataclass(frozen=True)
class Anchored(Ansatz):
    examples: ClassVar[Examples] = (
        {"net": {"name": "rbm", "dtype": "complex", "init_scale": 0.3}, "state": [1, 0.3]},
        {"net": {"name": "rbm_symm", "init_scale": 0.3}, "state": "minus_x"},
        {"net": {"name": "mlp", "dtype": "complex", "activation": "tanh"}, "state": "plus_x"},
    )
    net: Ansatz = inner("ansatz", "ansatz.net", "the network, any other ansatz; its keys: ansatz.net.alpha")
    state: initial.State = key(initial.state, f"the initial product state: {initial.DOC}")
    state_bias: float = key(checks.number(above=0, most=8.0), "largest field of that state, as task.initial_bias")
    net_seed: int = key(checks.integer(least=0, below=2**31), "seed of the network's initial parameters")

    def resolved(self, lattice: Lattice, basis: Callable[[], Basis], *, prefix: str = "ansatz") -> Self:
        net = self.net.resolved(lattice, basis, prefix=f"{prefix}.net")
        known = basis()
        own = net.own_symmetry(lattice, known, f"{prefix}.net")
        if own is not None and not own.is_trivial:
            why = "in this sector the network is 0 on some states, but a product state is not"
            raise bad(f"{prefix}.net", net.name, f"a network of momentum 0 with the trivial irrep: {why}")
        fields_N = self._fields(lattice, known, prefix)
        if net.row_size() == 1 and not _are_signs(fields_N):
            valid = f"complex: a real network has no phases, and {prefix}.state={show(self.state)} has some"
            raise bad(f"{prefix}.net.dtype", "real", valid)
        return dataclasses.replace(self, net=net)

    def _fields(self, lattice: Lattice, basis: Basis, prefix: str = "ansatz") -> NDArray[np.complex128]:
        return initial.fields(f"{prefix}.state", self.state, self.state_bias, lattice, basis)

    def has_signs(self, lattice: Lattice, basis: Callable[[], Basis]) -> bool:
        if self.net.row_size() > 1:
            return False
        return self.net.has_signs(lattice, basis) or bool(self._fields(lattice, basis()).imag.any())

    def row_size(self) -> int:
        return self.net.row_size()

    def complex_keys(self) -> str:
        return self.net.complex_keys().replace("ansatz.", "ansatz.net.")

    def invariance(self, lattice: Lattice, basis: Basis) -> NDArray[np.int32] | None:
        """The network's own symmetry, as far as the product state has it."""
        own = self.net.invariance(lattice, basis)
        if own is None:
            return None
        a_N = self._fields(lattice, basis)
        return own[np.array([_is_one(character(a_N, perm, 1, _whole(basis.hilbert))) for perm in own])]

    def has_fields(self, *, complex_: bool) -> bool:
        return self.net.has_fields(complex_=complex_)

    def is_even(self) -> bool:
        return False

    def is_of_one_size(self) -> bool:
        return self.net.is_of_one_size()

    def why_not(self, fields_N: NDArray[np.complex128], lattice: Lattice, basis: Basis) -> str:
        same = np.abs(reduced(fields_N - self._fields(lattice, basis))).max() <= TINY
        bias = f" with fields up to ansatz.state_bias={self.state_bias:g}"
        return "" if same else f"null, or ansatz.state={show(self.state)}{bias}: the state that the network begins as"

    def make(self, lattice: Lattice, basis: Basis, float_dtype: Float) -> Functions:
        from nqs_hpc.ansatz.anchored import anchored

        return anchored(
            self.net.make(lattice, basis, float_dtype),
            self._fields(lattice, basis),
            local_values=basis.hilbert.local_values,
            seed=self.net_seed,
            first=None if float_dtype == "float64" else self.net.make(lattice, basis, "float64").init,
        )


def _are_signs(fields_N: NDArray[Any]) -> bool:
    return bool(np.isin(np.abs(fields_N.imag), (0.0, np.pi / 2)).all())


def _is_one(chi: complex | None) -> bool:
    return chi is not None and abs(chi - 1) < 1e-9


def _whole(hilbert: Hilbert) -> Hilbert:
    return Hilbert(hilbert.n_sites, hilbert.local_values)
