"""The commands beside a job: what follows each, what it does. `--help`, completion and messages read this table."""

from __future__ import annotations

from typing import Literal, NamedTuple

START = "python -m nqs_hpc"
GENERAL = ("-m", "--multirun", "--help", "-h", "--version")  # options in front of keys


class Command(NamedTuple):
    words: str  # what follows the name
    about: str
    # what its arguments are: overrides, runs or sweeps (one or several), a folder, or one of `options`
    takes: Literal["keys", "run", "runs", "folder", "option"]
    options: tuple[str, ...] = ()
    has_page: bool = False  # whether NAME --help says more


COMMANDS = {
    "submit": Command(
        "[--dry-run] [KEY=VALUE ...]", "the job to Slurm, resources.* for the queue", "keys", ("--dry-run",)
    ),
    "sectors": Command(
        "[--json] [KEY=VALUE ...]",
        "momenta, irreps, spin flips of a lattice and Hamiltonian; -m symmetrize=all runs all",
        "keys",
        ("--json",),
    ),
    "status": Command(
        "DIR [--watch] [--json] [--sort [-]KEY] [--filter KEY=VALUE ...]",
        "how far the points of a sweep are",
        "run",
        ("--watch", "--json", "--sort", "--filter"),
    ),
    "report": Command(
        "DIR",
        "what they found, as DIR/report/index.html",
        "run",
        ("--size-power", "--min-size", "--leave-out"),
        True,
    ),
    "export": Command(
        "RUN | KEY=VALUE ... --FORMAT FILE ...",
        "a run, or the Hamiltonian of a configuration, to a file of another program (docs/formats.md)",
        "run",
        (
            *("--parameters", "--observables", "--openfermion", "--fermions", "--fcidump", "--edges", "--alps-graph"),
            *("--qiskit", "--quspin", "--quspin-spin", "--step"),
        ),
        True,
    ),
    "reproduce": Command(
        "--list | NAME [--slurm] [--dry-run] [--here] [--compare] [KEY=VALUE]",
        "a published result, run and compared (docs/reproductions.md)",
        "option",
        ("--list", "--compare", "--here", "--slurm", "--dry-run"),
        True,
    ),
    "doctor": Command("[--json] [FOLDER]", "what keeps this machine from running jobs", "folder", ("--json",)),
    "compare": Command(
        "RUN RUN [--json] [--plot FILE]",
        "what differs between two runs: keys, versions, numbers, curves",
        "runs",
        ("--json", "--plot"),
        True,
    ),
    "clean": Command(
        "DIR [--yes] [--keep N] [--programs] [--json]",
        "files of runs that are no longer needed; --yes removes them",
        "run",
        ("--yes", "--keep", "--programs", "--json"),
        True,
    ),
    "completion": Command(
        "bash|zsh",
        "a script that has the shell complete keys, choices, commands and runs",
        "option",
        ("bash", "zsh"),
        True,
    ),
}


def usage(name: str) -> str:
    """What follows the name of a command."""
    return COMMANDS[name].words
