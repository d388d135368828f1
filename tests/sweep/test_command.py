"""`-m` as one types it: what is refused is one line and leaves nothing; what is launched twice is launched once."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nqs_hpc.cli.command import main
from nqs_hpc.job import study
from nqs_hpc.job.lifecycle import SIGNALS
from tests.mpi.starts import environment

SWEEP = ("-m", "study=a", "lattice.length=4,6", "ansatz=rbm,jastrow")


@pytest.fixture
def sweep(work, queue, capsys):
    """Run `-m` with Slurm's commands recorded; returns the exit code and what was printed."""
    queue.answer("sbatch", "42\n")
    queue.answer("scontrol", "MaxArraySize            = 1001\n")

    def run(*words):
        code = main(list(words))
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    former = {number: signal.getsignal(number) for number in SIGNALS}
    yield run
    for number, handler in former.items():  # a job ignores them as it ends, and children would inherit that
        signal.signal(number, handler)
    signal.set_wakeup_fd(-1)


SLURM = "hydra/launcher=slurm"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["-m", "lattice.length=4,6"], "study=null is not valid; valid: a name with -m"),
        (["-m", "study=a/b"], "study=a/b is not valid; valid: a name of letters"),
        (["-m", "study=a,b"], "study=a,b is not valid; valid: one value"),
        ([*SWEEP, "run_dir=x"], "run_dir=x is not valid; valid: none with -m"),
        ([*SWEEP, "run_dir=x,y"], "run_dir=x,y is not valid; valid: none with -m"),
        ([*SWEEP, "lattice=squair"], "lattice=squair is not valid; did you mean square? valid: chain"),
        (["-m", "study=a", "hamiltonian.h=1,strong"], "hamiltonian.h=strong is not valid; valid: a number"),
        ([*SWEEP, "hydra/launcher=joblib"], "hydra/launcher=joblib is not valid; valid: local, slurm"),
        ([*SWEEP, "hydra.launcher.partition=x"], "has no key partition; valid: dry_run, n_jobs, n_ranks"),
        ([*SWEEP, SLURM, "hydra.launcher.n_jobs=2"], "slurm has no key n_jobs; valid: "),
        ([*SWEEP, "hydra.launcher.n_jobs=0"], "hydra.launcher.n_jobs=0 is not valid; valid: auto, or a whole number"),
        ([*SWEEP, "hydra.launcher.n_jobs=1,2"], "hydra.launcher.n_jobs=1,2 is not valid; valid: one value"),
        ([*SWEEP, "hydra.run.dir=x"], "hydra.run.dir=x is not valid: a sweep has no key hydra.run.dir"),
        ([*SWEEP, "hydra.sweep.dir=''"], "hydra.sweep.dir='' is not valid; valid: a folder"),
        ([*SWEEP, "chain=seed"], "chain=seed is not valid; valid: a key with several values; here: lattice.length"),
        ([*SWEEP, "--now"], "--now is not an option of a sweep"),
        ([*SWEEP, "ansatz=mlp"], "ansatz is given twice; valid: all its values at once"),
        (["-m", "study=a", "ansatz=glob(*)"], "ansatz=glob(*) is not valid; valid: the choices themselves"),
        (["-m", "study=a", "hamiltonian.h=range(0.1,100,0.0000001)"], "is not valid; valid: at most 10000 points"),
        (["-m", "study=a", "seed=range(200)", "task.n_steps=range(1,99)"], "valid: at most 10000 points in all"),
        ([*SWEEP, "chain=lattice.length"], "the parameters of ansatz=rbm depend on the size of the lattice"),
        (["-m", "study=a", "lattice.pbc=true,false", "chain=lattice.pbc"], "valid: a key that leaves the network"),
        ([*SWEEP, "lattice.extent=[4"], "cannot be read as KEY=VALUE"),
        (
            [*SWEEP, "init_from=nowhere"],
            "init_from=nowhere is not valid: it does not exist; valid: null, or",
        ),
        ([*SWEEP, SLURM, "resources.site=nowhere.yaml"], "resources.site=nowhere.yaml is not valid"),
        ([*SWEEP, SLURM, "resources.ranks=3"], "sampler.n_chains=256 is not valid; valid: a multiple of the 3 ranks"),
        (["study=a"], "study=a is not valid; valid: null for a single job; a sweep is python -m nqs_hpc -m"),
        (["chain=seed"], "chain=seed is not valid; valid: null for a single job"),
        (["submit", "study=a"], "study=a is not valid; valid: null for a single job"),
    ],
)
def test_bad_input_is_one_line_and_makes_nothing(work, queue, sweep, words, line):
    code, text = sweep(*words)
    assert code == 2 and line in text and text.count("\n") == 1, text
    assert list(work.iterdir()) == [] and queue.calls("sbatch") == []


