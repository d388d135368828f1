"""The documents are true of the code: tables are the generated ones, commands parse, links and messages exist."""

import ast
import json
import re
import runpy
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import nqs_hpc
from nqs_hpc.choices import names
from nqs_hpc.cli.command import main
from nqs_hpc.config.commands import COMMANDS
from nqs_hpc.config.compose import compose
from nqs_hpc.config.explain import explained
from nqs_hpc.config.identity import to_plain
from nqs_hpc.sweep.points import parsed_points

ROOT = Path(__file__).parents[1]
MANUAL = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKED = [*MANUAL, ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", ROOT / "benchmarks" / "RESULTS.md"]


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_keys_are_the_generated_ones():
    page = runpy.run_path(str(ROOT / "docs" / "make_keys.py"))["page"]
    assert text("docs/keys.md") == page()  # else: python docs/make_keys.py


def test_readme_is_short():
    assert len(text("README.md").splitlines()) <= 150


def test_citation_is_of_this_version():
    assert f"\nversion: {nqs_hpc.__version__}\n" in text("CITATION.cff")


def test_every_network_has_been_run_with_every_model():
    rows = re.findall(r"^\| `(\w+)` \|", text("docs/what_runs.md"), flags=re.MULTILINE)
    assert sorted(rows) == sorted(names("ansatz"))  # else: python benchmarks/what_runs.py NAME


def test_site_leads_to_every_page():
    """`make docs` asks this too, and much more, but is not part of the tests."""
    contents = text("mkdocs.yml").split("\nnav:\n")[1]
    for file in MANUAL[1:]:
        page = file.relative_to(ROOT / "docs").as_posix()
        assert f": {page}\n" in contents, f"mkdocs.yml does not lead to docs/{page}"


@pytest.mark.parametrize("file", LINKED, ids=name)
def test_lists_are_the_same_on_the_site(file):
    """What GitHub takes for (a part of) a list, Python-Markdown takes for it only with four spaces and a blank line."""
    document = re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"\n\n(?:(?: {4})* {1,3})[^\s].*", document) == []
    assert re.findall(r"\n[^\s\-\d][^\n]*\n- .*", document) == []


# --- commands ---


def commands(document: str) -> list[list[str]]:
    """The overrides of every `python -m nqs_hpc` or `nqs-hpc` line in an indented block."""
    found = []
    for line in document.replace("\\\n", " ").splitlines():
        start = re.match(r"    (?!\$)(?:.* )?(?:python -m nqs_hpc|nqs-hpc)(?= |$)", line)
        if start:
            words = shlex.split(line[start.end() :], comments=True)
            if words[:1] == ["submit"]:  # its options are its own, its keys those of a job
                words = [word for word in words[1:] if not word.startswith("--")]
            if words[:1] == ["export"]:  # of a run, or of a configuration, to files
                words = words[1 : next(i for i, word in enumerate(words) if word.startswith("--"))]
                words = [] if len(words) == 1 and "=" not in words[0] else words
            if not words or words[0] not in COMMANDS or COMMANDS[words[0]].takes == "keys":
                found.append(words)
    return found


def test_commands_are_found():
    assert sum(len(commands(text(name(file)))) for file in MANUAL) >= 30


