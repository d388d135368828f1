"""Documents, docstrings, comments and messages are in plain English: none of the turns below."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]

VERBS = (
    "is are was were has have had can cannot may might must would will does do stands takes makes needs kills knows "
    "reads sends starts waits sits tells costs comes lies gives removes vanishes vanish compiles stops begins keeps "
    "writes sees finds wants reaches asks allows holds means ends loses uses calls counts makes turns leaves grows"
)
# a subject of up to five words and its verb; a relative clause has its own verb and is none
# ("for bosons it is", "for bosons the number is": the clause begins after the noun)
NO_SUBJECT = r"that\b|which\b|who|what\b|where|when|if\b|as\b|whose\b|with|of one\b"
BEGINS = r"(?:it|they|this|there|we|you|he|she)\b"
WORD = r"[\w'|()*/.`-]+ "
BECAUSE = (
    rf"[,;:(] ?for (?!{NO_SUBJECT})(?!(?!in|on|at|under|behind|all|both|half|not|of){WORD}(?:the|an?) ){WORD}"
    rf"(?:(?!{NO_SUBJECT}|{BEGINS}){WORD}){{0,4}}?(?:{VERBS.replace(' ', '|')})\b"
)
DONE = (
    r"been|yet|only|(?!need)\w+ed|run|begun|come|gone|made|taken|written|seen|given|had|got|become|known|done|met|shown|"
    r"told|left"
)

TURNS = {
    "anew": r"\banew\b",
    "by its making": r"\bby (?:its|their) making\b",
    "has not, for lacks": rf"\b(?:has|have|had) not\b(?! (?:{DONE})\b)",
    "is not to be had": r"\b(?:to|can|cannot|could|not) be had\b|\b(?:is|are) had\b",
    "for, meaning because": BECAUSE,
    "for want of": r"\bfor want of\b",
    "is no, for is not a": r"(?<!there )\b(?:is|are|was|were) no (?!longer|more|smaller|larger|faster|better|one)\w+",
    "leave away": r"\b(?:leav(?:e|es|ing)|left) (?:it |them )?away\b",
    "archaic": r"\b(?:whence|thereof|therein|wherein|whilst|lest|henceforth|hereby|naught|nought|unto|albeit|shall)\b",
    "what every piece answers": r"\bwhat every \w+ answers\b",
    "a cute noun": r"\bclass (?:Told|Way|Leave|Holding)\b",
}


def files() -> list[Path]:
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
    for folder in ("nqs_hpc", "hydra_plugins", "conf", "slurm"):
        found += [file for file in (ROOT / folder).rglob("*") if file.suffix in (".py", ".yaml", ".sbatch", ".html")]
    return sorted(found)


def turns(text: str) -> list[str]:
    """The turns in a text, each with the words around it; lines and comments are joined first."""
    joined = re.sub(r"\s*\n\s*(?:#+:? )?", " ", text)
    found = []
    for name, pattern in TURNS.items():
        for hit in re.finditer(pattern, joined, flags=re.IGNORECASE if name != "a cute noun" else 0):
            found.append(f"{name}: …{joined[max(hit.start() - 40, 0) : hit.end() + 30]}…")
    return found


def test_words_are_plain():
    found = []
    for file in files():
        path = file.relative_to(ROOT).as_posix()
        found += [f"{path}: {turn}" for turn in turns(file.read_text(encoding="utf-8"))]
    assert not found, "\n".join(found)


def test_turns_are_seen():
    """One of each, and sentences that only look like them."""
    bad = """Begin anew. It is invariant by its making. The state has not the symmetry; what the sector has not. The
    file is not to be had. It waits, for the queue is full. Stopped for want of time. Leave it away. That is no group.
    Lest it stops. What every task answers."""
    assert {turn.split(":")[0] for turn in turns(bad)} == set(TURNS) - {"a cute noun"}
    assert len(turns(bad)) == len(TURNS)
    good = """It has not run on a GPU yet. One line for each rank, for example this. A file, for readers that are slow.
    There is no energy. It is no longer there. Three ranks, for which it is 0. Spins have two; for bosons it is the
    number, for bosons the number is given."""
    assert turns(good) == []
