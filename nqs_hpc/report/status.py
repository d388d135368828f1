"""``python -m nqs_hpc status DIR``: a table of the points of a sweep, or of the runs in a folder.

It reads files, only the end of metrics.jsonl, and calls squeue once; it loads neither jax nor numpy nor MPI.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from nqs_hpc.inputs.reading import harmless
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, FAULT
from nqs_hpc.report.places import RunFolders, find_runs
from nqs_hpc.report.rows import Row, flat, read_rows
from nqs_hpc.report.states import ENDED
from nqs_hpc.report.table import TRUSTED, Column, Selection, columns, declared_columns, names, select, totals
from nqs_hpc.report.values import clean
from nqs_hpc.report.words import read_words

USAGE = "python -m nqs_hpc status DIR [--watch] [--json] [--sort [-]KEY] [--filter KEY=VALUE ...]"
WATCH_SECONDS = 2.0
WIDE = 400  # columns without a terminal
COLOURS = {
    "done": "green",
    "doubtful": "yellow",
    "running": "cyan",
    "stalled": "yellow",
    "requeued": "blue",
    "queued": "blue",
    "waiting": "bright_black",
    "stopped": "magenta",
    "failed": "red",
}
# Columns that are dropped on a narrow terminal, in this order.
DISPENSABLE = ("restarts", "acceptance", "r_hat", "trust", "seconds_per_step", "v_score")


class _Request(NamedTuple):
    folder: str
    selection: Selection
    watch: bool
    as_json: bool


def status(words: list[str]) -> int:
    """Print the table; exit code 0, also if points failed, 2 for bad input, which one line on stderr names."""
    try:
        if any(word in ("-h", "--help") for word in words):
            print(USAGE, flush=True)
            return DONE
        asked = _read(words)
        if asked.as_json:
            found, rows = _look(asked)
            print(_json(found, rows))
        elif asked.watch:
            _watch(asked)
        else:
            found, rows = _look(asked)
            _console().print(view(found, rows, _console()))
        sys.stdout.flush()  # here, where errors can still be caught, not at the end of the interpreter
    except ValueError as error:
        with suppress(OSError):  # a full disk: the exit code also reports it
            print(harmless(str(error)), file=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # flushing its buffer would fail again
        if not isinstance(error, BrokenPipeError):  # `status DIR | head` is fine
            with suppress(OSError):
                print(f"the table cannot be printed: {error.strerror}", file=sys.stderr)
            return FAULT
    return DONE


def view(found: RunFolders, rows: list[Row], console: Console) -> Group:
    """The display of ``rows``: a table as wide as the console, reasons for states, and a last line."""
    shown = columns(rows)
    table = _table(shown, rows)
    for key in (*DISPENSABLE, *(column.key for column in reversed(declared_columns(rows)))):
        if Measurement.get(console, console.options.update(width=WIDE), table).minimum <= console.width:
            break
        shown = [column for column in shown if column.key != key]
        table = _table(shown, rows)
    who, lines = names(rows), []
    for row in rows:
        if row.why and row.state != "running":
            name = " ".join(filter(None, (column.cell(row) for column in who)))
            lines.append(Text.assemble((f"{row.state:9}", COLOURS[row.state]), f"{name}: ", (row.why, "dim")))
        lines += [Text.assemble((f"{'':9}{row.name}: ", "dim"), (trouble, "yellow")) for trouble in row.troubles]
    lines += [Text(trouble, "yellow") for trouble in found.troubles]
    title = found.study.name if found.study is not None else found.folder.name or str(found.folder)
    heading = Text.assemble((clean(str(title)), "bold"), ("  " + totals(rows) if rows else "  no point is left", ""))
    return Group(table, *([Text()] if lines else []), *lines, Text(), heading)


def _read(words: list[str]) -> _Request:
    folder, given, flags = read_words(
        words, "status", USAGE, with_value=("--sort", "--filter"), flags=("--watch", "--json")
    )
    filters: list[tuple[str, str]] = []
    for inside in given["--filter"]:
        key, sign, wanted = inside.partition("=")
        if not sign:
            raise ValueError(f"--filter {inside} is not valid; valid: KEY=VALUE, such as state=failed")
        filters.append((key, wanted))
    if len(flags) > 1:
        raise ValueError("--watch and --json exclude each other; valid: one of them")
    sort = given["--sort"][-1] if given["--sort"] else None
    return _Request(folder, Selection(sort, filters), "--watch" in flags, "--json" in flags)


def _look(asked: _Request) -> tuple[RunFolders, list[Row]]:
    found = find_runs(asked.folder)
    return found, select([one.row for one in read_rows(found, time.time())], asked.selection)


def _json(found: RunFolders, rows: list[Row]) -> str:
    head = {
        "folder": str(found.folder),
        "study": found.study.name if found.study is not None else None,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "troubles": found.troubles,
    }
    return json.dumps(head | {"points": [flat(row) for row in rows]}, indent=2, allow_nan=False)


def _watch(asked: _Request) -> None:
    """Show the table again every two seconds until all points have ended, or Ctrl-C."""
    console = _console()
    try:
        with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
            while True:
                found, rows = _look(asked)
                live.update(view(found, rows, console), refresh=True)
                if all(row.state in ENDED for row in rows):
                    return
                time.sleep(WATCH_SECONDS)
    except KeyboardInterrupt:
        return


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Do nothing, because Rich would end the process with code 1 here."""
        raise BrokenPipeError


def _console() -> Console:
    # a pipe has no width: nothing is cut off
    plain = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return _Console(width=WIDE if plain else shutil.get_terminal_size().columns, highlight=False, soft_wrap=False)


def _table(shown: list[Column], rows: list[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in shown:
        table.add_column(Text(column.title), justify="right" if column.is_number else "left", no_wrap=True)
    for row in rows:
        cells = []
        for column in shown:
            style = "dim" if column.key == "restarts" else ""
            if column.key == "state":
                style = COLOURS[row.state]
            elif column.key == "trust":
                style = COLOURS.get(TRUSTED.get(row.trust or "", ""), "")
            cells.append(Text(column.cell(row), style))
        table.add_row(*cells)
    return table
