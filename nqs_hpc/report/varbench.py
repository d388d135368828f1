"""varbench.md: the energies in the format of the variational benchmarks project, for submission there.

Wu et al. 2024, arXiv:2302.04919; github.com/varbench/varbench. One table per Hamiltonian and lattice, one row per
result: Energy (of the whole system), Sigma (its statistical error), Energy Variance, DOF (number of spins, or of
fermions), Einf (energy at infinite temperature), Method, Data Repository (left empty: a link to where the data are
published). That project uses Pauli matrices and the first coupling as unit of energy, so its Heisenberg energies are
four times ours, divided by J.
"""

from __future__ import annotations

from typing import Any

from nqs_hpc.report.groups import by_system, measured
from nqs_hpc.report.rows import ReadPoint
from nqs_hpc.report.table import energy
from nqs_hpc.report.values import clean, count, number, section

DOUBTED = ("Point", "Energy", "Trust", "Why")
COLUMNS = ("Energy", "Sigma", "Energy Variance", "DOF", "Einf", "Method", "Data Repository")


def varbench(found: list[ReadPoint]) -> str:
    """The tables as Markdown with headings, then the points with doubtful energies, in our units.

    Empty if no point has its final energy.
    """
    parts = []
    for name, members in by_system(measured(found)).items():
        lines = [markdown_row(COLUMNS), "|" + "---|" * len(COLUMNS)]
        lines += [markdown_row(_cells(one)) for one in members]
        parts.append(f"## {markdown(name)}\n\n" + "\n".join(lines) + "\n")
    if doubted := [one.row for one in found if one.row.final and one.row.state in ("doubtful", "failed")]:
        lines = ["## Not to be handed in", "", markdown_row(DOUBTED), "|" + "---|" * len(DOUBTED)]
        lines += [markdown_row((row.name, energy(row), row.trust or row.state, row.why)) for row in doubted]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def markdown_row(cells: Any) -> str:
    """One row of a table."""
    return "| " + " | ".join(markdown(str(one)) for one in cells) + " |"


def markdown(raw: str) -> str:
    """Text escaped for Markdown: no columns, HTML, links or emphasis."""
    entities = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "*": "&#42;", "[": "&#91;", "`": "&#96;"}
    return "".join(entities.get(char, char) for char in clean(raw, 10**5)).replace("_", "\\_")


def _cells(one: ReadPoint) -> list[str]:
    row, factor, zero = one.row, _factor(one), one.row.get("e_infinity")
    return [
        _exact(row.get("energy"), factor),
        _exact(row.get("energy_error"), factor),
        _exact(row.get("energy_variance"), factor**2),
        str(count(one.traces.summary.get("n_degrees")) or row.n_sites or ""),
        _exact(zero, factor),
        _method(one),
        "",
    ]


def _factor(one: ReadPoint) -> float:
    """The factor from our units to theirs."""
    hamiltonian = section(section(one.traces.manifest, "physics"), "hamiltonian")
    coupling = hamiltonian.get("J")
    first = abs(number(coupling[0] if isinstance(coupling, list) and coupling else coupling) or 1.0)
    return {"heisenberg": 4 / first, "ising": 1 / first}.get(str(hamiltonian.get("name")), 1.0)


def _method(one: ReadPoint) -> str:
    physics = section(one.traces.manifest, "physics")
    network, optimizer = section(physics, "ansatz"), section(physics, "optimizer")
    settings = ", ".join(f"{key} = {value}" for key, value in network.items() if key in ("alpha", "alphas", "dtype"))
    version = section(one.traces.manifest, "versions").get("nqs_hpc", "")
    return f"{network.get('name', '')} ({settings}), VMC with {optimizer.get('name', '')}, nqs_hpc {version}".strip()


def _exact(value: float | None, factor: float) -> str:
    return "" if value is None else f"{value * factor:.10g}"
