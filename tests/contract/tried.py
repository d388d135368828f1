"""The choices that contract tests try: every name that is found in nqs_hpc/choices, with the `examples` it gives."""

from __future__ import annotations

from typing import Any

from nqs_hpc.choices import choice, names
from nqs_hpc.config.compose import from_plain
from nqs_hpc.config.schema import Config

N = 6  # sites of the chain on which most choices are tried


def cases(group: str) -> dict[str, dict[str, Any]]:
    """NAME, or NAME-1, NAME-2 ... of those with several examples -> the choice, as a configuration has it."""
    found = {}
    for name in names(group):
        examples = choice(group, name).examples
        for i, example in enumerate(examples, 1):
            found[f"{name}-{i}" if len(examples) > 1 else name] = {"name": name, **example}
    return found


def of_spins() -> dict[str, dict[str, Any]]:
    """The cases of ansatz that need no fermions, those that need other sites than a chain's among them."""
    return {name: one for name, one in cases("ansatz").items() if not choice("ansatz", one["name"]).needs_fermions}


def of_chains() -> dict[str, dict[str, Any]]:
    """Those of them that take a chain."""
    return {name: one for name, one in of_spins().items() if not choice("ansatz", one["name"]).tried_with}


def configuration(**groups: Any) -> Config:
    """These choices and keys on a chain of six sites, or where the ansatz needs others, or on another ``lattice``."""
    ansatz = groups.get("ansatz")
    beside = choice("ansatz", ansatz["name"]).tried_with if isinstance(ansatz, dict) else {}
    return from_plain({"lattice": {"name": "chain", "length": N}, **beside, **groups})