@pytest.mark.parametrize("file", MANUAL, ids=name)
def test_commands_are_good_input(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    document = file.read_text(encoding="utf-8")
    for name, here_document in re.findall(r"cat > (\S+) <<'END'\n(.*?)    END\n", document, flags=re.DOTALL):
        (tmp_path / name).write_text(here_document)
    for words in commands(document):
        if words[:1] == ["-m"]:
            assert main([*words, "hydra.launcher.dry_run=true"]) == 0
        elif words[:1] == ["--help"]:
            explained(words[1:])
        elif words[:1] == ["reproduce"]:
            if words[1].endswith(".yaml") or not {"--list", "--compare"}.isdisjoint(words):
                continue  # a file of the reader's; what starts nothing
            assert main([*words, "--dry-run"]) == 0
        elif words[:1] == ["sectors"]:
            for point in parsed_points(words[1:]):
                compose(point, 1)
        else:
            config = compose(words, 4 if "mpiexec" in " ".join(words) else 1)
            if config.run_dir is not None:  # later commands of the page can name this run
                (folder := tmp_path / config.run_dir / "checkpoints").mkdir(parents=True, exist_ok=True)
                (folder / "step_00000001.h5").touch()
                (folder.parent / "config.yaml").write_text(json.dumps(to_plain(config)))


# --- figures ---


def test_faults_are_counted():
    words = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-m", "faults", "tests/faults"]
    collected = subprocess.run(words, cwd=ROOT, capture_output=True, text=True).stdout
    (count,) = re.findall(r"<!-- faults -->(\d+)<!-- /faults -->", text("docs/restart.md"))
    assert int(count) == sum("::test_" in line for line in collected.splitlines()), collected[-500:]


def test_measured_errors_are_those_of_the_results():
    """Relative errors and seconds in docs/measured.md, against the tables of benchmarks/RESULTS.md."""
    measured = {}
    for line in text("benchmarks/RESULTS.md").split("## Against NetKet")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 10 and "±" in cells[1]:
            measured[cells[0]] = (f"{abs(float(cells[2])):.1e}", cells[8])
    shown = {}
    for line in text("docs/measured.md").split("## Accuracy")[1].split("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[1] in measured:
            shown[cells[1]] = (f"{float(cells[2]):.1e}", cells[3])
    assert shown == measured


# --- links ---


def targets(document: str) -> list[str]:
    """What a document links to or shows, without other people's pages."""
    document = re.sub(r"^(?:```.*?^```|    [^\n]*)", "", document, flags=re.DOTALL | re.MULTILINE)  # code
    found = re.findall(r"\]\(([^)\s]+)\)|src(?:set)?=\"([^\"]+)\"", document)
    return sorted({one or other for one, other in found if not (one or other).startswith(("http:", "https:"))})


@cache
def anchors(file: Path) -> set[str]:
    """The anchors that GitHub gives the headings of a document."""
    document = re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ +(.*?)\s*$", document, flags=re.MULTILINE)
    found: set[str] = set()
    for heading in headings:
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        copies = [slug, *(f"{slug}-{number}" for number in range(1, len(headings)))]
        found.add(next(name for name in copies if name not in found))
    return found


def broken(file: Path) -> list[str]:
    """The links of a document that lead nowhere."""
    found = []
    for target in targets(file.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        there = (file.parent / path).resolve() if path else file
        inside = there.is_relative_to(ROOT) and there.exists()
        if not inside or (anchor and anchor not in anchors(there)):
            found.append(target)
    return found


@pytest.mark.parametrize("file", LINKED, ids=name)
def test_links_lead_somewhere(file):
    assert broken(file) == []


def test_broken_links_are_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / "b.md").write_text("# One `two`, three\n\n## Again\n\n## Again\n")
    (tmp_path / "a.md").write_text(
        "[x](b.md) [x](b.md#one-two-three) [x](b.md#again-1) [x](#no) [x](c.md) [x](../d)\n"
        '[x](b.md#two) <img src="e.png"> [x](https://a.b/c)\n\n    [x](f.md)\n'
    )
    assert broken(tmp_path / "a.md") == ["#no", "../d", "b.md#two", "c.md", "e.png"]


# --- messages ---

# what stands in docs/messages.md for the case at hand: values, names of files, numbers; then texts that are not ours
PLACEHOLDER = re.compile(
    r"…|\b(?:KEY|VALUE|FOLDER|FILE|NAME|HOST|PACKAGE|LEAF|WHY|SAVE|[NMR]|[abxy])\b"
    r"|[\w/]*\.(?:lock|h5|yaml|jsonl)\b|\b[\d.]+\b|->|[=:;,().\[\]/_]"
)
NOT_OURS = ("Timeout (0:05:00)!", "world.py", "jax 1.2, before 1.1: …")


@cache
def strings() -> str:
    """Every text in the package and its launchers, the places of values in them empty."""
    found = []
    for folder in ("nqs_hpc", "hydra_plugins"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            found += [
                node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
            ]
    return "\n".join(found)


def messages() -> list[str]:
    """The messages that docs/messages.md explains: what stands as code in the first column."""
    found = []
    for line in text("docs/messages.md").split("## Finished")[1].splitlines():
        if line.startswith("| `"):
            found += re.findall(r"`([^`]+)`", re.split(r"(?<!\\)\|", line)[1])
    return [message for message in found if message not in NOT_OURS]


def test_messages_are_found():
    assert len(messages()) > 50


@pytest.mark.parametrize("message", messages())
def test_messages_are_those_of_the_package(message):
    for piece in PLACEHOLDER.split(message):
        piece = piece.strip()
        assert piece in strings(), f"no message of nqs_hpc has the words {piece!r}: mend docs/messages.md"
