"""Whether the energy of a final evaluation can be trusted, judged by what else is known.

A number with a small error bar can still be nonsense: chains that never move report the same few local energies again
and again, and local energies with heavy tails have an error that further samples contradict. The checks below do not
need the exact answer; where it is known it is used too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

FROZEN = 0.01  # accepted moves a sample, below which chains do not sample: about one in a whole final evaluation
LARGEST_ERROR = 0.1  # of the distance to the energy of infinite temperature
LARGEST_GAP = 0.1  # |E - E_0| / |E_0| beyond which an energy is doubtful
DRIFT = 0.02  # of the distance to the energy of infinite temperature, that a last update may change
SIGMAS = 5.0
RECENT = 5  # steps: over more of them the energy of a run that still improves changes too much to compare with
WORST_R_HAT = 1.5
WORST_V_SCORE = 1.0  # product states have about 1, good ones less than 0.01


class Known(NamedTuple):
    """What an energy is compared with."""

    bounds: tuple[float, float]  # no eigenvalue of the Hamiltonian lies outside
    e_infinity: float  # the energy at infinite temperature
    reference: float | None  # the exact lowest energy of the sector sampled
    recent: Sequence[float]  # energies of the last steps of training; fewer than three say nothing
    recent_error: float = 0.0  # of one of those energies
    n_sites: int = 0
    is_averaged: bool = False  # whether the parameters evaluated are a running mean, not those of the last step


def accepted_per_sample(counts: dict[str, float], n_samples: int) -> float | None:
    """Accepted moves between two samples of a chain; None for samplers that propose nothing."""
    return counts["accepted"] / n_samples if counts.get("proposed") else None


def is_frozen(line: dict[str, Any]) -> bool:
    """Whether the chains behind a line of metrics.jsonl, or behind a final evaluation, did not move."""
    moves = line.get("accepted_per_sample")
    return moves is not None and moves < FROZEN


def near(energy: float, reference: float | None) -> bool:
    """Whether the exact energy is known and agrees within LARGEST_GAP."""
    return reference is not None and abs(energy - reference) <= LARGEST_GAP * abs(reference)


def doubts(line: dict[str, Any], known: Known) -> list[str]:
    """Why the energy of a final evaluation should not be trusted, a sentence each, the most serious first; [] where
    nothing speaks against it. ``line``: energy, energy_error (None or NaN: not known), energy_variance, r_hat.

    V-score: N Var(E) / (E - E_inf)^2 (Wu et al. 2024, Science 386, 296, arXiv:2302.04919).
    """
    energy, error = line["energy"], line.get("energy_error") or 0.0
    error = error if math.isfinite(error) else 0.0
    low, high = known.bounds
    rounding = 1e-6 * max(abs(energy), 1.0)
    found = []
    if not low - SIGMAS * error - rounding <= energy <= high + SIGMAS * error + rounding:
        found.append(f"it lies outside of the spectrum, which reaches at most from {low:.6g} to {high:.6g}")
    elif energy > high or energy < low - rounding:
        found.append(f"it lies outside of the spectrum ({low:.6g} to {high:.6g}) and its error is no smaller")
    if (exact := known.reference) is not None:
        if not near(energy, exact):
            found.append(f"it is {_percent(energy - exact, exact)} from the exact lowest energy {exact:.6f}")
        elif energy < exact - SIGMAS * error - 1e-4 * abs(exact):
            found.append(f"it lies below the exact lowest energy {exact:.6f}, which is impossible")
    scale = abs(energy - known.e_infinity)
    if error > LARGEST_ERROR * scale:
        found.append("its error is comparable to the energy itself: local energies have heavy tails, or n is small")
    if len(known.recent) > 2:
        last = float(np.median(known.recent))
        spread = float(np.median(np.abs(np.asarray(known.recent) - last)))
        noise = max(1.5 * spread, known.recent_error)
        allowed = DRIFT * abs(last - known.e_infinity) + SIGMAS * (noise + error)
        if abs(energy - last) > allowed:
            why = "fresh chains do not reproduce it"
            if known.is_averaged:
                why = "the running mean of the parameters (optimizer.average) is far behind, make more steps"
            found.append(f"the last steps of training had {last:.6g}: {why}")
    variance = line.get("energy_variance") or 0.0
    if scale > 0 and (v_score := known.n_sites * variance / scale**2) > WORST_V_SCORE:
        found.append(f"its V-score is {v_score:.3g}: the wave function is far from every eigenstate")
    r_hat = line.get("r_hat")
    if r_hat is not None and r_hat > WORST_R_HAT:
        found.append(f"the chains do not agree (R-hat {min(r_hat, 1e3):.3g}), so the error bar is too small")
    return found


def _percent(gap: float, exact: float) -> str:
    return f"{100 * abs(gap) / abs(exact):.3g} %" if exact else f"{abs(gap):.3g}"
