"""Hamiltonians: the keys of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Check
from nqs_hpc.operators.pauli_strings import PauliString
from nqs_hpc.schema.keys import choice, key


def _gauge() -> Any:
    """Resolved: True where signs are taken, else None, which leaves the physics of a run as it is without the key."""
    valid = checks.optional(checks.either("auto", checks.boolean))
    doc = "signs of the basis states that make off-diagonal elements negative, as Marshall's; auto: where they exist"
    return key(valid, doc, physics="given")


@choice("hamiltonian", "ising")
@dataclass(frozen=True)
class Ising:
    name: str
    J: float = key(checks.number(), "coupling of nearest neighbours; positive is ferromagnetic")
    h: float = key(checks.number(), "transverse field")
    g: float = key(checks.number(), "longitudinal field")
    gauge: bool | None = _gauge()


@choice("hamiltonian", "heisenberg")
@dataclass(frozen=True)
class Heisenberg:
    """Resolved: ``J`` is a tuple by neighbour order without trailing zeros, ``marshall`` a boolean."""

    name: str
    J: tuple[float, ...] = key(
        checks.one_or_list(checks.number()), "coupling, or a list by neighbour order: [1, 0.5] is J1-J2"
    )
    delta: float = key(checks.number(), "anisotropy of the z part (XXZ)")
    marshall: bool = key(
        checks.either("auto", checks.boolean),
        "Marshall sign rule; auto: where signs make all off-diagonal elements negative, or J_1 > 0 on two sublattices",
    )


def _pauli_terms(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not value:
        raise checks.Invalid
    return value


@choice("hamiltonian", "pauli")
@dataclass(frozen=True)
class Pauli:
    """Resolved: ``terms`` are the strings of the whole sum, sorted and merged, wherever they came from."""

    name: str
    terms: tuple[PauliString, ...] = key(
        checks.optional(Check("a list of {coefficient: -1.0, operators: ZZ, sites: [0, 1]}", _pauli_terms)),
        "list of {coefficient, operators, sites: [..] | all, or neighbours: n}, or of text as in file",
    )
    file: str | None = key(
        checks.optional(checks.path),
        "the terms in a .yaml file, or text lines like -1.0 Z0 Z1, and -1.5 I for a constant",
        physics=False,
    )
    gauge: bool | None = _gauge()


@choice("hamiltonian", "rydberg")
@dataclass(frozen=True)
class Rydberg:
    name: str
    Omega: float = key(checks.number(), "Rabi frequency of the drive, not 0")
    delta: float = key(checks.number(), "detuning; positive favours excited atoms")
    V: float = key(checks.number(least=0), "repulsion of two excited atoms at distance 1")
    cutoff: float | None = key(
        checks.optional(checks.positive), "largest distance at which atoms interact; null: all pairs do"
    )
    gauge: bool | None = _gauge()


@choice("hamiltonian", "toric_code")
@dataclass(frozen=True)
class ToricCode:
    name: str
    hx: float = key(checks.number(), "field along x")
    hy: float = key(checks.number(), "field along y; with it the ground state is complex")
    hz: float = key(checks.number(), "field along z")
    gauge: bool | None = _gauge()


@choice("hamiltonian", "bose_hubbard")
@dataclass(frozen=True)
class BoseHubbard:
    name: str
    J: float = key(checks.number(), "hopping between nearest neighbours")
    U: float = key(checks.number(), "repulsion of two bosons on a site")
    mu: float = key(checks.number(), "chemical potential")
    n_max: int = key(checks.integer(below=128), "most bosons on a site")
    gauge: bool | None = _gauge()


Hamiltonian = Ising | Heisenberg | Pauli | Rydberg | ToricCode | BoseHubbard
