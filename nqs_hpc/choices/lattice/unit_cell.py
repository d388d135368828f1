"""lattice=unit_cell: any regular lattice, from a file of its unit cell."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Self

from nqs_hpc.choices.keys import Examples, derived, key
from nqs_hpc.choices.lattice._torus import TorusLattice
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system import families
from nqs_hpc.system import lattice as lattices
from nqs_hpc.system.cell_files import read_unit_cell
from nqs_hpc.system.unit_cell import factory_of


@dataclass(frozen=True)
class UnitCellLattice(TorusLattice):
    """Resolved: as a torus, with the content of the file."""

    examples: ClassVar[Examples] = ()  # it needs a file
    read: ClassVar[tuple[str, ...]] = ("vectors", "basis", "bonds")
    file: str = key(
        checks.path, "unit cell in YAML or JSON (vectors, basis, bonds), or a lattice library of ALPS", physics=False
    )
    unit: str | None = key(
        checks.optional(checks.text),
        "name of the LATTICEGRAPH or UNITCELL, if a file of ALPS has several",
        physics=False,
    )
    orders: str = key(
        checks.choice("auto", "bonds", "distance"),
        "bonds: those of the file and their orders; distance: orders by distance; auto: bonds, if the file has some",
        physics=False,
    )
    vectors: tuple[tuple[float, ...], ...] = derived()
    basis: tuple[tuple[float, ...], ...] = derived()
    bonds: tuple[tuple[int, ...], ...] = derived(
        physics="given"
    )  # order, from, to, cell; none if distances define the orders

    def resolved(self) -> Self:
        if self.vectors:  # those that a run has kept: the file may have changed since
            try:
                vectors, basis = (tuple(tuple(map(float, row)) for row in rows) for rows in (self.vectors, self.basis))
                bonds = tuple(tuple(map(int, bond)) for bond in self.bonds)
                factory_of(vectors, basis, bonds)
            except (TypeError, ValueError) as error:
                valid = f"what a run has read from lattice.file ({error})"
                raise bad("lattice.vectors", self.vectors, valid) from None
        else:
            vectors, basis, bonds = one_line("lattice.file", self.file, lambda: read_unit_cell(self.file, self.unit))
            if self.orders == "bonds" and not bonds:
                raise bad("lattice.orders", self.orders, f"auto or distance: {self.file} has no bonds")
            if self.orders == "distance" and bonds:
                bonds = ()
                one_line("lattice.file", self.file, lambda: factory_of(vectors, basis, ()))
        orders = "bonds" if bonds else "distance"
        full = dataclasses.replace(self, orders=orders, vectors=vectors, basis=basis, bonds=bonds)
        return super(UnitCellLattice, full).resolved()

    def _dimensions(self) -> int:
        return len(self.vectors)

    def sites(self) -> lattices.Lattice:
        factory = factory_of(self.vectors, self.basis, self.bonds)
        if self.cluster is None:
            return factory(self.extent, self.pbc)
        n = self._dimensions()
        return families.tilted(factory((2,) * n, (True,) * n), self.cluster)
