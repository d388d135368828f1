"""Groups of points: curves against size, systems, ansätze."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from nqs_hpc.report.rows import ReadPoint, Row
from nqs_hpc.report.swept import plain, settings
from nqs_hpc.report.table import cell, names, short_keys
from nqs_hpc.report.values import clean, section

SOURCES = ("task.run", "init_from")  # names of other runs, whose physics is recorded with the run itself
SIZES = ("lattice.length", "lattice.extent", "lattice.cluster", "seed", *SOURCES)  # keys that change along a curve
PARTICLES = ("bose_hubbard", "tv", "fermion")  # Hamiltonians whose total is a number of particles
SAME_LEVEL = 1e-9  # relative: closer exact energies belong to the same level


def measured(found: list[ReadPoint]) -> list[ReadPoint]:
    """The points with the energy of their final parameters."""
    return [one for one in found if one.row.final and one.row.state == "done" and one.row.get("energy") is not None]


def label(row: Row, without: tuple[str, ...] = SIZES) -> str:
    """What distinguishes a curve from others, such as "rbm, h 1.5"; may be empty."""
    names = short_keys(list(row.swept))
    shown = [(key, cell(value)) for key, value in row.swept.items() if key not in without and value is not None]
    return ", ".join(
        value if key in ("ansatz", "lattice", "hamiltonian") else f"{names[key]} {value}" for key, value in shown
    )


def title(row: Row, rows: list[Row]) -> str:
    """The title of a row's panel, among the ``rows`` of the table."""
    cells = [(column, column.cell(row)) for column in names(rows)]
    return (
        ", ".join(f"{column.title} {text}" if column.is_number else text for column, text in cells if text) or row.name
    )


def by_system(found: list[ReadPoint]) -> dict[str, list[ReadPoint]]:
    """Points that look for the same lowest state, by its name; points whose system is not recorded are left out.

    The Hamiltonian, the lattice and the sector (conserved total and symmetries, whether imposed or built in) are the
    same. Two descriptions of a sector with the same exact lowest energy count as one.
    """
    groups: dict[str, list[ReadPoint]] = {}
    for one in found:
        physics = section(one.traces.manifest, "physics")
        if physics.get("lattice") and physics.get("hamiltonian"):
            identity = json.dumps([_couplings(physics), physics.get("sector"), _symmetry(physics)], sort_keys=True)
            groups.setdefault(identity, []).append(one)
    merged: list[list[ReadPoint]] = []
    for members in groups.values():
        same = next((others for others in merged if _same_level(others, members)), None)
        merged.append(members) if same is None else same.extend(members)
    order = {id(one): i for i, one in enumerate(found)}
    whole = {str(i): sorted(members, key=lambda one: order[id(one)]) for i, members in enumerate(merged)}
    return named(whole, {number: system(members) for number, members in whole.items()})


def _couplings(physics: dict[str, Any]) -> list[Any]:
    """Lattice and Hamiltonian; Marshall's rule belongs to the wave function, unless sectors are named in its basis."""
    hamiltonian = section(physics, "hamiltonian")
    if not _symmetry(physics):
        hamiltonian = {key: value for key, value in hamiltonian.items() if key != "marshall"}
    return [physics.get("lattice"), hamiltonian]


def _symmetry(physics: dict[str, Any]) -> dict[str, Any]:
    """The symmetry sector in a record, imposed by a sum or built into the network, without unset keys."""
    own = {key: value for key, value in section(physics, "ansatz").items() if key in ("group", "momentum", "irrep")}
    summed = {key: value for key, value in section(physics, "symmetrize").items() if key != "mode"}
    return {key: value for key, value in (own | summed).items() if value is not None}


def _same_level(some: list[ReadPoint], others: list[ReadPoint]) -> bool:
    """Whether two groups have the same Hamiltonian and lattice, and sectors with the same exact lowest energy."""
    first, second = (section(group[0].traces.manifest, "physics") for group in (some, others))
    exact = {energy for one in (*some, *others) if (energy := one.row.get("reference")) is not None}
    known = all(any(one.row.get("reference") is not None for one in group) for group in (some, others))
    alike = known and max(exact) - min(exact) <= SAME_LEVEL * max(map(abs, exact))
    return alike and _bare(first) == _bare(second)


