"""The report as files for other programs: all columns as CSV, and the page as Markdown."""

from __future__ import annotations

import csv
import io
from typing import Any

from nqs_hpc.report.chapters import OF_FINISHED, Content
from nqs_hpc.report.extrapolation import quality, result
from nqs_hpc.report.rows import Row, flat
from nqs_hpc.report.table import totals
from nqs_hpc.report.varbench import markdown, markdown_row

APART = ("name", "swept")  # fields of a row with separate columns


def table_csv(rows: list[Row], more: dict[str, dict[str, str]] | None = None) -> str:
    """All columns of all rows with all digits; unknown values are empty. ``more``: columns by title, with values by
    point.
    """
    more = more or {}
    keys = list(dict.fromkeys(key for row in rows for key in row.swept))
    all_values = [flat(row) | {"troubles": "; ".join(row.troubles)} for row in rows]
    fields = [name for name in dict.fromkeys(key for values in all_values for key in values) if name not in APART]
    file = io.StringIO()
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(["point", *map(_cell, keys), *fields, *more])
    for row, values in zip(rows, all_values, strict=True):
        cells = [row.name, *(row.swept.get(key) for key in keys), *(values.get(name) for name in fields)]
        lines.writerow(map(_cell, [*cells, *(column.get(row.name, "") for column in more.values())]))
    return file.getvalue()


def _cell(value: Any) -> Any:
    """A value as a cell; a text that a spreadsheet would evaluate gets an apostrophe in front."""
    if not isinstance(value, str) or not value.lstrip().startswith(("=", "+", "-", "@")):
        return value
    try:
        float(value)  # "-1" is a number, even as text
    except ValueError:
        return f"'{value}"
    return value


def page_markdown(page: Content) -> str:
    """The content of the page, with links to the PNGs beside it."""
    lines = [f"# {markdown(page.title)}", "", f"{totals(page.rows)}; {page.made}.", ""]
    lines += _table(["#", *(column.title for column in page.columns)])
    for number, row in enumerate(page.rows, 1):
        lines.append(markdown_row([number, *(column.cell(row) for column in page.columns)]))
    for part in page.sections:
        lines += ["", f"## {part.title}", "", part.text, "", f"![{part.title}]({part.sheet.name}.png)"]
        for note in part.notes:
            lines += ["", markdown(note)]
        if part.table[1]:
            lines += ["", *_table(part.table[0]), *(markdown_row(cells) for cells in part.table[1])]
        if part.fits:
            lines += ["", *_table([part.of, "energy per site", "points", "fit"])]
        for fit in part.fits:
            lines.append(markdown_row([fit.of, result(fit), fit.n_points, quality(fit)]))
    if page.faults:
        lines += ["", "## Needs attention"]
    for fault in page.faults:
        lines += ["", f"- {fault.number}, {markdown(fault.title)}: {fault.row.state}, {markdown(fault.row.why)}"]
        lines += ["", *(f"      {line}" for line in fault.log)]
    lines += ["", "## Commands", "", OF_FINISHED, "", *([f"From {markdown(page.cwd)}:", ""] if page.cwd else [])]
    lines += [f"    {command}" for command in dict.fromkeys(row.command for row in page.rows) if command]
    lines += ["", "## Versions", ""]
    lines += [f"- {markdown(name)} {markdown(', '.join(known))}" for name, known in page.versions.items()]
    return "\n".join(lines) + "\n"


def _table(titles: list[str]) -> list[str]:
    return [markdown_row(titles), "|" + "---|" * len(titles)]
