"""The points of a sweep: every combination of the given values, checked, each with a name and an identity.

A point is a run folder in the study's folder. Its name shows the swept values; its identity is a hash of its physics,
its optimizer and everything else that is swept (ranks), so the same point is found again however the command is
written.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nqs_hpc.config.catalogue import not_an_override
from nqs_hpc.config.compose import compose
from nqs_hpc.config.identity import physics, run_name, to_plain
from nqs_hpc.config.schema import Config
from nqs_hpc.inputs.checks import InputError, bad, show
from nqs_hpc.job.study import Point

OWN = ("study", "chain")  # keys of a sweep, not of its points
SIZES = ("lattice.length", "lattice.extent")  # along which the parameters of some networks can be passed on
MAX_POINTS = 10_000  # more is a typing error
MAX_NAME = 120  # characters: folders may have 255 bytes, and files in them need some


class Combination(NamedTuple):
    """A point as the command line gives it."""

    config: Config  # without what a chain adds to it
    words: list[str]  # its overrides
    swept: dict[str, Any]
    name: str  # of its folder, if it is new
    identity: str
    after: int | None  # the combination before it in its chain, by index
    facts: str = ""  # JSON: what its identity depends on, besides the point before it


def expand(overrides: Iterable[Any]) -> list[list[str]]:
    """Every combination of Hydra's parsed overrides, the last key running fastest, as override strings.

    Raises InputError for a key that is given twice, a glob, and more than MAX_POINTS points.
    """
    by_key: dict[str, list[str]] = {}
    for one in overrides:
        key = one.get_key_element()
        if key_of(key) in map(key_of, by_key):
            raise InputError(f"{key_of(key)} is given twice; valid: all its values at once, KEY=A,B")
        if one.value_type is not None and one.value_type.name == "GLOB_CHOICE_SWEEP":
            raise bad(key_of(key), str(one.input_line).partition("=")[2], "the choices themselves, KEY=A,B")
        values = one.sweep_string_iterator() if one.is_sweep_override() else [one.get_value_element_as_str()]
        by_key[key] = [f"{key}={value}" for value in itertools.islice(values, MAX_POINTS + 1)]
        if math.prod(map(len, by_key.values())) > MAX_POINTS:
            raise bad(key_of(key), str(one.input_line).partition("=")[2], f"at most {MAX_POINTS} points in all")
    return [list(words) for words in itertools.product(*by_key.values())]


def refuse_bare(overrides: list[str]) -> None:
    """Raise InputError for a word that sets nothing, which is perhaps a command or a choice."""
    for word in overrides:
        if "=" not in word and not word.startswith("~"):
            raise not_an_override(word)


def parsed_points(overrides: list[str]) -> list[list[str]]:
    """``expand`` for the words of a command line; raises InputError for a word that cannot be read."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    refuse_bare(overrides)
    try:
        return expand(OverridesParser.create().parse_overrides(overrides))
    except InputError:
        raise
    except (HydraException, ValueError, RecursionError) as error:
        raise InputError(f"cannot be read as KEY=VALUE: {' '.join(str(error).split())[:200]}") from None


def combinations(points: list[list[str]], *, chain: str | None, n_ranks: int | None) -> list[Combination]:
    """The points of ``expand``, checked; raises InputError for the first invalid one, named by its swept values.

    ``chain``: the key along which each point begins with the parameters of the one before. ``n_ranks``: of each point;
    None: as resources.ranks says.
    """
    given = [{key_of(word): word for word in words if key_of(word) not in OWN} for words in points]
    keys = [key for key in given[0] if len({one[key] for one in given}) > 1]
    if chain is not None and chain not in keys:
        raise bad("chain", chain, f"a key with several values; here: {', '.join(keys) or 'none has'}")
    if chain is not None and chain.startswith(("lattice", "ansatz")) and chain not in SIZES:
        raise bad(
            "chain", chain, "a key that leaves the network unchanged, such as hamiltonian.h: parameters are passed on"
        )
    configs = _composed(given, keys, n_ranks)
    if chain in SIZES and (fixed := [config.ansatz.name for config in configs if config.ansatz.is_of_one_size()]):
        why = f"the parameters of ansatz={fixed[0]} depend on the size of the lattice, those of cnn and resnet do not"
        raise bad("chain", chain, f"a key that leaves the network unchanged: {why}")
    before = _chained(given, chain)
    kept = _beside_physics(given, keys, configs)
    identities: list[str] = []
    alone: list[str] = []
    for one, config, previous in zip(given, configs, before, strict=True):
        facts: dict[str, Any] = {"physics": physics(config), "optimizer": to_plain(config.optimizer)}
        facts["swept"] = {key: one[key] for key in kept}
        alone.append(json.dumps(facts, sort_keys=True, allow_nan=False))
        # its initial parameters are the result of the points before it
        identities.append(_identity(alone[-1], None if previous is None else identities[previous]))
    twice = [words for words, identity in zip(given, identities, strict=True) if identities.count(identity) > 1]
    if twice:
        raise InputError(f"{' '.join(twice[0].values())} occurs more than once; valid: every combination once")
    return [
        Combination(
            config,
            list(one.values()),
            {key: _value(one[key]) for key in keys},
            _name([one[key] for key in sorted(keys)], config, identity),
            identity,
            previous,
            text,
        )
        for one, config, identity, previous, text in zip(given, configs, identities, before, alone, strict=True)
    ]


