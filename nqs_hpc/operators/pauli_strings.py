"""Sums of Pauli strings as data: reading, expanding, merging, and what they conserve.

    H = sum_k c_k P_k,    P_k a product of Pauli matrices on distinct sites, c_k real, so H is Hermitian.

A term is a mapping, or a line of text: a coefficient and operators. Files, the key hamiltonian.terms and observables
in a notebook take both. The operators of a line are

    -1.0 Z0 Z1         letters with sites from 0; I is the identity, so -1.5 I is a constant
    -1.0 ZZI           one letter a site, the first that of site 0, as long as there are sites (Qiskit writes them the
                       other way round)
    -1.0 [Z0 Z1] +     as OpenFermion prints them, [] the identity

and a coefficient may be complex as Python writes it, (0.5+0j), if its imaginary part is 0.

A mapping stands for many strings, with ``sites: all`` or ``neighbours: n``. With ``direction`` bonds lead from i to j
(`system.directions`), the first letter acts on i and the second on j: XY of 1 and YX of -1 are a Dzyaloshinskii-Moriya
coupling along z.

Pure Python and NumPy: the check of the input runs here before JAX is loaded. Everything raises ValueError with one line
that names the file and line, or the number of the term.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nqs_hpc.formats import qiskit, quspin
from nqs_hpc.formats.products import Product
from nqs_hpc.inputs import reading
from nqs_hpc.system.directions import with_sense
from nqs_hpc.system.lattice import bond_weights, neighbours
from nqs_hpc.types import PauliString

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from nqs_hpc.system.lattice import Lattice


class Term(NamedTuple):
    """What a user writes: one string, or the same string on every site or every bond of a neighbour order."""

    coefficient: float
    operators: str  # letters I, X, Y, Z
    sites: tuple[int, ...] | None  # None: every site, or every bond of the neighbour order
    order: int | None
    where: str  # names the term in error lines
    is_dense: bool = False  # whether the string has a letter for each site, so that it is as long as there are sites
    direction: int | None = None  # 0: bonds with their sense along all directions; n: along the n-th of them


HEAD = "QubitOperator:"  # the first line of a file of OpenFermion's save_operator
MAX_ORDER = 1000  # finding the bonds of an order takes time that grows with it

_FORM = "{coefficient: NUMBER, operators: letters X, Y, Z, and one of sites: [..], sites: all, neighbours: ORDER}"
_DIRECTION = "direction: all, or the number of a direction from 1, for bonds with a sense"
_LINE = "valid is a coefficient and operators, like -1.0 Z0 Z1, or -1.5 I for a constant"


def _coefficient(value: Any, where: str) -> float:
    number: complex = math.nan
    try:
        # Python reads 1_0 as 10
        if (isinstance(value, str) and "_" not in value) or (
            isinstance(value, int | float | complex) and not isinstance(value, bool)
        ):
            number = complex(value)
    except (ValueError, OverflowError):
        pass
    if not math.isfinite(number.real) or number.imag != 0:
        raise ValueError(f"{where}: coefficient {_short(value)} is not a finite real number; {_LINE}")
    return number.real


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def term(entry: Any, where: str) -> Term:
    """One term from its mapping or its line of text; ValueError names ``where``."""
    if isinstance(entry, str):
        try:
            return _line(entry, where)
        except ValueError as error:
            raise ValueError(f"{error}, or {_FORM}") from None
    if not isinstance(entry, Mapping):
        raise ValueError(f"{where}: {_short(entry)} is not a mapping; valid is {_FORM}, or a line like '-1.0 Z0 Z1'")
    odd = sorted(str(name) for name in set(entry) - {"coefficient", "operators", "sites", "neighbours", "direction"})
    if odd:
        raise ValueError(f"{where}: unknown key {_short(odd[0])}; valid is {_FORM}")
    for name in ("coefficient", "operators"):
        if name not in entry:
            raise ValueError(f"{where}: {name} is missing; valid is {_FORM}")
    coefficient, operators = _coefficient(entry["coefficient"], where), entry["operators"]
    if operators == "I" and "neighbours" not in entry and entry.get("sites", []) == []:
        return Term(coefficient, "", (), None, where)
    if ("sites" in entry) == ("neighbours" in entry):
        raise ValueError(f"{where}: give either sites or neighbours; valid is {_FORM}")
    if "direction" in entry and "neighbours" not in entry:
        raise ValueError(f"{where}: direction is of bonds; valid is with neighbours: ORDER")
    if not isinstance(operators, str) or not operators or set(operators) - set("IXYZ"):
        raise ValueError(
            f"{where}: operators {_short(operators)} are not letters out of X, Y, Z, or I for the identity"
        )
    if "neighbours" in entry:
        order = entry["neighbours"]
        if not _whole(order, 1) or order > MAX_ORDER:
            raise ValueError(f"{where}: neighbours {_short(order)} is not a neighbour order from 1 to {MAX_ORDER}")
        if "direction" in entry:
            given = entry["direction"]
            if given != "all" and not _whole(given, 1):
                raise ValueError(f"{where}: direction {_short(given)} is neither all nor a whole number from 1")
            if len(operators) != 2 or "I" in operators:
                raise ValueError(f"{where}: with direction, operators are two of X, Y, Z, not {_short(operators)}")
            return Term(coefficient, operators, None, order, where, direction=0 if given == "all" else given)
        if operators not in ("XX", "YY", "ZZ"):
            # without a sense of the bonds XY on each of them would depend on how their ends are numbered
            valid = f"XX, YY or ZZ, or any two with {_DIRECTION}"
            raise ValueError(f"{where}: with neighbours, operators are {valid}; not {_short(operators)}")
        return Term(coefficient, operators, None, order, where)
    sites = entry["sites"]
    if sites == "all":
        if operators not in ("X", "Y", "Z"):
            raise ValueError(f"{where}: with sites: all, operators is one letter X, Y or Z, not {_short(operators)}")
        return Term(coefficient, operators, None, None, where)
    if not isinstance(sites, list | tuple) or not all(_whole(site, 0) for site in sites):
        raise ValueError(f"{where}: sites {_short(sites)} are not a list of site numbers from 0, and not the word all")
    if len(sites) != len(operators):
        raise ValueError(
            f"{where}: {len(operators)} operators {_short(operators)} for {len(sites)} sites {_short(list(sites))}"
        )
    if len(set(sites)) != len(sites):
        raise ValueError(f"{where}: sites {_short(list(sites))} name one site twice")
    return Term(coefficient, operators, tuple(sites), None, where)


def _line(text: str, where: str) -> Term:
    """One text line such as ``-1.0 Z0 Z1``."""
    words = text.split("#", maxsplit=1)[0].split()
    if not words:
        raise ValueError(f"{where}: {_short(text)} is not a coefficient and operators, like '-1.0 Z0 Z1'")
    if len(words) == 1:
        raise ValueError(f"{where}: no operators in {text.strip()[:60]!r}; {_LINE}")
    if re.match(r"[IXYZ]\d*$|[IXYZ]{2,}$|\[", words[0]):
        raise ValueError(f"{where}: the coefficient is missing before {_short(words[0])}; {_LINE}")
    number = _coefficient(words[0], where)
    joined = " ".join(words[1:])
    in_brackets = re.fullmatch(r"\[([^\[\]]*)\](?: ?\+)?", joined)  # OpenFermion's, a + at the end of all lines but one
    factors = (in_brackets[1] if in_brackets else joined).split()
    if factors == ["I"] or (in_brackets and not factors):
        return Term(number, "", (), None, where)
    if len(factors) == 1 and not set(factors[0]) - set("IXYZ"):
        return Term(number, factors[0], tuple(range(len(factors[0]))), None, where, is_dense=True)
    sites = []
    for factor in factors:
        digits = factor[1:]
        if factor[0] not in "IXYZ" or not (digits.isascii() and digits.isdigit() and len(digits) <= 10):
            raise ValueError(
                f"{where}: {_short(factor)} is not a letter X, Y or Z with a site number, like Z0; {_LINE}"
            )
        sites.append(int(digits))
    letters = "".join(factor[0] for factor in factors)
    return term({"coefficient": number, "operators": letters, "sites": sites}, where)


# Formats of a file, beside lines and YAML: QuSpin's by the ``pauli`` of its basis.
FORMATS = ("auto", "qiskit", "quspin", "quspin_spin", "quspin_minus1")
_PAULI = {"quspin": 1, "quspin_spin": 0, "quspin_minus1": -1}


def read(path: str | Path, form: str = "auto") -> list[Term]:
    """The terms of a file of one of the ``FORMATS``; ``auto``: of a .yaml or .yml file (a list as in the configuration)
    or of a text file, one line a term, of OpenFermion with or without its head line.
    """
    path = Path(path)
    try:
        text = reading.text(path, reading.SYSTEM, follow=True)
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror})") from None
    if form != "auto":
        products = (
            qiskit.read(text, f"{path}") if form == "qiskit" else quspin.read(text, f"{path}", pauli=_PAULI[form])
        )
        terms = [_of_product(one) for one in products]
    elif path.suffix in (".yaml", ".yml"):
        try:
            entries = reading.parse_yaml(text)
        except ValueError as error:
            raise ValueError(f"{path} is not YAML ({str(error)[:120]})") from None
        if not isinstance(entries, list):
            raise ValueError(f"{path} is not a list of {_FORM}")
        terms = [term(entry, f"{path}, term {k}") for k, entry in enumerate(entries, 1)]
    else:
        if re.match(r"\s*\[\s*[(\[]", text):
            which = "hamiltonian.format=qiskit, or one of quspin's"
            raise ValueError(
                f"{path} looks like a list of Qiskit or QuSpin, which say different things; valid: {which}"
            )
        lines = ((k, line.split("#")[0].strip()) for k, line in enumerate(text.splitlines(), 1))
        terms = [_line(line, f"{path}, line {k}") for k, line in lines if line and (k > 1 or line != HEAD)]
    if not terms:
        raise ValueError(f"{path} holds no terms")
    return terms


def _of_product(one: Product) -> Term:
    if not one.is_dense or not one.operators:
        entry = {"coefficient": one.coefficient, "operators": one.operators or "I", "sites": list(one.sites)}
        return term(entry, one.where)
    return Term(_coefficient(one.coefficient, one.where), one.operators, one.sites, None, one.where, is_dense=True)


def expand(terms: Iterable[Any], lattice: Lattice, *, knows_sense: bool = False) -> tuple[PauliString, ...]:
    """All strings of the sum on a lattice: equal ones merged, vanishing ones dropped, sorted by length, sites, letters.

    ``terms`` are what ``read`` returns, or mappings and lines as in the configuration. A bond counts by its weight.
    ``knows_sense``: whether ``lattice`` is as it was read, with the sense of a file's bonds, which a run does not keep.
    """
    total: dict[tuple[tuple[int, ...], str], float] = defaultdict(float)
    size: dict[tuple[tuple[int, ...], str], float] = defaultdict(float)
    for k, entry in enumerate(terms, 1):
        one = entry if isinstance(entry, Term) else term(entry, f"term {k}")
        if one.direction is not None and lattice.edges is not None and not knows_sense:
            raise ValueError(f"{one.where}: direction with lattice=edges is of hamiltonian.terms alone; valid is sites")
        if one.is_dense and len(one.operators) != lattice.n_sites:
            raise ValueError(
                f"{one.where}: {one.operators[:40]!r} has {len(one.operators)} letters, and there are "
                f"{lattice.n_sites} sites; valid is a letter for each, or letters with site numbers, like Z0 Z1"
            )
        for sites, weight in _places(one, lattice):
            if sites and max(sites) >= lattice.n_sites:
                raise ValueError(
                    f"{one.where}: site {max(sites)} is not one of the {lattice.n_sites} sites 0 to "
                    f"{lattice.n_sites - 1}"
                )
            letters = sorted((site, letter) for site, letter in zip(sites, one.operators, strict=True) if letter != "I")
            place = tuple(site for site, _ in letters), "".join(letter for _, letter in letters)
            total[place] += one.coefficient * weight
            size[place] += abs(one.coefficient * weight)
    strings = [
        PauliString(coefficient, operators, sites)
        for (sites, operators), coefficient in total.items()
        if abs(coefficient) > 1e-14 * size[sites, operators]
    ]
    if not strings:
        raise ValueError("the terms add up to nothing")
    return tuple(sorted(strings, key=lambda s: (len(s.sites), s.sites, s.operators)))


def merged(strings: Iterable[PauliString]) -> tuple[PauliString, ...]:
    """A sum of strings, whose sites are distinct, in the form of `expand`; () where nothing is left of it."""
    total: dict[tuple[tuple[int, ...], str], list[float]] = defaultdict(list)
    for coefficient, operators, sites in strings:
        letters = sorted((site, letter) for site, letter in zip(sites, operators, strict=True) if letter != "I")
        total[tuple(site for site, _ in letters), "".join(letter for _, letter in letters)].append(coefficient)
    found = [
        PauliString(sum(parts), operators, sites)
        for (sites, operators), parts in total.items()
        if abs(sum(parts)) > 1e-14 * sum(map(abs, parts))
    ]
    return tuple(sorted(found, key=lambda s: (len(s.sites), s.sites, s.operators)))


def _places(one: Term, lattice: Lattice) -> list[tuple[tuple[int, ...], float]]:
    """The sites of each string of a term, and a factor."""
    if one.sites is not None:
        return [(one.sites, 1.0)]
    if one.order is None:
        return [((site,), 1.0) for site in range(lattice.n_sites)]
    try:
        if one.direction is not None:
            return _with_sense(lattice, one.order, one.direction)
        bonds, weights = neighbours(lattice, one.order), bond_weights(lattice, one.order)
    except ValueError as error:
        raise ValueError(f"{one.where}: {error}") from None
    factors = np.ones(len(bonds)) if weights is None else weights
    return [((i, j), factor) for (i, j), factor in zip(bonds.tolist(), factors.tolist(), strict=True)]


def _with_sense(lattice: Lattice, order: int, direction: int) -> list[tuple[tuple[int, ...], float]]:
    """The bonds from i to j along one direction, from 1, or along all of them: 0."""
    groups = with_sense(lattice, order)
    if direction > len(groups):
        raise ValueError(f"direction {direction}; valid is all, or 1 to {len(groups)}, the directions of these bonds")
    taken = groups if direction == 0 else groups[direction - 1 : direction]
    return [
        ((i, j), count)
        for along in taken
        for (i, j), count in zip(along.bonds.tolist(), along.counts.tolist(), strict=True)
    ]


def rotated(strings: Iterable[PauliString], signs_N: NDArray[np.int8] | None) -> tuple[PauliString, ...]:
    """U H U with U = prod_i sz_i over the sites whose sign (N,) is -1: X and Y on such a site change sign."""
    if signs_N is None:
        return tuple(strings)
    turned = []
    for coefficient, operators, sites in strings:
        odd = sum(bool(signs_N[site] < 0 and letter in "XY") for letter, site in zip(operators, sites, strict=True)) % 2
        turned.append(PauliString(-coefficient if odd else coefficient, operators, sites))
    return tuple(turned)


def conserves_magnetisation(strings: Iterable[PauliString]) -> bool:
    """Whether the sum commutes with sum_i Z_i, from [X, Z] = -2iY and [Y, Z] = 2iX, to 1e-12 of the largest term."""
    commutator: dict[tuple[tuple[int, ...], str], complex] = defaultdict(complex)
    largest = 0.0
    for coefficient, operators, sites in strings:
        largest = max(largest, abs(coefficient))
        for k, letter in enumerate(operators):
            if letter != "Z":
                other, factor = ("Y", -2j) if letter == "X" else ("X", 2j)
                commutator[sites, operators[:k] + other + operators[k + 1 :]] += factor * coefficient
    return all(abs(value) <= 1e-12 * largest for value in commutator.values())
