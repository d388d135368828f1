"""The exact energy that a run is compared with, computed once and kept in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nqs_hpc.config.identity import physics
from nqs_hpc.config.schema import Config
from nqs_hpc.job import files
from nqs_hpc.parallel.world import World
from nqs_hpc.parts import Parts
from nqs_hpc.parts.reference import exact_reference, read_reference


def system_of(config: Config) -> dict[str, Any]:
    """What an exact energy belongs to."""
    whole = physics(config)
    found = {name: whole[name] for name in ("lattice", "hamiltonian", "sector", "symmetrize") if name in whole}
    own = {name: whole["ansatz"][name] for name in ("group", "momentum", "irrep") if name in whole["ansatz"]}
    level = {"level": config.task.level} if config.task.level else {}
    return found | ({"ansatz": own} if own else {}) | level


def kept_reference(config: Config, folder: Path) -> dict[str, Any] | None:
    """The exact energy that an earlier start left in reference.json, None where it left none of this system."""
    try:
        kept = files.read_json(folder / "reference.json")
        if kept["system"] == system_of(config):
            return read_reference(kept)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there yet, or not readable: it can be computed again
    return None


def reference(config: Config, parts: Parts, folder: Path, world: World) -> dict[str, Any] | None:
    """The exact lowest energy of the sector, and where the lowest of all is, where these are small. Collective.

    Computed once, and kept in reference.json with the system it belongs to.
    """

    def on_rank_0() -> dict[str, Any] | None:
        if (kept := kept_reference(config, folder)) is not None:
            return kept
        if (found := exact_reference(config, parts)) is not None:
            files.write_json(folder / "reference.json", found | {"system": system_of(config)})
        return found

    return files.on_root(world, on_rank_0)
