"""Reproductions as text: the list of all of them, and one against what was published."""

from __future__ import annotations

from typing import Any

from nqs_hpc.report.states import duration
from nqs_hpc.reproduce.described import Reproduction, Source
from nqs_hpc.reproduce.found import Compared, points, recorded, sizes
from nqs_hpc.reproduce.targets import NOT_RUN, ORIGINS, Number, Outcome, Target, status

OF_ALL = ("name", "source", "what", "status", "cost", "sites", "points", "compared with")
OF_ONE = ("target", "expected", "ours", "deviation", "tolerance", "sigma", "verdict")
ORIGIN = "what is expected"  # a column more where there is room


def row_of(reproduction: Reproduction) -> tuple[str, ...]:
    """A line of the list: `OF_ALL`. Raises InputError if its settings are not valid."""
    combined = points(reproduction)
    return (
        reproduction.name,
        str(reproduction.source),
        reproduction.title,
        status(recorded(reproduction)),
        cost(reproduction),
        ", ".join(map(str, sizes(combined))),
        str(len(combined)),
        ", ".join(dict.fromkeys(ORIGINS[target.origin] for target in reproduction.targets)),
    )


def cost(reproduction: Reproduction) -> str:
    """How long it takes, and where: measured, else as its file estimates it."""
    if (known := reproduction.measured) is not None:
        return f"{duration(known.seconds)}, {reproduction.place}"
    return reproduction.place if reproduction.cost is None else f"{reproduction.cost}, {reproduction.place}"


def rows_of(outcomes: list[Outcome]) -> list[tuple[str, ...]]:
    """A line for each target: `OF_ONE`."""
    return [_row(one) for one in outcomes]


def page_of(outcomes: list[Outcome]) -> str:
    """The same in Markdown, with where each value comes from."""
    expected = [f"{ORIGINS[one.target.origin]}: {one.target.source}" for one in outcomes]
    rows = [(*row, origin) for row, origin in zip(rows_of(outcomes), expected, strict=True)]
    return markdown((*OF_ONE, ORIGIN), rows)


def _row(one: Outcome) -> tuple[str, ...]:
    target, off, sigmas = one.target, one.deviation, one.sigmas
    verdict = f"{NOT_RUN}: {one.note}" if one.ours is None and one.note else one.words
    verdict += f" ({one.note})" if one.ours is not None and one.note else ""
    return (
        target.name,
        str(Number(target.value, target.error)),
        "" if one.ours is None else str(one.ours),
        "" if off is None else f"{off:+.1e}",
        allowed(target),
        "" if sigmas is None else f"{sigmas:+.1f}",
        verdict,
    )


def allowed(target: Target) -> str:
    """The tolerance with its rule."""
    sign = {"within": "±", "at_most": "at most +", "apart": "beyond ±"}[target.rule]
    return f"{sign}{target.tolerance:.0e}{'' if target.relative else ' abs.'}"


def aligned(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A table for a terminal."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)]
    return "\n".join(line.rstrip() for line in lines)


def markdown(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """The same in Markdown, whose cells show | and < as they are."""

    def line(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"

    return "\n".join([line(head), "|" + "---|" * len(head), *map(line, rows)])


def linked(source: Source) -> str:
    """A source as a link, in Markdown."""
    return f"[{source}](https://doi.org/{source.doi})"


def head_of(reproduction: Reproduction) -> str:
    """What is reproduced, in two lines."""
    source = reproduction.source
    return f"{reproduction.title}\n{source}, {source.where}; doi:{source.doi}, arXiv:{source.arxiv}"


def last_line(reproduction: Reproduction, compared: Compared) -> str:
    """The status, and how long the points have taken."""
    return f"{reproduction.name}: {status(compared.outcomes)}; {duration(compared.seconds)} of all points together"


def as_plain(reproduction: Reproduction, compared: Compared, date: str, machine: str) -> dict[str, Any]:
    """reproduction.json. ``measured`` is what the file of the reproduction says of a run, to be copied there."""
    source = reproduction.source
    run = {one.target.name: [one.ours.value, one.ours.error] for one in compared.outcomes if one.ours is not None}
    return {
        "name": reproduction.name,
        "title": reproduction.title,
        "source": source._asdict(),
        "status": status(compared.outcomes),
        "targets": [
            one.target._asdict()
            | {
                "ours": None if one.ours is None else one.ours.value,
                "ours_error": None if one.ours is None else one.ours.error,
                "deviation": one.deviation,
                "sigmas": one.sigmas,
                "verdict": one.verdict,
                "note": one.note,
            }
            for one in compared.outcomes
        ],
        "measured": {
            "date": date,
            "machine": machine,
            "seconds": round(compared.seconds, 1),
            "values": run,
            "notes": {one.target.name: one.note for one in compared.outcomes if one.note and one.target.name in run},
        },
    }
