"""The state of a point, and its reason, from the files in its folder and from Slurm.

Checked in this order: it is finished; it waits in the queue; a process works on it, or should; it ended, by itself or
killed; it never began. The files of the point have priority over the manifest of the launcher, which may have been
killed.
"""

from __future__ import annotations

import os
import re
import socket
from typing import NamedTuple

from nqs_hpc.job.tails import last_lines
from nqs_hpc.report.queue import Job, Queue
from nqs_hpc.report.traces import Traces, in_batch, n_steps, step, step_seconds
from nqs_hpc.report.values import clean, count, number, section, text

STATES = ("done", "doubtful", "running", "stalled", "requeued", "queued", "waiting", "stopped", "failed")
ENDED = {"done", "doubtful", "stopped", "failed"}
STALLED_STEPS = 10
LEAST_SECONDS = 60.0  # the file system of another host may show a step only later
# A start compiles, and computes the reference after its first step; the final evaluation compiles and warms up again.
QUIET_SECONDS = 900.0
SAMPLES = 1024.0  # per step, if the summary does not say
# The message of mpiexec below the output of a rank that died, and its largest number of lines.
N_BANNER = 12
_BANNER = re.compile(
    r"=|YOUR APPLICATION TERMINATED|This typically refers to a problem with your appl|Please see the FAQ page"
)
_ORDINARY = re.compile(r"^step \d|^final evaluation|\||, step \d+ of \d+;")  # progress and the first line of a start


class PointState(NamedTuple):
    """A state with a short reason if it needs one."""

    state: str
    why: str = ""


def judge(found: Traces, queue: Queue, now: float) -> PointState:
    """The state of a point; ``now`` is the Unix time."""
    point, target = found.place.point, n_steps(found)
    exit_ = section(found.starts[-1], "exit") if found.starts else {}
    reached = found.done is not None and (target is None or found.done >= target)
    more = _more_samples(found) if reached else ""
    if reached and not more:
        return _finished(found)
    job = _job(found, queue)
    if job is not None and job.waits:
        words = f"job {job.number} is {job.state}" + (f" ({job.reason})" if job.reason not in ("", "None") else "")
        return PointState("requeued" if found.starts else "queued", clean(words))
    alive = _alive(found, queue, job)
    if alive != "no":
        return _working(found, queue, now, sure=alive == "yes")
    if more:  # the summary still has the former energy
        if found.starts and not exit_:
            return _killed(found, job, more)
        how = _ended(exit_) if exit_ else PointState("stopped")
        return PointState(how.state, f"{how.why}; {more}" if how.why else more)
    if found.done is not None:
        return PointState("stopped", f"done at step {found.done}, {target} steps requested")
    if (
        found.summary.get("status") in ("done", "doubtful")
        and found.summary.get("final") is True
        and (exit_ or not found.starts)
    ):
        return _finished(found)
    if found.stop and found.begun:
        return PointState("stopped", "the file STOP exists: remove it, and the same command continues")
    launched = reason(str(point.why)) if point is not None and point.state == "failed" and point.why else ""
    if found.starts and not exit_:
        return _killed(found, job, launched)
    if launched:
        return PointState("failed", launched)
    if found.starts:
        return _ended(exit_)
    if found.summary.get("status") in ("stopped", "failed"):
        return PointState(found.summary["status"], text(found.summary.get("reason")) or "")
    if found.begun:
        why = found.troubles[0] if found.troubles else "no manifest.json: it is not known how it ended"
        return PointState("failed", why)
    return _never(found, queue, job, now)


def _more_samples(found: Traces) -> str:
    """What is missing of the final evaluation requested by the last start of a finished run; "" if nothing.

    Only a start with more samples than in DONE leaves a DONE beside a config.yaml that asks for more.
    """
    asked = count(section(found.config, "task").get("final_samples"))
    known = count(found.summary.get("n_samples"))
    if asked is None or known is None or found.summary.get("final") is not True:
        return ""
    known = max(known, found.n_final or 0)  # a kill between the two writes leaves the old DONE
    if asked <= known:
        return ""
    if section(found.config, "sampler").get("name") == "enumerate":
        return ""
    return f"done with {known} final samples, {asked} requested"


def _finished(found: Traces) -> PointState:
    """Done, or done with an energy that is doubtful."""
    if found.summary.get("status") == "doubtful":
        return PointState("doubtful", text(found.summary.get("reason")) or "")
    return PointState("done", "" if found.summary else _no_summary(found))


def followers(all_traces: list[Traces], verdicts: list[PointState]) -> list[PointState]:
    """``verdicts`` in order; a point that has not begun because the one before it is not done is waiting.

    Slurm cancels jobs that depend on a failed one; the next launch of the sweep starts them again.
    """
    known = {found.place.name: verdict for found, verdict in zip(all_traces, verdicts, strict=True)}

    def before(found: Traces) -> str | None:
        """The point for which ``found``, without a run, waits; None if there is none, or it is done."""
        point = found.place.point
        after = point.after if point is not None and not found.begun and not found.troubles else None
        made = ("done", "doubtful")
        return after if isinstance(after, str) and after in known and known[after].state not in made else None

    held = {found.place.name for found in all_traces if before(found) is not None}
    judged = []
    for found, verdict in zip(all_traces, verdicts, strict=True):
        after = before(found)
        if after is not None and verdict.state in ("failed", "waiting"):
            how = "failed" if known[after].state == "failed" and after not in held else "is not done"
            verdict = PointState("waiting", clean(f"comes after {after}, which {how}"))
        judged.append(verdict)
    return judged


