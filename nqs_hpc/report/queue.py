"""The state of all jobs in Slurm: one call of squeue, however many points a sweep has."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from nqs_hpc.job import slurm

WAITING = {
    *("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT"),
    "SUSPENDED",
}
_FORMAT = "%i|%A|%T|%r|%Z"  # the number as shown (ARRAY_ELEMENT), the job's own, state, why it waits, its folder


class Job(NamedTuple):
    """A job as Slurm knows it; ended ones are known for some minutes."""

    number: str
    state: str
    reason: str  # why it waits; "None" where it does not

    @property
    def waits(self) -> bool:
        """Whether it is in the queue and no process of it runs."""
        return self.state in WAITING

    @property
    def lives(self) -> bool:
        """Whether processes of it may be running."""
        return not self.waits and self.state not in slurm.ENDED


class Queue(NamedTuple):
    """The jobs of one user."""

    by_number: dict[str, Job]  # under either of its numbers
    by_folder: dict[Path, Job]  # that works there; a living one rather than an ended one
    silent: str  # why Slurm could not be asked, one line; empty where it answered


NOT_ASKED = Queue({}, {}, "")


def ask(user: int) -> Queue:
    """The jobs of the user with this number; where Slurm does not answer, ``silent`` says why."""
    words = ("squeue", "--noheader", "--array", "--states=all", f"--user={user}", f"--format={_FORMAT}")
    try:
        answer = slurm.ask(*words)
    except slurm.SlurmError as error:
        return Queue({}, {}, str(error))
    by_number: dict[str, Job] = {}
    by_folder: dict[Path, Job] = {}
    for line in answer.splitlines():
        fields = line.split("|", 4)
        if len(fields) < 5:  # the rest of a folder's name with a line break in it
            continue
        shown, own, state, reason, folder = fields
        job = Job(shown, state, reason)
        for number in (shown, own):  # elements that wait all have the own number of one that may run
            if (same := by_number.get(number)) is None or not same.lives:
                by_number[number] = job
        if (known := by_folder.get(Path(folder))) is None or known.state in slurm.ENDED:
            by_folder[Path(folder)] = job
    return Queue(by_number, by_folder, "")
