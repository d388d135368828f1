"""The final evaluation: frozen parameters, fresh chains, and what the energy that they give is worth."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from nqs_hpc.inputs.numbers import with_error
from nqs_hpc.stats.chains import diagnostics, widened
from nqs_hpc.stats.estimate import estimate
from nqs_hpc.stats.tails import tails
from nqs_hpc.stats.trust import (
    BAD,
    RECENT,
    Check,
    Known,
    NoSecond,
    as_plain,
    checks,
    is_frozen,
    near,
    reasons,
)
from nqs_hpc.tasks.guard import possible
from nqs_hpc.tasks.lines import rates
from nqs_hpc.tasks.measurement import Shared
from nqs_hpc.tasks.second import Compared
from nqs_hpc.types import Batch, Ending, Groups, Sampler

WORST_R_HAT = 1.1  # beyond which the final evaluation warns
FROZEN_ADVICE = "lower optimizer.learning_rate, or try sampler=tempering, another sampler.move, sampler=enumerate"

estimate_jit = jax.jit(estimate, static_argnums=(2, 3))


class Final(NamedTuple):
    """The evaluation of frozen parameters: gathered local energies and weights, the energy, the sampler's counts."""

    e_loc_A: np.ndarray  # chain by chain
    w_A: np.ndarray
    mean: complex
    error: float
    variance: float
    counts: dict[str, float]
    chain_length: int
    # of each call of the sampler, if there are other wave functions, with the weights
    overlaps: tuple[Any, ...] = ()
    overlaps_w_A: tuple[np.ndarray, ...] = ()
    each: tuple[Final, ...] = ()  # of each of several wave functions, where the energy is the mean of theirs


class System(NamedTuple):
    """What is known of the system beside the samples."""

    n_sites: int  # of the lattice; 0: an energy that need not be of an eigenstate
    bounds: tuple[float, float]  # of the spectrum
    e_infinity: float
    is_averaged: bool = False  # whether the parameters are a running mean
    # the key by which signs that the ground state needs are switched off, if one is; looking takes time
    signs_off: Callable[[], str | None] = lambda: None
    n_degrees: int | None = None  # of freedom, that the V-score counts; None: as many as sites


class Call(NamedTuple):
    """What is kept of a call of the sampler, on the host: not the samples, which take the most memory by far."""

    e_loc_A: np.ndarray
    w_A: np.ndarray
    counts: dict[str, float]


def kept(batch: Batch, shared: Shared) -> Call:
    return Call(np.asarray(batch.e_loc_A), np.asarray(batch.w_A), {k: float(x) for k, x in shared.counts.items()})


def joined(parts: list[Call], sampler: Sampler) -> Final:
    """The parts of an evaluation as one: each a further piece of the same chains, or more independent samples."""
    counts = {name: sum(part.counts[name] for part in parts) for name in parts[0].counts}
    return estimated([part.e_loc_A for part in parts], [part.w_A for part in parts], counts, sampler)


def estimated(calls: list[np.ndarray], weights: list[np.ndarray], counts: dict[str, float], sampler: Sampler) -> Final:
    """The estimate from the local values (A,) and the weights of each call of the sampler."""
    values_A, w_A, chain_length = in_chains(calls, weights, sampler)
    if sampler.groups is not None:
        return mean_of_several(values_A, w_A, chain_length, counts, sampler.groups)
    found = estimate_jit(values_A, w_A, chain_length, sampler.weighted)
    error = widened(float(found.error), values_A, chain_length, w_A)
    return Final(values_A, w_A, complex(found.mean), error, float(found.variance), counts, chain_length)


def mean_of_several(
    values_A: np.ndarray, w_A: np.ndarray, chain_length: int, counts: dict[str, float], groups: Groups
) -> Final:
    """The mean of the energies of several wave functions, with the estimate of each."""
    each = []
    for k, (own_A, own_w_A) in enumerate(zip(groups.split(values_A), groups.n * groups.split(w_A), strict=True)):
        found = estimate_jit(own_A, own_w_A, chain_length, False)
        error = widened(float(found.error), own_A, chain_length, own_w_A)
        moves = {name: counts[f"{name}_at_{k}"] for name in ("accepted", "proposed") if f"{name}_at_{k}" in counts}
        each.append(Final(own_A, own_w_A, complex(found.mean), error, float(found.variance), moves, chain_length))
    mean, variance = complex(np.mean([one.mean for one in each])), float(np.mean([one.variance for one in each]))
    error = math.hypot(*(one.error for one in each)) / len(each)
    return Final(values_A, w_A, mean, error, variance, counts, chain_length, each=tuple(each))


