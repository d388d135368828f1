"""``python -m nqs_hpc report DIR``: the results of a sweep as one page, with tables and plots beside it.

Writes DIR/report/: index.html, self-contained; points.csv with every column; report.md; varbench.md; each sheet of
plots as PNG, SVG and PDF.
It only reads run folders, so it can be made, and made again, at any time, for finished and unfinished points.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from nqs_hpc.inputs.reading import harmless
from nqs_hpc.job.files import subfolder, write
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, FAULT
from nqs_hpc.report.chapters import OF_FINISHED, Content, content
from nqs_hpc.report.curves import FitOptions
from nqs_hpc.report.extrapolation import quality, result
from nqs_hpc.report.figures import VARIABLES, LegendEntry, need_matplotlib, printed, svg
from nqs_hpc.report.files import page_markdown, table_csv
from nqs_hpc.report.places import OWN, RunFolders, find_runs
from nqs_hpc.report.rows import ReadPoint, read_rows
from nqs_hpc.report.table import TRUSTED, totals
from nqs_hpc.report.values import clean
from nqs_hpc.report.varbench import varbench
from nqs_hpc.report.words import read_words

USAGE = "python -m nqs_hpc report DIR [--size-power P] [--min-size N] [--leave-out POINT ...]"
HELP = f"""{USAGE}

--size-power P     energy per site against 1/L^P, N = L^d, instead of the law for boundary, dimension and model
--min-size N       leave lattices of fewer sites out of the lines to infinite size
--leave-out POINT  leave a point out of all lines: its name in the table of `status`, or KEY=VALUE"""
MOST_POWER = 20.0
# The marks of a legend, in 14 x 14, by matplotlib's markers; a line without a marker.
MARKS = {
    "": '<path d="M0 7h14" stroke="{0}" stroke-width="2"/>',
    "--": '<path d="M0 7h14" stroke="{0}" stroke-width="1.5" stroke-dasharray="4 1.5"/>',
    "x": '<path d="M3 3l8 8M11 3l-8 8" stroke="{0}" stroke-width="1.7"/>',
    "o": '<circle cx="7" cy="7" r="4.5" fill="{0}"/>',
    "s": '<path d="M3 3h8v8H3z" fill="{0}"/>',
    "^": '<path d="M7 2l5 9H2z" fill="{0}"/>',
    "v": '<path d="M7 12l5-9H2z" fill="{0}"/>',
    "D": '<path d="M7 1.5L12.5 7 7 12.5 1.5 7z" fill="{0}"/>',
    "P": '<path d="M5.2 2h3.6v3.2H12v3.6H8.8V12H5.2V8.8H2V5.2h3.2z" fill="{0}"/>',
}


def report(words: list[str]) -> int:
    """Write the report and print the path of the page; exit code 0, 2 for bad input, 1 if it cannot be written."""
    if any(word in ("-h", "--help") for word in words):
        print(HELP)
        return DONE
    try:
        name, choice = _read(words)
        found = find_runs(name)
        need_matplotlib()
        page = gathered(found, choice)
    except ValueError as error:
        print(harmless(str(error)), file=sys.stderr)
        return BAD_INPUT
    try:
        print(make(found, *page))
    except OSError as error:
        print(f"{error.filename or name} cannot be written: {error.strerror}", file=sys.stderr)
        return FAULT
    return DONE


def _read(words: list[str]) -> tuple[str, FitOptions]:
    """The folder and the options for the lines; raises ValueError, one line."""
    folder, given, _ = read_words(words, "report", USAGE, with_value=("--size-power", "--min-size", "--leave-out"))
    powers = [_number("--size-power", text, float, MOST_POWER) for text in given["--size-power"]]
    least = [int(_number("--min-size", text, int, 1e9)) for text in given["--min-size"]]
    for option, values in (("--size-power", powers), ("--min-size", least)):
        if len(values) > 1:
            raise ValueError(f"{option} is given {len(values)} times; valid: once")
    power, smallest = next(iter(powers), None), next(iter(least), None)
    return folder, FitOptions(power, tuple(given["--leave-out"]), smallest)


def _number(option: str, text: str, kind: type[int] | type[float], most: float) -> float:
    try:
        found = kind(text)
    except ValueError:
        found = 0
    if not 0 < found <= most:
        what = "a whole number of sites" if kind is int else "a number"
        raise ValueError(f"{option} {clean(text)} is not valid; valid: {what} above 0, at most {most:g}")
    return found


def gathered(of: RunFolders, choice: FitOptions) -> tuple[list[ReadPoint], Content]:
    """The places in the folder and its report; ValueError, one line, for a choice that fits no point."""
    found = read_rows(of, time.time(), each_coupling=True)
    return found, content(of, found, choice)


def make(of: RunFolders, found: list[ReadPoint], page: Content) -> Path:
    """Write all files of the report of a folder; returns the path of the page. Raises OSError."""
    goal = subfolder(of.folder / OWN)
    for part in page.sections:
        for name, picture in printed(part.sheet).items():
            write(goal / f"{part.sheet.name}.{name}", picture)
    write(goal / "points.csv", table_csv(page.rows, {"size_law": page.laws, "left_out": page.left_out}))
    write(goal / "report.md", page_markdown(page))
    write(goal / "varbench.md", varbench(found))
    write(goal / "index.html", page_html(page))
    return goal / "index.html"


def page_html(page: Content) -> str:
    """The page; it needs no other file and no network. Every value except our own SVG is escaped."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("nqs_hpc.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def mark(key: LegendEntry) -> Markup:
        return Markup(MARKS[key.marker].format(f"var(--{VARIABLES[key.colour]})"))

    drawn = [
        [(panel.title, Markup(svg(panel, f"{part.sheet.name}{i}"))) for i, panel in enumerate(part.sheet.panels)]
        for part in page.sections
    ]
    return environment.get_template("page.html.j2").render(
        page._asdict(),
        totals=totals(page.rows),
        drawn=list(zip(page.sections, drawn, strict=True)),
        result=result,
        quality=quality,
        mark=mark,
        of_finished=OF_FINISHED,
        trusted=TRUSTED,
    )
