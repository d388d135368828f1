"""The meaning of names in a configuration: ``GROUP=NAME`` selects the dataclass of ``choices/GROUP/NAME.py``.

A choice is a frozen dataclass with its keys, each with a check and a line of documentation; ``resolved``, which checks
whether it fits the other choices; facts that other packages ask for, with safe defaults in ``GROUP/base.py``; and
``make``, which imports the mathematics late, so that input is checked before jax is loaded. A new ansatz, Hamiltonian,
sampler, optimizer, observable or task consists of its mathematics, its file here, its YAML in conf/GROUP/ and its test.
The choices are the files in these folders; there is no list of them.

Files that begin with an underscore, and ``base.py``, contain what the choices of a group share.
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
    """The dataclass of ``group=name``: the only public class in its file."""
    module = importlib.import_module(f"{__name__}.{group.replace('/', '.')}.{name}")
    found = [
        value
        for label, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and not label.startswith("_")
    ]
    if len(found) != 1:
        raise TypeError(f"{module.__name__} defines {len(found)} public classes: a choice is one")
    return found[0]
