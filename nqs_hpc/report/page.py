"""``python -m nqs_hpc report DIR``: what the points of a sweep found, as one page, and as tables and plots beside it.

Writes DIR/report/: index.html, self-contained; points.csv with every column; report.md; varbench.md; a PNG a sheet. Reads
run folders only, so it can be made at any time, of finished and unfinished points, and made again.
"""

from __future__ import annotations

import csv
import io
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from nqs_hpc.job.files import write
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, FAULT
from nqs_hpc.report import panels as draw
from nqs_hpc.report.figures import VARIABLES, Key, Sheet, need_matplotlib, png, svg
from nqs_hpc.report.groups import measured
from nqs_hpc.report.places import OWN, Holding, holding
from nqs_hpc.report.rows import Found, Row, read_rows
from nqs_hpc.report.table import columns, more_columns, totals
from nqs_hpc.report.tails import last_lines
from nqs_hpc.report.values import clean, section, text
from nqs_hpc.report.varbench import markdown, markdown_row, varbench

USAGE = "python -m nqs_hpc report DIR"
LOG_LINES = 15
TABLE = "points.csv"


class Section(NamedTuple):
    """One sheet with what it means, and the table of its fits."""

    title: str
    text: str
    sheet: Sheet
    fits: list[draw.Extrapolation]
    of: str  # what a fit is of, above its column


class Fault(NamedTuple):
    """A point that needs somebody."""

    number: int
    title: str
    row: Row
    log: list[str]  # the last lines it printed


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
        print(error, file=sys.stderr)
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
    goal = of.folder / OWN
    goal.mkdir(exist_ok=True)
    parts = sections(found)
    for part in parts:
        png(part.sheet, goal)
    write(goal / TABLE, table_csv([one.row for one in found]))
    write(goal / "report.md", page_markdown(of, found, parts))
    write(goal / "varbench.md", varbench(found))
    write(goal / "index.html", page_html(of, found, parts))
    return goal / "index.html"


def sections(found: list[Found]) -> list[Section]:
    """The sheets that have anything to show."""
    infinite, to_size = draw.sizes(found)
    exact, to_zero = draw.variances(found)
    told = [
        Section(
            "Convergence",
            "The energy of each step, with the parameters of that step, and its running average over a tenth of the steps. "
            "Final values are from fresh samples of the frozen parameters.",
            draw.convergence(found),
            [],
            "",
        ),
        Section(
            "Infinite size",
            "Energy per site against 1/N, and a straight line through it by weighted least squares: E/N = e + b/N, which is "
            "what boundaries do; corrections of higher order show in χ². Open symbols: the line at 1/N = 0. Where χ² exceeds "
            "its degrees of freedom the error is scaled by the square root of their ratio. Needs three sizes.",
            infinite,
            to_size,
            "curve",
        ),
        Section(
            "Zero variance",
            "Energy against variance, different wave functions of one system. An eigenstate has no variance, and close to one the "
            "energy is linear in it; the line assumes that all points are close to the same state, and neglects the errors of the "
            "variances. Open symbols: the line at zero variance. Needs three points of a system.",
            exact,
            to_zero,
            "system",
        ),
        Section(
            "Accuracy and cost",
            "How far the final energy is from the exact one, and the V-score N Var(E) / (E − E∞)², which needs no exact one, against "
            "what was paid. Open symbols: the error lies within its statistical uncertainty, which is drawn instead.",
            draw.costs(found),
            [],
            "",
        ),
        Section(
            "Sampling",
            "Acceptance of proposals, agreement of the chains (R-hat near 1; above the dashed line their energies differ more than "
            "the error says) and correlation between samples (tau = 1: independent).",
            draw.sampling(found),
            [],
            "",
        ),
    ]
    return [part for part in told if part.sheet.panels]


def faults(found: list[Found]) -> list[Fault]:
    """The points that failed or stand still, with the last lines of their logs."""
    rows = [one.row for one in found]
    told = []
    for number, one in enumerate(found, 1):
        if one.row.state in ("failed", "stalled"):
            try:
                log = last_lines(one.traces.log, LOG_LINES) if one.traces.log is not None else []
            except OSError as error:
                log = [clean(f"{one.traces.log} cannot be read: {error.strerror}")]
            told.append(Fault(number, draw.title(one.row, rows), one.row, log))
    return told


def versions(found: list[Found]) -> dict[str, dict[str, int]]:
    """Package -> each version with which points ran, and how many."""
    told: dict[str, Counter[str]] = {}
    for one in found:
        names: dict[str, Any] = dict(section(one.traces.manifest, "versions"))
        names["MPI"] = one.traces.manifest.get("mpi")
        git = section(one.traces.manifest, "git")
        commit = text(git.get("commit"))
        names["git commit"] = f"{commit[:12]}{' with changes' if git.get('dirty') else ''}" if commit else None
        for name, version in names.items():
            if (known := text(version)) is not None:
                told.setdefault(clean(name), Counter())[known] += 1
    return {name: dict(counted) for name, counted in told.items()}