@pytest.mark.parametrize("name", ["sbatch", "scontrol"])
def test_what_slurm_refuses_leaves_nothing(work, queue, sweep, name):
    queue.answer(name, "error: invalid partition specified: x\n", 1)
    code, text = sweep(*SWEEP, SLURM)
    assert code == 2 and text == "not submitted: error: invalid partition specified: x\n"
    assert list(work.iterdir()) == []


def test_without_slurm_it_says_so(work, sweep, monkeypatch):
    monkeypatch.setenv("PATH", str(work))
    code, text = sweep(*SWEEP, SLURM)
    assert (code, text) == (2, "not submitted: squeue is not on PATH\n") and list(work.iterdir()) == []


def test_a_folder_of_something_else(work, queue, sweep):
    (work / "sweeps" / "a").mkdir(parents=True)
    (work / "sweeps" / "a" / "notes.txt").touch()
    code, text = sweep(*SWEEP, SLURM)
    assert code == 2 and "study=a is not valid; valid: another name: " in text and "holds no sweep" in text
    assert sweep("-m", "study=b", "seed=1,2", SLURM)[0] == 0
    code, text = sweep("-m", "study=c", "hydra.sweep.dir=sweeps/b", "seed=1,2", SLURM)
    assert code == 2 and "study=c is not valid; valid: b, whose sweep is in" in text
    (work / "sweeps" / "b" / "manifest.json").write_text("{")
    code, text = sweep("-m", "study=b", "seed=1,2", SLURM)
    assert code == 2 and "is not valid JSON" in text and text.count("\n") == 1
    assert len(queue.calls("sbatch")) == 1


@pytest.mark.parametrize("launcher", [SLURM, "hydra.launcher.n_jobs=1"])
@pytest.mark.parametrize("field", ["name", "after", "job"])
def test_a_manifest_of_somebody_else_leads_nowhere(work, queue, sweep, launcher, field):
    """Names of points become folders, and jobs words of scancel: what is none ends in one line, and nothing is made."""
    assert sweep("-m", "study=b", "seed=1,2", SLURM)[0] == 0
    path = work / "sweeps" / "b" / "manifest.json"
    told = json.loads(path.read_text())
    told["points"][0][field] = "../../../out\x1b[2J"
    path.write_text(json.dumps(told))
    before, calls = sorted(work.rglob("*")), len(queue.calls("sbatch", "srun"))
    code, text = sweep("-m", "study=b", "seed=1,2,3", launcher)
    assert code == 2 and text.count("\n") == 1 and "\x1b" not in text and "\\x1b" in text
    assert f"is not the manifest of a sweep: point 0 has {field} " in text
    assert sorted(work.rglob("*")) == before and len(queue.calls("sbatch", "srun")) == calls
    assert not (work.parent / "out").exists()


def test_an_array_is_submitted_once(work, queue, sweep):
    folder = work / "sweeps" / "a"
    code, text = sweep(*SWEEP, SLURM, "hydra.launcher.array_parallelism=2")
    assert (code, text) == (0, f"submitted array 42: 4 points\nstudy a: 4 points: 4 submitted; {folder}\n")
    ((_, arguments, script, cwd),) = queue.calls("sbatch")
    assert arguments == ["--parsable"] and cwd == str(folder) and "#SBATCH --array=0-3%2\n" in script
    assert (folder / "logs" / "42.sbatch").read_text() == script
    found = study.read(folder)
    assert found is not None and [point.job for point in found.points] == ["42_0", "42_1", "42_2", "42_3"]
    assert [point.swept for point in found.points][1] == {"lattice.length": 4, "ansatz": "jastrow"}
    assert found.points[1].command.startswith("python -m nqs_hpc submit lattice.length=4 ansatz=jastrow ")

    # what is in the queue, running in this folder, done or stopped for good is let be
    queue.answer("squeue", "42_0|PENDING|a\n42_1|RUNNING|a\n42_2|FAILED|a\n")
    done = folder / found.points[3].name
    done.mkdir()
    (done / "DONE").write_text("300\n")
    queue.answer("sbatch", "43\n")
    code, text = sweep(*SWEEP, SLURM)
    assert (code, text.splitlines()[1]) == (0, f"study a: 4 points: 3 submitted, 1 done; {folder}")
    assert text.splitlines()[0] == f"submitted job 43: {found.points[2].name}"
    (done / "DONE").unlink()
    (done / "STOP").touch()
    queue.answer("squeue", "42_0|PENDING|a\n42_1|RUNNING|a\n43|RUNNING|a\n")
    code, text = sweep(*SWEEP, SLURM)
    assert code == 0 and "3 submitted, 1 stopped" in text and len(queue.calls("sbatch")) == 2
    assert "STOP is there" in study.read(folder).points[3].why


