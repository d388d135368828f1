"""lattice=points: sites anywhere, from a file of positions."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from nqs_hpc.choices.hamiltonian.base import Hamiltonian
from nqs_hpc.choices.keys import Examples, derived, key
from nqs_hpc.choices.lattice.base import Lattice
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system import lattice as lattices
from nqs_hpc.system import shells
from nqs_hpc.system.points import points_lattice, read_points


@dataclass(frozen=True)
class PointsLattice(Lattice):
    """Resolved: ``tolerance`` is null if it does not change the bonds."""

    examples: ClassVar[Examples] = ()  # it needs a file
    read: ClassVar[tuple[str, ...]] = ("positions", "n_sites")
    file: str = key(checks.path, "text file of positions, one site per line: 'x', 'x y' or 'x y z'", physics=False)
    tolerance: float | None = key(
        checks.optional(checks.number(above=0, below=0.5)),
        "relative difference up to which two distances belong to the same neighbour order; null: 0.005",
        physics="given",
    )
    n_sites: int = derived()
    positions: tuple[tuple[float, ...], ...] = derived()

    def resolved(self) -> Self:
        if not self.positions:
            points = one_line("lattice.file", self.file, lambda: read_points(self.file))
            tolerance = self.tolerance or shells.TOLERANCE
            return dataclasses.replace(self, tolerance=tolerance, n_sites=len(points), positions=tuple(points))
        try:  # those that a run has kept: the file may have changed since
            positions = tuple(tuple(float(x) for x in point) for point in self.positions)
            lattice = points_lattice(positions, self.tolerance)
            return dataclasses.replace(self, n_sites=lattice.n_sites, positions=positions)
        except (TypeError, ValueError) as error:
            raise bad("lattice.positions", self.positions, f"what a run has read from lattice.file ({error})") from None

    def settled(self, given: Hamiltonian, hamiltonian: Hamiltonian, *, before: Any) -> Self:
        del given
        if before.positions:
            return self
        made, orders = self.make(), hamiltonian.orders()
        bonds = {n: one_line("lattice.file", self.file, lambda n=n: lattices.neighbours(made, n)) for n in orders}  # type: ignore[misc]
        if (reach := hamiltonian.reach()) is not None:
            _check_reach(made, reach)
        if before.tolerance is not None:
            return self
        # Exact positions have the same bonds for any tolerance, so their runs keep their names.
        exact = dataclasses.replace(self, tolerance=None).make()
        if all(_same(exact, made, order) for order in {1, *bonds}):
            return dataclasses.replace(self, tolerance=None)
        return self

    def make(self) -> lattices.Lattice:
        return points_lattice(self.positions, self.tolerance)


def _same(exact: lattices.Lattice, made: lattices.Lattice, order: int) -> bool:
    def bonds(lattice: lattices.Lattice) -> list[list[int]] | None:
        try:
            return lattices.neighbours(lattice, order).tolist()
        except ValueError:
            return None

    found = bonds(made)
    return found is None or found == bonds(exact)


def _check_reach(lattice: lattices.Lattice, cutoff: float) -> None:
    """Raise InputError if a cutoff includes only some of the pairs of a shell."""
    assert lattice.tolerance is not None
    lengths = shells.by_distance(lattice.positions)[1]
    starts = np.nonzero(np.diff(lengths) / lengths[:-1] > lattice.tolerance)[0] + 1
    inside = int(np.searchsorted(lengths, cutoff, side="right"))
    if 0 < inside < len(lengths) and inside not in starts:
        begin = max((int(start) for start in starts if start < inside), default=0)
        end = min((int(start) for start in starts if start > inside), default=len(lengths))
        low, high = lengths[begin], lengths[end - 1]
        cut = f"it divides pairs {low:.6g} to {high:.6g} apart, which are the same by lattice.tolerance"
        raise bad("hamiltonian.cutoff", cutoff, f"null, below {low:.6g}, or above {high:.6g}: {cut}")
