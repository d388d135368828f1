"""What a name in a configuration means: ``GROUP=NAME`` is the dataclass of ``choices/GROUP/NAME.py``.

A choice is a frozen dataclass: its keys, each with a check and a line of doc; what does not fit where (``resolved``);
the facts that other rooms ask for, whose defaults in ``GROUP/base.py`` are safe for a piece that nobody knows; and
``make``, which imports the mathematics late, so that input is checked before jax is loaded. A new ansatz, Hamiltonian,
sampler, optimizer, observable or task is its mathematics, its file here, its YAML in conf/GROUP/ and its test: choices
are found by looking into the folders, and no list of them is written down anywhere.

Files that begin with an underscore, and ``base.py``, hold what the choices of a group share.
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any

_HERE = Path(__file__).resolve().parent


@cache
def groups() -> tuple[str, ...]:
    """The groups that have choices: folders with a ``base.py``, nested ones with a slash (hydra/launcher)."""
    return tuple(sorted(path.parent.relative_to(_HERE).as_posix() for path in _HERE.rglob("base.py")))


@cache
def names(group: str) -> tuple[str, ...]:
    """The names that ``group`` can be set to, sorted."""
    files = (path.stem for path in (_HERE / group).glob("*.py"))
    return tuple(sorted(name for name in files if name != "base" and not name.startswith("_")))


@cache
def choice(group: str, name: str) -> type[Any]:
    """The dataclass of ``group=name``: the one public class that its file defines."""
    module = importlib.import_module(f"{__name__}.{group.replace('/', '.')}.{name}")
    found = [
        value
        for label, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and not label.startswith("_")
    ]
    if len(found) != 1:
        raise TypeError(f"{module.__name__} defines {len(found)} public classes: a choice is one")
    return found[0]
