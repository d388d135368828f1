"""The records of a run: summary.json, the first line, and what a checkpoint contains besides the state.

Plain data and text; the loop writes them where they belong.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nqs_hpc.config.identity import physics, to_plain
from nqs_hpc.config.schema import Config
from nqs_hpc.config.signs import NOT_REAL, why_not_positive
from nqs_hpc.config.symmetrize import told_sector, words_of_sector
from nqs_hpc.job import observables_file
from nqs_hpc.job.progress import STEPS
from nqs_hpc.parallel.launch import Placement
from nqs_hpc.parallel.world import World
from nqs_hpc.parts import Parts, Plan
from nqs_hpc.system.hilbert import degrees, places
from nqs_hpc.types import Progress, Result, RunState


def spoiling(config: Config, parts: Parts) -> list[str]:
    """A line for each known risk for the result: signs, warnings of the ansatz."""
    found = []
    if parts.ansatz.kind in ("real", "signed") and not parts.operator.is_real:
        found.append(NOT_REAL)
    elif parts.ansatz.kind == "real" and (why := why_not_positive(config.hamiltonian, parts.lattice)):
        found.append(why)
    return [*found, *config.ansatz.warnings(parts.lattice, parts.pieces.basis)]


class Description:
    """What the summary and the checkpoints contain besides the state of a run."""

    def __init__(
        self,
        config: Config,
        world: World,
        placement: Placement,
        parts: Parts,
        *,
        versions: dict[str, str | None],
        started: float,
        seconds_before: float,
    ) -> None:
        """``started``: the ``time.monotonic()`` of this start; ``seconds_before``: the time of all earlier starts."""
        self.config, self.world, self.parts, self.versions = config, world, parts, versions
        self.threads = placement.threads
        self.started, self.seconds_before = started, seconds_before
        self.reference: dict[str, Any] | None = None
        self.warnings = spoiling(config, parts)
        self.saves = (0, 0.0)  # checkpoints of this start, and the seconds they took

    def seconds(self) -> float:
        """Wall time of the run, summed over all starts."""
        return self.seconds_before + time.monotonic() - self.started

    def meta(self) -> dict[str, Any]:
        """What a checkpoint contains besides the state."""
        return {
            "physics": physics(self.config),
            "plan": self.parts.plan._asdict(),
            "n_ranks": self.world.size,
            "threads": self.threads,
            "versions": self.versions,
            "mpi": self.world.library,
            "seconds": self.seconds(),
        }

    def summary(
        self,
        state: RunState,
        line: dict[str, Any] | None,
        *,
        status: str,
        reason: str,
        final: bool = False,
        doubts: Sequence[str] = (),
    ) -> dict[str, Any]:
        """The content of summary.json. ``line`` holds its numbers, those of a step or the final ones; ``doubts`` say
        why they are doubtful.
        """
        task = self.parts.task
        return {
            "task": self.config.task.name,
            "status": status,
            "reason": reason,
            "doubts": list(doubts),
            "warnings": self.warnings,
            "step": int(state.step),
            **in_its_unit(task.progress(state)),
            "final": final,
            **task.summary(line or {}, self.reference),
            "quantities": [quantity._asdict() for quantity in task.shown],
            "n_parameters": self.parts.n_parameters,
            "n_sites": places(self.parts.hilbert),
            "n_degrees": degrees(self.parts.hilbert),
            "sector": self.config.sector,
            "symmetry": words_of_sector(self.config, self.parts.lattice),
            "n_ranks": self.world.size,
            "threads": self.threads,
            "seconds": self.seconds(),
        }

    def save_results(self, folder: Path, state: RunState, results: Sequence[Result], summary: dict[str, Any]) -> None:
        """Write observables.h5 if anything was measured; ``summary``: `summary` of the same state.

        Raises OSError and lock.Lost. Rank 0 calls it.
        """
        if results:
            n_samples, n_sites = summary.get("n_samples"), self.parts.lattice.n_sites
            facts = {"n_samples": n_samples, "n_sites": n_sites, "step": int(state.step)}
            observables_file.save(folder, results, facts)

    def headline(self, folder: Path, state: RunState, reason: str) -> str:
        """One line that describes a start from ``state``."""
        ranks, parts, plan = self.world.size, self.parts, self.parts.plan
        progress = parts.task.progress(state)
        chosen = "" if plan.solver is None else f", solver {plan.solver}"
        chosen += "" if plan.blocks in (None, 1) else f", Jacobian in {plan.blocks} blocks"
        chosen += "" if plan.chunk_size is None else f", chunks of {plan.chunk_size}"
        taken = self.config.hamiltonian.signs(parts.lattice)
        signs = "" if taken is None else f" ({int((taken < 0).sum())} of them with signs)"
        where = f"{ranks} ranks x {self.threads} threads" if ranks > 1 else f"{self.threads} threads"
        return (
            f"{folder}: {reason}, {far(progress)}; {places(parts.hilbert)} sites{signs}, "
            f"{told_sector(self.config, parts.lattice)}, "
            f"{parts.n_parameters} parameters, {parts.sampler.n_samples} samples a step{chosen}, {where}"
        )


def in_its_unit(progress: Progress) -> dict[str, Any]:
    """The progress of a run, unless it is the number of steps: for `status` and `report`."""
    return {} if progress.unit == STEPS else {"progress": progress._asdict()}


def far(progress: Progress) -> str:
    """The progress of a run in words: step 3 of 10."""
    total = "" if progress.total is None else f" of {progress.total:g}"
    unit = progress.unit.removesuffix("s")
    return f"{unit} {progress.done:g}{total}"


def differences_of_machine(
    meta: dict[str, Any], world: World, placement: Placement, versions: dict[str, str | None]
) -> list[str]:
    """A line if ranks or threads differ from those of the checkpoint, and one if the installation differs."""
    return [*_other_ranks(meta, world, placement), *_other_versions(meta, world, versions)]


def _other_versions(meta: dict[str, Any], world: World, versions: dict[str, str | None]) -> list[str]:
    known = meta.get("versions")
    before = known if isinstance(known, dict) else {}
    pairs = {name: (now, before[name]) for name, now in versions.items() if before.get(name) not in (None, now)}
    if "mpi" in meta and meta["mpi"] != world.library:  # checkpoints of older versions lack it
        pairs["MPI"] = (world.library, meta["mpi"])
    told = [f"{name} {_word(now)}, before {_word(then)}" for name, (now, then) in pairs.items()]
    return [f"{'; '.join(told)}: the run goes on within rounding"] if told else []


def _word(text: object) -> str:
    """A value of a checkpoint, printable on a terminal."""
    return "".join(c if c.isprintable() else "?" for c in str(text or "(none)"))[:60]


def _other_ranks(meta: dict[str, Any], world: World, placement: Placement) -> list[str]:
    if meta["n_ranks"] != world.size:
        ranks = f"{world.size} rank{'s' * (world.size > 1)}"
        return [f"{ranks}, before {meta['n_ranks']}: the same chains, dealt again, go on within rounding"]
    if meta["threads"] != placement.threads:
        return [f"{placement.threads} threads a rank, before {meta['threads']}: the run goes on within rounding"]
    return []


def planned(config: Config, plan: Plan) -> dict[str, Any]:
    """The composed configuration as plain data, with ``auto`` replaced by what it chose."""
    plain = to_plain(config)
    plain["chunk_size"] = plan.chunk_size
    if plan.solver is not None:
        plain["optimizer" if config.task.optimizes else "task"]["solver"] = plan.solver
    if plan.blocks is not None and config.task.optimizes:
        plain["optimizer"]["blocks"] = plan.blocks
    return plain


def config_text(config: Config, plan: Plan) -> str:
    """The content of config.yaml."""
    import yaml  # only rank 0 writes it

    return yaml.safe_dump(planned(config, plan), sort_keys=False, allow_unicode=True)
