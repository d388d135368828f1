"""`reproduce` as one types it: a small study run whole, its scripts for Slurm, its list, and what is refused."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from nqs_hpc.cli.command import main
from nqs_hpc.config import defaults
from nqs_hpc.job.lifecycle import SIGNALS
from nqs_hpc.reproduce import command, described
from nqs_hpc.reproduce.command import HELP, OPTIONS, machine, sweep_words
from nqs_hpc.reproduce.described import names, read, read_known
from nqs_hpc.reproduce.found import compare, points, recorded
from tests.mpi.starts import environment

GOLDEN = Path(__file__).parents[1] / "data" / "sbatch" / "reproduction.sbatch"
EXACT = -5.226251859505506  # of the critical ring of 4: -2 / sin(pi / 8)
TINY = {
    "title": "critical ring of 4",
    "source": {"authors": "Pfeuty", "year": 1970, "where": "the ring", "doi": "10.1016/x", "arxiv": "none"},
    "sweep": [
        *("lattice.length=4", "hamiltonian.h=1.0", "sampler=enumerate", "optimizer=sr", "ansatz.alpha=1,2"),
        *("optimizer.learning_rate=0.2", "task.n_steps=60"),
    ],
    "place": "laptop",
    "cluster": ["resources.ranks=2", "resources.time=00:10:00", "ansatz.alpha=1,2"],
    "targets": [
        {"name": "near", "at": {"ansatz.alpha": 2}, "quantity": "energy", "value": EXACT, "tolerance": 1e-2,
         "origin": "exact", "source": "x"},
        {"name": "far", "at": {"ansatz.alpha": 1}, "quantity": "energy", "value": -6.0, "tolerance": 1e-2,
         "origin": "exact", "source": "x"},
        {"name": "twice", "at": {"ansatz.alpha": 2}, "quantity": "energy_per_site", "times": 8, "value": 2 * EXACT,
         "tolerance": 1e-2, "rule": "at_most", "origin": "exact", "source": "x"},
    ],
}  # fmt: skip


@pytest.fixture
def tiny(work) -> str:
    (work / "tiny.yaml").write_text(yaml.safe_dump(TINY), encoding="utf-8")
    return "tiny.yaml"


@pytest.fixture
def say(work, queue, capsys):
    """Run `reproduce` with Slurm's commands recorded; returns the exit code and what was printed."""
    queue.answer("sbatch", "42\n")
    queue.answer("scontrol", "MaxArraySize            = 1001\n")

    def run(*words):
        code = main(["reproduce", *words])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    former = {number: signal.getsignal(number) for number in SIGNALS}
    yield run
    for number, handler in former.items():
        signal.signal(number, handler)
    signal.set_wakeup_fd(-1)


# --- bad input ---


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "reproduce takes one name, not 0; valid: carleo_"),
        (["a", "b"], "reproduce takes one name, not 2; valid: carleo_"),
        (["kufel_2024_toric_3x"], "is not valid; did you mean kufel_2024_toric_3x3? valid: "),
        (["no.yaml"], "no.yaml cannot be read: No such file or directory"),
        (["kufel_2024_toric_3x3", "--slrm"], "--slrm is not an option of reproduce; did you mean --slurm? valid: "),
        (["kufel_2024_toric_3x3", "task.n_steps=3"], "task.n_steps=3 would be another result; valid: resources., "),
        (["kufel_2024_toric_3x3", "--slurm", "--here"], "--slurm --here is not valid; valid: one of them"),
        (["kufel_2024_toric_3x3", "--compare", "--dry-run"], "--compare --dry-run is not valid; valid: one of them"),
        (["choo_2019_j1j2_10x10"], "choo_2019_j1j2_10x10 is for a cluster; valid: choo_2019_j1j2_10x10 --slurm, or"),
        (["kufel_2024_toric_3x3", "resources.ranks=x"], "resources.ranks=x is not valid"),
        (["kufel_2024_toric_3x3", "--slurm", "hydra.launcher.n_jobs=2"], "slurm has no key n_jobs; valid: "),
        (["--list", "x"], "--list x is not valid; valid: --list alone"),
    ],
)
def test_bad_input_is_one_line_and_makes_nothing(work, queue, say, words, line):
    code, text = say(*words)
    assert code == 2 and line in text.splitlines()[-1] and list(work.iterdir()) == [] and queue.calls("sbatch") == []