def test_a_launch_that_died_behind_sbatch_is_found_in_the_queue(work, queue, sweep):
    """Slurm has the job and nobody noted its number: it is found by what it is called."""
    for words, n_points in ((SWEEP, 4), (("-m", "study=b", "hamiltonian.h=1,2", "chain=hamiltonian.h"), 2)):
        sweep(*words, SLURM)
        folder = work / "sweeps" / words[1].removeprefix("study=")
        left = study.read(folder)
        study.write(folder, left._replace(points=[point._replace(job=None, state="waiting") for point in left.points]))
        script = queue.calls("sbatch")[-1][2]
        name = next(line for line in script.splitlines() if "--job-name=" in line).partition("=")[2]
        if n_points == 4:
            answer = "".join(f"39_{i}|PENDING|{name}\n" for i in range(4))
        else:
            answer = "".join(f"{41 + i}|RUNNING|{point.ticket}\n" for i, point in enumerate(left.points))
        queue.answer("squeue", answer)
        before = len(queue.calls("sbatch"))
        code, text = sweep(*words, SLURM)
        assert code == 0 and f"{n_points} points: {n_points} submitted" in text
        assert len(queue.calls("sbatch")) == before
        assert [point.job for point in study.read(folder).points][:2] == (
            ["39_0", "39_1"] if n_points == 4 else ["41", "42"]
        )


def test_the_local_launcher_lets_queued_points_be(work, queue, sweep):
    sweep(*SWEEP, SLURM)
    queue.answer("squeue", "".join(f"42_{i}|PENDING|a\n" for i in range(4)))
    code, text = sweep(*SWEEP)
    assert code == 85 and "started" not in text and "4 points: 4 submitted" in text


def test_a_large_array_is_noted_in_a_few_writes(work, queue, sweep, monkeypatch):
    written = []
    monkeypatch.setattr(study, "write", lambda folder, found: written.append(len(found.points)))
    code, _ = sweep("-m", "study=a", "seed=range(300)", SLURM)
    assert code == 0 and len(written) <= 4 and set(written) == {300}


def test_a_rate_alone_and_among_others_is_one_point(work, queue, sweep):
    sweep("-m", "study=a", "optimizer.learning_rate=0.1", SLURM)
    (point,) = study.read(work / "sweeps" / "a").points
    (work / "sweeps" / "a" / point.name / "DONE").write_text("300\n")
    queue.answer("squeue", "")
    code, text = sweep("-m", "study=a", "optimizer.learning_rate=0.1,0.05", SLURM)
    assert code == 0 and "2 points: 1 submitted, 1 done" in text
    assert len(study.read(work / "sweeps" / "a").points) == 2


def test_more_values_add_points_and_longer_runs_keep_theirs(work, queue, sweep):
    sweep(*SWEEP, SLURM)
    before = study.read(work / "sweeps" / "a")
    for point in before.points:
        (work / "sweeps" / "a" / point.name).mkdir()
        (work / "sweeps" / "a" / point.name / "DONE").write_text("300\n")
    code, text = sweep("-m", "study=a", "lattice.length=4,6,8", "ansatz=rbm,jastrow", SLURM)
    assert code == 0 and "6 points: 2 submitted, 4 done" in text
    sweep("-m", "study=a", "ansatz=jastrow", "lattice.length=6,4", "task.n_steps=400", SLURM)
    after = study.read(work / "sweeps" / "a")
    assert {point.name for point in before.points} < {point.name for point in after.points} and len(after.points) == 6
    again = [point for point in after.points if point.n_steps == 400]
    assert {point.name for point in again} < {point.name for point in before.points} and len(again) == 2
    assert len(after.launches) == 3


def test_more_final_samples_start_the_points_that_have_fewer(work, queue, sweep):
    sweep(*SWEEP, SLURM, "task.final_samples=512")
    folder = work / "sweeps" / "a"
    points = study.read(folder).points
    for point, n_samples in zip(points, (512, 512, 4096, 4096), strict=True):
        (folder / point.name / "checkpoints").mkdir(parents=True)
        (folder / point.name / "checkpoints" / "step_00000300.h5").touch()
        (folder / point.name / "DONE").write_text(f"300 {n_samples}\n")
    code, text = sweep(*SWEEP, SLURM, "task.final_samples=512")
    assert code == 0 and "4 points: 4 done" in text
    code, text = sweep(*SWEEP, SLURM, "task.final_samples=4096")
    assert code == 0 and "4 points: 2 submitted, 2 done" in text
    after = study.read(folder).points
    assert [(point.name, point.state) for point in after if point.state != "done"] == [
        (point.name, "submitted") for point in points[:2]
    ]


