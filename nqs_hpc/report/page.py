"""``python -m nqs_hpc report DIR``: what the points of a sweep found, as one page, and as tables and plots beside it.

Writes DIR/report/: index.html, self-contained; points.csv with every column; report.md; varbench.md; a PNG a sheet.
Reads run folders only, so it can be made at any time, of finished and unfinished points, and made again.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from nqs_hpc.job.files import subfolder, write
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, FAULT
from nqs_hpc.reading import harmless
from nqs_hpc.report.chapters import OF_FINISHED, Content, content
from nqs_hpc.report.extrapolation import quality, result
from nqs_hpc.report.figures import VARIABLES, Key, need_matplotlib, png, svg
from nqs_hpc.report.files import page_markdown, table_csv
from nqs_hpc.report.places import OWN, Holding, holding
from nqs_hpc.report.rows import read_rows
from nqs_hpc.report.table import totals
from nqs_hpc.report.varbench import varbench

USAGE = "python -m nqs_hpc report DIR"
# The marks of a legend, in 14 x 14, by matplotlib's markers; a line where there is none.
MARKS = {
    "": '<path d="M0 7h14" stroke="{0}" stroke-width="2"/>',
    "--": '<path d="M0 7h14" stroke="{0}" stroke-width="1.5" stroke-dasharray="4 1.5"/>',
    "o": '<circle cx="7" cy="7" r="4.5" fill="{0}"/>',
    "s": '<path d="M3 3h8v8H3z" fill="{0}"/>',
    "^": '<path d="M7 2l5 9H2z" fill="{0}"/>',
    "v": '<path d="M7 12l5-9H2z" fill="{0}"/>',
    "D": '<path d="M7 1.5L12.5 7 7 12.5 1.5 7z" fill="{0}"/>',
    "P": '<path d="M5.2 2h3.6v3.2H12v3.6H8.8V12H5.2V8.8H2V5.2h3.2z" fill="{0}"/>',
}


def report(words: list[str]) -> int:
    """Write the report and print the path of the page; the exit code: 0, 2 for bad input, 1 where it cannot be kept."""
    if any(word in ("-h", "--help") for word in words):
        print(USAGE)
        return DONE
    try:
        if flags := [word for word in words if word.startswith("-")]:
            raise ValueError(f"{flags[0]} is not an option of report; valid: {USAGE}")
        if len(words) != 1:
            raise ValueError(f"report takes one folder, not {len(words)}; valid: {USAGE}")
        found = holding(words[0])
        need_matplotlib()
    except ValueError as error:
        print(harmless(str(error)), file=sys.stderr)
        return BAD_INPUT
    try:
        print(make(found))
    except OSError as error:
        print(f"{error.filename or words[0]} cannot be written: {error.strerror}", file=sys.stderr)
        return FAULT
    return DONE


def make(of: Holding) -> Path:
    """Write all files of the report of a folder; returns the path of the page. Raises OSError."""
    found = read_rows(of, time.time())
    told = content(of, found)
    goal = subfolder(of.folder / OWN)
    for part in told.sections:
        write(goal / f"{part.sheet.name}.png", png(part.sheet))
    write(goal / "points.csv", table_csv(told.rows))
    write(goal / "report.md", page_markdown(told))
    write(goal / "varbench.md", varbench(found))
    write(goal / "index.html", page_html(told))
    return goal / "index.html"


def page_html(told: Content) -> str:
    """The page: no file beside it and no network is needed to read it. Every value is escaped but our own SVG."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("nqs_hpc.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def mark(key: Key) -> Markup:
        return Markup(MARKS[key.marker].format(f"var(--{VARIABLES[key.colour]})"))

    drawn = [
        [(panel.title, Markup(svg(panel, f"{part.sheet.name}{i}"))) for i, panel in enumerate(part.sheet.panels)]
        for part in told.sections
    ]
    return environment.get_template("page.html.j2").render(
        told._asdict(),
        totals=totals(told.rows),
        drawn=list(zip(told.sections, drawn, strict=True)),
        result=result,
        quality=quality,
        mark=mark,
        of_finished=OF_FINISHED,
    )