def _job(found: Traces, queue: Queue) -> Job | None:
    if found.job is not None:
        return queue.by_number.get(found.job)
    return queue.by_folder.get(found.place.folder.absolute()) if in_batch(found) else None


def _alive(found: Traces, queue: Queue, job: Job | None) -> str:
    """Whether a process works on the point: yes, no, or perhaps."""
    if job is not None and job.lives:
        return "yes"
    owner = found.owner
    if owner is None:  # the last process ended normally
        return "no"
    if owner.host == socket.gethostname():
        return "yes" if _process_lives(owner.pid) else "no"
    if owner.job is None:
        return "perhaps"
    if queue.silent:
        return "perhaps"
    return "yes" if (known := queue.by_number.get(owner.job)) is not None and known.lives else "no"


def _process_lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return pid > 0


def _working(found: Traces, queue: Queue, now: float, *, sure: bool) -> PointState:
    """Running, or stalled if the last sign of life is older than its phase explains."""
    start, reached, target = found.starts[-1] if found.starts else {}, step(found), n_steps(found)
    per_step = step_seconds(found) or 0.0
    limit = max(STALLED_STEPS * per_step, LEAST_SECONDS)
    samples = number(section(found.config, "task").get("final_samples")) or 0.0
    if target is not None and (count(start.get("step")) or 0) >= target:  # this start makes only the final evaluation
        rounds = samples / (number(section(found.config, "sampler").get("n_samples")) or SAMPLES)
        limit = QUIET_SECONDS + STALLED_STEPS * per_step * (1 + rounds)
        sign, phase = found.started, "final evaluation"
    elif not start or not section(start, "seconds") or found.written is None:
        sign, limit, phase = found.started, QUIET_SECONDS, "starting"
    elif reached is not None and target is not None and reached >= target:
        rounds = samples / (number(found.summary.get("n_samples")) or SAMPLES)
        sign, limit, phase = found.written, max(limit * (1 + rounds), QUIET_SECONDS), "final evaluation"
    else:
        first = reached is not None and reached == (count(start.get("step")) or 0) + 1
        sign, limit, phase = found.written, max(limit, QUIET_SECONDS) if first else limit, ""
    age = max(0.0, now - sign) if sign is not None else 0.0
    if age > limit:
        said = f"nothing written for {duration(age)}"
        if not sure and found.owner is not None:
            owner = found.owner
            said += f"; process {owner.pid} on {owner.host} cannot be checked from here"
            said += f", nor can Slurm be asked ({clean(queue.silent)})" if owner.job is not None else ""
        return PointState("stalled", said)
    return PointState("running", phase)


def _killed(found: Traces, job: Job | None, launched: str) -> PointState:
    """A start without a recorded end; ``launched``: the record of its launcher."""
    said = f"killed after step {step(found)}"
    if job is not None:
        said += f", Slurm: {job.state}"
    return PointState("failed", f"{said}: {launched}" if launched else said + _last_words(found))


def _ended(exit_: dict[str, object]) -> PointState:
    """How the last start ended, according to its entry in the manifest."""
    word, _, why = (text(exit_.get("reason")) or "").partition(": ")
    if word in ("stopped", "failed"):
        return PointState(word, why)
    return PointState("failed", f"its last start ended as {word!r}")


def _no_summary(found: Traces) -> str:
    how = "cannot be read" if any(trouble.startswith("summary.json ") for trouble in found.troubles) else "is missing"
    return f"summary.json {how}: the energy is that of the last step"


def _never(found: Traces, queue: Queue, job: Job | None, now: float) -> PointState:
    """A point without a run in its folder."""
    point = found.place.point
    if found.troubles:
        return PointState("failed", found.troubles[0])
    if point is None:
        if in_batch(found) and queue.silent:
            return PointState("queued", clean(f"not confirmed by Slurm: {queue.silent}"))
        return PointState("failed", f"no run has begun here{_last_words(found)}")
    if point.state == "waiting":
        return PointState("waiting", f"after {clean(str(point.after))}" if point.after else "")
    if point.job is not None and queue.silent:
        return PointState("queued", clean(f"the state of job {point.job} is not known: {queue.silent}"))
    if point.state == "running":  # the interpreter takes time to start before it takes the lock
        fresh = found.log is not None and now - found.log.stat().st_mtime < LEAST_SECONDS
        return PointState("running", "starting") if fresh else PointState("failed", f"ended early{_last_words(found)}")
    if point.job is not None:
        how = f"ended as {job.state}" if job is not None else "is no longer in the queue"
        return PointState("failed", f"job {clean(str(point.job))} {how}, and no run has begun{_last_words(found)}")
    return PointState("failed", f"its run folder holds no run{_last_words(found)}")


def _last_words(found: Traces) -> str:
    """The last line of the log, if it gives a reason."""
    if found.log is None:
        return ""
    try:
        lines = last_lines(found.log, N_BANNER + 1)
    except OSError:
        return ""
    said = [line for line in lines if not _BANNER.match(line)]
    why = reason(said[-1]) if said else ""
    return f": {why}" if why else ""


def reason(said: str) -> str:
    """The cause given by a launcher or a log; empty for lines that every run, or every killed rank, prints."""
    head, colon, line = clean(said).partition(": ")
    if not re.fullmatch(r"code \d+", head):
        head, colon, line = "", "", clean(said)
    return head if _BANNER.match(line) or _ORDINARY.search(line) else head + colon + line


def duration(seconds: float) -> str:
    """A time in its two largest units."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.0f} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    if whole < 86400:
        return f"{whole // 3600}:{whole % 3600 // 60:02d} h"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
