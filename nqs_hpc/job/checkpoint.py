"""Checkpoints: the whole RunState of all ranks in one HDF5 file, checksummed and atomic.

``checkpoints/step_00000120.h5`` holds the state after 120 updates, one dataset a leaf, named by its path in the tree
(``params/w``); the chains of all ranks follow each other in rank order, which is the order of their ids, so any rank
count that divides the number of chains can continue. ``meta`` is a JSON text. The first 512 bytes, which HDF5 leaves to
the user, hold the SHA-256 of the rest. It is checked before HDF5 opens the file: one flipped bit in HDF5's own
structures can crash the library, and then no start would get past the damaged file.

A correct checksum does not say who wrote the file. HDF5 allows arrays whose content lies in other files or is made up
when they are read. We store arrays plainly in the file and read no others, so we never allocate more than the file's
size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from nqs_hpc.inputs import reading
from nqs_hpc.job.checkpoint_file import (
    CheckpointError,
    Damaged,
    Leaves,
    check,
    newest_first,
    pack,
    step_of,
    unpack,
    verified,
)
from nqs_hpc.job.files import on_root, remove, subfolder, sync_folder, write
from nqs_hpc.job.lock import check_held
from nqs_hpc.parallel.world import World
from nqs_hpc.types import RunState

if TYPE_CHECKING:
    pass

MOST_NAMED = 3  # leaves that do not fit, in one line
ROOM = 64 * reading.MIB  # beside the state: HDF5's own structures, and the configuration


class Loaded(NamedTuple):
    """What a start continues from: the same on every rank except for the chains in ``state.chains``."""

    state: RunState
    meta: dict[str, Any]
    path: Path
    messages: tuple[str, ...]  # one line for each damaged newer checkpoint


def save(
    folder: Path,
    state: RunState,
    world: World,
    *,
    meta: dict[str, Any],
    keep: int,
    flush: Callable[[], None] | None = None,
) -> Path:
    """Write ``state`` as the checkpoint of its step; collective. Returns its path.

    Leaves of ``state.chains`` lead with this rank's chains; all others are replicated and come from rank 0. ``meta``
    is plain data; NaN becomes null. ``flush``, on rank 0, writes what must reach the disk before the checkpoint. Once
    the new file is on the disk, older checkpoints are deleted until ``keep`` (at least 2) with a correct checksum are
    left. Raises on every rank: OSError if the disk refuses, lock.Lost if another start has taken the folder over,
    ValueError for a dtype that HDF5 does not have.
    """
    named, _ = _named(state)
    parts = world.gather([np.asarray(leaf) for name, leaf in named.items() if _of_chains(name)])

    def act() -> Path:
        assert parts is not None
        check_held(folder)  # before the slow part
        if flush is not None:
            flush()
        leaves = {name: np.asarray(leaf) for name, leaf in named.items() if not _of_chains(name)}
        chains = (np.concatenate(ranks) for ranks in zip(*parts, strict=True))
        leaves |= zip(filter(_of_chains, named), chains, strict=True)
        path = folder / "checkpoints" / f"step_{int(leaves['step']):08d}.h5"
        try:
            subfolder(path.parent)
            sync_folder(folder)
            write(path, pack(leaves, meta))
            _prune(path, max(keep, 2))
        except OSError:
            check_held(folder)  # if it was moved in between, that is the reason
            raise
        return path

    return on_root(world, act)


def load(folder: Path, template: RunState, world: World, *, growing: Collection[str] = ()) -> Loaded | None:
    """The newest checkpoint with a correct checksum, distributed over the ranks; None if there is none; collective.

    ``template`` gives the expected tree, shapes and dtypes (arrays or ShapeDtypeStructs); the first axis of the leaves
    of ``chains`` is free. Rank r of R takes chains [r C/R, (r+1) C/R). Restored leaves have the stored bits. Raises on
    every rank: CheckpointError if no checkpoint is usable, ValueError (one line) if it belongs to another kind of run
    or the chains cannot be divided among the ranks. Replicated leaves named in ``growing`` get the first axis of the
    template: stored arrays are cut, or filled up with zeros.
    """
    named, treedef = _named(template)

    def act() -> tuple[Leaves, dict[str, Any], Path, tuple[str, ...]] | None:
        if not (paths := newest_first(folder)):
            return None
        room = ROOM + 4 * world.size * sum(_n_bytes(leaf) for leaf in named.values())
        leaves, meta, path, damaged = _newest_good(paths, folder / "checkpoints", limit=room)
        _match(path, leaves, named, world.size, growing)
        _plausible(path, leaves)
        leaves |= {name: _resized(leaves[name], named[name].shape[0]) for name in growing}
        return leaves, meta, path, damaged

    found = on_root(world, act)
    if found is None:
        return None
    leaves, meta, path, messages = found
    restored = []
    for name in named:
        leaf = leaves[name]
        if _of_chains(name):  # (C of all ranks, ...) -> (#C, ...)
            share = leaf.shape[0] // world.size
            leaf = leaf[world.rank * share : (world.rank + 1) * share]
        restored.append(jax.device_put(leaf))  # no program to compile, unlike jnp.array
    return Loaded(jax.tree_util.tree_unflatten(treedef, restored), meta, path, messages)


class Parameters(NamedTuple):
    """The parameters of another run."""

    params: Any
    path: Path  # the checkpoint they come from
    messages: tuple[str, ...]  # one line for each damaged newer checkpoint


def fitting(stored: Stored, fault: str) -> tuple[str, ...]:
    """No lines for parameters that fit; for others ValueError with their ``fault``."""
    del stored
    if fault:
        raise ValueError(fault)
    return ()


def load_parameters(
    place: Path,
    template: Any,
    world: World,
    *,
    judge: Callable[[Stored, str], tuple[str, ...]] = fitting,
    reader: Callable[[Path], Stored] | None = None,
) -> Parameters:
    """The parameters in a checkpoint file, or in the newest good checkpoint of a run folder; collective.

    ``reader`` reads ``place`` on rank 0 if it is not a checkpoint (default `read`).

    ``template`` gives the expected tree, shapes and dtypes. Numbers are converted if that keeps their kind (real to
    complex, float32 to float64 and back). ``judge``, on rank 0, gets the checkpoint and the reason why its parameters
    do not fit ("" if they do); it returns lines to print, or raises ValueError. Raises ValueError, one line, on every
    rank if there is no good checkpoint or if names, shapes or kinds of its parameters differ.
    """
    named, treedef = _named(template, "params/")

    def act() -> tuple[Leaves, Path, tuple[str, ...]]:
        stored, found, fault = (reader or read)(place), {}, ""
        try:
            found = _fitted(stored, named, "params/")
        except ValueError as error:
            fault = str(error)
        return found, stored.path, (*stored.messages, *judge(stored, fault))

    found, path, messages = on_root(world, act)
    leaves = [jax.device_put(found[name]) for name in named]
    return Parameters(jax.tree_util.tree_unflatten(treedef, leaves), path, messages)


class Stored(NamedTuple):
    """A checkpoint as it lies on the disk."""

    leaves: Leaves  # by path in the tree of RunState
    meta: dict[str, Any]
    path: Path
    messages: tuple[str, ...]  # one line for each damaged newer checkpoint


def read(place: Path) -> Stored:
    """A checkpoint file, or the newest good one of a run folder, read by one process. CheckpointError as `load`.

    A file given by name may be a link; a file found in a run folder may not.
    """
    if place.is_file():
        return Stored(*_newest_good([place], place, follow=True))
    return Stored(*_newest_good(newest_first(place), place))


def subtree(stored: Stored, prefix: str, template: Any) -> Any:
    """The pytree like ``template`` (arrays or their shapes) whose leaves are stored under ``prefix``: "params/", say.

    Numbers are converted if that keeps their kind. ValueError, one line, if names, shapes or kinds differ.
    """
    named, treedef = _named(template, prefix)
    found = _fitted(stored, named, prefix)
    return jax.tree_util.tree_unflatten(treedef, [jax.device_put(found[name]) for name in named])


def names(tree: Any, prefix: str = "") -> dict[str, Any]:
    """The leaves of a pytree by the names that a checkpoint would give them under ``prefix``."""
    return _named(tree, prefix)[0]


def below(stored: Stored, prefix: str) -> Leaves:
    """The leaves that are stored under ``prefix``: "params/", say."""
    alone = prefix.removesuffix("/")  # where the pytree is a single array
    return {name: leaf for name, leaf in stored.leaves.items() if name.startswith(prefix) or name == alone}


def _fitted(stored: Stored, named: dict[str, Any], prefix: str) -> Leaves:
    """The leaves under ``prefix`` in the dtypes of ``named``; ValueError if names or shapes differ."""
    found = below(stored, prefix)
    for name in sorted(found.keys() ^ named.keys()):
        has, lacks = (stored.path.name, "this run") if name in found else ("this run", stored.path.name)
        raise ValueError(f"{name} is in {has} but not in {lacks}")
    unlike = []
    for name, expected in named.items():
        leaf = found[name]
        if leaf.shape != tuple(expected.shape) or not np.can_cast(leaf.dtype, expected.dtype, "same_kind"):
            ours = f"{expected.dtype} {tuple(expected.shape)}"
            unlike.append(f"{name} in {stored.path.name} is {leaf.dtype} {leaf.shape}, this run has {ours}")
        else:
            found[name] = leaf.astype(expected.dtype)
    if unlike:
        more = f"; and {len(unlike) - MOST_NAMED} more" if len(unlike) > MOST_NAMED else ""
        raise ValueError("; ".join(unlike[:MOST_NAMED]) + more)
    return found


def newest_step(folder: Path) -> int | None:
    """The step of the newest checkpoint by name, unverified; None where there is none."""
    paths = newest_first(folder)
    return step_of(paths[0]) if paths else None


def steps(folder: Path) -> dict[int, Path]:
    """The checkpoints of a run folder by step, the oldest first, unverified."""
    return {step_of(path): path for path in reversed(newest_first(folder))}


def _named(tree: Any, prefix: str = "") -> tuple[dict[str, Any], Any]:
    """Leaves by path in the order of the tree, and the structure of the tree. A single array has the path
    ``prefix``."""
    pairs, treedef = jax.tree_util.tree_flatten_with_path(tree)
    alone = prefix.removesuffix("/")
    return {prefix + "/".join(map(_key_name, path)) if path else alone: leaf for path, leaf in pairs}, treedef


def _newest_good(
    paths: list[Path], where: Path, *, limit: int = reading.CHECKPOINT, follow: bool = False
) -> tuple[Leaves, dict[str, Any], Path, tuple[str, ...]]:
    """Leaves, meta and path of the first of ``paths`` whose checksum is right, and a line for each before it.

    Raises CheckpointError where there is none.
    """
    damaged: list[tuple[str, str]] = []
    for path in paths:
        try:
            leaves, meta = unpack(path, verified(path, limit, follow=follow))
        except (OSError, Damaged) as error:
            damaged.append((path.name, str(getattr(error, "strerror", None) or error)))
            continue
        return leaves, meta, path, tuple(f"{name}: {what}; {path.name} is taken instead" for name, what in damaged)
    what = "; ".join(f"{name}: {what}" for name, what in damaged) or "there is none"
    raise CheckpointError(f"no checkpoint in {where} is usable: {what}")


def _key_name(key: Any) -> str:
    """One step of a path without what HDF5 interprets: slashes, single dots, an empty name."""
    name = jax.tree_util.keystr((key,), simple=True).replace("%", "%25").replace("/", "%2F")
    return "%" if name == "" else "%2E" if name == "." else name


def _of_chains(name: str) -> bool:
    return name == "chains" or name.startswith("chains/")


def _n_bytes(leaf: Any) -> int:
    return math.prod(leaf.shape) * np.dtype(leaf.dtype).itemsize


def _resized(leaf: np.ndarray, n: int) -> np.ndarray:
    """The array with ``n`` rows: cut, or filled up with zeros."""
    missing = np.zeros((max(0, n - len(leaf)), *leaf.shape[1:]), leaf.dtype)
    return np.concatenate([leaf[:n], missing])


def _match(path: Path, leaves: Leaves, named: dict[str, Any], size: int, growing: Collection[str]) -> None:
    """ValueError in one line unless ``leaves`` has the names, dtypes and shapes of the template."""
    for name in sorted(leaves.keys() ^ named.keys()):
        has, lacks = (path.name, "this run") if name in leaves else ("this run", path.name)
        raise ValueError(f"checkpoint: {name} is in {has} but not in {lacks}")
    n_chains = {name: leaf.shape[:1] for name, leaf in leaves.items() if _of_chains(name)}
    for name, expected in named.items():
        stored, skip = leaves[name], int(_of_chains(name) or name in growing)
        fits = stored.ndim == len(expected.shape)
        if not fits or stored.dtype != expected.dtype or stored.shape[skip:] != tuple(expected.shape[skip:]):
            free = ("chains" if _of_chains(name) else "any", *expected.shape[1:]) if skip else tuple(expected.shape)
            shape = str(free).replace("'", "")
            raise ValueError(
                f"checkpoint: {name} in {path.name} is {stored.dtype} {stored.shape}, expected {expected.dtype} {shape}"
            )
    for name, lead in n_chains.items():
        if len(set(n_chains.values())) > 1 or len(lead) == 0 or lead[0] % size:
            raise ValueError(
                f"checkpoint: {name} in {path.name} leads with {lead} chains; {size} ranks cannot share them"
            )


def _plausible(path: Path, leaves: Leaves) -> None:
    """ValueError, one line, if a well-formed file holds what no run can have written."""
    step = leaves["step"]
    if int(step) != step_of(path):
        raise ValueError(f"checkpoint: step in {path.name} is {int(step)}, expected {step_of(path)}")
    for name, leaf in leaves.items():
        if name.endswith("/chain_C") and not np.array_equal(leaf, np.arange(len(leaf))):
            raise ValueError(f"checkpoint: {name} in {path.name} does not number the chains 0 to {len(leaf) - 1}")


def _prune(new: Path, keep: int) -> None:
    """Delete the checkpoints older than the newest ``keep`` good ones; ``new`` has just been written."""
    n_good, paths = 0, newest_first(new.parent.parent)
    limit = ROOM + 4 * new.stat().st_size  # a larger file is not from this run, whatever its number of chains
    for path in paths:
        if n_good == keep:
            remove(path)
            continue
        try:
            if path != new:
                check(path, limit)
            n_good += 1
        except (OSError, Damaged):  # a damaged one does not count, and stays until there are enough good ones
            continue
    sync_folder(new.parent)
