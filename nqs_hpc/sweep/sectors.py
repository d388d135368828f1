"""``-m symmetrize=all``: a point for every symmetry sector, with the keys that a user would write.

The symmetries of a Hamiltonian follow from its matrix elements, which need jax. This process never loads jax, whose
threads would disturb the children: `python -m nqs_hpc sectors` finds the sectors.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

from nqs_hpc.config.all_sectors import Sector, words
from nqs_hpc.inputs.checks import InputError, bad, show
from nqs_hpc.inputs.reading import printable
from nqs_hpc.sweep.points import MAX_POINTS, OWN, key_of

KEY = "symmetrize"
MOST_NAMED = 6  # sectors without states that are named


def asks_all(points: list[list[str]]) -> bool:
    """Whether ``symmetrize=all`` is among the words; raises InputError for other values of that key."""
    given = {word.partition("=")[2] for point in points for word in point if key_of(word) == KEY}
    if not given:
        return False
    if given != {"all"}:
        value = ",".join(sorted(given))
        raise bad(KEY, value, "all by itself, a point per sector, or symmetrize.group, .momentum, .irrep, .spin_flip")
    return True


def every_sector(points: list[list[str]], overrides: list[str]) -> tuple[list[list[str]], list[str]]:
    """``points`` with a point for each sector in place of ``symmetrize=all``, and lines about what is left out.

    ``overrides``: those from which the points were expanded. Raises InputError, and OSError if the sectors cannot be
    found.
    """
    for word in overrides:
        if re.fullmatch(r"\+*(symmetrize|ansatz)\.(momentum|irrep)|\+*symmetrize\.spin_flip", word.partition("=")[0]):
            raise bad(key_of(word), word.partition("=")[2], "nothing beside symmetrize=all, which takes every one")
    found = _asked([word for word in overrides if key_of(word) not in (*OWN, KEY)])
    if len(found["of_point"]) != len(points):
        raise OSError(f"{len(found['of_point'])} systems for {len(points)} points")
    expanded: list[list[str]] = []
    for point, number in zip(points, found["of_point"], strict=True):
        system = found["systems"][number]
        kept = [word for word in point if key_of(word) != KEY]
        if system["prefix"] == KEY and system["group"] != "file":
            kept = [word for word in kept if key_of(word) != "symmetrize.group"]
        expanded += [
            [*kept, *words_of(system, sector)] for sector in map(_sector, system["sectors"]) if sector.n_states != 0
        ]
        if len(expanded) > MAX_POINTS:
            raise bad(KEY, "all", f"at most {MAX_POINTS} points in all")
    return expanded, [line for system in found["systems"] if (line := _left_out(system))]


def words_of(system: dict[str, Any], sector: Sector) -> list[str]:
    """The overrides of one sector; all sectors have the same keys."""
    prefix, group = system["prefix"], system["group"]
    momentum = None if sector.momentum is None else list(sector.momentum)
    chosen: dict[str, Any] = {f"{prefix}.momentum": momentum, f"{prefix}.irrep": sector.irrep}
    if prefix == KEY and group != "file":
        chosen = {"symmetrize.group": group, **chosen}
    chosen["symmetrize.spin_flip"] = sector.spin_flip
    return [f"{key}={show(value).replace(' ', '')}" for key, value in chosen.items()]


def _sector(plain: dict[str, Any]) -> Sector:
    momentum = plain["momentum"]
    return Sector(**{**plain, "momentum": None if momentum is None else tuple(momentum)})


def _left_out(system: dict[str, Any]) -> str:
    empty = [words(sector) for sector in map(_sector, system["sectors"]) if sector.n_states == 0]
    if not empty:
        return ""
    more = f" and {len(empty) - MOST_NAMED} more" if len(empty) > MOST_NAMED else ""
    total = "none" if system["sector"] is None else show(system["sector"])
    named = "; ".join(empty[:MOST_NAMED])
    return f"{system['lattice']}, sector={total}: without a state, and left out: {named}{more}"


def _asked(overrides: list[str]) -> dict[str, Any]:
    """The output of ``sectors --json``; raises its line of bad input as InputError."""
    command = [sys.executable, "-m", "nqs_hpc", "sectors", "--json", *overrides]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment)
    if done.returncode == 2:
        raise InputError(printable(done.stderr.strip(), 2000))
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise OSError(f"the sectors are not known: {printable(lines[-1], 300)}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
