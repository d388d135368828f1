"""The long description of a distribution, from README.md: its relative links lead nowhere without the files beside it.

`[text](docs/page.md)` becomes its text and the name of the file, and pictures become nothing; links to other servers
stay. (`pyproject.toml`, tool.hatch.metadata.hooks.custom.)
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

ENDING = """
Files named here, such as `docs/index.md`, are those of the source distribution; `make docs` there builds the
documentation as a site. `nqs-hpc --help` describes every key and command without it.
"""
TARGET = r"\((?!\w+:|#)([^)\s]+)\)"  # of a link that is relative
FENCED = re.compile(r"^(?:```.*?^```|    [^\n]*)|`[^`\n]+`", flags=re.DOTALL | re.MULTILINE)


def long_description(readme: str) -> str:
    """``readme``, in Markdown, without relative links."""

    def text(link: re.Match[str]) -> str:
        label, target = link[1], link[2].partition("#")[0]
        return f"`{target}`" if target.endswith(label) else f"{label} (`{target}`)"

    readme = re.sub(rf"^!\[[^\]]*\]{TARGET}\n+", "", readme, flags=re.MULTILINE)
    pieces, end = [], 0
    for code in FENCED.finditer(readme):  # code has no links
        if code[0].startswith("`") and not code[0].startswith("```"):
            continue
        pieces += [re.sub(rf"\[([^\]]*)\]{TARGET}", text, readme[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*pieces, re.sub(rf"\[([^\]]*)\]{TARGET}", text, readme[end:])]) + ENDING


class LongDescription(MetadataHookInterface):
    """Sets ``readme`` of the project."""

    def update(self, metadata: dict[str, Any]) -> None:
        readme = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": long_description(readme)}
