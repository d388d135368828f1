"""hamiltonian=blbq: spins 1 with bilinear and biquadratic couplings (`operators.spin_s`)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian._two_sublattices import TwoSublattices
from nqs_hpc.choices.hamiltonian.base import Element
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.graph import connected
from nqs_hpc.system.hilbert import Hilbert, Total, one_total
from nqs_hpc.system.lattice import Lattice, bond_weights, neighbours
from nqs_hpc.system.spaces import spin
from nqs_hpc.system.spin_matrices import bond_matrix, signs_of_steps
from nqs_hpc.types import Operator

NOISE = 1e-12  # smaller differences of two couplings are rounding errors


@dataclass(frozen=True)
class Blbq(TwoSublattices):
    """Resolved: ``theta`` is None, and ``J`` and ``K`` follow from it."""

    examples: ClassVar[Examples] = (
        {},
        {"J": 1.0, "K": -1.0},
        {"J": 0.0, "K": -1.0},
        {"theta": 0.25},
        {"theta": -0.6},
        {"theta": 0.9},
        {"J": -1.0},
        {"J": 0.0, "K": 1.0},
    )
    words: ClassVar[str] = "spins 1"
    J: float = key(checks.number(), "bilinear coupling of nearest neighbours, S.S")
    K: float = key(checks.number(), "biquadratic coupling of nearest neighbours, (S.S)^2")
    theta: float | None = key(
        checks.optional(checks.number(least=-2, most=2)),
        "an angle in units of pi, from -2 to 2, instead of J and K: J = cos(theta), K = sin(theta)",
    )

    def resolved(self, lattice: Lattice) -> Self:
        if self.theta is not None:
            J, K = _by_angle(self.theta)
            if (self.J, self.K) != (1.0, 0.0):
                valid = f"null with hamiltonian.J={self.J:g} and hamiltonian.K={self.K:g}, which it replaces"
                raise bad("hamiltonian.theta", self.theta, valid)
            return dataclasses.replace(self, J=J, K=K, theta=None).resolved(lattice)
        if self.J == self.K == 0:
            raise bad("hamiltonian.J", self.J, "another number than 0 for one of hamiltonian.J, .K")
        return self.gauged(lattice)

    def space(self, n_sites: int, total: Total = None) -> Hilbert:
        return spin(n_sites, 2, one_total(total))

    def conserves(self) -> bool:
        return True

    def ground_total(self, lattice: Lattice) -> Total:
        return 0  # every multiplet has a state of it

    def compared(self, hilbert: Hilbert, *, of_symmetry: bool) -> list[Hilbert]:
        if hilbert.total is not None:
            return [self.space(hilbert.n_sites, 0)]
        return super().compared(hilbert, of_symmetry=of_symmetry)

    def orders(self) -> list[int]:
        return [1]

    def elements(self, lattice: Lattice) -> Iterable[Element]:
        bonds, weights = neighbours(lattice, 1), bond_weights(lattice, 1)
        of_sign = {1: self._signs(1), -1: self._signs(-1), 0: {}}
        found: list[Element] = []
        of_two_steps = set()
        for n, bond in enumerate(bonds.tolist()):
            signs = of_sign[1 if weights is None else int(np.sign(weights[n]))]
            if 1 in signs:
                found.append((tuple(bond), signs[1]))
            if 2 in signs:
                of_two_steps.add(signs[2])
        if of_two_steps:  # they change no site by an odd number
            found.append(((), of_two_steps.pop() if len(of_two_steps) == 1 else None))
        return found

    def _signs(self, factor: int) -> dict[int, int | None]:
        """The sign of the elements of a bond for each step of its spins, None if both signs occur; without steps whose
        elements all vanish.
        """
        found = signs_of_steps(factor * bond_matrix(2, self.J, self.K), 3)
        alive = {step: signs - {0} for step, signs in found.items() if signs - {0}}
        return {step: min(signs) if len(signs) == 1 else None for step, signs in alive.items()}

    def joins(self, lattice: Lattice) -> bool:
        return len(neighbours(lattice, 1)) > 0

    def joins_all(self, lattice: Lattice, total: Total) -> bool:
        """Whether no step of 1 has a vanishing element: not for J = 0, nor for J = K, where spins only change
        places."""
        steps = signs_of_steps(bond_matrix(2, self.J, self.K), 3)[1]
        weights = bond_weights(lattice, 1)
        alive = 0 not in steps and (weights is None or bool((weights != 0).all()))
        return total is not None and alive and connected(lattice.n_sites, neighbours(lattice, 1))

    def nearest_coupling(self) -> float:
        return self.J

    def make(self, lattice: Lattice, signs_N: NDArray[np.int8] | None) -> Operator:
        from nqs_hpc.operators.spin_s import spin_s

        edges, weights = neighbours(lattice, 1), bond_weights(lattice, 1)
        n = lattice.n_sites
        return spin_s(n, edges, two_s=2, J=self.J, Q=self.K, weights=weights, marshall_signs=signs_N)


def _by_angle(theta: float) -> tuple[float, float]:
    """cos and sin of theta pi; zeros and equal values are exact to the bit."""
    x = theta % 2.0
    quarters = {0.0: (1.0, 0.0), 0.5: (0.0, 1.0), 1.0: (-1.0, 0.0), 1.5: (0.0, -1.0)}
    if x in quarters:
        return quarters[x]
    J, K = math.cos(math.pi * x), math.sin(math.pi * x)
    return (J, K) if abs(abs(J) - abs(K)) > NOISE else (J, math.copysign(J, K))
