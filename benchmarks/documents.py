"""Runs every command and every Python block of a page of the documents, and keeps what they printed.

    python benchmarks/documents.py docs/networks.md README.md       # or --all

Blocks run in the order of the page, in an empty folder of their own, with the environment of this interpreter. A block
is a fence of sh or python, or lines indented by four spaces that begin with a command; behind `$ ` stand commands that
are refused, with their message. A page says in comments, which readers do not see, what differs:

    <!-- whole page -->         its runs are made whole, because it prints their numbers
    <!-- whole -->              those of the block behind it
    <!-- first: COMMANDS -->    what a reader has at this place from elsewhere
    <!-- not run: REASON -->    of the block behind it

Runs of other pages are made for a few steps and samples (``small``). What asks for a queue is run dry. Commands of the
machine and not of this program (``FOREIGN``) are not run.

The record of a page is benchmarks/documents/PAGE.json: each command, the words it was run with where these differ, its
exit code, seconds and output, of a report its text, of a run the exact energy that it knows and its verdict.
tests/test_traced.py asks that each command of a page is in its record, and that each number and each line of output
that the page shows is there, or in RESULTS.md, or in a test.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECORDS = ROOT / "benchmarks" / "documents"
# of the generated pages the commands are examples of keys; those of equations have none
PAGES = [
    path
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if path.name not in ("keys.md",) and path.parent.name != "equations"
]
OURS = ("python -m nqs_hpc", "nqs-hpc")
FOREIGN = (
    "make",
    "apt",
    "module",
    "source",
    "srun",
    "sbatch",
    "mlflow",
    "tensorboard",
    ".venv/bin/pip",
    "pip",
    "conda",
)
COMMAND = re.compile(
    rf"(?:# |(?:[A-Z_]+=\S+ )*(?:{'|'.join(map(re.escape, FOREIGN))}|python|mpiexec|nqs-hpc|cat|printf|mkdir|touch)\b)"
)
LONGEST = 1800.0  # seconds of a command
MOST_LINES = 400  # of an output that are kept, the last ones

SAMPLER = {"n_chains": "16", "n_samples": "64", "warmup": "2"}
SMALL = {
    "ground_state": {"n_steps": "4", "final_samples": "64", "second_samples": "0"},
    "excited_state": {"n_steps": "4", "final_samples": "64", "second_samples": "0"},
    "foundation": {"n_steps": "4", "final_samples": "64"},
    "evaluate": {"samples": "128"},
    "dynamics": {"t_end": "0.02", "spacing": "0.01"},
}


@dataclass(frozen=True)
class Block:
    """A piece of a page that can be run: its language, its text, and why it is not, if it is not."""

    language: str  # sh or python; refused: a command that ends with exit code 2
    text: str
    not_run: str | None = None
    whole: bool = False


def blocks(page: str) -> list[Block]:
    """What a reader of the page runs, in its order."""
    found: list[Block] = []
    not_run, whole, page_whole = None, False, "<!-- whole page -->" in page
    piece = re.compile(
        r"^<!-- (?P<word>first|not run|whole)(?:: (?P<said>.*?))? -->$"
        r"|^ {4,}\$ (?P<prompt>[^\n]*)$"
        r"|^ *```(?P<language>\w*)[^\n]*\n(?P<fenced>.*?)^ *```$"
        rf"|^(?P<margin> {{4,}})(?P<indented>(?={COMMAND.pattern})[^\n]*\n(?:\n*(?P=margin)[^\n]*\n)*)",
        flags=re.DOTALL | re.MULTILINE,
    )
    for match in piece.finditer(page):
        if match["word"] == "first":
            found.append(Block("sh", match["said"] + "\n", None, page_whole or whole))
            continue
        if match["word"] is not None:
            not_run, whole = (match["said"], whole) if match["said"] else (not_run, True)
            continue
        if match["indented"] is not None:
            pieces = [("sh", match["indented"].replace(f"\n{match['margin']}", "\n"))]
        elif match["prompt"] is not None:
            pieces = [("refused", f"{match['prompt']}\n")]
        elif match["language"] in ("sh", "python"):
            pieces = [(match["language"], match["fenced"])]
        else:
            shown = re.findall(r"^\$ (.*)$", match["fenced"], flags=re.MULTILINE)
            pieces = [("refused", f"{line}\n") for line in shown]
        found += [Block(language, text, not_run, page_whole or whole) for language, text in pieces]
        not_run, whole = None, False
    return found


def commands(script: str) -> list[str]:
    """The commands of a script: lines, with what belongs to them (that go on, here-documents, quoted texts)."""
    found, pending, until = [], "", None
    for line in script.splitlines(keepends=True):
        pending += line
        if until is not None:
            until = None if line.strip() == until else until
        elif here := re.search(r"<<'(\w+)'", line):
            until = here[1]
        quoted = "<<" not in pending and any(uncommented(pending).count(mark) % 2 for mark in "\"'")
        if until is None and not quoted and not pending.endswith("\\\n"):
            found.append(pending)
            pending = ""
    if pending.strip():
        raise ValueError(f"a command without an end: {pending}")
    return [command for command in found if command.strip() and not command.startswith("#")]


def uncommented(command: str) -> str:
    return re.sub(r"(?:^|\s)#\s.*", "", command, flags=re.MULTILINE)


def key(command: str) -> str:
    """What names a command in a record: its words, without a comment behind it."""
    if "<<" in command:
        return command.strip()
    text = uncommented(command.replace("\\\n", " ")).strip()
    return text if "\n" in text else " ".join(text.split())


def is_ours(command: str) -> bool:
    return any(re.search(rf"(?:^| ){re.escape(word)}(?= |$)", key(command)) for word in OURS) and "<<" not in command


def foreign(command: str) -> bool:
    """A command of the machine; of ours only what srun starts, which needs a cluster."""
    first = next(word for word in command.split() if not re.fullmatch(r"[A-Z_]+=\S+", word))
    return first in FOREIGN and (not is_ours(command) or first == "srun")


# --- how a command is run ---


def words_of(command: str) -> tuple[str, list[str]]:
    """What starts the program, and its words."""
    text = key(command)
    start = re.match(rf"(.*?(?:{'|'.join(map(re.escape, OURS))}))(?: |$)", text)
    assert start is not None
    return start[1], shlex.split(text[start.end() :])


def shortened(command: str) -> str:
    """A job of ours for a few steps and samples, and without a queue; other commands as they are."""
    from nqs_hpc.config.commands import COMMANDS

    start, words = words_of(command)
    first = words[0] if words else ""
    if first == "submit" and "--dry-run" not in words:
        words.insert(1, "--dry-run")
    if first == "reproduce" and not {"--list", "--compare", "--dry-run"} & {*words}:
        words.append("--dry-run")
    if "hydra/launcher=slurm" in words and "hydra.launcher.dry_run=true" not in words:
        words.append("hydra.launcher.dry_run=true")
        return f"{start} {shlex.join(words)}"
    if not first or first.startswith("--") or (first in COMMANDS and first != "-m"):
        return f"{start} {shlex.join(words)}" if words != words_of(command)[1] else command
    return f"{start} {shlex.join(small(words))}"


def small(words: list[str]) -> list[str]:
    """The same job or sweep, for a few steps and samples."""
    given = dict(word.split("=", 1) for word in words if "=" in word)
    if "experiment" in given:
        experiment = (ROOT / "conf" / "experiment" / f"{given['experiment'].split(',')[0]}.yaml").read_text(
            encoding="utf-8"
        )
        chosen = dict(re.findall(r"^  - override /(\w+): (\w+)", experiment, flags=re.MULTILINE))
        given = chosen | given
    task, sampler = given.get("task", "ground_state"), given.get("sampler", "metropolis")
    size = {f"task.{name}": value for name, value in SMALL[task].items()}
    if task != "evaluate" and sampler != "enumerate":
        wanted = SAMPLER if sampler in ("metropolis", "tempering") else {"n_samples": SAMPLER["n_samples"]}
        size |= {f"sampler.{name}": value for name, value in wanted.items()}
    kept = [word for word in words if word.split("=")[0] not in size]
    return kept + [f"{name}={value}" for name, value in size.items()]


def environment(folder: Path) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    cache = os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(Path.home() / ".cache" / "nqs_hpc" / "xla")
    own = {"PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(folder), "JAX_COMPILATION_CACHE_DIR": cache}
    return os.environ | own


def run_page(page: Path, folder: Path) -> dict[str, object]:
    """The record of a page."""
    text = page.read_text(encoding="utf-8")
    entries: list[dict[str, object]] = []
    for block in blocks(text):
        if block.not_run is not None:
            continue
        if block.language == "python":
            (folder / "block.py").write_text(block.text)
            entries.append(ran(block.text.strip(), "python block.py", folder))
            continue
        for command in commands(block.text):
            if not foreign(command):
                as_it_stands = not is_ours(command) or (block.whole and "hydra/launcher=slurm" not in command)
                run = command if as_it_stands or block.language == "refused" else shortened(command)
                entries.append(ran(key(command), run, folder))
                said = "{exit_code}  {seconds} s  {command}".format(**entries[-1])
                print(f"{page.name}: {said}"[:140], flush=True)
    packages = ("nqs_hpc", "jax", "numpy", "mpi4py", "mpi4jax")
    return {
        "page": page.relative_to(ROOT).as_posix(),
        "date": datetime.date.today().isoformat(),
        "versions": {name: metadata.version(name) for name in packages},
        "entries": entries,
    }


def ran(name: str, command: str, folder: Path) -> dict[str, object]:
    begun, env = time.monotonic(), environment(folder)
    try:
        words = ["bash", "-c", command]
        done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=LONGEST)
        code, output = done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired as expired:
        code, output = 124, (expired.stdout or b"").decode() + (expired.stderr or b"").decode()
    lines = placeless(output, folder).splitlines()
    entry: dict[str, object] = {"command": name}
    if key(command) != name and command != "python block.py":
        entry["run"] = key(command)
    seconds = round(time.monotonic() - begun, 1)
    entry |= {"exit_code": code, "seconds": seconds, "output": [line.rstrip() for line in lines[-MOST_LINES:]]}
    pages = [folder / line.replace("index.html", "report.md") for line in lines if line.endswith("/report/index.html")]
    if pages and pages[-1].is_file():
        entry["report"] = [
            line for line in placeless(pages[-1].read_text(encoding="utf-8"), folder).splitlines() if line
        ]
    runs = [folder / line.partition(": new, ")[0] for line in lines if ": new, " in line]
    if exact := [read(run / "reference.json").get("energy") for run in runs if (run / "reference.json").is_file()]:
        entry["exact"] = exact
    if trusts := [read(run / "summary.json").get("trust") for run in runs if (run / "summary.json").is_file()]:
        entry["trust"] = trusts
    return entry


def placeless(text: str, folder: Path) -> str:
    """Without the places where this was run."""
    for place, name in (
        (f"{folder}/", ""),
        (str(folder), "."),
        (str(folder).replace("_", "\\_"), "."),
        (str(ROOT), "CHECKOUT"),
        (str(Path.home()), "~"),
    ):
        text = text.replace(place, name)
    return text


def read(file: Path) -> dict[str, object]:
    return json.loads(file.read_text(encoding="utf-8"))


def record(page: Path) -> Path:
    name = page.relative_to(ROOT).with_suffix("").as_posix().removeprefix("docs/").replace("/", "_")
    return RECORDS / f"{name}.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("pages", nargs="*", type=Path)
    parser.add_argument("--all", action="store_true")
    asked = parser.parse_args()
    RECORDS.mkdir(exist_ok=True)
    failed = 0
    for page in PAGES if asked.all else [path.resolve() for path in asked.pages]:
        if not any(block.not_run is None for block in blocks(page.read_text(encoding="utf-8"))):
            continue
        with tempfile.TemporaryDirectory() as folder:
            made = run_page(page, Path(folder).resolve())
        record(page).write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        failed += sum(entry["exit_code"] not in (0, 2) for entry in made["entries"])  # type: ignore[attr-defined]
    raise SystemExit(f"{failed} commands failed" if failed else 0)


if __name__ == "__main__":
    main()
