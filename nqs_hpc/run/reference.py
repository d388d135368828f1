"""The exact energy and the exact trajectory with which a run is compared: computed once and kept in its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nqs_hpc.config.identity import physics, run_name
from nqs_hpc.config.schema import Config
from nqs_hpc.job import files
from nqs_hpc.parallel.world import World
from nqs_hpc.parts import Parts
from nqs_hpc.parts.reference import couplings_of, exact_reference, read_reference
from nqs_hpc.parts.reference_in_time import exact_trajectory, is_small, read_trajectory, thinned
from nqs_hpc.types import RunState


def system_of(config: Config) -> dict[str, Any]:
    """The system that an exact energy belongs to."""
    whole = physics(config)
    found = {name: whole[name] for name in ("lattice", "hamiltonian", "sector", "symmetrize") if name in whole}
    own = {name: whole["ansatz"][name] for name in ("group", "momentum", "irrep") if name in whole["ansatz"]}
    level = {"level": config.task.level} if config.task.level else {}
    several = [couplings_of(config, one) for one in config.task.points(config.hamiltonian)]
    points = {"couplings": several} if several else {}
    return found | ({"ansatz": own} if own else {}) | level | points


def kept_reference(config: Config, folder: Path) -> dict[str, Any] | None:
    """The exact energy that an earlier start left in reference.json, None if there is none for this system."""
    try:
        kept = files.read_json(folder / "reference.json")
        if kept["system"] == system_of(config):
            return read_reference(kept)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # missing or not readable: it can be computed again
    return None


def reference(config: Config, parts: Parts, folder: Path, world: World) -> dict[str, Any] | None:
    """For small systems the exact lowest energy of the sector, and the sector of the ground state. Collective.

    Computed once, and kept in reference.json with the system it belongs to.
    """

    course = config.task.course()
    if course is not None and not course[1]:  # evolution in real time does not approach the lowest energy
        return None

    def on_rank_0() -> dict[str, Any] | None:
        if (kept := kept_reference(config, folder)) is not None:
            return kept
        if (found := exact_reference(config, parts)) is not None:
            files.write_json(folder / "reference.json", found | {"system": system_of(config)})
        return found

    return files.on_root(world, on_rank_0)


def trajectory(config: Config, parts: Parts, folder: Path, world: World, began: RunState) -> str | None:
    """Write the exact trajectory of a task that evolves in time into reference.json, if that is possible and not done
    yet. Returns a line that says why it is incomplete, or None. Collective.

    ``began``: the state with which this start began. After some steps, the initial parameters are those of a new run,
    if a new run has defined ones.
    """
    course = config.task.course()
    if course is None or not is_small(parts.hilbert):
        return None
    times, imaginary = thinned(course[0]), course[1]
    if files.on_root(world, lambda: _is_there(config, folder, times[-1])):
        return None
    params: Any = began.params if int(began.step) == 0 else None
    if params is None and config.init_from is None:
        params = parts.task.init().params

    def on_rank_0() -> str | None:
        path = folder / "reference.json"
        if params is None:
            return "no exact trajectory up to task.t_end: only the first start knows the initial state"
        try:
            found = exact_trajectory(config, parts, params, times, imaginary=imaginary)
        except ValueError as error:  # for example, H leads out of the sector
            return f"no exact trajectory: {error}"
        if found is None:
            return None
        try:
            before = dict(files.read_json(path))
        except (OSError, ValueError, TypeError):
            before = {"system": system_of(config)}
        files.write_json(path, before | {"trajectory": {"of": run_name(config), **found}})
        return str(found["left_out"]) if found["left_out"] else None

    return files.on_root(world, on_rank_0)


def exact_curves(config: Config, folder: Path) -> dict[str, Any] | None:
    """The exact trajectory of this run in reference.json, None if there is none. Rank 0 calls it."""
    try:
        kept = files.read_json(folder / "reference.json")["trajectory"]
        return read_trajectory(kept) if kept["of"] == run_name(config) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _is_there(config: Config, folder: Path, last: float) -> bool:
    """Whether reference.json holds the trajectory of this run up to ``last``, or says why it ends earlier."""
    try:
        kept = files.read_json(folder / "reference.json")["trajectory"]
        found = read_trajectory(kept)
        return bool(kept["of"] == run_name(config) and (found["left_out"] or found["times"][-1:] == [last]))
    except (OSError, ValueError, KeyError, TypeError):
        return False
