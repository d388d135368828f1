"""lattice=edges: any graph, from a file of bonds."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from nqs_hpc.choices.hamiltonian.base import Hamiltonian
from nqs_hpc.choices.keys import Examples, derived, key
from nqs_hpc.choices.lattice.base import MAX_SITES, Lattice
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system import edges as files
from nqs_hpc.system import lattice as lattices
from nqs_hpc.system.words import sites_in_words


@dataclass(frozen=True)
class EdgesLattice(Lattice):
    """Resolved: ``third_column`` is order or weight, and bonds count sites from 0."""

    examples: ClassVar[Examples] = ()  # it needs a file
    read: ClassVar[tuple[str, ...]] = ("edges", "n_sites", "weights", "turned")
    file: str = key(
        checks.path,
        "text file of bonds, one per line: two sites from 0, and a neighbour order if not 1; or a GRAPH of ALPS",
        physics=False,
    )
    third_column: str = key(
        checks.choice("auto", "order", "weight"),
        "order: neighbour order; weight: a factor of the bond's coupling; auto: order, if H has a coupling for each",
        physics=False,
    )
    first_site: int = key(checks.choice_of(0, 1), "number of the first site in the file", physics=False)
    n_sites: int = key(
        checks.optional(checks.integer(least=2)), "number of sites, if some have no bond; null: each must have one"
    )
    edges: tuple[tuple[int, int, int], ...] = derived()  # site, site, neighbour order
    weights: tuple[float, ...] = derived(physics="given")  # of the edges; none if their third column is an order
    # numbers of the edges that the file gives from the larger site; none if the sense does not matter to the
    # Hamiltonian
    turned: tuple[int, ...] = derived(physics="given")

    def resolved(self) -> Self:
        return self._kept() if self.edges else self._from_file()

    def _kept(self) -> Self:
        """The edges that a run has kept: the file may have changed since."""
        try:
            edges = tuple((int(i), int(j), int(order)) for i, j, order in self.edges)
            weights = tuple(float(weight) for weight in self.weights)
            third = "weight" if weights else "order"
            turned = tuple(int(number) for number in self.turned)
            if any(not 0 <= number < len(edges) for number in turned):
                raise ValueError(f"lattice.turned={list(turned)} names other bonds than 0 to {len(edges) - 1}")
            n_sites = 1 + max(max(edge[:2]) for edge in edges) if self.n_sites in (None, ()) else self.n_sites
            kept = dataclasses.replace(self, third_column=third, n_sites=n_sites, edges=edges, weights=weights)
            kept = dataclasses.replace(kept, turned=turned)
            kept.make()
        except (TypeError, ValueError) as error:
            raise bad("lattice.edges", self.edges, f"what a run has read from lattice.file ({error})") from None
        return kept

    def _from_file(self) -> Self:
        bonds = one_line(
            "lattice.file",
            self.file,
            lambda: files.read_bonds(self.file, weighted=self.third_column == "weight", first_site=self.first_site),
        )
        joined = {site for edge in bonds.edges for site in edge[:2]}
        n_sites = 1 + max(joined)
        if n_sites > MAX_SITES:
            raise bad("lattice.file", self.file, f"at most {MAX_SITES} sites, and this names site {n_sites - 1}")
        if self.n_sites not in (None, n_sites):
            named = f"null or {n_sites}: {self.file} names sites up to {n_sites - 1 + self.first_site}"
            raise bad("lattice.n_sites", self.n_sites, f"{named}, counted from {self.first_site}")
        if self.n_sites is None and len(joined) < n_sites:
            free = [site + self.first_site for site in range(n_sites) if site not in joined]
            what = f"a bond for every site, and there is none for {sites_in_words(free)}"
            from_1 = "lattice.first_site=1 where sites count from 1; " if free == [0] else ""
            valid = f"{what} (counted from {self.first_site}); {from_1}lattice.n_sites={n_sites} if that is intended"
            raise bad("lattice.file", self.file, valid)
        weights = bonds.weights or ()
        return dataclasses.replace(self, n_sites=n_sites, edges=bonds.edges, weights=weights, turned=bonds.turned)

    def settled(self, given: Hamiltonian, hamiltonian: Hamiltonian, *, before: Any) -> Self:
        if not hamiltonian.has_sense():
            return dataclasses.replace(self, turned=())._with_orders(given, before)
        return self._with_orders(given, before)

    def _with_orders(self, given: Hamiltonian, before: Any) -> Self:
        if before.edges or self.third_column != "auto":
            return self
        orders, most = {order for _, _, order in self.edges}, given.most_orders()
        unused = sorted(order for order in orders if most is not None and order > most)
        if unused:
            name = f"order{'s' * (len(unused) > 1)} {', '.join(map(str, unused[:6]))}"
            why = f"{self.file} has bonds of {name}, which hamiltonian={given.name} does not use"
            raise bad("lattice.third_column", "auto", f"order or weight, whatever the third column is: {why}")
        return dataclasses.replace(self, third_column="order")

    def make(self) -> lattices.Lattice:
        orders, turned = sorted({order for _, _, order in self.edges}), set(self.turned)
        bonds = [(order, (j, i) if number in turned else (i, j)) for number, (i, j, order) in enumerate(self.edges)]
        weights = None
        if self.weights:
            weighted = list(zip(self.edges, self.weights, strict=True))
            weights = {n: [weight for (_, _, order), weight in weighted if order == n] for n in orders}
        return lattices.edges_lattice(
            self.n_sites, {n: [bond for order, bond in bonds if order == n] for n in orders}, weights
        )
