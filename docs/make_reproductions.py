"""Writes the tables of docs/reproductions.md from conf/reproduction: `python docs/make_reproductions.py`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run as a script, this checkout is the one described

from nqs_hpc.reproduce.described import names, read_known
from nqs_hpc.reproduce.found import recorded
from nqs_hpc.reproduce.table import OF_ALL, linked, markdown, page_of, row_of

PAGE = Path(__file__).with_name("reproductions.md")


def tables() -> dict[str, str]:
    """What stands between `<!-- NAME -->` and `<!-- /NAME -->`."""
    every = [read_known(name) for name in names()]
    overview = [(name, linked(one.source), *rest) for one in every for name, _, *rest in [row_of(one)]]
    run = []
    for one in every:
        if one.measured is not None:
            head = f"**{one.name}**, {one.measured.date}, {one.measured.machine}:"
            there = [outcome for outcome in recorded(one) if outcome.ours is not None]
            run.append(f"{head}\n\n{page_of(there)}")
    return {"list": markdown(OF_ALL, overview), "measured": "\n\n".join(run)}


def page(text: str) -> str:
    """``text`` with the tables of today."""
    for name, table in tables().items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        text = re.sub(f"{begin}.*?{end}", lambda _, new=f"{begin}\n\n{table}\n\n{end}": new, text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
