"""FCIDUMP files: the integrals of a molecule in orthonormal orbitals, written by quantum chemistry programs.

P. J. Knowles and N. C. Handy, Comput. Phys. Commun. 54, 75 (1989), doi:10.1016/0010-4655(89)90033-7. A header

    &FCI NORB=2, NELEC=2, MS2=0, ORBSYM=1,1, ISYM=1, &END

is followed by lines with a value and four orbitals that count from 1: ``i j k l`` is (ij|kl), ``i j 0 0`` is (i|j), ``i
0 0 0`` the energy of an orbital, which is not needed, ``0 0 0 0`` the energy of the nuclei and of a frozen core. One
integral represents all that are equal by symmetry. Orbitals are real.

With IUHF=1 in the header each spin has its own orbitals, in the format of Molpro and block2: (ij|kl) for two electrons
with spin up, for two with spin down, for one of each, then (i|j) for up and for down, with a line ``0.0 0 0 0 0`` after
each of the five blocks, and finally the energy of the core.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nqs_hpc.inputs import reading
from nqs_hpc.inputs.reading import printable
from nqs_hpc.system.fermion_strings import FermionString, normal_ordered
from nqs_hpc.system.fermion_terms import Integral, Term, equal_ones, of_each_spin, strings_of

SAME = 1e-9  # largest difference of two values that are equal by symmetry
_HEAD = re.compile(r"\s*&FCI\b(.*?)(&END|/|\$END)", re.IGNORECASE | re.DOTALL)
_LONGEST = 2**16  # characters of a header


class Fcidump(NamedTuple):
    """The content of a file."""

    n_orbitals: int
    n_up: int
    n_down: int
    terms: list[Term]


def read(path: str | Path) -> Fcidump:
    """Read a file; ValueError, one line, if it is not a valid FCIDUMP."""
    path = Path(path)
    try:
        text = reading.text(path, reading.SYSTEM, follow=True)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    head = _HEAD.match(text[:_LONGEST])
    if head is None:
        raise ValueError(f"{path} is not an FCIDUMP: it does not begin with &FCI NORB=..., NELEC=..., MS2=..., &END")
    n_orbitals, n_up, n_down = _header(head[1], path)
    before = text[: head.end()].count("\n")
    lines = [
        (f"{path}, line {k}", line) for k, line in enumerate(text[head.end() :].split("\n"), before + 1) if line.strip()
    ]
    if _has_two_kinds(head[1]):
        return Fcidump(n_orbitals, n_up, n_down, _of_each_spin(lines, n_orbitals, path))
    integrals: dict[tuple[int, ...], float] = {}
    core: float | None = None
    for where, line in lines:
        value, orbitals = _line(line, n_orbitals, where)
        if not orbitals:
            if core is not None:
                raise ValueError(f"{where}: a second energy of the core (0 0 0 0)")
            core = value
        elif len(orbitals) > 1:
            _keep(integrals, equal_ones(orbitals), orbitals, value, where)
    if core is None:
        raise ValueError(f"{path} has no line with the energy of the core (0 0 0 0), as a file that is whole has")
    terms: list[Term] = [Integral(value, orbitals) for orbitals, value in integrals.items() if value]
    return Fcidump(n_orbitals, n_up, n_down, [*terms, FermionString(core, ())] if core else terms)


def _keep(
    integrals: dict[tuple[int, ...], float],
    equal: set[tuple[int, ...]],
    orbitals: tuple[int, ...],
    value: float,
    where: str,
) -> None:
    """Add a value to the integrals; one represents all that are equal by symmetry."""
    known = integrals.setdefault(min(equal), value)
    if abs(known - value) > SAME * max(1.0, abs(value)):
        which = " ".join(str(orbital + 1) for orbital in orbitals)
        said = f"the integral {which} is {value:g}, and one that real orbitals make equal to it is {known:g}"
        raise ValueError(f"{where}: {said}")


_BLOCKS = ("up up", "down down", "up down", "up", "down")


def _of_each_spin(lines: list[tuple[str, str]], n: int, path: Path) -> list[Term]:
    """The terms of a file with separate orbitals for each spin."""
    blocks: list[dict[tuple[int, ...], float]] = [{} for _ in _BLOCKS]
    core: float | None = None
    now = 0
    for where, line in lines:
        value, orbitals = _line(line, n, where)
        if core is not None:
            raise ValueError(f"{where}: a line behind the energy of the core")
        if orbitals and (now == len(_BLOCKS) or len(orbitals) != (4 if now < 3 else 2)):
            what = f"the integrals {_BLOCKS[now]}" if now < len(_BLOCKS) else "the energy of the core"
            raise ValueError(f"{where}: {printable(line, 60)} among {what}")
        if orbitals:
            _keep(blocks[now], equal_ones(orbitals, two_kinds=now == 2), orbitals, value, where)
        elif now == len(_BLOCKS):
            core = value
        elif value:
            raise ValueError(f"{where}: {value:g}, where 0 ends the integrals {_BLOCKS[now]}")
        else:
            now += 1
    if core is None:
        raise ValueError(f"{path} ends before the energy of the core; valid are {', '.join(_BLOCKS)} and that")
    return of_each_spin(blocks[:3], blocks[3:], core, n)


def written(strings: Sequence[FermionString], n_orbitals: int, n_up: int, n_down: int) -> str:
    """The file of a Hamiltonian of ``n_orbitals`` orbitals with both spins, first all up, then all down.

    Its integrals are the coefficients of c+_pu c_qu and c+_pu c+_rd c_sd c_qu. ValueError if these, with the symmetry
    of real orbitals common to both spins, do not give the complete Hamiltonian.
    """
    n, found = n_orbitals, dict[tuple[int, ...], float]()
    for coefficient, operators in normal_ordered(strings):
        modes = tuple(mode for mode, _ in operators)
        kind = [(creates, mode >= n) for mode, creates in operators]
        if kind == [(True, False), (False, False)]:
            orbitals: tuple[int, ...] = modes
        elif kind == [(True, False), (True, True), (False, True), (False, False)]:
            p, r, s, q = modes
            orbitals = (p, q, r - n, s - n)
        elif not operators:
            orbitals = ()
        else:  # the rest follows by symmetry
            continue
        found.setdefault(min(equal_ones(orbitals)) if orbitals else (), complex(coefficient).real)
    core = found.pop((), 0.0)
    terms: list[Term] = [Integral(value, orbitals) for orbitals, value in found.items()]
    if not _same([*strings_of(terms, n), FermionString(core, ())], strings):
        raise ValueError("it is not made of integrals of one and two electrons in real orbitals of both spins")
    order = sorted(found, key=lambda orbitals: (-len(orbitals), orbitals))
    lines = [f" {found[orbitals]!r:>24}{_numbers(orbitals)}" for orbitals in order]
    head = f" &FCI NORB={n},NELEC={n_up + n_down},MS2={n_up - n_down},\n  ORBSYM={'1,' * n}\n  ISYM=1,\n &END\n"
    return head + "\n".join([*lines, f" {core!r:>24}{_numbers(())}"]) + "\n"


def _numbers(orbitals: tuple[int, ...]) -> str:
    return "".join(f"{orbital + 1:5d}" for orbital in orbitals) + "    0" * (4 - len(orbitals))


def _same(one: Sequence[FermionString], other: Sequence[FermionString]) -> bool:
    """Whether two sums are the same operator, up to rounding."""
    mine, theirs = ({string.operators: string.coefficient for string in normal_ordered(each)} for each in (one, other))
    largest = max(map(abs, theirs.values()), default=0.0)
    return all(abs(mine.get(at, 0.0) - theirs.get(at, 0.0)) <= SAME * largest for at in mine.keys() | theirs.keys())


def _header(text: str, path: Path) -> tuple[int, int, int]:
    """The numbers of orbitals and of electrons of either spin."""
    given = dict(re.findall(r"([A-Za-z]\w*)\s*=\s*([^=,\s]+)", text))
    values = {name.upper(): value for name, value in given.items()}
    numbers = []
    for name in ("NORB", "NELEC", "MS2"):
        word = values.get(name, "0" if name == "MS2" else "")
        if not re.fullmatch(r"[+-]?[0-9]{1,6}", word):
            said = f"{name}={printable(word, 40)}" if word else f"no {name}"
            raise ValueError(f"{path} has {said} in its header; valid is a whole number")
        numbers.append(int(word))
    n_orbitals, n_electrons, ms2 = numbers
    if not n_orbitals >= 1:
        raise ValueError(f"{path} has NORB={n_orbitals}; valid is at least 1")
    n_up, odd = divmod(n_electrons + ms2, 2)
    n_down = n_electrons - n_up
    if odd or not (0 <= n_up <= n_orbitals and 0 <= n_down <= n_orbitals):
        fits = f"each from 0 to NORB={n_orbitals}"
        raise ValueError(f"{path} has NELEC={n_electrons} with MS2={ms2}; valid are N_up + N_down and their difference,"
                         f" {fits}")  # fmt: skip
    return n_orbitals, n_up, n_down


def _has_two_kinds(text: str) -> bool:
    """Whether the header says that each spin has its own orbitals."""
    found = re.findall(r"\bI?UHF\s*=\s*([^=,\s]+)", text, flags=re.IGNORECASE)
    return any(word.upper().strip(".") not in ("0", "F", "FALSE") for word in found)


def _line(line: str, n_orbitals: int, where: str) -> tuple[float, tuple[int, ...]]:
    """The value and the nonzero orbitals, counted from 0."""
    words = line.split()
    try:
        value = float(re.sub("[dD]", "e", words[0])) if "_" not in line else math.nan  # Fortran writes 1.0D-3
        orbitals = tuple(int(word) for word in words[1:])
    except ValueError:
        value, orbitals = math.nan, ()
    if len(words) != 5 or not math.isfinite(value):
        raise ValueError(f"{where}: {printable(line, 60)} is not a number and four orbitals")
    if not all(0 <= orbital <= n_orbitals for orbital in orbitals):
        raise ValueError(
            f"{where}: orbitals are 1 to NORB={n_orbitals}, and 0 where there is none: {printable(line, 60)}"
        )
    named = tuple(orbital - 1 for orbital in orbitals if orbital)
    if len(named) == 3 or any(orbitals[len(named) :]):
        raise ValueError(f"{where}: {printable(line, 60)} names three orbitals, or a 0 before one; "
                         "valid are i j k l, i j 0 0, i 0 0 0 and 0 0 0 0")  # fmt: skip
    return value, named
