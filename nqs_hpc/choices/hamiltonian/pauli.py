"""hamiltonian=pauli: any real sum of Pauli strings (`operators.pauli`)."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.hamiltonian import _totals
from nqs_hpc.choices.hamiltonian._signs import of_strings
from nqs_hpc.choices.hamiltonian.base import Element, Gauged
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Check, InputError, bad, show
from nqs_hpc.inputs.line import one_line
from nqs_hpc.operators import pauli_strings
from nqs_hpc.system.hilbert import Total
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.words import sites_in_words
from nqs_hpc.types import Operator, PauliString


def _terms(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not value:
        raise checks.Invalid
    return value


@dataclass(frozen=True)
class Pauli(Gauged):
    """Resolved: ``terms`` are the strings of the complete sum, sorted and merged, whatever their source."""

    examples: ClassVar[Examples] = (
        {"terms": ["0.5 X0 X1", "0.3 Z0 Y2 Y3", "-1.0 Z1", "0.2 I"]},
        {"terms": [{"coefficient": 0.5, "operators": pair, "neighbours": 1} for pair in ("XX", "YY", "ZZ")]},
        {"terms": ["0.5 X0 Y1", "-0.5 Y0 X1", "1.0 Z0 Z1"]},
        {"terms": ["0.5 Z0 Z1", "-1.0 Z2"]},
        {
            "terms": [
                {"coefficient": c, "operators": pair, "neighbours": 1, "direction": "all"}
                for c, pair in ((0.4, "XY"), (-0.4, "YX"), (1.0, "ZZ"))
            ]
        },
    )
    sources: ClassVar[tuple[str, ...]] = ("file", "format")
    terms: tuple[PauliString, ...] = key(
        checks.optional(Check("a list of {coefficient: -1.0, operators: ZZ, sites: [0, 1]}", _terms)),
        "list of {coefficient, operators, sites: [..] | all, or neighbours: n (and direction)}, or of lines as in file",
    )
    file: str | None = key(
        checks.optional(checks.path),
        "file of the terms: .yaml, or text lines like -1.0 Z0 Z1, and -1.5 I for a constant",
        physics=False,
    )

    format: str = key(
        checks.choice(*pauli_strings.FORMATS),
        "format of the file: auto, YAML or lines by its name; qiskit, SparsePauliOp.to_list(); QuSpin with "
        "pauli=1 (quspin), 0 (quspin_spin) or -1 (quspin_minus1)",
        physics=False,
    )

    def resolved(self, lattice: Lattice) -> Self:
        if (self.terms is None) == (self.file is None):
            what = "neither is" if self.terms is None else "both are"
            raise InputError(
                f"hamiltonian.terms={show(self.terms)} with hamiltonian.file={show(self.file)} is not valid: {what} "
                "given; valid: exactly one of them"
            )
        if self.file is None and self.format != "auto":
            raise bad("hamiltonian.format", self.format, "auto without hamiltonian.file")
        key, value = ("hamiltonian.terms", self.terms) if self.file is None else ("hamiltonian.file", self.file)
        file, terms, form = self.file, self.terms, self.format
        strings = one_line(
            key,
            value,
            lambda: pauli_strings.expand(
                terms if file is None else pauli_strings.read(file, form), lattice, knows_sense=True
            ),
        )
        if not any(string.sites for string in strings):
            raise bad(key, value, "terms with an operator X, Y or Z: these add up to a constant")
        return dataclasses.replace(self, terms=strings).gauged(lattice)

    def strings(self, lattice: Lattice) -> Sequence[PauliString]:
        return self.terms

    def conserves(self) -> bool:
        return pauli_strings.conserves_magnetisation(self.terms)

    def ground_total(self, lattice: Lattice) -> Total:
        return _totals.of_strings(self.terms, lattice.n_sites)

    def most_orders(self) -> int | None:
        return None

    def lines(self, lattice: Lattice) -> list[str]:
        sizes = Counter(len(string.sites) for string in self.terms)
        count = [
            f"{n} Pauli string{'s' * (n > 1)} of {size} site{'s' * (size > 1)}"
            for size, n in sorted(sizes.items())
            if size
        ]
        constants = [string.coefficient for string in self.terms if not string.sites]
        head = [f"lattice: {lattice.n_sites} sites", *count, *(f"a constant {c:g}" for c in constants)]
        found = [", ".join(head)]
        acted = np.zeros(lattice.n_sites, dtype=bool)
        for string in self.terms:
            acted[list(string.sites)] = True
        if not acted.all():
            free = sites_in_words(np.flatnonzero(~acted).tolist())
            found.append(f"lattice: no string acts on {free}, counted from 0")
        return found

    def elements(self, lattice: Lattice) -> Iterable[Element]:
        return of_strings(self.terms)

    def joins(self, lattice: Lattice) -> bool:
        return any(set(string.operators) & set("XY") for string in self.terms)

    def make(self, lattice: Lattice, signs_N: NDArray[np.int8] | None) -> Operator:
        from nqs_hpc.operators.pauli import pauli

        return pauli(lattice.n_sites, pauli_strings.rotated(self.terms, signs_N))
