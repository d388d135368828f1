"""What the documents show has been run: each command, each line of output, each measured number.

The records are those of benchmarks/documents.py. Where this fails, run `python benchmarks/documents.py PAGE` and put
what it printed into the page; a number that another program measured belongs into benchmarks/RESULTS.md.
"""

import ast
import json
import operator
import re
import sys
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import documents

from nqs_hpc.stats import trust

ROOT = documents.ROOT
REASONS = ("needs jVMC", "needs DeepQMC", "needs MLflow", "needs a queue", "does not end by itself")
# Other pages print their numbers from these; reproductions.md is written from conf/reproduction (tests/reproduce).
SOURCES = ["benchmarks/RESULTS.md", "tests/data/**/*", "conf/**/*.yaml"]
EXPONENT = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
# three decimals and more, an error in brackets, a power of ten
NUMBER = re.compile(r"(?<![\w.])(?:\d+\.\d+\(\d+\)|\d+(?:\.\d+)?e-?\d+|\d+\.\d{3,}(?![\d(e]))(?!\w)")
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def entries(page: Path) -> list[dict]:
    file = documents.record(page)
    return json.loads(file.read_text(encoding="utf-8"))["entries"] if file.exists() else []


def shown(page: Path) -> str:
    """The text of a page, what readers do not see left out."""
    return re.sub(r"<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def lines(entry: dict) -> list[str]:
    """What a command printed, and what it left to be read."""
    return [*entry["output"], *entry.get("report", []), *map(str, entry.get("exact", [])), str(entry.get("trust", ""))]


# --- commands ---


@pytest.mark.parametrize("page", documents.PAGES, ids=name)
def test_every_command_was_run(page):
    recorded = {entry["command"]: entry["exit_code"] for entry in entries(page)}
    for block in documents.blocks(page.read_text(encoding="utf-8")):
        if block.not_run is not None:
            assert block.not_run in REASONS
            ours = (
                [one for one in documents.commands(block.text) if documents.is_ours(one)]
                if block.language == "sh"
                else []
            )
            assert all(re.search(r"\bsubmit\b|slurm", one) for one in ours), ours
        elif block.language == "python":
            assert recorded.get(block.text.strip()) == 0, block.text
        else:
            for command in documents.commands(block.text):
                if not documents.foreign(command):
                    code = recorded.get(documents.key(command))
                    assert code == (2 if block.language == "refused" else 0), f"{code}: {documents.key(command)}"


@pytest.mark.parametrize("page", documents.PAGES, ids=name)
def test_blocks_are_of_languages_that_are_looked_at(page):
    found = re.findall(r"^ *```([^\n]*)\n.*?^ *```$", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    assert {*found} <= {"sh", "python", "text", "yaml"}


def test_records_do_not_say_where_they_were_made():
    for file in documents.RECORDS.glob("*.json"):
        text = json.dumps(json.loads(file.read_text(encoding="utf-8")), ensure_ascii=False)
        assert re.findall(r"(?<![\w.~/-])/(?:tmp|root|home|work|scratch)/[^\s\"]*", text) == [], file.name


def test_commands_and_blocks_are_found():
    page = (
        "words\n\n    python -m nqs_hpc a=1    # said\n    cat > x <<'END'\n    it's\n    END\n\n"
        "- a list\n\n        mpiexec -n 2 nqs-hpc \\\n            b=2\n\n    goes on\n\n"
        "```text\n$ nqs-hpc c=3\nno\n```\n"
        "<!-- not run: needs a queue -->\n\n```sh\nnqs-hpc d=4\n```\n<!-- first: nqs-hpc e=5 -->\n    $ nqs-hpc f=6\n"
        "\n    OMP_NUM_THREADS=1 python -m nqs_hpc g=7\n"
    )
    found = [
        (block.language, documents.key(command), block.not_run)
        for block in documents.blocks(page)
        for command in documents.commands(block.text)
    ]
    assert found == [
        ("sh", "python -m nqs_hpc a=1", None),
        ("sh", "cat > x <<'END'\nit's\nEND", None),
        ("sh", "mpiexec -n 2 nqs-hpc b=2", None),
        ("refused", "nqs-hpc c=3", None),
        ("sh", "nqs-hpc d=4", "needs a queue"),
        ("sh", "nqs-hpc e=5", None),
        ("refused", "nqs-hpc f=6", None),
        ("sh", "OMP_NUM_THREADS=1 python -m nqs_hpc g=7", None),
    ]


# --- output ---


def words(line: str) -> str:
    return " ".join(line.split())


@pytest.mark.parametrize("page", documents.PAGES, ids=name)
def test_every_line_of_output_was_printed(page):
    printed = [words(line) for entry in entries(page) for line in lines(entry)]
    page_text = re.sub(
        r"<!-- not run: needs a queue -->\s*```text\n.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    for text in re.findall(r"^ *```text\n(.*?)^ *```$", page_text, flags=re.DOTALL | re.MULTILINE):
        assert missing(text, printed) is None


def missing(text: str, printed: list[str]) -> str | None:
    """The first line of a block of output that does not follow those before it in what was printed; None: all do.

    `…` stands for lines that are left out, and after twelve characters or more for the rest of a line. Trees of files
    and commands are no output.
    """
    at = 0
    for line in map(words, text.splitlines()):
        if line in ("", "…") or line[0] in "$├└│" or (line == words(text.splitlines()[0]) and "├──" in text):
            continue
        start, cut, _ = line.partition("…")
        if cut and len(start) < 12:
            return line
        found = [i for i, one in enumerate(printed[at:], at) if (one.startswith(start) if cut else one == start)]
        if not found:
            return line
        at = found[0] + 1
    return None


def test_lines_that_were_not_printed_are_found():
    printed = ["started", "a b 1.0 2.0 and more", "a b 3.0", "done: 3"]
    assert missing("started\n…\na  b 1.0 2.0 a…\ndone: 3\n", printed) is None
    assert missing("done: 3\nstarted\n", printed) == "started"
    assert missing("a b 3.0\na b 3.0\n", printed) == "a b 3.0"
    assert missing("a b 1…\n", printed) == "a b 1…"
    assert missing("runs/x\n├── a  words\ndone: 4\n", printed) == "done: 4"


# --- numbers ---


DECIMAL = r"\d+\.\d+(?:\(\d+\))?(?:e[+-]?\d+)?|\d+e-?\d+"


def plain(text: str) -> str:
    """With a hyphen as minus, and powers of ten as a program prints them: 1.8e-4."""
    text = text.replace("−", "-").replace("_", "")
    text = re.sub(r" ?· ?10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)", lambda power: f"e{power[1].translate(EXPONENT)}", text)
    return re.sub(r"(?<=\d)e([-+]?)0*(?=\d)", lambda sign: f"e{sign[1].strip('+')}", text)


@cache
def known() -> frozenset[str]:
    """Every number of the sources, by its digits."""
    files = [file for pattern in SOURCES for file in sorted(ROOT.glob(pattern)) if file.is_file()]
    text = plain("\n".join(file.read_text(encoding="utf-8", errors="replace") for file in files))
    return frozenset(re.findall(DECIMAL, text))


def value(number: str) -> float:
    return float(re.sub(r"\(\d+\)", "", number))


def half_a_digit(number: str) -> float:
    mantissa, _, power = re.sub(r"\(\d+\)", "", number).partition("e")
    return 0.5001 * 10.0 ** (int(power or 0) - len(mantissa.partition(".")[2]))


PI = 3.14159265359


def calculated(text: str, measured: frozenset[str]) -> set[str]:
    """Numbers that a comment of the page derives from measured ones: `<!-- 1.9e-4 = 1.273240 - 1.273054 -->`."""
    found: set[str] = set()
    for result, formula in re.findall(r"<!-- (\S+) = ([-+*/() \d.e]+) -->", text):
        operands = [one for one in re.findall(DECIMAL, formula) if float(one) != PI]
        there = [
            any(abs(value(each) - float(one)) <= half_a_digit(one) for each in measured | found) for one in operands
        ]
        made = abs(abs(evaluated(ast.parse(formula, mode="eval").body)) - value(result)) <= half_a_digit(result)
        if all(there) and made and "(" not in result:
            found.add(result)
    return found


def test_numbers_are_derived_from_measured_ones_only():
    measured = frozenset({"1.2730(2)", "4.5"})
    right = "<!-- 5.773 = 1.2730 + 4.5 --> <!-- 1.2732 = 4 / 3.14159265359 -->"
    wrong = "<!-- 5.774 = 1.2730 + 4.5 --> <!-- 9.5 = 9.5 * 1 --> <!-- 4.5(1) = 4.5 * 1 -->"
    assert calculated(right, measured) == {"5.773", "1.2732"}
    assert calculated(wrong, measured) == set()


def evaluated(node: ast.expr) -> float:
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](evaluated(node.left), evaluated(node.right))
    assert isinstance(node, ast.Constant), ast.dump(node)
    return float(node.value)


# not measured by us: inches of a journal's column, a critical field (Blöte and Deng 2002), a limit of a check
GIVEN = {"3.375", "3.044", str(trust.STILL_MOVING)}
GENERATED = ["docs/reproductions.md"]  # its tables: tests/reproduce
SUMMARIES = ["README.md", "docs/measured.md"]  # of RESULTS.md, whose numbers they round


@pytest.mark.parametrize("page", [page for page in documents.PAGES if name(page) not in GENERATED], ids=name)
def test_every_number_was_measured_or_is_known(page):
    """As it stands here, or rounded from what a command of the page printed."""
    printed = plain("\n".join(line for entry in entries(page) for line in lines(entry)))
    here = frozenset(re.findall(DECIMAL, printed))
    text = re.sub(r"arXiv:[\w./-]+|https?://\S+|doi:\S+", "", shown(page))
    if name(page) in SUMMARIES:
        here |= frozenset(re.findall(DECIMAL, plain((ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8"))))
    derived = calculated(page.read_text(encoding="utf-8"), here | known())
    for number in NUMBER.findall(plain(text)):
        rounded = any(abs(value(one) - value(number)) <= half_a_digit(number) for one in here)
        assert number in known() | derived | GIVEN or rounded, f"{number}: nothing printed it"


def test_readme_measures_what_the_page_does():
    """Factors and seconds of README.md stand in docs/measured.md."""
    said = shown(ROOT / "README.md").split("## Measured\n")[1].split("\n## ")[0]
    measured = shown(ROOT / "docs" / "measured.md")
    numbers = re.findall(r"(?<![\w.×*-])\d+\.\d+(?:e-\d+)?", re.sub(r"NetKet [\d.]+|\S+×\S+", "", said))
    assert len(numbers) >= 4
    for number in numbers:
        assert number in measured, number
