"""Whether a trajectory can be believed: what is said on the way, and what it came to at its end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nqs_hpc.inputs.numbers import with_error
from nqs_hpc.integrators.tableau import Integrator
from nqs_hpc.stats.trust import BAD, DOUBTFUL, NO_AGREEMENT, Check, as_plain, is_frozen, reasons
from nqs_hpc.types import Ending, Result

# Above this part of the variance of H the network follows another Hamiltonian: the rate of the error is a tenth of the
# speed of the state itself.
FOLLOWS = 0.01
# The fidelity with the exact state may be 1 - bound^2: a tenth of it is lost at this distance.
FAR = 0.3
DRIFT = 0.02  # of the distance to the energy of infinite temperature, that an energy which is conserved may change
APART = 0.05  # from exact values, as parts of the largest: what one sees in a plot
# A number that is never larger vanishes by a symmetry and is rounding: distances from it count in its own unit.
VANISHES = 1e-9
SPREAD = 2.0  # ratio of variances of H, beyond which they are not one: heavy tails alone change an estimate by less
SIGMAS = 5.0
ROUNDING = 1e-12  # of energies squared
STILL = 0.9  # part of the variance of H that is left at the beginning, where the parameters of a start do not follow
NOTHING = 1e-20  # variance of H, relative to 1 + E^2, that is rounding
NOISE_OF_TOLERANCE = 0.5  # part of the tolerance that the noise of velocities may take


class Limits(NamedTuple):
    """Beyond which a trajectory is doubtful, and where it ends."""

    r2: float = FOLLOWS
    bound: float = FAR
    stop: float | None = None  # bound at which the evolution ends


def why_still(line: Mapping[str, Any]) -> str:
    """Why hardly anything will come of a start, from its line of metrics.jsonl; empty if something will."""
    if line["energy_variance"] <= NOTHING * (1 + line["energy"] ** 2):
        seen = "" if line.get("noise") is None else ", as far as its samples show"
        return f"the start is an eigenstate of H as it is here{seen}, and stays as it is while H does"
    if line["r2"] < STILL:
        return ""
    return (
        f"the start cannot move: no change of its parameters goes where H leads (r2={line['r2']:.2g}); it is flat, as "
        "an RBM is whose weights are 0, or has a symmetry that H breaks: take task.initial, which begins where all "
        "pairs of sites can move, or a network without that symmetry"
    )


def said_of(line: Mapping[str, Any], limits: Limits, integrator: Integrator, *, at_floor: bool) -> dict[str, str]:
    """What a person should know of a line, by a name for each kind."""
    found, when = {}, f"t={line['time']:.6g}"
    of = "" if line["noise"] is None else " of samples that did not make the velocity"
    if line["time"] == 0 and (why := why_still(line)):
        found["start"] = f"{when}: {why}"
    elif line["r2"] > limits.r2:
        found["r2"] = (
            f"{when}: the network no longer follows the equation of motion: r2={line['r2']:.2g}{of}, "
            f"above {limits.r2:g}; from here on the trajectory need not be that of H: take a "
            "larger ansatz, or more samples"
        )
    is_fixed = integrator.steps.tolerance is None
    cure = "lower task.integrator.dt, or take task.integrator=rk23" if is_fixed else "lower task.integrator.tolerance"
    found |= _of_bound(line, limits) | _of_steps(line, limits, cure)
    tolerance = integrator.steps.tolerance
    if tolerance is not None and integrator.error is not None and line["noise"]:
        spread = math.sqrt(sum(x * x for x in integrator.error)) * line["noise"] * line["dt"]
        if spread > NOISE_OF_TOLERANCE * tolerance:
            found["noise"] = (
                f"{when}: the Monte Carlo noise of the velocities alone makes an error of {spread:.2g} in a step of "
                f"{line['dt']:.2g}, beside task.integrator.tolerance={tolerance:g}, and steps become short without "
                "need: raise the tolerance or sampler.n_samples, or take task.integrator=heun"
            )
    if at_floor:
        found["floor"] = (
            f"{when}: steps of task.integrator.dt_least={integrator.steps.least:g} are taken with an error above "
            f"task.integrator.tolerance={tolerance:g}"
        )
    return found


def said_of_projections(
    line: Mapping[str, Any], limits: Limits, goal: float, iterations: int, *, n_cut: int
) -> dict[str, str]:
    """The same of projected evolution. ``goal``: the infidelity at which a search ends; ``n_cut``: how many ended after
    ``iterations`` though they still gained.
    """
    when = f"t={line['time']:.6g}"
    cure = "lower task.integrator.dt, or raise task.integrator.order"
    found = _of_bound(line, limits) | _of_steps(line, limits, cure)
    if (line["r2"] or 0.0) > limits.r2:
        found["r2"] = (
            f"{when}: the network no longer follows the steps: a part r2={line['r2']:.2g} of the motion is lost in its "
            f"projections, above {limits.r2:g}; from here on the trajectory need not be that of H: take a larger "
            "ansatz, or more samples"
        )
    worst = max((line[name] or 0.0 for name in line if _is_of_substep(name)), default=0.0)
    if n_cut:
        found["cut"] = (
            f"{when}: the search of a step ended after task.method.iterations={iterations} while it still gained, at "
            f"an infidelity of {worst:.2g}: raise it, or lower task.integrator.dt"
        )
    if worst > goal and not n_cut:
        found["goal"] = (
            f"{when}: the search of a step came no further than an infidelity of {worst:.2g}, above "
            f"task.method.infidelity={goal:g}: the ansatz, or this number of samples, may allow no more"
        )
    return found


def _is_of_substep(name: str) -> bool:
    return name.removeprefix("infidelity_").isdigit()


def _of_steps(line: Mapping[str, Any], limits: Limits, cure: str) -> dict[str, str]:
    if line["steps_error"] <= limits.bound:
        return {}
    size = f"{line['steps_error']:.2g}, a distance in Hilbert space"
    return {"steps": f"t={line['time']:.6g}: the errors of the steps add up to {size}: {cure}"}


def _of_bound(line: Mapping[str, Any], limits: Limits) -> dict[str, str]:
    if line["bound"] <= limits.bound:
        return {}
    lost = f"a fidelity of {max(0.0, 1 - line['bound'] ** 2):.2f}"
    return {"bound": f"t={line['time']:.6g}: the distance to the exact state may be {line['bound']:.2g}, {lost}"}


def from_exact(results: Sequence[Result], exact: Mapping[str, Any]) -> dict[str, Check]:
    """Whether the numbers that were measured are those of the exact trajectory (`parts.reference_in_time`), beyond
    their errors and as parts of the largest value that each ever has; of one that is always 0, as parts of 1.
    """
    worst, where = 0.0, ""
    for one in results:
        curve = exact["energy"] if one.name == "energy" else exact["observables"].get(one.name)
        if curve is None or one.value.ndim != 1 or not len(one.value):
            continue
        known = dict(zip(exact["times"], curve, strict=True))
        times = dict(one.output.axes)["time"].tolist()
        largest = max((abs(value) for value in curve if value is not None), default=0.0)
        scale = largest if largest > VANISHES else 1.0
        for time, value, error in zip(times, one.value.tolist(), one.error.tolist(), strict=True):
            if (expected := known.get(time)) is None:
                continue
            beyond = (abs(value - expected) - SIGMAS * (error if math.isfinite(error) else 0.0)) / scale
            beyond = beyond if math.isfinite(beyond) else math.inf
            if beyond > worst:
                worst, where = beyond, f"{one.name} at t={time:.4g} is {value:.4g}, and {expected:.4g} exactly"
    if not worst > APART:
        return {"exact": Check(worst, APART)}
    return {"exact": Check(worst, APART, BAD, where)}


def concluded(
    lines: Sequence[Mapping[str, Any]],
    limits: Limits,
    against: Mapping[str, Check],
    *,
    t_end: float,
    is_real: bool,
    e_infinity: float,
) -> Ending:
    """What a trajectory came to, from all its lines. ``against``: checks against what is known otherwise."""
    last = dict(lines[-1])
    found = dict(against) | checks(lines, limits, t_end=t_end, is_real=is_real, e_infinity=e_infinity)
    last["trust"] = as_plain(found)
    said = f"t={last['time']:.6g}, energy {with_error(last['energy'], last['energy_error'])}"
    doubts = tuple(reasons(found))
    if doubts:
        return Ending(last, "doubtful", f"{said}: {doubts[0]}", doubts)
    return Ending(last, "done", said)


def _of_chains(lines: Sequence[Mapping[str, Any]]) -> Check:
    """Whether the chains agree at all times; those of few samples a line cannot say."""
    known = [line for line in lines if line.get("r_hat") is not None and math.isfinite(line["r_hat"])]
    if not known:
        return Check(None, NO_AGREEMENT)
    worst = max(known, key=lambda line: line["r_hat"])
    if worst["r_hat"] <= NO_AGREEMENT:
        return Check(worst["r_hat"], NO_AGREEMENT)
    why = f"the chains do not agree at t={worst['time']:.4g}, R-hat {worst['r_hat']:.2f}: they do not sample one state"
    return Check(worst["r_hat"], NO_AGREEMENT, DOUBTFUL, f"{why}; another sampler.move, or a larger sampler.sweep")


def checks(
    lines: Sequence[Mapping[str, Any]], limits: Limits, *, t_end: float, is_real: bool, e_infinity: float
) -> dict[str, Check]:
    """Every question to a trajectory by its name, with the answer."""
    first, last = lines[0], lines[-1]
    worst = max(lines, key=lambda line: line["r2"] or 0.0)
    r2 = Check(worst["r2"], limits.r2)
    if (worst["r2"] or 0.0) > limits.r2:
        since = next(line["time"] for line in lines if (line["r2"] or 0.0) > limits.r2)
        what = "the equation of motion" if "infidelity" not in worst else "its steps"
        why = f"from t={since:.4g} on the network does not follow {what}: r2 up to {worst['r2']:.2g}"
        r2 = r2._replace(verdict=DOUBTFUL, why=why)
    found = {"r2": r2}
    if is_real:
        bound = Check(last["bound"], limits.bound)
        if last["bound"] > limits.bound:
            why = f"the distance to the exact state may be {last['bound']:.2g}"
            bound = bound._replace(verdict=DOUBTFUL, why=why)
        found["bound"] = bound
    found["steps"] = Check(last["steps_error"], limits.bound)
    if last["steps_error"] > limits.bound:
        why = f"the errors of the steps add up to {last['steps_error']:.2g}: they are too long"
        found["steps"] = found["steps"]._replace(verdict=DOUBTFUL, why=why)
    found["r_hat"] = _of_chains(lines)
    if last.get("scatter") is not None:
        found["scatter"] = Check(last["scatter"], limits.bound)
        if last["scatter"] > limits.bound:
            why = f"the noise of the velocities may have added a distance of {last['scatter']:.2g}: more samples"
            found["scatter"] = found["scatter"]._replace(verdict=DOUBTFUL, why=why)
    found["samples"] = Check(None, None)
    if any(is_frozen(line) and line["energy_variance"] <= ROUNDING * abs(line["energy"]) ** 2 for line in lines):
        why = "all samples are of one state and the chains stand still, so nothing that happens elsewhere is seen"
        found["samples"] = Check(None, None, DOUBTFUL, f"{why}: sampler.blur=0.3, or sampler.power below 2")
    if last.get("energy_drift") is not None and first["energy_variance"] > 0:
        ratio = last["energy_variance"] / first["energy_variance"]
        found["variance"] = Check(ratio, SPREAD)
        if not 1 / SPREAD < ratio < SPREAD:
            why = f"the variance of H, which is conserved, is {ratio:.2g} of what it was"
            found["variance"] = found["variance"]._replace(verdict=DOUBTFUL, why=why)
    if last.get("energy_drift") is not None:
        scale = max(abs(first["energy"] - e_infinity), math.sqrt(max(first["energy_variance"], 0.0)))
        errors = math.hypot(first["energy_error"] or 0.0, last["energy_error"] or 0.0)
        drift = abs(last["energy_drift"])
        found["energy_drift"] = Check(drift / scale if scale else None, DRIFT)
        if drift > DRIFT * scale + SIGMAS * errors:
            why = f"the energy, which H conserves, has drifted by {last['energy_drift']:.3g}"
            found["energy_drift"] = found["energy_drift"]._replace(verdict=DOUBTFUL, why=why)
    if last["time"] < t_end:
        why = f"it ended at t={last['time']:.4g} of {t_end:g}: the bound on the error passed task.stop_at_error"
        found["end"] = Check(last["time"], t_end, DOUBTFUL, why)
    return found
