"""The end of a run: the task finishes, its result is judged, and results of an earlier end are kept until then.

All ranks make the same calls in the same order; what only rank 0 does contains no collective.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from nqs_hpc.job import files, lifecycle, log, progress
from nqs_hpc.parallel.world import World
from nqs_hpc.parts import Parts
from nqs_hpc.run.loop import Outcome
from nqs_hpc.run.record import Description
from nqs_hpc.run.reference import exact_curves
from nqs_hpc.types import Ending


def finish(
    folder: Path,
    world: World,
    parts: Parts,
    outcome: Outcome,
    about: Description,
    watch: lifecycle.Lifecycle,
    show: progress.Progress | None,
) -> Outcome:
    """The result of the run. If it is stopped here, the next start repeats it."""
    state = outcome.state
    verdict = lifecycle.Verdict(False, False, "")
    asked: float | None = None

    def go_on() -> bool:
        nonlocal verdict, asked
        now = time.monotonic()
        verdict = watch.check(now - asked if asked is not None else 0.0)  # a part may take longer than a step
        asked = now
        return not verdict.stop

    say = show.say if show is not None else lambda line: None
    config = about.config
    found = parts.task.finish(state, go_on, say)
    if found is None:
        return outcome._replace(status="stopped", reason=f"{verdict.reason}, during the final evaluation")
    judge = found

    def judged() -> Ending:
        known = about.reference if config.task.course() is None else exact_curves(config, folder)
        return judge(log.read(folder / "metrics.jsonl"), known)

    ending = files.on_root(world, judged)
    for warning in ending.warnings:
        about.warnings.append(warning)
        say(warning)
    return Outcome(
        state, ending.status, ending.reason, ending.line, final=True, doubts=ending.doubts, results=ending.results
    )


def evaluated(folder: Path, step: int) -> dict[str, Any] | None:
    """The summary of the final evaluation of a run that is done at ``step``; None if there is none. Rank 0 calls it."""
    try:
        done = lifecycle.finished(folder)
        summary = files.read_json(folder / "summary.json")
    except (OSError, ValueError):
        return None
    good = isinstance(summary, dict) and summary.get("final") is True and isinstance(summary.get("energy"), dict)
    return summary if done is not None and done.step == step and good and summary.get("step") == step else None


def kept_final(former: dict[str, Any], summary: dict[str, Any]) -> dict[str, Any]:
    """The summary of a start that did not complete its final evaluation: how it ended, and the ``former`` energy."""
    kept = f"the energy is that of the final evaluation before, from {former.get('n_samples')} samples"
    reason = f"{summary['reason']}; {kept}"
    return former | {"status": summary["status"], "reason": reason, "seconds": summary["seconds"]}
