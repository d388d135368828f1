"""Qiskit's lists of Pauli strings, the results of SparsePauliOp.to_list() and .to_sparse_list().

    [('IIZZ', (-1+0j)), ('XIII', (0.7+0j))]                 as Python prints it, or with json.dump: [["IIZZ", -1.0]]
    [('ZZ', [0, 1], (-1+0j)), ('X', [3], (0.7+0j))]         letters and their qubits

The last letter of a dense label belongs to qubit 0 (docs.quantum.ibm.com, SparsePauliOp); letters of the sparse form
have the order of their list of qubits. A coefficient is a number, a complex number as Python or NumPy prints it, or a
list of its two parts. No text is evaluated as code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from nqs_hpc.formats.products import Product
from nqs_hpc.inputs.reading import printable
from nqs_hpc.types import PauliString

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_PRINTED = r"(?:np\.(?:complex128|float64)\()?\(?(?P<printed>[-+\d.eEj]{1,80})\)?\)?"  # complex() judges it
_COEFFICIENT = rf"(?:{_PRINTED}|\[\s*(?P<re>{_NUMBER})\s*,\s*(?P<im>{_NUMBER})\s*\])"
_TERM = re.compile(
    rf"\s*[(\[]\s*(?P<quote>['\"])(?P<letters>[^'\"]*)(?P=quote)\s*,\s*"
    rf"(?:\[(?P<qubits>[\d,\s]*)\]\s*,\s*)?{_COEFFICIENT}\s*,?\s*[)\]]\s*"
)


def read(text: str, where: str) -> list[Product]:
    """The terms of such a list; ValueError, one line, names ``where``."""
    body = text.strip()
    if not (body.startswith("[") and body.endswith("]")):
        raise ValueError(f"{where} is not a list [('ZZ', 1.0), ...], as SparsePauliOp.to_list() makes it")
    found: list[Product] = []
    at, end = 1, len(body) - 1
    while body[at:end].strip():
        match = _TERM.match(body, at, end)
        if match is None:
            valid = "valid is ('IIZZ', -1.0), or ('ZZ', [0, 1], -1.0)"
            raise ValueError(f"{where}, term {len(found) + 1}: {printable(body[at : at + 60], 60)!r}; {valid}")
        found.append(_product(match, f"{where}, term {len(found) + 1}"))
        at = match.end()
        if at < end:
            if body[at] != ",":
                raise ValueError(f"{where}: no comma behind term {len(found)}")
            at += 1
    if not found:
        raise ValueError(f"{where} holds no terms")
    return found


def _product(match: re.Match[str], where: str) -> Product:
    letters, qubits = match["letters"], match["qubits"]
    if set(letters) - set("IXYZ"):
        raise ValueError(f"{where}: {printable(letters, 60)!r} has other letters than I, X, Y, Z")
    try:
        if match["re"] is not None:
            coefficient = complex(float(match["re"]), float(match["im"]))
        else:
            coefficient = complex(match["printed"])
    except ValueError:
        raise ValueError(f"{where}: {printable(match[0], 60)!r} has no coefficient that is a number") from None
    if qubits is None:
        return Product(coefficient, letters[::-1], tuple(range(len(letters))), where, is_dense=True)
    sites = tuple(int(word[:12]) for word in qubits.replace(",", " ").split())
    return Product(coefficient, letters, sites, where)


def written(strings: Sequence[PauliString], n_sites: int) -> str:
    """JSON for ``SparsePauliOp.from_list(json.load(file))``: a label and a coefficient a term."""
    lines = []
    for one in strings:
        letters = ["I"] * n_sites
        for letter, site in zip(one.operators, one.sites, strict=True):
            letters[n_sites - 1 - site] = letter
        lines.append(json.dumps(["".join(letters), one.coefficient]))
    return "[" + ",\n ".join(lines) + "]\n"
