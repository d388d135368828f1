"""FCIDUMP files: the integrals of a molecule in orthonormal orbitals, as quantum chemistry programs write them.

P. J. Knowles and N. C. Handy, Comput. Phys. Commun. 54, 75 (1989), doi:10.1016/0010-4655(89)90033-7. A header

    &FCI NORB=2, NELEC=2, MS2=0, ORBSYM=1,1, ISYM=1, &END

and lines of a value and four orbitals that count from 1: ``i j k l`` is (ij|kl), ``i j 0 0`` is (i|j), ``i 0 0 0`` the
energy of an orbital, which is not needed, ``0 0 0 0`` the energy of the nuclei and of a frozen core. Of integrals that
are equal by symmetry one stands for all. Read are files of real orbitals that are those of both spins.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import NamedTuple

from nqs_hpc.inputs import reading
from nqs_hpc.inputs.reading import printable
from nqs_hpc.system.fermion_strings import FermionString
from nqs_hpc.system.fermion_terms import Integral, Term, equal_ones

SAME = 1e-9  # between two values that symmetry makes one
_HEAD = re.compile(r"\s*&FCI\b(.*?)(&END|/|\$END)", re.IGNORECASE | re.DOTALL)
_LONGEST = 2**16  # characters of a header


class Fcidump(NamedTuple):
    """What a file holds."""

    n_orbitals: int
    n_up: int
    n_down: int
    terms: list[Term]


def read(path: str | Path) -> Fcidump:
    """ValueError, one line, for a file that is none, or of another kind."""
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
    integrals: dict[tuple[int, ...], float] = {}
    core: float | None = None
    for k, line in enumerate(text[head.end() :].split("\n"), before + 1):
        if not line.strip():
            continue
        value, orbitals = _line(line, n_orbitals, f"{path}, line {k}")
        if not orbitals:
            if core is not None:
                raise ValueError(f"{path}, line {k}: a second energy of the core (0 0 0 0)")
            core = value
        elif len(orbitals) > 1:
            one = min(equal_ones(orbitals))
            known = integrals.setdefault(one, value)
            if abs(known - value) > SAME * max(1.0, abs(value)):
                which = " ".join(str(orbital + 1) for orbital in orbitals)
                raise ValueError(
                    f"{path}, line {k}: the integral {which} is {value:g}, and one that real orbitals make equal to it "
                    f"is {known:g}"
                )
    if core is None:
        raise ValueError(f"{path} has no line with the energy of the core (0 0 0 0), as a file that is whole has")
    terms: list[Term] = [Integral(value, orbitals) for orbitals, value in integrals.items() if value]
    return Fcidump(n_orbitals, n_up, n_down, [*terms, FermionString(core, ())] if core else terms)


def _header(text: str, path: Path) -> tuple[int, int, int]:
    """The numbers of orbitals and of electrons of either spin."""
    given = dict(re.findall(r"([A-Za-z]\w*)\s*=\s*([^=,\s]+)", text))
    values = {name.upper(): value for name, value in given.items()}
    for name in ("IUHF", "UHF"):
        if values.get(name, "0").upper().strip(".") not in ("0", "F", "FALSE"):
            raise ValueError(f"{path} has orbitals of its own for each spin ({name}); valid is a spin-restricted file")
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


def _line(line: str, n_orbitals: int, where: str) -> tuple[float, tuple[int, ...]]:
    """The value and the orbitals, from 0, that are not 0."""
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
