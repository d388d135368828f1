"""What a run says of itself: the lines of metrics.jsonl, summary.json, and what a checkpoint says beside the state.

Plain data and text, made from what a step or a final evaluation returned; the loop writes them where they belong.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nqs_hpc.config.compose import physics, to_plain
from nqs_hpc.driver.ground_state import possible
from nqs_hpc.parallel.launch import Placement
from nqs_hpc.parallel.world import World
from nqs_hpc.parts import Parts, Plan
from nqs_hpc.resolve.gauge import signs_of, why_not_positive
from nqs_hpc.resolve.symmetry import told_sector, words_of_sector
from nqs_hpc.schema import Config
from nqs_hpc.stats.chains import diagnostics, widened
from nqs_hpc.stats.trust import accepted_per_sample, is_frozen
from nqs_hpc.types import Batch, RunState


class Book:
    """What the summary and the checkpoints say of a run beside its state."""

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
        """``started``: the ``time.monotonic()`` of this start; ``seconds_before``: of all earlier starts together."""
        self.config, self.world, self.parts, self.versions = config, world, parts, versions
        self.threads = placement.threads
        self.started, self.seconds_before = started, seconds_before
        self.reference: dict[str, Any] | None = None
        self.warnings: list[str] = []  # what can spoil the result: signs, chains that do not agree
        if parts.ansatz.kind == "real" and (why := why_not_positive(config.hamiltonian, parts.lattice)):
            self.warnings.append(why)
        self.saves = (0, 0.0)  # checkpoints of this start, and the seconds they took

    def seconds(self) -> float:
        """Wall time of the run, all starts together."""
        return self.seconds_before + time.monotonic() - self.started

    def meta(self) -> dict[str, Any]:
        """What a checkpoint says beside the state."""
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
        """The content of summary.json. ``line`` holds the energy it reports: a step's, or the final evaluation's;
        ``doubts`` say why that is not to be believed.
        """
        line = line or {}
        n, energy, variance = self.parts.lattice.n_sites, line.get("energy"), line.get("energy_variance")
        exact = self.reference["energy"] if self.reference else None
        frozen = is_frozen(line)  # the spread of chains that do not move says nothing
        v_score, e_infinity = None, self.parts.operator.e_infinity
        if energy is not None and variance is not None and not frozen and (gap := energy - e_infinity):
            v_score = n * variance / gap**2
        error = None if frozen else line.get("energy_error")
        return {
            "status": status,
            "reason": reason,
            "doubts": list(doubts),
            "warnings": self.warnings,
            "step": int(state.step),
            "energy": {"mean": energy, "error": error, "variance": variance},
            "final": final,
            "energy_per_site": energy / n if energy is not None else None,
            "v_score": v_score,
            "e_infinity": e_infinity,
            "reference": self.reference,
            "relative_error": (energy - exact) / abs(exact) if exact and energy is not None else None,
            "r_hat": line.get("r_hat"),
            "tau": line.get("tau"),
            "n_eff": line.get("n_eff"),
            "acceptance": line.get("acceptance"),
            "n_samples": line.get("n_samples", self.parts.sampler.n_samples),
            "n_parameters": self.parts.n_parameters,
            "n_sites": n,
            "sector": self.config.sector,
            "symmetry": words_of_sector(self.config, self.parts.lattice),
            "n_ranks": self.world.size,
            "threads": self.threads,
            "seconds": self.seconds(),
        }

    def headline(self, folder: Path, first: int, reason: str) -> str:
        """One line on what starts, at step ``first``."""
        ranks, parts, plan = self.world.size, self.parts, self.parts.plan
        chosen = "" if plan.solver is None else f", solver {plan.solver}"
        chosen += "" if plan.blocks in (None, 1) else f", Jacobian in {plan.blocks} blocks"
        chosen += "" if plan.chunk_size is None else f", chunks of {plan.chunk_size}"
        taken = signs_of(self.config.hamiltonian, parts.lattice)
        signs = "" if taken is None else f" ({int((taken < 0).sum())} of them with signs)"
        where = f"{ranks} ranks x {self.threads} threads" if ranks > 1 else f"{self.threads} threads"
        return (
            f"{folder}: {reason}, step {first} of {self.config.task.n_steps}; {parts.lattice.n_sites} sites{signs}, "
            f"{told_sector(self.config, parts.lattice)}, "
            f"{parts.n_parameters} parameters, {parts.sampler.n_samples} samples a step{chosen}, {where}"
        )


def metrics(
    step: int, batch: Batch, counts: dict[str, Any], info: dict[str, Any], times: dict[str, float], chain_length: int
) -> dict[str, Any]:
    """The line of metrics.jsonl of one step: the energy before update number ``step``."""
    e_loc_A, w_A = np.asarray(batch.e_loc_A), np.asarray(batch.w_A)
    mean, variance = complex(batch.estimate.mean), float(batch.estimate.variance)
    sigma = math.sqrt(variance) if variance > 0 else math.nan
    error = widened(float(batch.estimate.error), e_loc_A, chain_length)
    line = {
        "step": step,
        "energy": mean.real,
        "energy_error": error,
        "energy_variance": variance,
        **rates({name: float(value) for name, value in counts.items()}, len(e_loc_A)),
        **diagnostics(e_loc_A, w_A, chain_length, error=error),
        "max_deviation": float(np.max(np.abs(e_loc_A - mean)[w_A > 0])) / sigma if sigma > 0 else None,
    }
    line |= {name: float(value) for name, value in info.items() if name != "rejected"}
    return line | times | {"rejected": bool(info["rejected"])}


def acceptance(counts: dict[str, float]) -> float | None:
    """The share of proposals accepted; None for samplers that propose nothing."""
    return counts["accepted"] / counts["proposed"] if counts.get("proposed") else None


def rates(counts: dict[str, float], n_samples: int) -> dict[str, float | None]:
    """The acceptance and the accepted moves a sample, the acceptance of each kind of move of a mixture, and of
    tempering the mean and the least of its swaps.
    """
    kinds = [name.removeprefix("proposed_") for name in counts if name.startswith("proposed_")]
    each = {kind: counts[f"accepted_{kind}"] / max(counts[f"proposed_{kind}"], 1.0) for kind in kinds}
    swaps = [rate for kind, rate in each.items() if kind.startswith("swap_")]
    moves = {f"acceptance_{kind}": rate for kind, rate in each.items() if not kind.startswith("swap_")}
    found = {"acceptance": acceptance(counts), "accepted_per_sample": accepted_per_sample(counts, n_samples)} | moves
    return found | ({"swap_rate": sum(swaps) / len(swaps), "swap_rate_least": min(swaps)} if swaps else {})


def why_rejected(line: dict[str, Any], bounds: tuple[float, float]) -> str:
    """What is wrong with a rejected step. ``bounds``: those of the spectrum."""
    if not math.isfinite(line["energy_variance"]):
        return "the energy is not finite"
    if not possible(line["energy"], line["energy_variance"], bounds):
        return f"no state of the spectrum ({bounds[0]:.6g} to {bounds[1]:.6g}) has the energy sampled"
    return "the update is not finite"


def differences_of_machine(
    meta: dict[str, Any], world: World, placement: Placement, versions: dict[str, str | None]
) -> list[str]:
    """A line where ranks or threads are not those of the checkpoint, and one where the installation is another."""
    return [*_other_ranks(meta, world, placement), *_other_versions(meta, world, versions)]


def _other_versions(meta: dict[str, Any], world: World, versions: dict[str, str | None]) -> list[str]:
    known = meta.get("versions")
    before = known if isinstance(known, dict) else {}
    pairs = {name: (now, before[name]) for name, now in versions.items() if before.get(name) not in (None, now)}
    if "mpi" in meta and meta["mpi"] != world.library:  # checkpoints of older versions do not say
        pairs["MPI"] = (world.library, meta["mpi"])
    told = [f"{name} {_word(now)}, before {_word(then)}" for name, (now, then) in pairs.items()]
    return [f"{'; '.join(told)}: the run goes on within rounding"] if told else []


def _word(text: object) -> str:
    """What stands in a checkpoint, fit for a terminal."""
    return "".join(c if c.isprintable() else "?" for c in str(text or "(none)"))[:60]


def _other_ranks(meta: dict[str, Any], world: World, placement: Placement) -> list[str]:
    if meta["n_ranks"] != world.size:
        ranks = f"{world.size} rank{'s' * (world.size > 1)}"
        return [f"{ranks}, before {meta['n_ranks']}: the same chains, dealt again, go on within rounding"]
    if meta["threads"] != placement.threads:
        return [f"{placement.threads} threads a rank, before {meta['threads']}: the run goes on within rounding"]
    return []


def planned(config: Config, plan: Plan) -> dict[str, Any]:
    """The composed configuration as plain data, with what ``auto`` chose in its place."""
    plain = to_plain(config)
    plain["chunk_size"] = plan.chunk_size
    if plan.solver is not None:
        plain["optimizer"]["solver"] = plan.solver
    if plan.blocks is not None:
        plain["optimizer"]["blocks"] = plan.blocks
    return plain


def config_text(config: Config, plan: Plan) -> str:
    """The content of config.yaml."""
    import yaml  # only rank 0 writes it

    return yaml.safe_dump(planned(config, plan), sort_keys=False, allow_unicode=True)
