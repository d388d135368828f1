"""One job to the queue, at most once, and nothing left behind where that fails."""

import json
import re

import pytest

from nqs_hpc.cli.command import main

SMALL = ("experiment=tfim_square", "run_dir=my run", "resources.ranks=2")


@pytest.fixture
def submit(work, queue, capsys):
    def run(*words):
        code = main(["submit", *words])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    queue.answer("sbatch", "42\n")
    return run


def test_submits_once_while_it_is_queued(work, queue, submit):
    folder = work / "my run"
    assert submit(*SMALL) == (0, f"submitted job 42: {folder}\n")
    ((_, arguments, script, cwd),) = queue.calls("sbatch")
    assert arguments == ["--parsable"] and cwd == str(folder)
    assert script == (folder / "job.sbatch").read_text() and "'run_dir=my run'" in script
    (name,) = re.findall(r"--job-name=(my_run-[0-9a-f]{8})\n", script)
    queue.answer("squeue", "42|PENDING\n")
    assert submit(*SMALL) == (0, f"job 42 is PENDING already: {folder}\n")
    assert f"--name={name}" in queue.calls("squeue")[-1][1]
    code, text = submit(*SMALL, "optimizer.learning_rate=0.01")
    assert code == 0 and "with other values than now: scancel 42 to change them" in text
    queue.answer("squeue", "42|COMPLETED\n")
    queue.answer("sbatch", "43;cluster\n")
    assert submit(*SMALL) == (0, f"submitted job 43: {folder}\n")
    assert len(queue.calls("sbatch")) == 2


def test_a_folder_has_one_name_in_the_queue(work, queue, submit):
    """However it is written, and another one than every other folder's."""
    (work / "real").mkdir()
    (work / "link").symlink_to(work / "real")
    names = []
    for word in ("run_dir=real/run", "run_dir=link/run", f"run_dir={work}/real/run", "run_dir=real/other"):
        code, text = submit("experiment=tfim_square", word, "--dry-run")
        assert code == 0
        names += re.findall(r"--job-name=(\S+)", text)
    assert names[0] == names[1] == names[2] != names[3]


@pytest.mark.parametrize("name", ["a%j", "a\\\\b", "tr "])
def test_a_folder_that_slurm_would_read_otherwise_is_refused(work, queue, submit, name):
    code, text = submit("experiment=tfim_square", f'run_dir="{name}"')
    assert code == 2 and "for Slurm" in text and text.count("\n") == 1 and list(work.iterdir()) == []


def test_dry_run_prints_and_makes_nothing(work, queue, submit):
    code, text = submit(*SMALL, "--dry-run")
    assert code == 0 and text.startswith("#!/bin/bash\n") and "#SBATCH --ntasks=2\n" in text
    assert list(work.iterdir()) == [] and queue.calls() == []


@pytest.mark.parametrize(
    ("words", "answer", "code", "line"),
    [
        (["lattice=squair"], {}, 2, r"lattice=squair is not valid.*did you mean square"),
        (["resources.time=soon"], {}, 2, r"resources.time=soon is not valid.*HH:MM:SS"),
        (["resources.ranks=3"], {}, 2, r"sampler.n_chains=256 is not valid.*a multiple of the 3 ranks"),
        (["--now"], {}, 2, r"--now is not an option of submit.*--dry-run"),
        (["init_from=nowhere"], {}, 2, r"init_from=nowhere is not valid.*a run folder with checkpoints"),
        ([], {"sbatch": ("error: invalid partition specified: x\n", 1)}, 2, r"not submitted: error: invalid partition"),
        ([], {"squeue": ("slurm_load_jobs error: Unable to contact\n", 1)}, 2, r"not submitted: slurm_load_jobs error"),
    ],
)
def test_what_is_refused_leaves_nothing(work, queue, submit, words, answer, code, line):
    for name, (text, status) in answer.items():
        queue.answer(name, text, status)
    found, text = submit("experiment=tfim_square", *words)
    assert found == code and re.search(line, text) and text.count("\n") == 1, text
    assert list(work.iterdir()) == [] and (answer or queue.calls() == [])


def test_without_slurm_it_says_so(work, submit, monkeypatch):
    monkeypatch.setenv("PATH", str(work))
    code, text = submit(*SMALL)
    assert code == 2 and "squeue is not on PATH" in text and "--dry-run" in text


def test_help(work, submit):
    code, text = submit("--help")
    assert code == 0 and "resources.ranks" in text
    assert list(work.iterdir()) == []


def test_a_run_that_is_done_or_stopped_is_not_submitted(work, queue, submit):
    folder = work / "my run"
    folder.mkdir()
    (folder / "DONE").write_text("1000\n")
    code, text = submit(*SMALL)
    assert code == 0 and "is done: 1000 of" in text
    (folder / "STOP").touch()
    code, text = submit(*SMALL)
    assert code == 85 and "STOP is there" in text
    (folder / "STOP").unlink()
    (folder / "manifest.json").write_text(json.dumps({"starts": [], "physics": {"seed": 9}}))
    code, text = submit(*SMALL)
    assert code == 2 and "seed: 9 -> 0" in text and text.count("\n") == 1
    assert queue.calls("sbatch") == []


def test_more_final_samples_are_submitted(work, queue, submit):
    folder = work / "my run"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "step_00001000.h5").touch()
    (folder / "DONE").write_text("1000 512\n")
    code, text = submit(*SMALL, "task.final_samples=512")
    assert code == 0 and "nothing to do" in text and queue.calls("sbatch") == []
    code, text = submit(*SMALL, "task.final_samples=513")
    assert code == 0 and "submitted job" in text and len(queue.calls("sbatch")) == 1


def test_inside_a_step_nothing_is_started(work, queue, submit, monkeypatch):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    monkeypatch.setenv("SLURM_PROCID", "0")
    code, text = submit(*SMALL)
    assert code == 2 and "submit inside a step of 2 tasks" in text
    monkeypatch.setenv("SLURM_PROCID", "1")
    assert submit(*SMALL) == (2, "")
    assert list(work.iterdir()) == [] and queue.calls() == []