def in_chains(
    calls: list[np.ndarray], weights: list[np.ndarray], sampler: Sampler
) -> tuple[np.ndarray, np.ndarray, int]:
    """The local values (A,) of all calls chain by chain, their weights, which sum to 1, and the length of a chain; 0:
    exact sums. ``weights``: those of each call.
    """
    assert len(weights) == len(calls)
    chain_length = sampler.chain_length
    if chain_length == 0:
        return calls[0], weights[0], 0

    def joined(each: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([x_A.reshape(-1, chain_length) for x_A in each], axis=1).ravel()

    values_A = joined(calls)
    w_A = np.full(len(values_A), 1.0 / len(values_A))
    if sampler.weighted:
        w_A = joined(weights)
        w_A = w_A / w_A.sum()
    return values_A, w_A, chain_length * (1 if sampler.independent else len(calls))


def believable(final: Final, bounds: tuple[float, float]) -> bool:
    return math.isfinite(final.variance) and bool(possible(final.mean.real, final.variance, bounds))


def ending(
    final: Final, system: System, step: int, second: Compared | str = "no second ensemble was sampled"
) -> Callable[[list[dict[str, Any]], dict[str, Any] | None], Ending]:
    """What an evaluation after ``step`` steps came to, once the last lines of metrics.jsonl and the exact reference
    (null where none is known) are given. ``second``: the second ensemble against this one, or why there is none.
    """

    def ended(lines: list[dict[str, Any]], reference: dict[str, Any] | None) -> Ending:
        line: dict[str, Any] = {
            "energy": final.mean.real,
            "energy_error": final.error,
            "energy_variance": final.variance,
            **rates(final.counts, len(final.e_loc_A)),
            "n_samples": len(final.e_loc_A),
        } | diagnostics(final.e_loc_A, final.w_A, final.chain_length, error=final.error)
        status, reason, found, checked = judged(final, line, system, step, lines, reference, second)
        line["trust"] = trusted(checked, second)
        warnings: tuple[str, ...] = ()
        if line["r_hat"] is not None and not line["r_hat"] < WORST_R_HAT and not is_frozen(line):
            why = "the chains do not agree, and their differences are larger than the error"
            warnings = (f"R-hat {line['r_hat']:.3f}: {why}; raise sampler.sweep",)
        return Ending(line, status, reason, found, warnings)  # type: ignore[arg-type]

    return ended


def judged(
    final: Final,
    line: dict[str, Any],
    system: System,
    step: int,
    lines: list[dict[str, Any]],
    reference: dict[str, Any] | None,
    second: Compared | str = "no second ensemble was sampled",
) -> tuple[str, str, tuple[str, ...], dict[str, Check]]:
    """The status of a final evaluation, why, what speaks against its energy, and every check."""
    bounds = system.bounds
    energy, exact = line["energy"], reference["energy"] if reference else None
    if not math.isfinite(final.variance):
        why = "the energy of the final parameters is not finite"
        return "failed", why, (), {"finite": Check(None, None, BAD, why)}
    if not believable(final, bounds):
        spectrum = f"({bounds[0]:.6g} to {bounds[1]:.6g})"
        why = f"no state of the spectrum {spectrum} has the energy of the final samples, {energy:.6g}"
        return "failed", why, (), {"spectrum": Check(energy, None, BAD, why)}
    steps = [one for one in lines if not one.get("rejected")]
    recent = [one["energy"] for one in steps[-RECENT:] if one.get("energy") is not None]
    errors = [one["energy_error"] for one in steps[-RECENT:] if one.get("energy_error") is not None]
    known = Known(
        bounds,
        system.e_infinity,
        exact,
        recent,
        recent_error=statistics.median(errors) if errors else 0.0,
        n_degrees=system.n_sites and (system.n_degrees or system.n_sites),
        is_averaged=system.is_averaged,
        history=[one["energy"] for one in steps if one.get("energy") is not None],
        signs_off=system.signs_off(),
    )
    checked = checks(
        line,
        known,
        tails(final.e_loc_A, final.w_A, final.chain_length),
        second.second if isinstance(second, Compared) else NoSecond(second),
        exact_sum=final.chain_length == 0,
    )
    if is_frozen(line):
        moved = f"{final.counts['accepted']:.0f} of {final.counts['proposed']:.0f} proposals accepted"
        frozen = f"the chains are frozen, {moved}: {energy:.6f} has no error and need not be the lowest energy"
        if near(energy, exact):
            frozen = f"the chains are frozen, {moved}, so the energy has no error; it agrees with the exact {exact:.6f}"
            return "doubtful", f"{step} steps, energy {energy:.6f}: {frozen}", (frozen,), checked
        return "failed", f"{frozen}; {FROZEN_ADVICE}", (frozen,), checked
    found = tuple(reasons(checked))
    said = f"{step} steps, energy {with_error(energy, line['energy_error'])}"
    return ("doubtful", f"{said}: {found[0]}", found, checked) if found else ("done", said, (), checked)


def trusted(checked: dict[str, Check], second: Compared | str) -> dict[str, Any]:
    """`trust` of summary.json."""
    whole = as_plain(checked)
    if isinstance(second, Compared):
        number = lambda value: value if math.isfinite(value) else None  # noqa: E731
        whole["second"] = {
            "energy": number(second.energy),
            "error": number(second.error),
            "n_samples": second.n_samples,
            "seconds": second.seconds,
        }
    return whole
