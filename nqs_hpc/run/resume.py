"""The beginning of a start: from the run's own checkpoint, from the parameters of another run, or new.

All ranks make the same calls in the same order.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from nqs_hpc.config.identity import differences, physics
from nqs_hpc.config.schema import Config
from nqs_hpc.inputs import reading
from nqs_hpc.inputs.checks import InputError, bad
from nqs_hpc.job import checkpoint, files
from nqs_hpc.job.manifest import versions
from nqs_hpc.parallel.ahead import compile_ahead
from nqs_hpc.parallel.comm import comm
from nqs_hpc.parallel.compile_cache import Share
from nqs_hpc.parallel.launch import Placement
from nqs_hpc.parallel.world import World
from nqs_hpc.parts import Parts, Plan, build, exported
from nqs_hpc.parts.plan import described
from nqs_hpc.parts.stored import final_parameters, learnt_chains
from nqs_hpc.run.growth import judged
from nqs_hpc.run.record import differences_of_machine, planned
from nqs_hpc.types import Ansatz, RunState, Sampler


class Beginning(NamedTuple):
    """The state at the beginning of a start, the same on every rank except for the chains in ``state.chains``."""

    parts: Parts
    state: RunState
    reason: str  # new | resumed from step_….h5 | parameters of …
    messages: list[str]  # lines for the user
    seconds_before: float  # wall time of all earlier starts
    is_new: bool  # whether it has no checkpoint of its own


class Refused(ValueError):
    """The run cannot continue from its checkpoints; one line, the same on every rank."""


def begin(config: Config, folder: Path, world: World, placement: Placement, share: Share | None) -> Beginning:
    """Build the parts and load, or make, the initial state. Collective.

    Raises on every rank, in one line: Refused if the checkpoints are damaged, of another run or of another version;
    InputError if the parameters of ``init_from`` do not fit, or a module of the user is not available.
    """
    parts = _built(config, world, placement.host)
    template = jax.eval_shape(parts.task.init)
    try:
        loaded = checkpoint.load(folder, template, world, growing=parts.task.growing)
    except ValueError as error:
        raise Refused(str(error)) from None
    if loaded is not None:
        return _resumed(config, loaded, parts, world, placement, share)

    given = _given(config, parts, template.params, world)
    others = _others(config, parts, world)
    compile_ahead(parts.task.programs(fresh=True), share, world)
    state = parts.task.init()
    if parts.task.beside is not None:
        params, learnt = [one.params for one in others], [one.learnt for one in others]
        state = parts.task.beside(state, params, learnt)
    if given is None:
        told = [line for one in others for line in (f"task.below: {one.path}", *one.messages)]
        return Beginning(parts, parts.task.warmed(state), "new", told, 0.0, True)
    state = parts.task.given(state, given.params, given.learnt)
    reason = f"new, with the parameters of {given.path}"
    return Beginning(parts, parts.task.warmed(state), reason, list(given.messages), 0.0, True)


class _Given(NamedTuple):
    """What a run takes over from another one."""

    params: Any
    learnt: Any  # by its sampler, None if nothing
    path: Path
    messages: tuple[str, ...]


def _given(config: Config, parts: Parts, template: Any, world: World) -> _Given | None:
    """The initial parameters of the run, None for random ones. Collective; InputError if they do not fit."""
    source = config.task.source()
    key, value = source or ("init_from", config.init_from)
    if value is None:
        return None
    place = Path.cwd() / value
    try:
        if source is None:
            way: dict[str, Any] = {"judge": partial(judged, config)}
            if place.suffix == exported.SUFFIX:
                way = {"judge": partial(_judged_export, config), "reader": exported.read}
            found = checkpoint.load_parameters(place, template, world, **way)
            return _Given(found.params, None, found.path, found.messages)
        whole = files.on_root(world, lambda: _wave_function(place, parts.ansatz, parts.sampler))
    except ValueError as error:
        raise bad(key, value, f"a run whose parameters fit: {error}") from None
    return whole._replace(params=jax.device_put(whole.params), learnt=jax.device_put(whole.learnt))


def _judged_export(config: Config, stored: checkpoint.Stored, fault: str) -> tuple[str, ...]:
    """As `judged`, for parameters that other programs may have written: the network must be the same."""
    exported.check_network(config, stored)
    return judged(config, stored, fault)


def _others(config: Config, parts: Parts, world: World) -> list[_Given]:
    """The wave functions of other runs that the task uses. Collective; InputError if one does not fit."""
    found = []
    for (path, _), (ansatz, sampler) in zip(config.task.others(), parts.others, strict=True):
        try:
            whole = files.on_root(world, partial(_wave_function, Path.cwd() / path, ansatz, sampler))
        except ValueError as error:
            raise bad("task.below", path, f"a run whose parameters fit its config.yaml: {error}") from None
        found.append(whole._replace(params=jax.device_put(whole.params), learnt=jax.device_put(whole.learnt)))
    return found


def _wave_function(place: Path, ansatz: Ansatz, sampler: Sampler) -> _Given:
    """The wave function of another run in the form that a task needs, on the host. Rank 0 calls it."""
    stored = checkpoint.read(place)
    params, learnt = final_parameters(stored, ansatz), learnt_chains(stored, sampler)
    params, learnt = jax.tree.map(np.asarray, (params, learnt))
    return _Given(params, learnt, stored.path, stored.messages)


def _built(config: Config, world: World, host: str) -> Parts:
    """The parts; InputError on every rank if one rank could not make them, perhaps because its host lacks a module or a
    GPU."""
    parts, fault = None, None
    try:
        if config.resources.device == "gpu" and jax.devices()[0].platform == "cpu":
            valid = f"cpu: jax sees no GPU on {host} (`python -m nqs_hpc doctor` says what it finds)"
            raise bad("resources.device", "gpu", valid)
        parts = build(config, comm(world))
    except InputError as error:
        fault = str(error)
    faults = world.allgather(fault)
    if parts is None or any(faults):
        raise InputError(next(line for line in faults if line))
    return parts


def _resumed(
    config: Config,
    loaded: checkpoint.Loaded,
    parts: Parts,
    world: World,
    placement: Placement,
    share: Share | None,
) -> Beginning:
    if not described(loaded.meta):
        raise Refused(f"{loaded.path} does not say what it is a checkpoint of; choose another run_dir")
    if changed := differences(loaded.meta["physics"], physics(config)):
        raise Refused(f"{loaded.path} is of another physics: {'; '.join(changed)}; choose another run_dir")
    odd = parts.task.impossible(loaded.state)
    if world.any_flags(int(odd != "")):
        what = next(filter(None, world.allgather(odd)))
        raise Refused(
            f"{loaded.path} is not a checkpoint of this run: {what}; remove that file, or choose another run_dir"
        )
    plan, messages = merge_plans(config, Plan(**loaded.meta["plan"]), parts.plan)
    if plan != parts.plan:
        parts = build(config, comm(world), plan)
    messages = [*loaded.messages, *messages, *differences_of_machine(loaded.meta, world, placement, versions())]
    compile_ahead(parts.task.programs(fresh=False), share, world)
    reason = f"resumed from {loaded.path.name}"
    return Beginning(parts, loaded.state, reason, messages, loaded.meta["seconds"], False)


def merge_plans(config: Config, stored: Plan, fresh: Plan) -> tuple[Plan, list[str]]:
    """Keep what ``auto`` chose at step 0, unless the user now sets a value; then a line says that bits will change."""
    chosen, messages = {}, []
    optimizer, solving = config.optimizer, config.task.solving(config.optimizer) or config.optimizer
    asked = {
        "solver": solving.asked_solver(),
        "chunk_size": config.chunk_size,
        "blocks": solving.asked_blocks(),
    }
    for name, before in stored._asdict().items():
        now = getattr(fresh, name)
        # older checkpoints have no blocks; the iterations of cg can differ between different nodes
        is_new = name == "blocks" and before is None
        unfit = name == "solver" and before == "cg" and optimizer.broadcast
        chosen[name] = before if asked[name] == "auto" and not is_new and not unfit else now
        if chosen[name] != before and not is_new:
            messages.append(f"{name} is now {now}, was {before}: from here on the run differs in rounding")
    return Plan(**chosen), messages


class Changes(NamedTuple):
    """The changes of the configuration since the last start."""

    lines: list[str]
    messages: list[str]


def changes_since(folder: Path, config: Config, plan: Plan) -> Changes:
    """The differences from the config.yaml of the last start; none if there was none. Rank 0 calls it."""
    path = folder / "config.yaml"
    try:
        before = reading.parse_yaml(reading.data(path, reading.SETTINGS))
    except FileNotFoundError:
        before = None
    except (OSError, ValueError):
        before = False
    if before is None:
        return Changes([], [])
    if not isinstance(before, dict):
        return Changes([], [f"{path} cannot be read: what changed since the last start is not known"])
    lines = [line for line in differences(before, planned(config, plan)) if not line.startswith(_SAID_ELSEWHERE)]
    lines = [line for line in lines if not _is_new_key(line)]
    return Changes(lines, [f"changed since the last start: {'; '.join(lines)}"] if lines else [])


def _is_new_key(line: str) -> bool:
    """Whether a line is about a key that an older version lacked and that is off. A key that changes the lattice has
    been refused as another physics.
    """
    key, _, change = line.partition(": ")
    return change.startswith("(absent) -> ") and (
        key.startswith("lattice.") or change.endswith(("-> null", "-> false", "-> []"))
    )


# `merge_plans` reports these; a start on another machine does not change the run
_SAID_ELSEWHERE = ("chunk_size:", "optimizer.solver:", "optimizer.blocks:", "run_dir:", "compile_cache:", "resources.")