def test_a_chain_refined_in_its_middle_has_one_row_a_value(work, queue, sweep):
    sweep("-m", "study=a", "hamiltonian.h=1.0,1.5", "chain=hamiltonian.h", SLURM)
    folder = work / "sweeps" / "a"
    before = study.read(folder).points
    for point in before:
        (folder / point.name).mkdir(exist_ok=True)
        (folder / point.name / "DONE").write_text("300\n")
    queue.answer("squeue", "")
    code, text = sweep("-m", "study=a", "hamiltonian.h=1.0,1.25,1.5", "chain=hamiltonian.h", SLURM)
    assert code == 0 and "3 points: 1 submitted, 2 done" in text
    after = study.read(folder).points
    assert sorted(point.swept["hamiltonian.h"] for point in after) == [1.0, 1.25, 1.5]
    told = {point.swept["hamiltonian.h"]: point.after for point in after}
    assert told == {1.0: None, 1.25: before[0].name, 1.5: before[0].name}  # the last began with what it began with


def test_arrays_are_split_by_resources_and_by_what_slurm_allows(work, queue, sweep):
    queue.answer("scontrol", "MaxArraySize            = 2\n")
    words = ("-m", "study=a", "lattice.length=4,6,8,10,12,14", SLURM, "resources.ranks={1: 1, 14: 2}")
    code, _ = sweep(*words)
    scripts = [call[2] for call in queue.calls("sbatch")]
    sizes = [next((line for line in script.splitlines() if "--array" in line), "one") for script in scripts]
    assert code == 0 and sizes == ["#SBATCH --array=0-1", "#SBATCH --array=0-1", "one", "one"]
    assert ["--ntasks=2" in script for script in scripts] == [False, False, False, True]


def test_a_chain_waits_in_the_queue(work, queue, sweep):
    sweep("-m", "study=a", "hamiltonian.h=1,2,3", "chain=hamiltonian.h", SLURM)
    calls = queue.calls("sbatch")
    after = ["--dependency=afterok:42", "--kill-on-invalid-dep=yes"]
    assert [call[1] for call in calls] == [["--parsable"], ["--parsable", *after], ["--parsable", *after]]
    points = study.read(work / "sweeps" / "a").points
    assert [point.after for point in points] == [None, points[0].name, points[1].name]
    assert f"init_from={work}" in calls[1][2].replace('"', "") and points[0].name in calls[1][2]
    assert "init_from" not in calls[0][2]


def test_dry_run_makes_nothing(work, queue, sweep):
    code, text = sweep(*SWEEP, SLURM, "hydra.launcher.dry_run=true")
    assert code == 0 and text.startswith("#!/bin/bash") and "#SBATCH --array=0-3\n" in text
    code, text = sweep(*SWEEP, "hydra.launcher.dry_run=true", "hydra.launcher.n_ranks=2")
    lines = text.splitlines()
    assert code == 0 and lines[0] == "4 points, 4 to run" and len(lines) == 5
    assert all(line.startswith("mpiexec -n 2 python -m nqs_hpc lattice.length=") for line in lines[1:])
    assert list(work.iterdir()) == [] and queue.calls() == []


def test_inside_a_step_it_is_refused(work, sweep, monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "2")
    code, text = sweep(*SWEEP)
    assert code == 2 and text.startswith("-m inside a step of 2 tasks") and list(work.iterdir()) == []


def test_another_application_is_told(tmp_path):
    """Hydra shows every application all launchers it finds."""
    (tmp_path / "app.py").write_text(
        "import hydra\n@hydra.main(version_base='1.3', config_path=None)\ndef app(config): print('task')\napp()\n"
    )
    words = ["-m", "+a=1,2", "hydra.launcher._target_=hydra_plugins.nqs_hpc_launchers.launchers.SlurmLauncher"]
    done = subprocess.run(
        [sys.executable, "app.py", *words], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 1 and "starts only jobs of nqs_hpc" in done.stderr and "task" not in done.stdout


def test_nothing_heavy_is_loaded(tmp_path):
    code = (
        "import sys; from nqs_hpc.cli.command import main; "
        "main(['-m', 'study=a', 'seed=1,2', 'hydra.launcher.dry_run=true']); "
        "assert not {'jax', 'mpi4py', 'scipy', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment(), check=True, capture_output=True)


def test_a_manifest_is_plain_json(work, sweep):
    sweep(*SWEEP, SLURM)
    data = json.loads((Path("sweeps") / "a" / "manifest.json").read_text())
    assert set(data) == {"study", "cwd", "launcher", "launches", "points"} and data["cwd"] == str(work)
    assert set(data["points"][0]) == set(study.Point._fields)
