"""What ``--help`` prints and what docs/keys.md lists: groups, choices and keys, out of choices and conf/."""

from __future__ import annotations

import dataclasses
import textwrap
from typing import NamedTuple

from nqs_hpc.choices import choice, groups
from nqs_hpc.config.commands import COMMANDS, START
from nqs_hpc.config.defaults import choices, conf_dir, load, place_of
from nqs_hpc.config.schema import Config
from nqs_hpc.inputs.checks import show
from nqs_hpc.inputs.schedules import OPTIONAL, SCHEDULES

WIDTH = 100
# those of a job as Config has them, then those of a sweep
GROUPS = [field.name for field in dataclasses.fields(Config) if "group" in field.metadata]
GROUPS += [group for group in groups() if group not in GROUPS]

_TITLE = """\
nqs_hpc: ground states of quantum lattice models by variational Monte Carlo, on many ranks, and
expectation values in them.

usage
"""
_JOBS = (
    (f"{START} [KEY=VALUE ...]", "the job; the same command again continues it"),
    (f"mpiexec -n 4 {START} [KEY=VALUE ...]", "on four ranks; srun likewise"),
    (
        f"{START} -m study=NAME KEY=A,B ...",
        "a sweep, here or with hydra/launcher=slurm; the same command again: what is left of it",
    ),
)
_HELP = (
    (f"{START} --help", "this page"),
    (f"{START} --help WORD ...", "of a group, GROUP=CHOICE, a key or a command alone"),
    (f"{START} --version", "which version this is"),
)
_EXAMPLES = """
  nqs-hpc is short for python -m nqs_hpc, in front of all of these.

  python -m nqs_hpc experiment=tfim_square
  python -m nqs_hpc lattice=square lattice.length=6 hamiltonian.h=3.0 ansatz.alpha=2 seed=1
  python -m nqs_hpc task=evaluate task.run=runs/NAME task.samples=100000
  python -m nqs_hpc 'optimizer.learning_rate={schedule: cosine, init_value: 0.1, decay_steps: 300}'

"""

_ENDING = """\

null switches a thing off; 0 where it means nothing is bad input.

exit codes
  0   done: summary.json holds the energy, DONE the step reached
  85  stopped with a checkpoint (signal, time limit, STOP): the same command goes on
  2   bad input: one line with the key, the value and what is valid; nothing was made
  1   a fault

documentation: docs/index.md of the source distribution, where `make docs` builds the site
"""


class Row(NamedTuple):
    """A key of a section or group."""

    key: str
    default: str
    choices: str  # the choices of the group that have it; empty for all of them, and outside the groups
    doc: str


def rows() -> dict[str, list[Row]]:
    """Every key by group, with its default; the keys outside the groups under ''."""
    table: dict[str, list[Row]] = {group: _group_rows(group) for group in GROUPS}
    table[""] = []
    defaults = load(conf_dir() / "config.yaml")
    for field in dataclasses.fields(Config):
        if "check" in field.metadata:
            table[""].append(Row(field.name, show(defaults[field.name]), "", field.metadata["doc"]))
        elif "section" in field.metadata:
            for below in dataclasses.fields(field.metadata["section"]):
                if "check" not in below.metadata:
                    continue  # worked out, no key
                value = show(defaults[field.name][below.name])
                table[""].append(Row(f"{field.name}.{below.name}", value, "", below.metadata["doc"]))
    return table


def _group_rows(group: str) -> list[Row]:
    # a key whose doc is the same in several choices is one row
    found: dict[tuple[str, str], dict[str, str]] = {}
    for name in choices(group):
        defaults = load(conf_dir() / group / f"{name}.yaml")
        fields = {field.name: field for field in dataclasses.fields(choice(group, name))}
        for key, value in defaults.items():  # in the order of the YAML
            if key in fields:
                place = (key, fields[key].metadata["doc"])
                found.setdefault(place, {})[name] = show(value)
    table = []
    for (key, doc), values in found.items():
        usual = max(values.values(), key=list(values.values()).count)
        odd = [f"{value} ({name})" for name, value in values.items() if value != usual]
        without = [name for name in choices(group) if name not in values]
        having = ", ".join(values) if len(values) <= len(without) + 2 else f"all but {', '.join(without)}"
        if not without:
            having = ""
        table.append(Row(f"{place_of(group).replace('/', '.')}.{key}", ", ".join([usual, *odd]), having, doc))
    return table


def help_text() -> str:
    """The page ``python -m nqs_hpc --help`` prints, at most 100 columns wide."""
    parts = [_usage(), "groups, the default first: GROUP=CHOICE\n"]
    chosen = default_choices()
    for group in GROUPS:
        names = sorted(choices(group), key=lambda name, group=group: name != chosen.get(group))  # type: ignore[misc]
        parts += [wrap(f"  {place_of(group) + '=' + name + ' ':<26}", about(group, name)) for name in names]
    parts.append("\nready-made combinations; what the command line sets beats them\n")
    parts += [wrap(f"  {'experiment=' + name + ' ':<34}", about("experiment", name)) for name in choices("experiment")]
    for group, table in rows().items():
        if table:
            parts.append(
                f"\nkeys of {group}{' (sweeps, -m)' * ('/' in group)}\n" if group else "\nkeys outside the groups\n"
            )
            for row in table:
                doc = f"{row.doc} [{row.choices}]" if row.choices else row.doc
                head = f"  {row.key + '=' + row.default + ' ':<36}"
                if len(head) <= 40:
                    parts.append(wrap(head, doc))
                else:  # many choices have defaults of their own
                    parts.append(textwrap.fill(head, WIDTH, subsequent_indent=" " * 6) + "\n" + wrap(" " * 38, doc))
    parts += ["\n", schedules()]
    parts.append(_ENDING)
    return "".join(parts)


def _usage() -> str:
    """What can be asked, each with what it does."""
    commands = [(f"{START} {name} {one.words}", one.about) for name, one in COMMANDS.items()]
    lines = []
    for words, about in (*_JOBS, *commands, *_HELP):
        head = f"  {words} "
        lines.append(wrap(f"{head:<55}", about) if len(head) <= 55 else f"{head.rstrip()}\n" + wrap(" " * 55, about))
    return _TITLE + "".join(lines) + _EXAMPLES


def schedules() -> str:
    """The schedules with their arguments, those in brackets optional."""
    parts = ["schedules, wherever a rate or a shift stands: {schedule: KIND, ...} with optax's arguments\n"]
    for kind, arguments in SCHEDULES.items():
        names = [f"[{name}]" if name in OPTIONAL.get(kind, ()) else name for name in arguments]
        parts.append(wrap(f"  {kind + ' ':<24}", ", ".join(names)))
    return "".join(parts)


def default_choices() -> dict[str, str | None]:
    """The default choice of every group, from the defaults list."""
    entries = load(conf_dir() / "config.yaml")["defaults"]
    return {
        group.removeprefix("override "): name for entry in entries if entry != "_self_" for group, name in entry.items()
    }


def about(group: str, name: str) -> str:
    """The comment a YAML file begins with."""
    lines = (conf_dir() / group / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    return next((line.lstrip("# ") for line in lines if line.startswith("#") and "@package" not in line), "")


def wrap(head: str, text: str, below: str | None = None) -> str:
    """``text`` behind ``head``, in lines of at most WIDTH columns; those that follow begin with ``below``."""
    below = " " * len(head) if below is None else below
    return textwrap.fill(text, WIDTH, initial_indent=head, subsequent_indent=below) + "\n"
