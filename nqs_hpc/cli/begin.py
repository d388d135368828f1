"""What has to be done before NumPy is loaded, and so before the commands are."""

from __future__ import annotations

import sys

from nqs_hpc.config.commands import COMMANDS
from nqs_hpc.parallel import blas

LIKE_A_JOB = ("doctor",)  # which tries what a job does


def begin() -> int:
    """Run the command of this process; the exit code."""
    if starts_no_rank(sys.argv[1:]):
        blas.one_thread()
    from nqs_hpc.cli.command import main

    return main()


def starts_no_rank(words: list[str]) -> bool:
    """Whether this process will not be a rank of a job: a command, a sweep, a word for help."""
    command = words[0] if words else ""
    return (command in COMMANDS and command not in LIKE_A_JOB) or any(word.startswith("-") for word in words)
