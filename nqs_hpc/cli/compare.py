"""``python -m nqs_hpc compare RUN RUN``: what differs between two runs, as text, JSON or a picture.

Reads only files; `report.differences` says what is compared.
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

from nqs_hpc.config.commands import START, usage
from nqs_hpc.config.usage import WIDTH
from nqs_hpc.inputs.checks import nearest, show
from nqs_hpc.inputs.numbers import with_error
from nqs_hpc.inputs.plain import plain
from nqs_hpc.inputs.reading import harmless, printable
from nqs_hpc.job import files
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, FAULT
from nqs_hpc.report.differences import differences, one_run, picture
from nqs_hpc.report.figures import FORMATS

HELP = f"""\
{START} compare {usage("compare")}

Of two runs, A and B: the keys in which they differ, what they ran on, their numbers (with how many sigma the energies
are apart), and the first step at which each of their metrics differs.

--json       the same as JSON
--plot FILE  the energies by step and their difference, as FILE.png, FILE.svg or FILE.pdf"""
OPTIONS = ("--json", "--plot")
LONGEST = 34  # of a value in a column


def compare(words: list[str]) -> int:
    """Print what differs; the exit code: 0, 1 where the picture cannot be kept, 2 for bad input, told in one line."""
    if any(word in ("-h", "--help") for word in words):
        print(HELP)
        return DONE
    try:
        names, as_json, goal = _read(words)
        a, b = map(one_run, names)
        drawn = None if goal is None else picture(a, b, goal.suffix[1:])
    except ValueError as error:
        print(harmless(str(error)), file=sys.stderr, flush=True)
        return BAD_INPUT
    found = differences(a, b)
    print(json.dumps(plain(found), indent=2, allow_nan=False) if as_json else harmless(text(found)), flush=True)
    if goal is not None and drawn is not None:
        try:
            files.write(goal, drawn)
        except OSError as error:
            print(f"{goal} cannot be written: {error.strerror}", file=sys.stderr, flush=True)
            return FAULT
    return DONE


def _read(words: list[str]) -> tuple[list[str], bool, Path | None]:
    """Two runs, whether JSON is asked for, and where a picture goes; raises ValueError in one line."""
    valid = f"{START} compare {usage('compare')}"
    runs: list[str] = []
    goal: str | None = None
    left = list(words)
    while left:
        word, equal, value = left.pop(0).partition("=")
        if word == "--plot":
            if not equal and not left:
                raise ValueError(f"--plot needs a file; valid: {valid}")
            goal = value if equal else left.pop(0)
        elif word.startswith("-") and word + equal + value != "--json":
            near = nearest(word, OPTIONS)
            raise ValueError(f"{printable(word)} is not an option of compare; {near}valid: {valid}")
        elif word != "--json":
            runs.append(word + equal + value)
    if len(runs) != 2:
        raise ValueError(f"compare takes two runs, not {len(runs)}; valid: {valid}")
    if goal is not None and Path(goal).suffix[1:] not in FORMATS:
        raise ValueError(f"--plot {printable(goal)} is not valid; valid: a file .{', .'.join(FORMATS)}")
    return runs, "--json" in words, None if goal is None else Path(goal)


def text(found: dict[str, Any]) -> str:
    """What is printed."""
    parts = [f"{name}  {printable(found[side]['folder'])}  ({found[side]['state']})" for side, name in _SIDES]
    physics = [one for one in found["keys"] if one["physics"]]
    others = [one for one in found["keys"] if not one["physics"]]
    parts += _table("keys that make them different runs", physics)
    parts += _table("other keys", others)
    parts += _table("what they ran on", found["machine"])
    if not found["keys"]:
        parts += ["", "all keys are the same"]
    parts += _table("numbers", [one for one in map(_shown, found["numbers"]) if one], last="B - A")
    parts += ["", _apart(found), "", *_curves(found["curves"])]
    return "\n".join(parts)


_SIDES = (("a", "A"), ("b", "B"))


def _cell(value: Any) -> str:
    shown = f"{value:.8g}" if isinstance(value, float) else show(value)
    return shown if len(shown) <= LONGEST else shown[: LONGEST - 1] + "…"


def _table(title: str, entries: list[dict[str, Any]], last: str = "") -> list[str]:
    """A table of a title line and a line an entry; none without entries."""
    if not entries:
        return []
    head = [title, "A", "B", last]
    sides = ("a", "b", "difference")
    rows = [[one["key"], *(_cell(one[side]) if side in one else "-" for side in sides)] for one in entries]
    rows = [row if last else [*row[:3], ""] for row in rows]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(4)]
    return ["", *("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
                  for row in [head, *rows])]  # fmt: skip


def _shown(one: dict[str, Any]) -> dict[str, Any]:
    """An entry of the table of numbers: unknown numbers are left out."""
    kept = {key: value for key, value in one.items() if value is not None}
    return kept if kept.get("difference") != 0 else {**kept, "difference": 0}


def _apart(found: dict[str, Any]) -> str:
    energies = found["energies"]
    if energies["difference"] is None:
        return f"energies: {energies['why']}"
    apart = f"E_B - E_A = {with_error(energies['difference'], energies['error'])}"
    last = [name for side, name in _SIDES if not found[side]["final"]]
    note = f"; {' and '.join(last)}: of the last step, not of a final evaluation" if last else ""
    if energies["sigma"] is None:
        return f"energies: {apart}, {energies['why']}{note}"
    return f"energies: {apart}, {energies['sigma']:.1f} sigma{note}"


def _curves(curves: dict[str, Any]) -> list[str]:
    if not curves["n_common"]:
        return ["curves: no step of both"]
    first, last, differ = curves["first_common"], curves["last_common"], curves["differ"]
    ends = " and ".join(f"{name} goes on to step {curves[f'last_{side}']}" for side, name in _SIDES
                        if curves[f"last_{side}"] > last)  # fmt: skip
    head = f"curves: steps {first} to {last} of both" + (f"; {ends}" if ends else "")
    if not differ:
        lines = [f"{head}; all metrics are the same to the last bit"]
    else:
        least = min(one["step"] for one in differ.values())
        lines = [f"{head}; the first that differ do so at step {least}"]
        lines += _table("metric", [
            {"key": f"{key}, step {one['step']}", "a": one["a"], "b": one["b"], "difference": one["largest_relative"]}
            for key, one in sorted(differ.items(), key=lambda item: item[1]["step"])
        ], last="apart at most, relatively")[1:]  # fmt: skip
        if curves["same"]:
            lines += textwrap.wrap(f"the same: {', '.join(curves['same'])}", WIDTH)
    lines += [f"{name} alone has: {', '.join(curves['only'][side])}" for side, name in _SIDES if curves["only"][side]]
    return lines