def _bare(physics: dict[str, Any]) -> list[Any]:
    hamiltonian = section(physics, "hamiltonian")
    return [physics.get("lattice"), {key: value for key, value in hamiltonian.items() if key != "marshall"}]


def by_curve(found: list[ReadPoint]) -> dict[str, list[ReadPoint]]:
    """Points that differ only in size and seed, by a label that distinguishes them from other curves."""
    groups: dict[str, list[ReadPoint]] = {}
    called: dict[str, str] = {}
    for one in found:
        # including settings that the table does not show, because a launch records only what it sweeps
        same = {key: plain(value) for key, value in settings(one.traces).items()} | one.row.swept
        of_size = scaled(one)
        same = {key: of_size.get(key, value) for key, value in same.items() if key not in SIZES} | of_size
        same |= {"task": one.row.task}
        identity = json.dumps(same, sort_keys=True, default=str)
        groups.setdefault(identity, []).append(one)
        row = one.row._replace(swept={key: of_size.get(key, value) for key, value in one.row.swept.items()})
        called.setdefault(identity, label(row))
    return named(groups, called)


def scaled(one: ReadPoint) -> dict[str, Any]:
    """Settings that scale with the size: a momentum relative to the sides, particles per site, of each spin."""
    physics = section(one.traces.manifest, "physics")
    extent, found = section(physics, "lattice").get("extent"), {}
    for group in ("symmetrize", "ansatz"):
        momentum = section(physics, group).get("momentum")
        steps = momentum if isinstance(momentum, list) else [momentum]
        if isinstance(extent, list) and len(steps) == len(extent) and all(type(k) is int for k in steps):
            parts = [Fraction(k, length) % 1 for k, length in zip(steps, extent, strict=True)]
            found[f"{group}.momentum"] = "2π·(" + ", ".join(map(str, parts)) + ")"
    total, n = physics.get("sector"), one.row.n_sites
    if section(physics, "hamiltonian").get("name") in PARTICLES and type(total) is int and n:
        found["sector"] = f"{Fraction(total, n)} per site"
    elif isinstance(total, list) and total and all(type(part) is int for part in total) and n:
        parts = [Fraction(part, n) for part in total]
        found["sector"] = f"[{', '.join(map(str, parts))}] per site"
    return found


def named(groups: dict[str, list[ReadPoint]], called: dict[str, str]) -> dict[str, list[ReadPoint]]:
    """Groups by identity as groups by name; ambiguous names are numbered."""
    shared = {name for name in called.values() if list(called.values()).count(name) > 1}
    named: dict[str, list[ReadPoint]] = {}
    for number, (identity, members) in enumerate(groups.items(), 1):
        name = called[identity]
        named[f"{name} ({number})".strip() if name in shared else name] = members
    return named


def system(members: list[ReadPoint]) -> str:
    """A short name of the system of some points: "chain 16, h 1.5"."""
    one = members[0]
    lattice = section(section(one.traces.manifest, "physics"), "lattice")
    extent = lattice.get("extent")
    size = "×".join(map(str, extent)) if isinstance(extent, list) and extent else str(one.row.n_sites or "")
    short = short_keys(list(one.row.swept))
    of_it = ("hamiltonian.", "sector", "symmetrize.", "ansatz.momentum", "ansatz.irrep")
    couplings = [
        f"{short[key]} {cell(value)}"
        for key, value in one.row.swept.items()
        if key.startswith(of_it) and value is not None and all(other.row.swept.get(key) == value for other in members)
    ]
    return clean(", ".join([f"{lattice.get('name', 'lattice')} {size}", *couplings]))


def ansatz(one: ReadPoint) -> str:
    """The name of the wave function, with its swept keys."""
    name: Any = section(section(one.traces.manifest, "physics"), "ansatz").get("name")
    short = short_keys(list(one.row.swept))
    settings = [
        f"{short[key]} {cell(value)}"
        for key, value in one.row.swept.items()
        if key.startswith("ansatz.") and value is not None
    ]
    return clean(", ".join([str(name or one.row.swept.get("ansatz") or "unknown"), *settings]))