def test_a_step_of_several_tasks_is_refused(say, monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    monkeypatch.setenv("SLURM_STEP_ID", "0")
    code, text = say("kufel_2024_toric_3x3")
    assert code == 2 and text.startswith("reproduce inside a step of 2 tasks")


def test_help_names_every_option(say):
    code, text = say("--help")
    assert (code, text) == (0, HELP + "\n") and all(option in text for option in OPTIONS)


# --- what is started ---


def test_the_words_of_the_sweep(tiny):
    one = read(Path(tiny))
    assert sweep_words(one, set(), []) == ["-m", "study=tiny", *TINY["sweep"]]
    words = sweep_words(one, {"--slurm", "--dry-run"}, ["resources.ranks=8", "hydra.launcher.array_parallelism=1"])
    assert words[:2] == ["-m", "study=tiny"] and words.count("ansatz.alpha=1,2") == 1
    assert set(words[2:]) - set(TINY["sweep"]) == {
        *("resources.ranks=8", "resources.time=00:10:00", "hydra/launcher=slurm", "hydra.launcher.dry_run=true"),
        "hydra.launcher.array_parallelism=1",
    }


def test_scripts_are_as_recorded(work, tiny, say, queue, monkeypatch):
    """To record it again, delete the file: the test writes it and fails once."""
    monkeypatch.setattr(sys, "executable", "/home/ada/.venv/bin/python")
    code, text = say(tiny, "--slurm", "--dry-run")
    text = re.sub(r"(?m)^(#SBATCH --job-name=.*)-[0-9a-f]{8}$", r"\1-01234567", text).replace(
        str(work), "/home/ada/nqs"
    )
    if not GOLDEN.exists():
        GOLDEN.write_text(text)
        pytest.fail(f"recorded {GOLDEN.name}: look at it")
    assert code == 0 and text == GOLDEN.read_text()
    assert sorted(path.name for path in work.iterdir()) == ["tiny.yaml"] and queue.calls("sbatch") == []


def test_slurm_takes_the_points_once(work, tiny, say, queue):
    code, text = say(tiny, "--slurm")
    assert code == 0 and "submitted array 42: 2 points" in text and "verdict" not in text
    queue.answer("squeue", "42_0|PENDING|a\n42_1|RUNNING|a\n")
    assert say(tiny, "--slurm")[0] == 0 and len(queue.calls("sbatch")) == 1
    code, text = say(tiny, "--compare")
    assert code == 0 and text.count("not run: ") == 3 and "tiny: not run" in text and len(queue.calls("sbatch")) == 1


@pytest.mark.mpi
def test_a_small_one_from_its_start_to_its_table(work, tiny):
    """A job runs; the same command again starts none; the table, the JSON and the page say the same."""
    sweep = ["ansatz.alpha=2" if "alpha" in word else word for word in TINY["sweep"]]
    small = TINY | {"sweep": sweep, "targets": [one | {"at": {}} for one in TINY["targets"]]}
    (work / tiny).write_text(yaml.safe_dump(small))

    def run():
        words = [sys.executable, "-m", "nqs_hpc", "reproduce", tiny]
        done = subprocess.run(words, cwd=work, env=environment(), capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    first = run()
    assert "1 points: 1 done" in first and "critical ring of 4\nPfeuty 1970, the ring; doi:10.1016/x" in first
    again = run()
    assert "started" not in again and first.split("target ")[1] == again.split("target ")[1]
    near, far, twice = (line for line in again.splitlines() if re.match("near|far|twice", line))
    assert near.endswith(" reached") and twice.endswith(" reached") and " missed by 1." in far
    folder = work / "sweeps" / "tiny"
    told = json.loads((folder / "reproduction.json").read_text())
    assert [one["verdict"] for one in told["targets"]] == ["reached", "missed", "reached"]
    assert told["measured"]["values"]["near"][0] == told["targets"][0]["ours"] == pytest.approx(EXACT, rel=1e-2)
    assert told["measured"]["machine"] == machine() and told["measured"]["seconds"] > 0
    page = (folder / "reproduction.md").read_text()
    assert page.startswith("# critical ring of 4\n") and "| near | " in page and told["status"] in page

    # what it measured, put into its file, is what the list then shows
    (work / tiny).write_text(yaml.safe_dump(small | {"measured": told["measured"]}))
    assert described.read(work / tiny).measured is not None


# --- what is compared and listed ---


def study(folder: Path, one: described.Reproduction, summaries: list[dict | None]) -> None:
    """A study of ``one`` whose points have left these summaries, None: nothing."""
    listed = []
    folder.mkdir(parents=True)
    for each, summary in zip(points(one), summaries, strict=True):
        fields = {"name": each.name, "identity": each.identity, "swept": each.swept, "overrides": each.words}
        listed.append(fields | {"command": "x", "n_sites": 4, "n_steps": 60, "state": "waiting", "why": ""})
        if summary is not None:
            (folder / each.name).mkdir()
            (folder / each.name / "summary.json").write_text(json.dumps(summary))
            (folder / each.name / "DONE").write_text("60\n")
    head = {"study": one.name, "cwd": str(folder), "launcher": "local", "launches": []}
    (folder / "manifest.json").write_text(json.dumps(head | {"points": listed}))


def final(energy: float, error: float, **more) -> dict:
    common = {"task": "ground_state", "status": "done", "final": True, "step": 60, "n_sites": 4, "seconds": 30.0}
    return common | {"energy": {"mean": energy, "error": error, "variance": 0.1}} | more


def test_recorded_summaries_are_compared(work, tiny):
    one, folder = read(Path(tiny)), work / "sweeps" / "tiny"
    study(folder, one, [final(-5.9, 0.05), final(EXACT + 0.02, 0.01)])
    found = compare(one, folder)
    assert [each.verdict for each in found.outcomes] == ["reached", "missed", "reached"] and found.seconds == 60
    near, far, twice = found.outcomes
    assert near.sigmas == pytest.approx(2.0) and near.deviation == pytest.approx(0.02 / -EXACT)
    assert far.words.startswith("missed by 6.7e-03: 1.67 times") and twice.sigmas == pytest.approx(2.0)


def test_what_has_not_ended_is_not_compared(work, tiny):
    one, folder = read(Path(tiny)), work / "sweeps" / "tiny"
    study(folder, one, [final(-5.9, 0.05) | {"final": False, "status": "running"}, None])
    outcomes = compare(one, folder).outcomes
    assert [each.ours for each in outcomes] == [None] * 3
    assert outcomes[0].note == "waiting" and compare(one, work / "nowhere").outcomes[0].note == "not started"


def test_a_doubtful_energy_says_so(work, tiny, say):
    doubtful = {"status": "doubtful", "trust": {"verdict": "doubtful", "checks": {}}}
    study(work / "sweeps" / "tiny", read(Path(tiny)), [None, final(EXACT, 0.01, **doubtful)])
    code, text = say(tiny, "--compare")
    assert code == 0 and text.count("reached (doubtful)\n") == 2 and "reached 2 of 3, 1 not run, 2 doubtful" in text
    measured = json.loads((work / "sweeps" / "tiny" / "reproduction.json").read_text())["measured"]
    (work / tiny).write_text(yaml.safe_dump(TINY | {"measured": measured}))
    assert [(one.verdict, one.note) for one in recorded(read(Path(tiny)))] == [
        *(("reached", "doubtful"), ("not run", ""), ("reached", "doubtful"))
    ]


def test_points_of_other_settings_are_not_taken(work, tiny):
    """A study of the same name with another rate has other points: that of a file which has been changed since."""
    one, folder = read(Path(tiny)), work / "sweeps" / "tiny"
    words = tuple("optimizer.learning_rate=0.3" if "_rate" in word else word for word in one.sweep)
    study(folder, one._replace(sweep=words), [final(-5.9, 0.05), final(EXACT, 0.01)])
    assert [each.verdict for each in compare(one, folder).outcomes] == ["not run"] * 3


def test_the_list_says_what_was_measured(work, say, monkeypatch):
    (conf := work / "conf" / "reproduction").mkdir(parents=True)
    measured = {
        "date": "2026-11-28",
        "machine": "m",
        "seconds": 90,
        "values": {"near": [EXACT, 0.001], "far": [-5.0, 0]},
    }
    for name, changes in (
        ("one", {"measured": measured}),
        ("two", {"cost": "a day", "place": "cluster"}),
        ("three", {}),
    ):
        (conf / f"{name}.yaml").write_text(yaml.safe_dump(TINY | changes))
    monkeypatch.setattr(described, "conf_dir", lambda: work / "conf")
    assert names() == ["one", "three", "two"] and defaults.conf_dir() != work / "conf"
    code, text = say("--list")
    head, one, three, two = [re.split(r" {2,}", line) for line in text.splitlines()]
    assert code == 0 and head == ["name", "source", "what", "status", "cost", "sites", "points", "compared with"]
    assert [*one[1:3], *one[4:]] == ["Pfeuty 1970", "critical ring of 4", "1:30 min, laptop", "4", "2", "exact value"]
    assert one[3] == "reached 1 of 3, 1 not run; far missed by 1.6e-01: 16.7 times the tolerance"
    assert (three[3:5], two[3:5]) == (["not run", "laptop"], ["not run", "a day, cluster"])


def test_the_benchmarks_have_every_number():
    """benchmarks/RESULTS.md has what conf/reproduction says was measured."""
    results = (Path(__file__).parents[2] / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    for one in map(read_known, names()):
        for outcome in recorded(one):
            if outcome.ours is not None:
                assert re.search(
                    rf"\| {one.name} \| {re.escape(outcome.target.name)} \|.*\| {re.escape(str(outcome.ours))} \|",
                    results,
                )


def test_the_page_is_the_generated_one():
    import runpy

    root = Path(__file__).parents[2]
    text = (root / "docs" / "reproductions.md").read_text(encoding="utf-8")
    assert text == runpy.run_path(str(root / "docs" / "make_reproductions.py"))["page"](text)


def test_a_full_disk_is_a_fault(work, tiny, say, monkeypatch):
    study(work / "sweeps" / "tiny", read(Path(tiny)), [None, None])

    def full(path, value):
        raise OSError(28, os.strerror(28), str(path))

    monkeypatch.setattr(command.files, "write_json", full)
    code, text = say(tiny, "--compare")
    assert code == 1 and "reproduction.json cannot be written: " in text and "No space left" in text
