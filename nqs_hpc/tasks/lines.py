"""The numbers of one step, as lines of metrics.jsonl have them, and those of summary.json."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nqs_hpc.stats.chains import diagnostics, linearised, widened
from nqs_hpc.stats.trust import accepted_per_sample, is_frozen
from nqs_hpc.types import Batch


def metrics(
    batch: Batch, counts: dict[str, Any], info: dict[str, Any], times: dict[str, float], chain_length: int
) -> dict[str, Any]:
    """The numbers of one step: the energy before its update. Of several wave functions it is the mean of theirs, which
    stand beside it, and what is said of chains is said of how far local energies lie from the energy of their own.
    """
    e_loc_A, w_A = np.asarray(batch.e_loc_A), np.asarray(batch.w_A)
    mean, variance = complex(batch.estimate.mean), float(batch.estimate.variance)
    sigma = math.sqrt(variance) if variance > 0 else math.nan
    several: dict[str, Any] = {}
    if batch.groups is None:
        error = widened(float(batch.estimate.error), e_loc_A, chain_length, w_A)
    else:
        means_K, of_A = np.asarray(batch.groups.each.mean), np.asarray(batch.groups.of_A)
        errors = [
            widened(float(one), e_loc_A[of_A == k], chain_length, w_A[of_A == k])
            for k, one in enumerate(batch.groups.each.error)
        ]
        error = math.hypot(*errors) / len(errors)
        e_loc_A = e_loc_A - means_K[of_A] + mean
        rates_K = [acceptance({name: float(counts.get(f"{name}_at_{k}", 0)) for name in ("accepted", "proposed")})
                   for k in range(len(means_K))]  # fmt: skip
        counts = {name: value for name, value in counts.items() if "_at_" not in name}
        several = {"energies": means_K.real.tolist(), "energy_errors": errors}
        several |= {"acceptances": rates_K} if rates_K[0] is not None else {}
    # where the weights of samples differ, of the series that says how much each of them moves the mean
    series_A = linearised(e_loc_A, w_A) if chain_length else e_loc_A
    line = {
        "energy": mean.real,
        "energy_error": error,
        "energy_variance": variance,
        **several,
        **rates({name: float(value) for name, value in counts.items()}, len(e_loc_A)),
        **diagnostics(e_loc_A, w_A, chain_length, error=error),
        "max_deviation": float(np.max(np.abs(series_A - mean)[w_A > 0])) / sigma if sigma > 0 else None,
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


def energy_summary(
    line: dict[str, Any],
    reference: dict[str, Any] | None,
    *,
    n_sites: int,
    e_infinity: float,
    n_samples: int,
    n_degrees: int | None = None,
) -> dict[str, Any]:
    """The keys of summary.json that an energy has. ``n_samples``: of a step, where the line does not say.

    v_score = n_degrees Var(E) / (E - E_infinity)^2 (Wu et al. 2024, doi:10.1126/science.adg9774); ``n_degrees``
    None: as many as sites.
    """
    energy, variance = line.get("energy"), line.get("energy_variance")
    exact = reference["energy"] if reference else None
    frozen = is_frozen(line)  # the spread of chains that do not move says nothing
    v_score = None
    if energy is not None and variance is not None and not frozen and (gap := energy - e_infinity):
        v_score = (n_degrees or n_sites) * variance / (gap * gap)  # infinite, and no error, if that is too large
    error = None if frozen else line.get("energy_error")
    return {
        "energy": {"mean": energy, "error": error, "variance": variance},
        "energy_per_site": energy / n_sites if energy is not None else None,
        "v_score": v_score,
        "e_infinity": e_infinity,
        "reference": reference,
        "relative_error": (energy - exact) / abs(exact) if exact and energy is not None else None,
        "r_hat": line.get("r_hat"),
        "tau": line.get("tau"),
        "n_eff": line.get("n_eff"),
        "acceptance": line.get("acceptance"),
        "n_samples": line.get("n_samples", n_samples),
    } | ({"trust": line["trust"]} if "trust" in line else {})
