"""hamiltonian=fermion: any sum of products of fermion operators, from the config, a file or an FCIDUMP."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Self

import nqs_hpc
from nqs_hpc.choices.hamiltonian._fermions import Fermions
from nqs_hpc.choices.keys import Auto, Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Check, InputError, show
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system import fcidump, fermion_terms
from nqs_hpc.system.fermion_strings import FermionString, conserves, jordan_wigner
from nqs_hpc.system.fermion_terms import Integral, Term
from nqs_hpc.system.hilbert import Total
from nqs_hpc.system.lattice import Lattice

PACKAGED = "package:"  # before the name of a file in nqs_hpc/data


def _terms(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not value:
        raise checks.Invalid
    return tuple(value)


@dataclass(frozen=True)
class Fermion(Fermions):
    """Resolved: ``terms`` are the lines of the complete sum, sorted and merged, whatever their source."""

    examples: ClassVar[Examples] = (
        {"terms": ["-1.0 [0^ 1] +", "-1.0 [1^ 0]", "2.0 [0^ 0 2^ 2]", "0.3 []"]},
        {"terms": ["(0.5+0.2j) [0^ 3]", "(0.5-0.2j) [3^ 0]", "0.4 0^ 1^ 3 2", "0.4 2^ 3^ 1 0"], "spin": False},
        {"terms": ["0.5 [0^ 1^]", "0.5 [1 0]", "-1.0 [0^ 2]", "-1.0 [2^ 0]"], "spin": False},
        {"terms": ["-1.0 (1|2)", "0.7 (1 1|2 2)", "0.2 (1 2|1 2)", "0.4 (1 1|1 1)"]},
        {"fcidump": "package:h2_sto3g.fcidump"},
    )
    sources: ClassVar[tuple[str, ...]] = ("file", "fcidump")
    terms: tuple[str, ...] | None = key(
        checks.optional(Check("a list of lines like -1.0 [0^ 1]", _terms)),
        "list of lines: a coefficient and modes from 0 (0^ creates), or an integral of orbitals from 1, 0.7 (1 1|2 2)",
    )
    file: str | None = key(
        checks.optional(checks.path), "text file of the terms, as OpenFermion prints them", physics=False
    )
    fcidump: str | None = key(
        checks.optional(checks.path),
        "a molecule: integrals in an FCIDUMP file; package:NAME: a file of this package",
        physics=False,
    )
    spin: bool = key(
        checks.boolean, "whether each site is an orbital with modes for up and down; false: each site is one mode"
    )
    interleaved: bool | Auto = key(
        checks.either("auto", checks.boolean),
        "modes 2p and 2p+1 are orbital p up and down, as in OpenFermion; false: first all up, then all down; "
        "auto: true for a file that begins with FermionOperator:",
    )
    # Derived, and not what distinguishes two Hamiltonians: a run keeps its terms and its sector.
    electrons: tuple[int, ...] = dataclasses.field(default=(), compare=False, metadata={"physics": False})
    n_orbitals: int = dataclasses.field(default=0, compare=False, metadata={"physics": False})

    @property
    def has_spin(self) -> bool:
        return self.spin

    def resolved(self, lattice: Lattice) -> Self:
        given = {name: getattr(self, name) for name in ("terms", "file", "fcidump")}
        named = [name for name, value in given.items() if value is not None]
        if len(named) != 1:
            what = "none is" if not named else f"{' and '.join(named)} are"
            said = " with ".join(
                f"hamiltonian.{name}={show(value)}" for name, value in given.items() if value or not named
            )
            raise InputError(f"{said} is not valid: {what} given; valid: exactly one of them")
        place, value = f"hamiltonian.{named[0]}", given[named[0]]
        found, electrons = one_line(place, value, lambda: self._read(lattice))
        terms = one_line(place, value, lambda: self._checked(found, lattice))
        lines = tuple(map(fermion_terms.as_text, terms))
        n_orbitals = lattice.n_sites // lattice.layers
        return dataclasses.replace(self, terms=lines, interleaved=False, electrons=electrons, n_orbitals=n_orbitals)

    def _read(self, lattice: Lattice) -> tuple[list[Term], tuple[int, ...]]:
        if self.fcidump is not None:
            path = self.fcidump
            if path.startswith(PACKAGED):
                path = str(Path(nqs_hpc.__file__).parent / "data" / Path(path.removeprefix(PACKAGED)).name)
            found = fcidump.read(path)
            one = lattice.n_sites // lattice.layers
            if found.n_orbitals != one:
                raise ValueError(
                    f"it has NORB={found.n_orbitals} orbitals, and the lattice {one} sites; valid are as many"
                )
            return found.terms, (found.n_up, found.n_down)
        if self.file is not None:
            terms, headed = fermion_terms.read(self.file)
            interleaved = headed if self.interleaved == "auto" else self.interleaved
            return self._in_order(terms, lattice, interleaved=interleaved), ()
        terms = [fermion_terms.term(line, f"term {k}") for k, line in enumerate(self.terms or (), 1)]
        return self._in_order(terms, lattice, interleaved=self.interleaved is True), ()

    def _in_order(self, terms: list[Term], lattice: Lattice, *, interleaved: bool) -> list[Term]:
        """The terms with the modes first all up, then all down."""
        self._check_modes(terms, lattice)
        n_orbitals = lattice.n_sites // lattice.layers
        return [_in_blocks(term, n_orbitals) for term in terms] if interleaved and self.spin else terms

    def _check_modes(self, terms: list[Term], lattice: Lattice) -> None:
        """ValueError if a mode or orbital is not on these sites."""
        one = lattice.n_sites // lattice.layers
        n_modes = 2 * one if self.spin else one
        for term in terms:
            if isinstance(term, Integral):
                if not self.spin:
                    raise ValueError(
                        f"{fermion_terms.as_text(term)} is an integral of both spins; valid with spin=true"
                    )
                if max(term.orbitals) >= one:
                    raise ValueError(
                        f"{fermion_terms.as_text(term)}: orbitals are 1 to {one}, one a site of the lattice"
                    )
            elif (most := max((mode for mode, _ in term.operators), default=0)) >= n_modes:
                which = f"mode {most} is not one of the {n_modes} modes 0 to {n_modes - 1}"
                spins = " (up and down of each site)" if self.spin else ""
                raise ValueError(f"{fermion_terms.as_text(term)}: {which}{spins}")

    def _checked(self, terms: list[Term], lattice: Lattice) -> list[Term]:
        """The sum in its normal form; ValueError if it does not fit these sites."""
        self._check_modes(terms, lattice)
        one = lattice.n_sites // lattice.layers
        found = fermion_terms.merged(terms)
        if not any(string.sites for string in jordan_wigner(fermion_terms.strings_of(found, one))):
            raise ValueError("these add up to a constant; valid are terms with operators")
        return found

    def fermions(self, lattice: Lattice) -> tuple[FermionString, ...]:
        del lattice
        return _strings(self.terms or (), self.n_orbitals)

    @classmethod
    def couplings(cls) -> dict[str, Check]:
        return {}

    def conserves(self) -> bool:
        n = self.n_orbitals
        blocks = (range(n), range(n, 2 * n)) if self.spin else (range(n),)
        return all(conserves(string, block) for string in _strings(self.terms or (), n) for block in blocks)

    def why_not_conserved(self) -> str:
        return " with terms that change the number of up or of down" if self.spin else " with terms that change it"

    def ground_total(self, lattice: Lattice) -> Total:
        """That of the FCIDUMP, else half filling."""
        return (self.electrons[0], self.electrons[1]) if self.electrons else super().ground_total(lattice)

    def most_orders(self) -> int | None:
        return None

    def lines(self, lattice: Lattice) -> list[str]:
        strings = self.fermions(lattice)
        sizes = Counter(len(string.operators) for string in strings)
        what = [f"{n} product{'s' * (n > 1)} of {size} operators" for size, n in sorted(sizes.items()) if size]
        constants = [complex(string.coefficient).real for string in strings if not string.operators]
        head = f"{self.n_orbitals} {'orbitals' if self.spin else 'modes'}"
        return [f"lattice: {', '.join([head, *what, *(f'a constant {c:g}' for c in constants)])}"]


@lru_cache(maxsize=4)
def _strings(terms: tuple[str, ...], n_orbitals: int) -> tuple[FermionString, ...]:
    return fermion_terms.strings_of((fermion_terms.term(line, "hamiltonian.terms") for line in terms), n_orbitals)


def _in_blocks(term: Term, n_orbitals: int) -> Term:
    """A product of modes 2p and 2p + 1, orbital p up and down, rewritten with the modes p and ``n_orbitals`` + p."""
    if isinstance(term, Integral):
        return term
    moved = tuple((mode // 2 + n_orbitals * (mode % 2), creates) for mode, creates in term.operators)
    return FermionString(term.coefficient, moved)