def table_csv(rows: list[Row]) -> str:
    """All columns of all rows with every digit; what is unknown is empty."""
    keys = list(dict.fromkeys(key for row in rows for key in row.swept))
    fields = [name for name in Row._fields if name != "swept"]
    text_file = io.StringIO()
    lines = csv.writer(text_file, lineterminator="\n")
    lines.writerow(["point", *keys, *(f for f in fields if f != "name")])
    for row in rows:
        values = row._asdict() | {"troubles": "; ".join(row.troubles)}
        lines.writerow([row.name, *(row.swept.get(key) for key in keys), *(values[f] for f in fields if f != "name")])
    return text_file.getvalue()


def page_html(of: Holding, found: list[Found], parts: list[Section]) -> str:
    """The page: no file beside it and no network is needed to read it. Every value is escaped but our own SVG."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("nqs_hpc.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = [one.row for one in found]
    told = [*columns(rows), *more_columns(rows)]
    drawn = [
        [(panel.title, Markup(svg(panel, f"{part.sheet.name}{i}"))) for i, panel in enumerate(part.sheet.panels)]
        for part in parts
    ]
    return environment.get_template("page.html.j2").render(
        title=_title(of),
        totals=totals(rows),
        launches=of.study.launches if of.study is not None else [],
        cwd=of.study.cwd if of.study is not None else None,
        made=_now(),
        columns=told,
        rows=rows,
        troubles=of.troubles,
        parts=list(zip(parts, drawn, strict=True)),
        result=draw.result,
        quality=draw.quality,
        mark=_mark,
        faults=faults(found),
        names=[draw.title(row, rows) for row in rows],
        versions=versions(found),
        n_measured=len(measured(found)),
    )


def page_markdown(of: Holding, found: list[Found], parts: list[Section]) -> str:
    """The same in Markdown, with the PNGs beside it."""
    rows = [one.row for one in found]
    told = [*columns(rows), *more_columns(rows)]
    lines = [f"# {markdown(_title(of))}", "", f"{totals(rows)}; {_now()}.", ""]
    lines += [markdown_row(["#", *(column.title for column in told)]), "|" + "---|" * (len(told) + 1)]
    lines += [markdown_row([number, *(column.cell(row) for column in told)]) for number, row in enumerate(rows, 1)]
    for part in parts:
        lines += ["", f"## {part.title}", "", part.text, "", f"![{part.title}]({part.sheet.name}.png)"]
        if part.fits:
            lines += ["", markdown_row([part.of, "energy per site", "points", "fit"]), "|---|---|---|---|"]
            lines += [markdown_row([fit.of, draw.result(fit), fit.n_points, draw.quality(fit.line)]) for fit in part.fits]
    if told_faults := faults(found):
        lines += ["", "## Needs attention", ""]
        for fault in told_faults:
            lines += [f"- {fault.number}, {markdown(fault.title)}: {fault.row.state}, {markdown(fault.row.why)}"]
            lines += ["", *(f"      {line}" for line in fault.log), ""]
    lines += ["", "## Commands", ""]
    if of.study is not None:
        lines += [f"From {markdown(of.study.cwd)}:", ""]
    lines += [f"    {row.command}" for row in rows if row.command]
    lines += ["", "## Versions", ""]
    for name, known in versions(found).items():
        lines.append(f"- {markdown(name)} {markdown(', '.join(known))}")
    return "\n".join(lines) + "\n"


def _title(of: Holding) -> str:
    return clean(str(of.study.name)) if of.study is not None else clean(of.folder.resolve().name)


def _mark(key: Key) -> Any:
    """The mark of a legend entry as content of an SVG of 14 x 14: a marker, or a line where there is none."""
    from markupsafe import Markup

    shapes = {
        "": '<path d="M0 7h14" stroke="{0}" stroke-width="2"/>',
        "o": '<circle cx="7" cy="7" r="4.5" fill="{0}"/>',
        "s": '<path d="M3 3h8v8H3z" fill="{0}"/>',
        "^": '<path d="M7 2l5 9H2z" fill="{0}"/>',
        "v": '<path d="M7 12l5-9H2z" fill="{0}"/>',
        "D": '<path d="M7 1.5L12.5 7 7 12.5 1.5 7z" fill="{0}"/>',
        "P": '<path d="M5.2 2h3.6v3.2H12v3.6H8.8V12H5.2V8.8H2V5.2h3.2z" fill="{0}"/>',
    }
    return Markup(shapes[key.marker].format(f"var(--{VARIABLES[key.colour]})"))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
