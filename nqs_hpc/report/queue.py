"""The state of all jobs in Slurm, by one call of squeue for any number of points."""

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
    """A job in Slurm, which forgets ended jobs after some minutes."""

    number: str
    state: str
    reason: str  # why it waits; "None" if it does not

    @property
    def waits(self) -> bool:
        """Whether it is in the queue without running processes."""
        return self.state in WAITING

    @property
    def lives(self) -> bool:
        """Whether it may have running processes."""
        return not self.waits and self.state not in slurm.ENDED


class Queue(NamedTuple):
    """The jobs of one user."""

    by_number: dict[str, Job]  # under either of its numbers
    by_folder: dict[Path, Job]  # the job that works there, preferably a living one
    silent: str  # why Slurm did not answer, one line; empty if it did


NOT_ASKED = Queue({}, {}, "")


def ask(user: int) -> Queue:
    """The jobs of the user with this number; if Slurm does not answer, ``silent`` says why."""
    words = ("squeue", "--noheader", "--array", "--states=all", f"--user={user}", f"--format={_FORMAT}")
    try:
        answer = slurm.ask(*words)
    except slurm.SlurmError as error:
        return Queue({}, {}, str(error))
    by_number: dict[str, Job] = {}
    by_folder: dict[Path, Job] = {}
    for line in answer.splitlines():
        fields = line.split("|", 4)
        if len(fields) < 5:  # the rest of a folder name with a line break
            continue
        shown, own, state, reason, folder = fields
        job = Job(shown, state, reason)
        for number in (shown, own):  # waiting elements all have the job number of one that may run
            if (same := by_number.get(number)) is None or not same.lives:
                by_number[number] = job
        if (known := by_folder.get(Path(folder))) is None or known.state in slurm.ENDED:
            by_folder[Path(folder)] = job
    return Queue(by_number, by_folder, "")