def _identity(facts: str, after: str | None) -> str:
    text = facts if after is None else f'{{"after": "{after}", {facts[1:]}'  # its place among sorted keys
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def refined(combined: list[Combination], known: Sequence[Point]) -> list[Combination]:
    """``combined``, but points of its chains that are ``known`` from a launch with fewer values stay what they are.

    Otherwise a value inserted into a chain would change the initial parameters, and so the identity, of all points
    after it, and the same physics would appear twice. A chain in another order is another chain.
    """
    names = {point.name: point for point in known}
    identities = {point.identity for point in known}
    children: dict[str, list[str]] = {}  # for each point the swept values of those that began with it
    for point in known:
        if point.after in names:
            children.setdefault(names[point.after].identity, []).append(_plain(point.swept))
    swept = {_plain(point.swept) for point in known}
    found: list[Combination] = []
    lines: list[tuple[int, ...]] = []  # for each point those before it in its chain, nearest first
    for one in combined:
        line = () if one.after is None else (one.after, *lines[one.after])
        lines.append(line)
        found.append(one)
        if not line or not known:
            continue
        usual = _identity(one.facts, found[line[0]].identity)
        chosen, after = usual, one.after
        if usual not in identities and _plain(one.swept) in swept:
            for i in line[1:]:
                if found[i].identity in children and (other := _identity(one.facts, found[i].identity)) in identities:
                    chosen, after = other, i
                    break
            else:  # the first of a chain, unless a point that came after it now comes before it
                begun = children.get(_identity(one.facts, None), [])
                if begun and not {_plain(combined[i].swept) for i in line} & set(begun):
                    chosen, after = _identity(one.facts, None), None
        if chosen != one.identity:
            name = one.name.removesuffix(one.identity[:8]) + chosen[:8]
            found[-1] = one._replace(identity=chosen, name=name, after=after)
    return found


def _plain(swept: dict[str, Any]) -> str:
    return json.dumps(swept, sort_keys=True, default=str)


def _composed(given: list[dict[str, str]], keys: list[str], n_ranks: int | None) -> list[Config]:
    """The configuration of every point; InputError for the first invalid one."""
    configs, errors = [], []
    for one in given:
        try:
            configs.append(compose(list(one.values()), n_ranks))
        except InputError as error:
            errors.append((" ".join(one[key] for key in keys), str(error)))
    if errors:
        where, line = errors[0]
        everywhere = len(errors) == len(given) and len({text for _, text in errors}) == 1
        everywhere |= line.startswith(f"{where} is not valid")  # and names the point by itself
        raise InputError(line if everywhere or not where else f"{where}: {line}")
    return configs


def key_of(word: str) -> str:
    """The key of an override."""
    return word.partition("=")[0].lstrip("+")


def _value(word: str) -> Any:
    """The value of one override, as plain data."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create().parse_override(word).value()


def _chained(given: list[dict[str, str]], chain: str | None) -> list[int | None]:
    """For each point the one before it in its chain, which differs only in the key, in the order of the key's
    values."""
    last: dict[tuple[str, ...], int] = {}
    before: list[int | None] = []
    for index, one in enumerate(given):
        line = tuple(word for key, word in one.items() if key != chain)
        before.append(last.get(line) if chain is not None else None)
        last[line] = index
    return before


def _beside_physics(given: list[dict[str, str]], keys: list[str], configs: list[Config]) -> list[str]:
    """The swept keys that change a point but not its physics, such as rates and ranks."""
    texts = [json.dumps(physics(config), sort_keys=True) for config in configs]
    found = []
    for key in keys:
        if key.startswith("optimizer."):
            continue  # an identity contains the optimizer anyway
        seen: dict[
            tuple[str, ...], tuple[set[str], set[str]]
        ] = {}  # its values and their physics, for equal other values
        for one, text in zip(given, texts, strict=True):
            others = tuple(word for name, word in one.items() if name != key)
            values, different = seen.setdefault(others, (set(), set()))
            values.add(one[key])
            different.add(text)
        if any(len(different) < len(values) for values, different in seen.values()):
            found.append(key)
    return found


def _name(swept: list[str], config: Config, identity: str) -> str:
    """The name of a folder: the swept values, and the beginning of the identity, which makes the name unique."""
    if not swept:
        return run_name(dataclasses.replace(config, run_dir=None))
    text = ",".join(_readable(word.lstrip("+")) for word in swept)
    return f"{text[:MAX_NAME]}-{identity[:8]}"


def _readable(word: str) -> str:
    """An override in the name of a folder: symmetrize.momentum=[1,2] becomes momentum=1_2, sector=[5,5] sector=5_5."""
    if word.startswith(("symmetrize.", "sector=")):
        word = re.sub(r"[\[\]]", "", word.removeprefix("symmetrize."))
    return re.sub(r"[^\w.=+-]+", "_", word, flags=re.ASCII)


def n_sites(config: Config) -> int:
    """The sites of a configuration that carry its spins or particles."""
    sites = config.make_sites()
    return sites.n_sites // sites.layers


def command_words(overrides: list[str], folder: Path) -> list[str]:
    """The overrides of a point with its folder, to follow ``python -m nqs_hpc``."""
    return [*overrides, path_word("run_dir", folder)]


def path_word(key: str, path: Path) -> str:
    """The override that sets ``key`` to a path with any characters."""
    text = str(path)
    if not re.fullmatch(r"[\w./+-]+", text, flags=re.ASCII):  # other characters have a meaning in Hydra's grammar
        escaped = re.sub(r'(\\*)"', r'\1\1\\"', text)  # backslashes count only before a quote
        text = '"' + re.sub(r"(\\+)$", r"\1\1", escaped) + '"'
    return f"{key}={text}"


def shown(swept: dict[str, Any]) -> str:
    """A point in words: its swept values."""
    return " ".join(f"{key}={show(value)}" for key, value in swept.items())
