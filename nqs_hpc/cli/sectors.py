"""``python -m nqs_hpc sectors [--json] [KEY=VALUE …]``: the symmetry sectors of a lattice and Hamiltonian, as a table.

With several values of a key a table for each system. ``--json`` is what a sweep over ``symmetrize=all`` reads.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import Any

from nqs_hpc.config.all_sectors import Sector, all_sectors
from nqs_hpc.config.compose import checked
from nqs_hpc.config.identity import to_plain
from nqs_hpc.config.schema import Config
from nqs_hpc.inputs.checks import InputError, bad, nearest, show
from nqs_hpc.inputs.reading import harmless
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE
from nqs_hpc.system.families import size_in_words
from nqs_hpc.system.hilbert import dimension, places

USAGE = "python -m nqs_hpc sectors [--json] [KEY=VALUE ...]"
EXACT = 2**53  # states, beyond which sums of floats have no last digit
HEADINGS = ("momentum", "of star", "irrep", "dimension", "spin flip", "states")


def sectors(words: list[str]) -> int:
    """Print the sectors; the exit code: 0, or 2 for bad input, which one line on stderr names."""
    try:
        if any(word in ("-h", "--help") for word in words):
            print(f"usage: {USAGE}")
            return DONE
        as_json = "--json" in words
        overrides = [word for word in words if word != "--json"]
        if flags := [word for word in overrides if word.startswith("-")]:
            raise InputError(f"{flags[0]} is not an option of sectors; {nearest(flags[0], ['--json'])}valid: {USAGE}")
        found = _systems(overrides)
    except InputError as error:
        print(harmless(str(error)), file=sys.stderr, flush=True)
        return BAD_INPUT
    if as_json:
        print(json.dumps(found))
    else:
        print("\n\n".join(table(system) for system in found["systems"]))
    return DONE


def _systems(overrides: list[str]) -> dict[str, Any]:
    """Every different system of the combinations of ``overrides``, and the number of that of each combination."""
    from nqs_hpc.sweep.points import parsed_points

    systems: dict[str, dict[str, Any]] = {}
    of_point = []
    for words in parsed_points(overrides):
        config = checked(words, None)
        told = json.dumps(_told(config), sort_keys=True)
        if told not in systems:
            systems[told] = _system(config)
        of_point.append(list(systems).index(told))
    return {"systems": list(systems.values()), "of_point": of_point}


def _told(config: Config) -> Any:
    """What the sectors of a configuration depend on."""
    prefix = "ansatz" if config.ansatz.has_sector() else "symmetrize"
    group = config.ansatz.group if prefix == "ansatz" else None  # type: ignore[attr-defined]
    parts = (config.lattice, config.hamiltonian, config.sector, config.symmetrize)
    return [prefix, group, *map(to_plain, parts)]


def _system(config: Config) -> dict[str, Any]:
    """The sectors of one system as plain data."""
    own: Any = config.ansatz if config.ansatz.has_sector() else config.symmetrize
    prefix = "ansatz" if config.ansatz.has_sector() else "symmetrize"
    chosen = [(f"{prefix}.{name}", getattr(own, name)) for name in ("momentum", "irrep")]
    for key, value in [*chosen, ("symmetrize.spin_flip", config.symmetrize.spin_flip)]:
        if value is not None:
            raise bad(key, value, "null where all sectors are asked for")
    os.environ.setdefault("JAX_ENABLE_X64", "1")  # before jax is loaded; no device is worth waiting for
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    from nqs_hpc.parts.sectors import symmetries

    has = symmetries(config)
    lattice = config.make_sites()
    hilbert = config.hamiltonian.space(lattice.n_sites, config.sector)
    n_states: int | None = None
    with suppress(ValueError):  # exclusions on a large lattice
        n_states = dimension(hilbert)
    listed = all_sectors(lattice, hilbert, has)
    extent = "" if lattice.edges is not None else " " + size_in_words(lattice)
    return {
        "lattice": lattice.name + extent,
        "hamiltonian": config.hamiltonian.name,
        "sector": config.sector,
        "n_sites": places(hilbert),
        "n_states": n_states,
        "prefix": prefix,
        "group": has.group,
        "sectors": [one._asdict() for one in listed],
    }


def table(system: dict[str, Any]) -> str:
    """A system's sectors as text: a head line, the table, and a line of what has no state."""
    listed = [Sector(**one) for one in system["sectors"]]
    there = [one for one in listed if one.n_states != 0]
    total = "none" if system["sector"] is None else show(system["sector"])
    head = (
        f"{system['lattice']}, {system['hamiltonian']}, sector={total}: {system['n_sites']} sites, "
        f"{_number(system['n_states'])} states; {len(there)} inequivalent sectors of "
        f"{'the spin flip' if system['group'] is None else system['group']}"
    )
    rows = [_row(one) for one in there]
    kept = [i for i in range(len(HEADINGS)) if any(row[i] != "" for row in rows)]
    cells = [[HEADINGS[i] for i in kept], *([row[i] for i in kept] for row in rows)]
    widths = [max(len(row[j]) for row in cells) for j in range(len(kept))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    empty = len(listed) - len(there)
    note = [f"{empty} more sectors have no state"] if empty else []
    return "\n".join([head, "", *lines, *note])


def _row(one: Sector) -> tuple[str, ...]:
    momentum = "" if one.momentum is None else "[" + ",".join(map(str, one.momentum)) + "]"
    star = "" if one.momentum is None else str(one.star)
    irrep, d = ("", "") if one.irrep is None else (one.irrep, str(one.dimension))
    flip = "" if one.spin_flip is None else f"{one.spin_flip:+d}"
    return momentum, star, irrep, d, flip, _number(one.n_states)


def _number(n: int | None) -> str:
    return "?" if n is None else str(n) if n <= EXACT else f"{float(n):.3e}" if n < 10**300 else "many"
