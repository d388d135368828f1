"""``python -m nqs_hpc completion bash|zsh``: a script that completes keys, choices, words, commands and runs.

The script contains everything, as functions of a few `case`, so that a completion starts no Python. It is
of one version of nqs_hpc: it is made again after an update.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from nqs_hpc import __version__
from nqs_hpc.choices import groups, names
from nqs_hpc.choices.keys import inner_choices, inner_groups
from nqs_hpc.config.catalogue import sections, spots, where, words_of
from nqs_hpc.config.commands import COMMANDS, START, usage
from nqs_hpc.config.defaults import FIELDS, choices, conf_dir, load
from nqs_hpc.config.usage import default_choices
from nqs_hpc.inputs.checks import nearest
from nqs_hpc.inputs.reading import printable
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE

SHELLS = ("bash", "zsh")
HERE = Path(__file__).parent
LAUNCHER = "hydra/launcher"
HELP = f"""\
{START} completion {usage("completion")}

Prints a script for the shell. To have it in every new one, write it to a file once, and again after an update:

  {START} completion bash > ~/.nqs_hpc.bash     and in ~/.bashrc:  source ~/.nqs_hpc.bash
  {START} completion zsh > ~/.nqs_hpc.zsh       and in ~/.zshrc, after compinit:  source ~/.nqs_hpc.zsh"""


def completion(words: list[str]) -> int:
    """Print the script; the exit code: 0, or 2 for bad input, told in one line."""
    if any(word in ("-h", "--help") for word in words):
        print(HELP)
        return DONE
    if len(words) != 1 or words[0] not in SHELLS:
        given = printable(" ".join(words)) or "completion"
        near = nearest(words[0], SHELLS) if len(words) == 1 else ""
        print(f"{given} is not valid; {near}valid: {START} completion {usage('completion')}", file=sys.stderr)
        return BAD_INPUT
    print(script(words[0]), end="")
    return DONE


def script(shell: str) -> str:
    """The script for one of SHELLS."""
    head = f"# Completion of nqs_hpc {__version__} for {shell}, written by `{START} completion {shell}`.\n"
    common, own = ((HERE / f"completion.{kind}").read_text(encoding="utf-8") for kind in ("sh", shell))
    return f"{head}\n{_tables()}\n{common}\n{own}"


def _tables() -> str:
    """What exists, as functions of one argument that print words, one a line."""
    places = _places()
    known: dict[str, dict[str, None]] = {}
    kinds: dict[str, list[str]] = {"run": [], "file": []}
    for several in spots().values():
        for one in several:
            name = f"{_group_of(one.owner)}.{one.key.rpartition('.')[2]}" if one.owner else one.key
            if not one.inner and (words := words_of(one)):
                known.setdefault(name, {}).update(dict.fromkeys(words))
            if one.check.names and name not in kinds[one.check.names]:
                kinds[one.check.names].append(name)
    of_choice: dict[str, list[str]] = {}
    for several in spots().values():
        for one in several:
            if one.owner:
                of_choice.setdefault(f"{_group_of(one.owner)}={one.name}", []).append(one.key.rpartition(".")[2])
    below = {name: [key.partition(".")[2] for key in spots() if key.startswith(f"{name}.")] for name in sections()}
    below |= {"observables": ["every"], "hydra": ["sweep.dir"]}
    top = [word for name in FIELDS for word in _at_top(name)]
    return "\n".join(
        [
            _listing("commands", COMMANDS),
            _listing("top", top),
            _function("takes", {name: [one.takes] for name, one in COMMANDS.items()}),
            _function("options", {name: one.options for name, one in COMMANDS.items()}),
            _function("choices", {"observables": names("observable")} | {p: _valid(p, of) for p, of in places.items()}),
            _function("group", {place.replace("/", "."): [group] if group else [] for place, group in places.items()}),
            _function("default", _defaults()),
            _function("experiment", {name: _experiment(name) for name in choices("experiment")}),
            _function("keys", of_choice),
            _function("section", below),
            _function("words", known),
            _function("kind", {"|".join(names): [kind] for kind, names in kinds.items()}),
        ]
    )


def _places() -> dict[str, str]:
    """What is set to a choice, as a pattern of the shell, and the group of that choice; the inner ones first."""
    found: dict[str, str] = {}
    for outer in groups():
        for name in names(outer):
            found |= {f"{where(outer)}.{field}": group for field, group in inner_groups(outer, name).items()}
    found |= {name: name for name in [*(name for name in FIELDS if name in groups()), LAUNCHER]}
    return {
        **found,
        "experiment": "experiment",
        "observables.every": "",
        "observables.*.*": "",
        "observables.*": "observable",
    }


def _valid(place: str, group: str) -> Iterable[str]:
    """The choices that can stand there."""
    if not group or group == "experiment" or place in (group, "observables.*"):
        return choices(group) if group else ()
    return inner_choices(group)


def _defaults() -> dict[str, list[str]]:
    """The choice of each place where none is given."""
    found = {
        group.replace("/", "."): [name] for group, name in default_choices().items() if name and group in _places()
    }
    for several in spots().values():
        for one in several:
            if one.inner:
                found.setdefault(one.key, [str(one.default)])
    return found


def _experiment(name: str) -> list[str]:
    """The choices that an experiment makes."""
    entries = load(conf_dir() / "experiment" / f"{name}.yaml").get("defaults", [])
    return [
        f"{group.removeprefix('override /')}={chosen}"
        for one in entries
        if isinstance(one, dict)
        for group, chosen in one.items()
    ]


def _at_top(name: str) -> list[str]:
    """A field of the configuration as one begins to write it."""
    if name in sections() or name == "observables":
        return [f"{name}."] if name in sections() else [f"{name}=", f"{name}."]
    return [f"{name}=", f"{name}."] if name in groups() else [f"{name}="]


def _group_of(owner: str) -> str:
    place = owner.partition("=")[0]
    return next(group for group in groups() if where(group) == place)


def _listing(name: str, words: Iterable[str]) -> str:
    return f"_nqs_hpc_{name}() {{ {_printed(words)}; }}"


def _function(name: str, table: Mapping[str, Iterable[str]]) -> str:
    """A function of the shell from patterns to words."""
    lines = [f"_nqs_hpc_{name}() {{", "  case $1 in"]
    for pattern, words in table.items():
        lines.append(f"    {pattern}) {_printed(words)} ;;")
    return "\n".join([*lines, "  esac", "}"])


def _printed(words: Iterable[str]) -> str:
    """The command that prints some words, one a line."""
    found = list(words)
    odd = [word for word in found if not re.fullmatch(r"[\w./=+-]+", word)]
    assert not odd, f"{odd} would mean something to a shell"
    return f"printf '%s\\n' {' '.join(found)}" if found else ":"
