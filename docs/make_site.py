"""What the site (mkdocs.yml) takes from outside of docs/.

ARCHITECTURE.md, CHANGELOG.md and benchmarks/RESULTS.md become pages. A link to another file of the repository leads to
a page with its text, so that the site needs no other server; a link to a folder becomes plain text. Each section of
docs/equations/ ends with what the module of that choice says of itself. LaTeX becomes MathML, which a browser typesets
without a script.
"""

from __future__ import annotations

import ast
import html
import os
import re
import textwrap
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/RESULTS.md": "benchmarks/results.md",
}
# the groups of choices that have a page in docs/equations/, and where the mathematics of each stands
ROOMS = {
    "hamiltonian": "operators",
    "ansatz": "ansatz",
    "sampler": "sampler",
    "optimizer": "update",
    "integrator": "integrators",
    "observable": "observables",
    "task": "tasks",
}
EQUATIONS = {f"nqs_hpc/{room}": group for group, room in ROOMS.items()}  # where a link to the folder leads
THIN = '<mspace width="0.167em" />'
LANGUAGES = {".py": "python", ".yaml": "yaml", ".sbatch": "bash", ".toml": "toml", ".md": "markdown"}
CODE = re.compile(r"^(?:```.*?^```|    [^\n]*)|`[^`\n]+`", flags=re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|`[^`]*`)*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def home(uri: str) -> PurePosixPath:
    """Where in the repository a page of the site comes from."""
    for source, page in PAGES.items():
        if page == uri:
            return PurePosixPath(source)
    return PurePosixPath("docs", uri)


def relative(target: str, uri: str) -> str:
    return os.path.relpath(target, os.path.dirname(uri) or ".")


def source_page(path: str) -> str:
    """A file of the repository as a page: its text as code, left out of the search."""
    text = (ROOT / path).read_text(encoding="utf-8")
    fence = "`" * 5
    language = LANGUAGES.get(Path(path).suffix, "text")
    return f"---\ntitle: {path}\nsearch:\n  exclude: true\n---\n\n# {path}\n\n{fence}{language}\n{text}\n{fence}\n"


def docstring(path: Path) -> str:
    """Of a module, with indented equations as fenced text, and links to papers."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    text = re.sub(r"\barXiv:([\w./-]*\w)", r"[arXiv:\1](https://arxiv.org/abs/\1)", text)
    text = re.sub(r"\bdoi:(10\.[^\s,;]*\w)", lambda doi: f"[{doi[0]}](https://doi.org/{quote(doi[1])})", text)

    def fenced(block: re.Match[str]) -> str:
        return f"```text\n{textwrap.dedent(block[0]).strip()}\n```\n"

    return re.sub(r"(?:^ {4}[^\n]*\n?(?:\n(?= {4}))?)+", fenced, text, flags=re.MULTILINE)


def module_of(group: str, choice: str) -> Path:
    """The file with the mathematics of a choice: its own, or the one that the choice names in its first line."""
    options = ROOT / "nqs_hpc" / "choices" / group / f"{choice}.py"
    said = ast.get_docstring(ast.parse(options.read_text(encoding="utf-8"))) or ""
    named = re.search(r"\(`(\w+)\.(\w+)`\)", said.partition("\n")[0])
    module = ROOT / "nqs_hpc" / (f"{named[1]}/{named[2]}.py" if named else f"{ROOMS[group]}/{choice}.py")
    return module if module.exists() else options


def with_modules(markdown: str, group: str) -> str:
    """A page of equations, each section followed by what the module of its choice says of itself, folded."""
    head, *sections = re.split(r"^(?=## )", markdown, flags=re.MULTILINE)
    page = [head]
    for section in sections:
        module = module_of(group, section[3:].partition("\n")[0].strip())
        path = module.relative_to(ROOT).as_posix()
        said = textwrap.indent(docstring(module), "    ", lambda line: True)
        page.append(
            f'{section.rstrip()}\n\n**Code.** [`{path}`](../../{path})\n\n??? quote "What it says"\n\n{said}\n\n'
        )
    return "".join(page)


def whole(markdown: str, uri: str) -> str:
    """The text of a page of docs/ with what is added to it."""
    path = PurePosixPath(uri)
    return with_modules(markdown, path.stem) if path.parent.name == "equations" else markdown


def typeset(page: str, path: str) -> str:
    """MathML in the place of LaTeX, as pymdownx.arithmatex leaves it in a page."""

    def mathml(match: re.Match[str]) -> str:
        latex = html.unescape(match[2])
        made = convert(latex, display="block" if match[1] == "div" else "inline")
        if "\\" in html.unescape(made):
            raise PluginError(f"{path}: no MathML of {latex}")
        # a thin space behind the name of a function, as LaTeX has it
        return re.sub(r"(<mi>(?:log|exp|sin|cos|cosh|det)</mi>)(?!<mo[^>]*>&#x00028;)", rf"\1{THIN}", made)

    return re.sub(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', mathml, page, flags=re.DOTALL)


def links(markdown: str, uri: str) -> tuple[str, set[str]]:
    """The text of a page with its links as the site has them, and the files they lead to outside of it."""
    files: set[str] = set()

    def site_link(match: re.Match[str]) -> str:
        label, target, anchor = match[1], match[2], match[3] or ""
        path = os.path.normpath(home(uri).parent / target)
        there = ROOT / path
        if path.startswith("..") or not there.exists():
            return match[0]  # mkdocs reports it
        if label == target and target.endswith(".md"):  # the name of a file says less than that of its page
            label = there.read_text(encoding="utf-8").split("# ", 1)[1].splitlines()[0]
        if path in PAGES:
            return f"[{label}]({relative(PAGES[path], uri)}{anchor})"
        if path.startswith("docs/") and there.is_file() and there.suffix != ".py":
            return f"[{label}]({relative(path.removeprefix('docs/'), uri)}{anchor})"
        if path in EQUATIONS:
            return f"[{label}]({relative(f'equations/{EQUATIONS[path]}.md', uri)})"
        if there.is_dir():
            return label
        files.add(path)
        return f"[{label}]({relative(f'source/{path}.md', uri)})"

    pieces, end = [], 0
    for code in CODE.finditer(markdown):  # what stands in code is no link, but a label may be code
        if code[0].startswith("`") and not code[0].startswith("```"):
            continue
        pieces += [LINK.sub(site_link, markdown[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*pieces, LINK.sub(site_link, markdown[end:])]), files


def in_one_line(page: str) -> str:
    """|ψ|² and its like stay in one line: a browser breaks behind a bar. Attributes are left as they are."""
    whole = r'<span class="whole">\g<0></span>'
    return re.sub(r">[^<]+", lambda text: re.sub(r"\|[^\s|<>]{1,12}\|²?", whole, text[0]), page)


def on_page_markdown(markdown, page, config, files):
    if page.file.src_uri.startswith("source/"):
        return markdown
    return links(whole(markdown, page.file.src_uri), page.file.src_uri)[0]


def on_files(files, config):
    """Pages from outside of docs/, and those of the source files that any page leads to."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    wanted: set[str] = set()
    for file in files.documentation_pages():
        wanted |= links(whole(file.content_string, file.src_uri), file.src_uri)[1]
    for path in sorted(wanted):
        files.append(File.generated(config, f"source/{path}.md", content=source_page(path)))
    return files


def on_config(config):
    """Without 404.html, whose links are absolute: the site has no address that they could begin with."""
    config.theme.static_templates.discard("404.html")
    return config


def on_page_content(content, page, config, files):
    return in_one_line(typeset(content, page.file.src_uri))
