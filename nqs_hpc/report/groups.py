"""Which points belong together: to one curve against size, to one system, to one ansatz."""

from __future__ import annotations

import json
from typing import Any

from nqs_hpc.report.rows import Found, Row
from nqs_hpc.report.swept import plain, settings
from nqs_hpc.report.table import cell, names, short_keys
from nqs_hpc.report.values import clean, section

SIZES = ("lattice.length", "lattice.extent", "seed")  # along a curve these change
_SAY_THEMSELVES = ("ansatz", "lattice", "hamiltonian")


def measured(found: list[Found]) -> list[Found]:
    """Those with the energy of their final parameters."""
    return [one for one in found if one.row.final and one.row.state == "done" and one.row.energy is not None]


def label(row: Row, without: tuple[str, ...] = SIZES) -> str:
    """What tells a curve from others, such as "rbm, h 1.5"; empty where nothing does."""
    names = short_keys(list(row.swept))
    told = [(key, cell(value)) for key, value in row.swept.items() if key not in without and value is not None]
    return ", ".join(
        value if key in ("ansatz", "lattice", "hamiltonian") else f"{names[key]} {value}" for key, value in told
    )


def title(row: Row, rows: list[Row]) -> str:
    """What a row is called above a panel, among the ``rows`` of the table."""
    told = [(column, column.cell(row)) for column in names(rows)]
    return (
        ", ".join(f"{column.title} {text}" if column.is_number else text for column, text in told if text) or row.name
    )


def by_system(found: list[Found]) -> dict[str, list[Found]]:
    """Points of the same Hamiltonian, lattice and sector, by a name for it; those that do not say theirs left out."""
    groups: dict[str, list[Found]] = {}
    called: dict[str, str] = {}
    for one in found:
        physics = section(one.traces.manifest, "physics")
        if physics.get("lattice") and physics.get("hamiltonian"):
            identity = json.dumps([physics.get(key) for key in ("lattice", "hamiltonian", "sector")], sort_keys=True)
            groups.setdefault(identity, []).append(one)
            called.setdefault(identity, system(one))
    return _named(groups, called)


def by_curve(found: list[Found]) -> dict[str, list[Found]]:
    """Points of the same physics and settings but for size and seed, by what tells them from other curves."""
    groups: dict[str, list[Found]] = {}
    called: dict[str, str] = {}
    for one in found:
        # what was recorded beside what the table shows: a launch does not say what it did not sweep
        same = {key: plain(value) for key, value in settings(one.traces).items()} | one.row.swept
        identity = json.dumps({key: value for key, value in same.items() if key not in SIZES}, sort_keys=True)
        groups.setdefault(identity, []).append(one)
        called.setdefault(identity, label(one.row))
    return _named(groups, called)


def _named(groups: dict[str, list[Found]], called: dict[str, str]) -> dict[str, list[Found]]:
    """Groups by identity as groups by name; one that several would have carries their number."""
    shared = {name for name in called.values() if list(called.values()).count(name) > 1}
    told: dict[str, list[Found]] = {}
    for number, (identity, members) in enumerate(groups.items(), 1):
        name = called[identity]
        told[f"{name} ({number})".strip() if name in shared else name] = members
    return told


def system(one: Found) -> str:
    """A short name of what the point is the ground state of: "chain 16, h 1.5"."""
    lattice = section(section(one.traces.manifest, "physics"), "lattice")
    extent = lattice.get("extent")
    size = "×".join(map(str, extent)) if isinstance(extent, list) and extent else str(one.row.n_sites or "")
    short = short_keys(list(one.row.swept))
    couplings = [
        f"{short[key]} {cell(value)}"
        for key, value in one.row.swept.items()
        if key.startswith(("hamiltonian.", "sector")) and value is not None
    ]
    return clean(", ".join([f"{lattice.get('name', 'lattice')} {size}", *couplings]))


def ansatz(one: Found) -> str:
    """The name of the wave function, with what is swept of it."""
    name: Any = section(section(one.traces.manifest, "physics"), "ansatz").get("name")
    short = short_keys(list(one.row.swept))
    settings = [
        f"{short[key]} {cell(value)}"
        for key, value in one.row.swept.items()
        if key.startswith("ansatz.") and value is not None
    ]
    return clean(", ".join([str(name or one.row.swept.get("ansatz") or "unknown"), *settings]))
