"""A run of several couplings with one network, presented like the runs of a sweep, one for each coupling.

summary.json of such a run has an entry for each coupling under ``couplings``: the coupling by its key, ``energy``,
``error``, ``variance``, ``exact_energy``, ``trust`` and so on. The lines of metrics.jsonl have ``energies`` and
``energy_errors`` besides ``energy``, which is their mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nqs_hpc.report.states import PointState
from nqs_hpc.report.traces import Traces
from nqs_hpc.report.values import clean, items, number, section, text

GROUP = "hamiltonian."
MOST = 100  # couplings of a run
# In a line of metrics.jsonl: a number, and the list with its value for each coupling.
LISTS = {"energy": "energies", "energy_error": "energy_errors", "acceptance": "acceptances"}
_OWN = ("energy", "error", "variance", "exact_energy")  # keys of an entry with other names in a summary


def each(found: Traces, verdict: PointState) -> list[tuple[Traces, PointState]]:
    """The files of a run as seen by each of its couplings, with their states; for one Hamiltonian the run itself.

    The recorded physics has only this coupling, as in a separate run.
    """
    entries = [(entry, given) for entry in items(found.summary, "couplings") if (given := couplings(entry))]
    if not 0 < len(entries) <= MOST:
        return [(found, verdict)]
    return [(_one(found, k, *one), _state(found, verdict, one[0])) for k, one in enumerate(entries)]


def couplings(entry: Mapping[str, Any]) -> dict[str, float | list[float]]:
    """The couplings of an entry by their keys: numbers, or lists of them. Empty if there are none."""
    known: dict[str, float | list[float]] = {}
    for key, value in entry.items():
        if not (key.startswith(GROUP) and len(key) > len(GROUP) and key.isprintable()):
            continue
        several = [number(x) for x in value] if isinstance(value, list) else [number(value)]
        there = [x for x in several if x is not None]
        if there and len(there) == len(several):
            known[key] = there if isinstance(value, list) else there[0]
    return known


def named(given: Mapping[str, float | list[float]]) -> str:
    """Couplings as in the name of a point: h=0.5, J=[1,0.5]."""
    words = []
    for key, value in given.items():
        shown = ",".join(f"{x:.12g}" for x in value) if isinstance(value, list) else f"{value:.12g}"
        words.append(f"{key.removeprefix(GROUP)}={f'[{shown}]' if isinstance(value, list) else shown}")
    return clean(",".join(words))


def line_of(line: dict[str, Any], k: int) -> dict[str, Any]:
    """A line of metrics.jsonl for coupling ``k`` only, without quantities that are not known for each coupling."""
    own: dict[str, Any] = {}
    for key, of_each in LISTS.items():
        values = line.get(of_each)
        own[key] = values[k] if isinstance(values, list) and k < len(values) else None
    return line | {"energy_variance": None, "r_hat": None, "tau": None} | own


def _one(found: Traces, k: int, entry: dict[str, Any], given: dict[str, float | list[float]]) -> Traces:
    exact = number(entry.get("exact_energy"))
    summary = {key: value for key, value in found.summary.items() if key not in ("couplings", "observables", "trust")}
    summary |= {key: value for key, value in entry.items() if key not in (*given, *_OWN)}
    summary |= {
        "energy": {"mean": entry.get("energy"), "error": entry.get("error"), "variance": entry.get("variance")},
        "reference": None if exact is None else {"energy": exact},
    }
    physics = section(found.manifest, "physics")
    config = found.config | {"hamiltonian": section(found.config, "hamiltonian") | _inside(given)}
    config["task"] = {key: value for key, value in section(config, "task").items() if key != "couplings"}
    return found._replace(
        place=found.place._replace(name=f"{found.place.name}:{named(given)}"),
        summary=summary,
        manifest=found.manifest
        | {"physics": physics | {"hamiltonian": section(physics, "hamiltonian") | _inside(given)}},
        config=config,
        steps=[line_of(line, k) for line in found.steps],
        number=k,
        couplings=given,
    )


def _inside(given: Mapping[str, float | list[float]]) -> dict[str, float | list[float]]:
    return {key.removeprefix(GROUP): value for key, value in given.items()}


def _state(found: Traces, verdict: PointState, entry: dict[str, Any]) -> PointState:
    """The state of one coupling of a finished run by its own verdict; the run has the worst of them."""
    if verdict.state not in ("done", "doubtful") or found.summary.get("final") is not True:
        return verdict
    doubt = _doubt(section(entry, "trust"))
    if doubt is None:
        return PointState("done") if verdict.state == "doubtful" else verdict
    return PointState("doubtful", doubt or text(found.summary.get("reason")) or "")


def _doubt(trust: dict[str, Any]) -> str | None:
    """Why the energy at one coupling is doubtful; None if nothing speaks against it."""
    if trust.get("verdict") not in ("doubtful", "bad"):
        return None
    checks: Sequence[Any] = list(section(trust, "checks").values())
    against = [one for one in checks if isinstance(one, dict) and one.get("verdict") in ("bad", "doubtful")]
    return next((why for one in against if (why := text(one.get("why")))), "")
