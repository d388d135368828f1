"""Writes docs/keys.md, the tables of all groups, choices and keys: `python docs/make_keys.py`.

`groups` alone asks the package which groups, choices and keys exist, `schedules` which schedules; the rest is layout.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, this checkout is the one described

from nqs_hpc.config import usage

PAGE = Path(__file__).with_name("keys.md")
HEAD = """\
# Groups and keys

This page is written by `python docs/make_keys.py` from the package and from `conf/`; do not edit it by hand.
`python -m nqs_hpc --help` prints the same.

A job takes one choice of every group, `GROUP=CHOICE`, and any key, `KEY=VALUE`. The choices in bold are the defaults.
Brackets name the choices that have a key, where not all choices of the group have it, or that have another default.
`null` switches a thing off. What sectors, signs and symmetries mean is explained in [models.md](models.md), how to
choose a network and a sampler in [networks.md](networks.md).
"""
SCHEDULES = """\
## Schedules

A schedule can stand wherever a rate or a shift stands, as `{schedule: KIND, ...}` with the arguments of optax:
"""


class Group(NamedTuple):
    """A group, or with name '' the keys outside the groups."""

    name: str
    choices: list[tuple[str, str, bool]]  # name, what it is, whether it is the default
    keys: list[tuple[str, str, str, str]]  # key, default, the choices that have it ('' for all), meaning


def groups() -> list[Group]:
    """Everything this page lists, as the package has it."""
    table, chosen = usage.rows(), usage.default_choices()
    found = []
    for name in [*usage.GROUPS, "experiment", ""]:
        choices = usage.choices(name) if name else []
        about = [(choice, usage.about(name, choice), choice == chosen.get(name)) for choice in choices]
        place = name if name in ("", "experiment") else usage.place_of(name)
        found.append(Group(place, about, [tuple(row) for row in table.get(name, [])]))
    return found


def page() -> str:
    """The text of docs/keys.md."""
    parts = [HEAD, *map(section, groups()), SCHEDULES, schedules()]
    return "\n".join(parts)


def section(group: Group) -> str:
    """One group: its choices, then its keys."""
    lines = [f"## {group.name or 'Keys outside the groups'}", ""]
    if group.choices:
        lines += [f"| `{group.name}=` | |", "|---|---|"]
        lines += [row(f"**{name}**" if default else name, about) for name, about, default in group.choices] + [""]
    if group.keys:
        lines += ["| key | default | meaning |", "|---|---|---|"]
        for key, default, having, meaning in group.keys:
            lines.append(row(f"`{key}`", f"`{default}`", f"{meaning} ({having})" if having else meaning))
        lines.append("")
    return "\n".join(lines)


def schedules() -> str:
    """The schedules with their arguments, those in square brackets optional."""
    lines = ["| schedule | arguments |", "|---|---|"]
    for kind, arguments in usage.SCHEDULES.items():
        optional = usage.OPTIONAL.get(kind, ())
        lines.append(row(f"`{kind}`", ", ".join(f"[{name}]" if name in optional else name for name in arguments)))
    return "\n".join(lines) + "\n"


def row(*cells: str) -> str:
    """A line of a markdown table, whose cells show | and < as they are."""
    return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
