"""Whether the energy of an evaluation can be trusted.

A number with a small error bar can still be wrong: chains that never move repeat the same few local energies, chains
that stay in one region agree with each other, and with heavy tails more samples contradict the error. Each check has a
value, a limit and a verdict. No check needs the exact energy, but it is used if it is known. Comments give the reason
for each limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nqs_hpc.stats.chains import WINDOW
from nqs_hpc.stats.tails import Tails

GOOD, DOUBTFUL, BAD, NOT_KNOWN = "good", "doubtful", "bad", "not known"

FROZEN = 0.01  # accepted moves per sample, below which chains do not sample: about one in a whole final evaluation
LARGEST_ERROR = 0.1  # of the distance to the energy of infinite temperature
LARGEST_GAP = 0.1  # |E - E_0| / |E_0| beyond which an energy is doubtful
ANY_STATE = "what is measured need not be a ground state"
BELOW = 3.0  # how many errors an energy may lie below the exact one, which is a bound
DRIFT = 0.02  # of the distance to the energy at infinite temperature: the largest change by a last update
SIGMAS = 5.0
RECENT = 5  # steps: over more of them the energy of a run that still improves changes too much for a comparison
# An error that falls as 1 / step falls from the second last sixth of the steps to the last by a quarter of the
# remaining error (1/0.75 - 1/0.917 = 0.24): the limit allows a remaining error of 1 %.
STILL_MOVING = 0.0025
LEAST_STEPS = 12  # so that a third of them still has two halves of two steps
# R-hat^2 - 1 is the variance of the means of half chains over the variance inside, 2 tau / L for chains that sample the
# same distribution: R-hat = 1.18 at L = 5 tau, the least length at which tau is known (`chains.WINDOW`).
WORST_R_HAT = 1.2
NO_AGREEMENT = 1.5  # R-hat at which means of half chains differ as much as samples
# The relative error of an eigenvalue is about the V-score if the levels mixed in lie about |E| / N above it.
WORST_V_SCORE = 0.1
NO_EIGENSTATE = 1.0  # product states have about 1, good ones less than 0.01
STANDING = 0.01  # fraction of chains: they shift the energy by that fraction of their distance from it
# The variance has the relative error sqrt((kurtosis - 1) / n), here 1/2: the error bar is known to a quarter.
LOOSE = 0.25  # excess of the kurtosis over 1, divided by the number of samples
LARGEST = 0.2  # of the variance in one sample: fewer than five samples of a tail give no error bar
# Near an eigenstate the variance is small and comes from a few rare states. Even ten times this fraction of |E - E_inf|
# is only a hundredth of an error that makes an energy wrong.
NEGLIGIBLE = 1e-5
DIFFERS = 4.0  # errors between two ensembles: by chance once in 16000 runs
CONTRADICTS = 6.0
ROUNDING = 1e-6  # relative, of energies


class Check(NamedTuple):
    """The result of one check; ``why`` is a sentence if the verdict is not good, or the check was not needed."""

    value: float | None
    limit: float | None
    verdict: str = GOOD
    why: str = ""


class Known(NamedTuple):
    """The facts with which an energy is compared."""

    bounds: tuple[float, float]  # no eigenvalue of the Hamiltonian lies outside
    e_infinity: float  # the energy at infinite temperature
    reference: float | None  # the exact lowest energy of the sector sampled
    recent: Sequence[float]  # energies of the last steps of training; fewer than three are not used
    recent_error: float = 0.0  # of one of those energies
    n_degrees: int = 0  # degrees of freedom in the V-score: sites, or fermions; 0: the state need not be an eigenstate
    is_averaged: bool = False  # whether the evaluated parameters are a running mean, not those of the last step
    history: Sequence[float] = ()  # energies of all steps of training
    signs_off: str | None = None  # the key that switches off signs that the ground state needs


class Second(NamedTuple):
    """A second ensemble of the same wave function minus the first, in errors of the difference; None: not known."""

    energy: float | None
    spread: float | None  # of the mean distance of local energies from the energy
    r_hat: float | None  # of the chains of the second ensemble


class NoSecond(NamedTuple):
    """Why there is no second ensemble."""

    why: str
    verdict: str = NOT_KNOWN


def accepted_per_sample(counts: dict[str, float], n_samples: int) -> float | None:
    """Accepted moves between two samples of a chain; None for samplers without moves."""
    return counts["accepted"] / n_samples if counts.get("proposed") else None


def is_frozen(line: Mapping[str, Any]) -> bool:
    """Whether the chains of a line of metrics.jsonl, or of a final evaluation, did not move."""
    moves = line.get("accepted_per_sample")
    return moves is not None and moves < FROZEN


def near(energy: float, reference: float | None) -> bool:
    """Whether the exact energy is known and agrees within LARGEST_GAP."""
    return reference is not None and abs(energy - reference) <= LARGEST_GAP * abs(reference)


def doubts(line: dict[str, Any], known: Known) -> list[str]:
    """Why the energy of a final evaluation should not be trusted, according to ``line`` and ``known`` (`checks`)."""
    return reasons(checks(line, known))


def reasons(found: Mapping[str, Check]) -> list[str]:
    """A sentence for each check that is doubtful or bad, bad ones first; [] if nothing speaks against the energy."""
    return [one.why for verdict in (BAD, DOUBTFUL) for one in found.values() if one.verdict == verdict]


def verdict(found: Mapping[str, Check]) -> str:
    """The worst verdict of the checks that have one."""
    given = {one.verdict for one in found.values()}
    return next((word for word in (BAD, DOUBTFUL, GOOD) if word in given), NOT_KNOWN)


def checks(
    line: Mapping[str, Any],
    known: Known,
    chains: Tails | None = None,
    second: Second | NoSecond | None = None,
    *,
    exact_sum: bool = False,
) -> dict[str, Check]:
    """Every check by its name, the most important first.

    ``line``: energy, energy_error (None or NaN: not known), energy_variance, r_hat, n_eff, acceptance,
    accepted_per_sample, as in metrics.jsonl. ``chains``: diagnostics of the local energies. ``exact_sum``: whether the
    energy is a sum over all states, which has neither chains nor tails.

    V-score: N Var(E) / (E - E_inf)^2 (Wu et al. 2024, Science 386, 296, arXiv:2302.04919).
    """
    error = line.get("energy_error") or 0.0
    error = error if math.isfinite(error) else 0.0
    scale = abs(line["energy"] - known.e_infinity)
    found = {
        "spectrum": _spectrum(line["energy"], error, known.bounds),
        **_exact(line["energy"], error, known),
        "error": _error(error, scale),
        "below_infinity": _below_infinity(line["energy"], error, known),
        "signs": _signs(line["energy"], known),
        "training": _training(line["energy"], error, known),
        "drift": _drift(known),
        "v_score": _v_score(line.get("energy_variance"), scale, known.n_degrees),
    }
    found |= dict.fromkeys(OF_CHAINS, Check(None, None, GOOD, "exact sum: there are no chains"))
    if not exact_sum:
        found |= _chains(line, chains) | _tails(line, chains, error, scale) | _second(second)
    return found


OF_CHAINS = (
    *("r_hat", "chain_length", "standing_chains", "acceptance", "kurtosis", "largest_deviation"),
    *("second_energy", "second_spread", "second_r_hat"),
)


def _spectrum(energy: float, error: float, bounds: tuple[float, float]) -> Check:
    low, high = bounds
    rounding = ROUNDING * max(abs(energy), 1.0)
    if not math.isfinite(high - low):
        return Check(None, None, NOT_KNOWN, "no bounds of the spectrum are known")
    beyond = max(low - energy, energy - high)
    if not low - SIGMAS * error - rounding <= energy <= high + SIGMAS * error + rounding:
        return Check(beyond, 0.0, BAD, f"it lies outside of the spectrum, which lies within {low:.6g} to {high:.6g}")
    if energy > high or energy < low - rounding:
        why = f"it lies outside of the spectrum ({low:.6g} to {high:.6g}) and its error is no smaller"
        return Check(beyond, 0.0, DOUBTFUL, why)
    return Check(beyond, 0.0)


def _exact(energy: float, error: float, known: Known) -> dict[str, Check]:
    exact = known.reference
    if exact is None:
        unknown = Check(None, None, NOT_KNOWN, "no exact energy is known")
        return {"distance_from_exact": unknown, "below_exact": unknown}
    distance = Check(abs(energy - exact) / abs(exact) if exact else None, LARGEST_GAP)
    if not known.n_degrees:
        distance = Check(distance.value, None, GOOD, ANY_STATE)
    elif not near(energy, exact):
        why = f"it is {_percent(energy - exact, exact)} from the exact lowest energy {exact:.6f}"
        distance = distance._replace(verdict=BAD, why=why)
    # the difference beyond rounding, in errors
    depth = exact - energy - 10 * ROUNDING * abs(exact)
    below = Check(depth / error if error else None, BELOW)
    if depth > BELOW * error:
        why = f"it lies below the exact lowest energy {exact:.6f}, which is impossible"
        below = below._replace(verdict=BAD if depth > SIGMAS * error else DOUBTFUL, why=why)
    return {"distance_from_exact": distance, "below_exact": below}


def _error(error: float, scale: float) -> Check:
    found = Check(error / scale if scale else None, LARGEST_ERROR)
    if error > LARGEST_ERROR * scale:
        why = "its error is comparable to the energy itself: local energies have heavy tails, or n is small"
        return found._replace(verdict=BAD, why=why)
    return found


def _below_infinity(energy: float, error: float, known: Known) -> Check:
    """For a state that should be the lowest: half of all states lie below the mean."""
    if not known.n_degrees:
        return Check(None, None, GOOD, ANY_STATE)
    above = energy - known.e_infinity
    found = Check(above / error if error else None, BELOW)
    if above > BELOW * error and not near(energy, known.reference):
        why = f"it lies above {known.e_infinity:.6g}, the mean energy of all states"
        why += ", and no lowest one does but in a sector far from the others"
        return found._replace(verdict=DOUBTFUL, why=why)
    return found


def _signs(energy: float, known: Known) -> Check:
    if known.signs_off is None or near(energy, known.reference):
        return Check(None, None)
    why = f"this ansatz is positive, and the signs that the ground state needs are off ({known.signs_off})"
    return Check(None, None, DOUBTFUL, why)


def _training(energy: float, error: float, known: Known) -> Check:
    if len(known.recent) <= 2:
        return Check(None, None, NOT_KNOWN, "fewer than three steps of training are known")
    last = float(np.median(known.recent))
    spread = float(np.median(np.abs(np.asarray(known.recent) - last)))
    noise = max(1.5 * spread, known.recent_error)
    allowed = DRIFT * abs(last - known.e_infinity) + SIGMAS * (noise + error)
    if abs(energy - last) <= allowed:
        return Check(abs(energy - last), allowed)
    why = "fresh chains do not reproduce it"
    if known.is_averaged:
        why = "the running mean of the parameters (optimizer.average) is far behind, make more steps"
    return Check(abs(energy - last), allowed, BAD, f"the last steps of training had {last:.6g}: {why}")


def _drift(known: Known) -> Check:
    """The last sixth of the steps, compared with the sixth before it."""
    n = len(known.history)
    if n < LEAST_STEPS:
        few = f"fewer than {LEAST_STEPS} steps of training are known, which do not show whether the energy still falls"
        return Check(None, STILL_MOVING, NOT_KNOWN, few)
    half = max(n // 6, 2)
    before, after = np.asarray(known.history[-2 * half : -half]), np.asarray(known.history[-half:])
    scale = abs(float(after.mean()) - known.e_infinity)
    if not scale:
        return Check(None, STILL_MOVING, NOT_KNOWN, "the energy is that of infinite temperature")
    drop = float(before.mean() - after.mean())
    noise = math.hypot(before.std(ddof=1), after.std(ddof=1)) / math.sqrt(half)
    if abs(drop) <= STILL_MOVING * scale + BELOW * noise:
        return Check(abs(drop) / scale, STILL_MOVING)
    how = "fell" if drop > 0 else "rose"
    why = f"the energy still {how} by {100 * abs(drop) / scale:.2g} % within the last {half} steps: make more of them"
    return Check(abs(drop) / scale, STILL_MOVING, DOUBTFUL, why)


def _v_score(variance: float | None, scale: float, n_degrees: int) -> Check:
    if not n_degrees or variance is None or not scale:
        return Check(None, WORST_V_SCORE, NOT_KNOWN, "it need not be an eigenstate" if not n_degrees else "no variance")
    found = Check(n_degrees * variance / scale**2, WORST_V_SCORE)
    assert found.value is not None
    if found.value > NO_EIGENSTATE:
        why = f"its V-score is {found.value:.3g}: the wave function is far from every eigenstate"
        return found._replace(verdict=BAD, why=why)
    if found.value > WORST_V_SCORE:
        why = f"its V-score is {found.value:.3g}: an error of the energy of that size, relative, is to be expected"
        return found._replace(verdict=DOUBTFUL, why=why)
    return found


def _chains(line: Mapping[str, Any], chains: Tails | None) -> dict[str, Check]:
    none = Check(None, None, NOT_KNOWN, "this needs chains of at least 16 samples")
    found = dict.fromkeys(("r_hat", "chain_length", "standing_chains"), none)
    r_hat = line.get("r_hat")
    if r_hat is not None and not math.isnan(r_hat):
        found["r_hat"] = Check(r_hat, WORST_R_HAT)
        if r_hat > WORST_R_HAT:
            why = f"the chains do not agree (R-hat {min(r_hat, 1e3):.3g}), so the error bar is too small"
            found["r_hat"] = Check(r_hat, WORST_R_HAT, BAD if r_hat > NO_AGREEMENT else DOUBTFUL, why)
    if chains is not None and (length := chains.length_over_tau) is not None:
        found["chain_length"] = Check(length, WINDOW)
        if length < WINDOW:
            why = f"the chains are {length:.2g} autocorrelation times long: raise sampler.sweep, or task.final_samples"
            found["chain_length"] = Check(length, WINDOW, DOUBTFUL, why)
    if chains is not None and (share := chains.standing) is not None:
        found["standing_chains"] = Check(share, STANDING)
        if share > STANDING:
            why = f"{100 * share:.3g} % of the chains never changed their energy"
            found["standing_chains"] = Check(share, STANDING, BAD if share > 0.5 else DOUBTFUL, why)
    moves = line.get("accepted_per_sample")
    if moves is None:
        found["acceptance"] = Check(None, FROZEN, GOOD, "independent samples: there are no moves")
    elif moves < FROZEN:
        found["acceptance"] = Check(moves, FROZEN, BAD, f"the chains are frozen: {moves:.2g} accepted moves a sample")
    else:
        found["acceptance"] = Check(moves, FROZEN)
    return found


def _tails(line: Mapping[str, Any], chains: Tails | None, error: float, scale: float) -> dict[str, Check]:
    if chains is None:
        return dict.fromkeys(("kurtosis", "largest_deviation"), Check(None, None, NOT_KNOWN, "no local energies"))
    if chains.kurtosis is None or chains.largest is None:
        return dict.fromkeys(("kurtosis", "largest_deviation"), Check(None, None, GOOD, "all local energies are equal"))
    n = line.get("n_eff") or chains.n_samples
    most = 1.0 + LOOSE * n
    kurtosis, largest = Check(chains.kurtosis, most), Check(chains.largest, LARGEST)
    if error > NEGLIGIBLE * scale:  # for smaller errors tails do not matter
        if chains.kurtosis > most:
            why = f"local energies have heavy tails (kurtosis {chains.kurtosis:.3g}), so the error bar is not known"
            kurtosis = kurtosis._replace(verdict=DOUBTFUL, why=why)
        if chains.largest > LARGEST:
            why = f"one sample has {100 * chains.largest:.2g} % of the variance, so the error bar is not known"
            largest = largest._replace(verdict=DOUBTFUL, why=why)
    return {"kurtosis": kurtosis, "largest_deviation": largest}


def _second(second: Second | NoSecond | None) -> dict[str, Check]:
    names = ("second_energy", "second_spread", "second_r_hat")
    if second is None or isinstance(second, NoSecond):
        missing = second or NoSecond("no second ensemble was sampled")
        return dict.fromkeys(names, Check(None, None, missing.verdict, missing.why))
    found = {name: Check(None, DIFFERS, NOT_KNOWN, "an error is not known") for name in names}
    what = "chains with other starts and other moves find a different"
    for name, value, of in (
        ("second_energy", second.energy, "energy"),
        ("second_spread", second.spread, "spread of local energies"),
    ):
        if value is not None:
            found[name] = Check(value, DIFFERS)
            if abs(value) > DIFFERS:
                bad = BAD if abs(value) > CONTRADICTS else DOUBTFUL
                found[name] = Check(value, DIFFERS, bad, f"{what} {of}, {min(abs(value), 1e3):.3g} errors away")
    r_hat = second.r_hat
    if r_hat is not None and not math.isnan(r_hat):
        found["second_r_hat"] = Check(r_hat, NO_AGREEMENT)
        if r_hat > NO_AGREEMENT:
            why = f"chains with other starts do not agree with each other (R-hat {min(r_hat, 1e3):.3g})"
            found["second_r_hat"] = Check(r_hat, NO_AGREEMENT, DOUBTFUL, f"{why}: some states are not reached by all")
    else:
        found["second_r_hat"] = Check(None, NO_AGREEMENT, NOT_KNOWN, "R-hat is not known")
    return found


def as_plain(found: Mapping[str, Check]) -> dict[str, Any]:
    """The verdict with all checks for summary.json; numbers that are not finite become null."""

    def finite(value: float | None) -> float | None:
        return float(value) if value is not None and math.isfinite(value) else None

    each = {
        name: {"value": finite(one.value), "limit": finite(one.limit), "verdict": one.verdict, "why": one.why}
        for name, one in found.items()
    }
    return {"verdict": verdict(found), "checks": each}


def _percent(gap: float, exact: float) -> str:
    return f"{100 * abs(gap) / abs(exact):.3g} %" if exact else f"{abs(gap):.3g}"
