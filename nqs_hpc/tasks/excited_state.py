"""The next level above states that are known, by variational Monte Carlo with penalties (`tasks.penalty`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nqs_hpc.inputs.numbers import with_error
from nqs_hpc.stats.trust import BAD, DOUBTFUL, GOOD, LARGEST_GAP, NOT_KNOWN, Check, as_plain, reasons
from nqs_hpc.tasks.final import Final, System, ending
from nqs_hpc.tasks.ground_state import ground_state
from nqs_hpc.tasks.penalty import Fidelity, Lower, fidelities, overlap_line
from nqs_hpc.tasks.second import Compared
from nqs_hpc.types import Ansatz, Ending, Operator, Quantity, RunState, Sampler, Task, Tree, Update

TOO_CLOSE = 0.02  # fidelity with a lower state, beyond which the energy is not that of a state above it
SAME = 1e-8  # relative: two levels that differ by less are one


def excited_state(
    ansatz: Ansatz,
    operator: Operator,
    sampler: Sampler,
    update: Update,
    *rest: Any,
    lower: Sequence[Lower],
    names: Sequence[str],
    level: int,
    system: System,
    **options: Any,
) -> Task:
    """As `ground_state`, of the lowest level that is orthogonal to ``lower``, which are called ``names``.

    ``level``: the number of that level in the sector, counted with multiplicity from 0, where ``lower`` are the lowest
    ones. The energies of lines and of the final evaluation are only those of H.
    """

    def end(final: Final, system: System, step: int, against: Compared | str) -> Callable[..., Ending]:
        # the exact lowest energy is not what this energy is to be near to, and a positive network may have no signs
        judge = ending(final, system._replace(signs_off=lambda: None), step, against)
        found = fidelities(final.overlaps, final.overlaps_w_A, sampler)

        def ended(lines: list[dict[str, Any]], reference: dict[str, Any] | None) -> Ending:
            whole = judge(lines, None)
            line = whole.line | overlap_line(found)
            own = {f"overlap_{j}": _overlap(*pair) for j, pair in enumerate(zip(found, lower, names, strict=True))}
            where = ""
            if reference and (levels := reference.get("levels")):
                nearest = int(np.argmin(np.abs(np.array(levels) - line["energy"])))
                line |= {"level": nearest}
                where = f", nearest to level {nearest} of the sector, {levels[nearest]:.6f}"
                own |= _level(line["energy"], levels, nearest, level)
            line["trust"] = _with(whole.line["trust"], own)
            if whole.status == "failed":
                return whole._replace(line=line)
            said = f"{step} steps, energy {with_error(line['energy'], line['energy_error'])}{where}"
            doubts = (*whole.doubts, *reasons(own))
            return whole._replace(
                line=line,
                status="doubtful" if doubts else "done",
                reason=f"{said}: {doubts[0]}" if doubts else said,
                doubts=doubts,
            )

        return ended

    task = ground_state(ansatz, operator, sampler, update, *rest, system=system, lower=lower, end=end, **options)

    def summary(line: dict[str, Any], reference: dict[str, Any] | None) -> dict[str, Any]:
        overlaps = [
            {"run": name, "fidelity": line.get(f"overlap_{j}"), "error": line.get(f"overlap_{j}_error")}
            | {"penalty": one.penalty}
            for j, (name, one) in enumerate(zip(names, lower, strict=True))
        ]
        return task.summary(line, reference) | {"overlaps": overlaps, "level": line.get("level")}

    def beside(state: RunState, params: list[Tree], learnt: list[Tree | None]) -> RunState:
        chains = dict(state.chains)
        for j, (one, known) in enumerate(zip(lower, learnt, strict=True)):
            if one.sampler.inherit is not None and known is not None:
                chains[f"lower_{j}"] = one.sampler.inherit(chains[f"lower_{j}"], known)
        return state._replace(chains=chains, memory=state.memory._replace(lower=tuple(params)))

    own = [Quantity(f"overlap_{j}", f"F{j}", "", "error", f"overlap_{j}_error") for j in range(len(lower))]
    return task._replace(summary=summary, beside=beside, shown=(task.shown[0], *own, *task.shown[1:]))


def _overlap(found: Fidelity, lower: Lower, name: str) -> Check:
    """Whether psi is orthogonal to a lower state."""
    check = Check(found.value, TOO_CLOSE)
    if not found.value - 3 * found.error > TOO_CLOSE:
        return check
    why = f"its fidelity with {name} is {with_error(found.value, found.error)}, so it is not a state above that one"
    why = f"{why}: raise task.penalty above {lower.penalty:g}, or task.n_steps"
    return check._replace(verdict=BAD if found.value > 0.5 else DOUBTFUL, why=why)


def _level(energy: float, levels: Sequence[float], nearest: int, wanted: int) -> dict[str, Check]:
    """Whether the energy is that of the level looked for, where the exact ones are known."""
    distance = Check(abs(energy - levels[wanted]) / abs(levels[wanted]) if levels[wanted] else None, LARGEST_GAP)
    check = Check(float(nearest), float(wanted))
    if abs(levels[nearest] - levels[wanted]) > SAME * max(1.0, abs(levels[wanted])):
        at = f"level {nearest} ({levels[nearest]:.6f}) than to level {wanted} ({levels[wanted]:.6f})"
        check = check._replace(verdict=DOUBTFUL, why=f"it is nearer to {at}, which the lower states leave")
    return {"distance_from_exact": distance, "level": check}


def _with(trust: dict[str, Any], own: dict[str, Check]) -> dict[str, Any]:
    """`trust` of summary.json with further checks."""
    more = as_plain(own)
    worst = next(word for word in (BAD, DOUBTFUL, GOOD, NOT_KNOWN) if word in (trust["verdict"], more["verdict"]))
    return trust | {"verdict": worst, "checks": trust["checks"] | more["checks"]}
