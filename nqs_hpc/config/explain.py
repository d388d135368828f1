"""What ``--help WORD`` prints: of a group its choices, of a choice its keys, of a key what it takes, of a command its
words. The pages are made from the choices and from conf/, as that of ``--help`` is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from nqs_hpc.choices import groups
from nqs_hpc.config.catalogue import Spot, canonical, group_of, homes, sections, spots, where, words_of
from nqs_hpc.config.commands import COMMANDS, GENERAL, START
from nqs_hpc.config.defaults import choices, conf_dir, load
from nqs_hpc.config.usage import about, default_choices, schedules, wrap
from nqs_hpc.inputs.checks import MOST_MEANT, InputError, meant, nearest, show
from nqs_hpc.inputs.reading import printable

PARTS = {
    "int": "whole number",
    "float": "number",
    "bool": "true or false",
    "str": "text",
    "None": "null",
    "Auto": "auto",
}
PARTS |= {
    "Schedule": "number or schedule",
    "Blocks": "whole number or auto",
    "Activation": "word",
    "Weights": "mapping",
}
PARTS |= {"Preconditioner": "whole number, auto or null", "Range": "mapping", "Any": "value", "State": "word or angles"}
PARTS |= {"Observables": "list or mapping", "Ansatz": "choice", "Integrator": "choice", "Method": "choice"}
CHANGES = {
    True: "another value makes it another run",
    "given": "another value makes it another run, in a folder of its own; null, false and 0 count as not given",
    False: "another value leaves the run what it is, and may be given when it is started again",
}


def explained(words: list[str]) -> str:
    """The pages of all ``words``; raises InputError, one line, for the first that is nothing we know."""
    return "\n".join(map(page, words))


def page(word: str) -> str:
    """What there is to say of one word: a command, group, section, choice or key."""
    if word in COMMANDS or word in ("schedule", "schedules"):
        return _command(word) if word in COMMANDS else schedules()
    place, is_set, value = word.partition("=")
    key = canonical(place)
    group = group_of(key)
    if place == group:  # a group that stands inside of another choice
        place = where(group)
    if group is not None and is_set:
        if value not in choices(group):
            near = nearest(value, choices(group))
            raise InputError(f"{printable(word)} is not valid; {near}valid: {', '.join(choices(group))}")
        return _experiment(value) if group == "experiment" else _choice(place, group, value)
    if group is not None and (key not in spots() or not is_set):
        return _group(place, group)
    if key in sections():
        return _section(key)
    if key in spots():
        return _key(place if place != key and key.partition(".")[0] in place else key, spots()[key])
    raise InputError(_unknown(place))


def _unknown(word: str) -> str:
    """The one line for a word that means nothing, with what was perhaps meant."""
    of_choices = [f"{where(group)}={name}" for group in (*groups(), "experiment") for name in choices(group)]
    named = [one for one in of_choices if one.partition("=")[2] == word]
    known = [*groups(), "experiment", *sections(), *COMMANDS, *spots()]
    if "." in word:
        close = meant(word, known) or homes(word.rpartition(".")[2])
    else:
        of_name = [key for key in spots() if key.rpartition(".")[2] == word]
        close = " or ".join(named[:MOST_MEANT] or of_name[:MOST_MEANT])
        close = close or meant(word, [one for one in known if "." not in one]) or homes(word)
    if not close:
        found = meant(word, [one.partition("=")[2] for one in of_choices])
        close = " or ".join(one for one in of_choices if found and one.partition("=")[2] in found.split(" or "))
    hint = f"did you mean {close}? " if close else ""
    valid = "a group, GROUP=CHOICE, a key or a command, all of which --help lists"
    return f"--help {printable(word)} is not valid; {hint}valid: {valid}"


def _command(name: str) -> str:
    one = COMMANDS[name]
    usage = wrap(f"{START} {name} ", one.words)
    more = f"\n{START} {name} --help says more\n" if one.has_page else ""
    return f"{usage}\n{wrap('  ', one.about)}{more}"


def _group(place: str, group: str) -> str:
    """Its choices, each with the line that it is about and its keys."""
    usual = default_choices().get(group)
    names = sorted(choices(group), key=lambda name: name != usual)
    head = f"{place}: one of {len(names)} choices" + (", the default first" if usual else "")
    parts = [f"{head}\n\n"]
    width = max(map(len, names)) + len(place) + 5
    for name in names:
        parts.append(wrap(f"  {place + '=' + name:<{min(width, 40) - 2}}", about(group, name)))
        if keys := [f"{one.key.rpartition('.')[2]}={show(one.default)}" for one in _of(group, name)]:
            parts.append(wrap(" " * 6, "  ".join(key.replace(" ", "\0") for key in keys)).replace("\0", " "))
    if shared := _shared(group):
        example = shared[0].rpartition(".")[2]
        parts.append(f"\n--help {place}=NAME and --help {place.replace('/', '.')}.{example} say more\n")
    return "".join(parts)


def _of(group: str, name: str) -> list[Spot]:
    owner = f"{where(group)}={name}"
    return [one for several in spots().values() for one in several if one.owner == owner]


def _shared(group: str) -> list[str]:
    prefix = f"{where(group).replace('/', '.')}."
    return [key for key, several in spots().items() if key.startswith(prefix) and several[0].owner]


def _choice(place: str, group: str, name: str) -> str:
    """What it is, and its keys."""
    own = _of(group, name)
    keys = "".join(_row(f"{place.replace('/', '.')}.{one.key.rpartition('.')[2]}", one) for one in own)
    told = f"\nkeys, with their defaults\n\n{keys}" if keys else "\nit has no keys\n"
    return f"{place}={name}\n\n{wrap('  ', about(group, name))}{told}"


def _experiment(name: str) -> str:
    """What it is, and what it sets."""
    data = dict(load(conf_dir() / "experiment" / f"{name}.yaml"))
    picked = [item for one in data.pop("defaults", []) if isinstance(one, dict) for item in one.items()]
    given = [f"{group.removeprefix('override /')}={choice}" for group, choice in picked]
    for group, values in data.items():
        below = values.items() if isinstance(values, dict) else [("", values)]
        given += [f"{group}.{key}={show(value)}" if key else f"{group}={show(value)}" for key, value in below]
    lines = "".join(wrap("    ", one, "      ") for one in given)
    return f"experiment={name}\n\n{wrap('  ', about('experiment', name))}\n  the same as\n{lines}"


def _section(name: str) -> str:
    keys = [several[0] for key, several in spots().items() if key.startswith(f"{name}.") and not several[0].owner]
    return f"{name}: keys outside the groups, with their defaults\n\n" + "".join(_row(one.key, one) for one in keys)


def _row(key: str, one: Spot) -> str:
    head = f"  {key}={show(one.default)} "
    if len(head) > 38:
        return wrap("  ", head.strip(), "      ") + wrap(" " * 38, one.doc)
    return wrap(f"{head:<38}", one.doc)


def _key(key: str, several: Iterable[Spot]) -> str:
    """What it is, its type, what is valid, its default and who has it; once where choices agree."""
    alike: dict[tuple[str, str, str], list[Spot]] = {}
    for one in several:
        alike.setdefault((one.doc, one.check.valid, one.kind), []).append(one)
    return f"{key}\n" + "".join("\n" + _told(key, same) for same in alike.values())


def _told(key: str, same: list[Spot]) -> str:
    first = same[0]
    defaults: dict[str, list[str]] = {}
    for one in same:
        defaults.setdefault(show(one.default), []).append(one.name)
    usual = max(defaults, key=lambda value: len(defaults[value]))
    odd = [f"{value} ({', '.join(names)})" for value, names in defaults.items() if value != usual]
    rows = {"type": _kind(first), "valid": ", ".join(words_of(first)) if first.inner else first.check.valid}
    rows["default"] = ", ".join([usual, *odd])
    if first.owner:
        rows["of"] = ", ".join(one.owner for one in same)
        if first.owner.startswith(("observables", "hydra")):
            rows["changes"] = CHANGES[False] if first.owner.startswith("hydra") else ""
    rows.setdefault("changes", CHANGES[first.physics])
    if first.inner:
        rows["keys"] = f"{key}.KEY, those of the choice: --help {key}=NAME"
    return (
        wrap("  ", first.doc)
        + "\n"
        + "".join(wrap(f"  {name:<10}", _loose(text)) for name, text in rows.items() if text)
    )


def _loose(text: str) -> str:
    """``text`` with room to break lines in lists of words."""
    return re.sub(r"(?<=\w)\|(?=\w)", " | ", text)


def _kind(one: Spot) -> str:
    """The type of a key in words."""
    found: list[str] = []
    kind = re.sub(r"\[[^\[\]]*(\[[^\[\]]*\])*[^\[\]]*\]", lambda hit: hit[0].replace("|", ","), one.kind)
    for part in kind.split(" | "):
        head = part.partition("[")[0].rpartition(".")[2]
        if head == "Literal":
            word = "word" if "'" in part or '"' in part else "whole number"
        else:
            word = {"tuple": "list", "dict": "mapping"}.get(head, PARTS.get(head, head.lower()))
        found += [word] if word not in found else []
    return " or ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)


def asked(words: list[str]) -> list[str] | None:
    """The words that --help is asked about; None if it is not asked, none for the page of everything."""
    if not any(word in ("-h", "--help") for word in words):
        return None
    return [word for word in words if word not in GENERAL]
