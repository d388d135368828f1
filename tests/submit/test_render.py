"""The batch scripts: as recorded, sound shell, and every value of the user's arriving as itself."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from nqs_hpc.cluster.batch import Entry, array_script, job_script
from nqs_hpc.cluster.site import load_site, slurm_dir
from nqs_hpc.config.compose import InputError, compose
from nqs_hpc.config.identity import run_folder

GOLDEN = Path(__file__).parents[1] / "data" / "sbatch"

SITE = """\
partition: compute
gpu_partition: a100
account: phys-0042
qos: long
mpi: pmix
python: /opt/site/bin/python
requeue_limit: 3
signal_seconds: 300
options: [--exclusive, "--constraint=rack1|rack2"]
preamble: |
  module load mpich/5
  export OMP_PROC_BIND=false
"""
HOSTILE = ["run_dir='a b'", 'run_dir="it\'s $(touch pwned) `touch pwned` $HOME \\\\ ;&| *"', 'run_dir="two\nlines"']


def script_of(*words: str) -> str:
    config = compose(list(words), None)
    return job_script(config.resources, load_site(config.resources.site), Entry(run_folder(config), list(words)))


@pytest.mark.parametrize(
    ("name", "words", "site"),
    [
        ("cpu", ["experiment=tfim_square", "resources.ranks=4"], None),
        (
            "cpu_site",
            [
                *("lattice.length=6", "resources.ranks=64", "resources.nodes=2", "resources.threads=2"),
                *("resources.memory_gib=3", "resources.time=2-12:00:00"),
            ],
            SITE,
        ),
        ("gpu", ["experiment=tfim_chain", "resources.device=gpu", "resources.ranks=8", "resources.nodes=2"], SITE),
        ("quoting", HOSTILE[1:2], None),
    ],
)
def test_scripts_are_as_recorded(work, monkeypatch, name, words, site):
    """To record them again after a change of the templates, delete the file: the test writes it and fails once."""
    if site:
        (work / "site.yaml").write_text(site)
        words = [*words, "resources.site=site.yaml"]
    monkeypatch.setattr(sys, "executable", "/home/ada/.venv/bin/python")
    found = anywhere(script_of(*words), work)
    golden = GOLDEN / f"{name}.sbatch"
    if not golden.exists():
        golden.write_text(found)
        pytest.fail(f"recorded {golden.name}: look at it")
    assert found == golden.read_text()


def anywhere(script: str, work: Path) -> str:
    """A script without the place of this test, which is in the name of a job too."""
    script = re.sub(r"(?m)^(#SBATCH --job-name=.*)-[0-9a-f]{8}$", r"\1-01234567", script)
    return script.replace(str(work), "/home/ada/nqs")


def array_of(*lists: list[str]) -> str:
    configs = [compose(words, None) for words in lists]
    entries = [Entry(run_folder(config), words) for config, words in zip(configs, lists, strict=True)]
    resources = configs[0].resources
    return array_script(resources, load_site(resources.site), entries, name="a study", parallelism=3)


def test_an_array_is_as_recorded(work, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/home/ada/.venv/bin/python")
    found = array_of(["seed=1", "run_dir=one"], ["seed=2", "run_dir=two"])
    found = anywhere(found, work)
    golden = GOLDEN / "array.sbatch"
    if not golden.exists():
        golden.write_text(found)
        pytest.fail(f"recorded {golden.name}: look at it")
    assert found == golden.read_text()


@pytest.mark.parametrize("golden", sorted(GOLDEN.glob("*.sbatch")), ids=lambda path: path.stem)
def test_scripts_are_sound_shell(golden):
    assert subprocess.run(["bash", "-n", golden], capture_output=True).stderr == b""
    # Slurm reads options up to the first line that is neither empty nor a comment
    head = golden.read_text().split("\nnqs_step=")[0]
    assert all(line.startswith("#") or not line for line in head.splitlines())


@pytest.mark.slurm  # where the tools of a cluster are installed, so is this one
@pytest.mark.parametrize("golden", sorted(GOLDEN.glob("*.sbatch")), ids=lambda path: path.stem)
def test_shellcheck_has_nothing_to_say(golden):
    # SC2016: what looks like an expansion in single quotes is a value of the user's that must not be one
    words = ["shellcheck", "--norc", *(["--exclude=SC2016"] if golden.stem == "quoting" else []), golden]
    found = subprocess.run(words, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("word", HOSTILE)
def test_values_arrive_as_themselves_and_run_nothing(work, queue, word):
    script = script_of(word, "resources.ranks=2")
    done = subprocess.run(["bash"], input=script, text=True, capture_output=True, cwd=work)
    assert done.returncode == 0, done.stderr
    ((_, arguments, _, folder),) = queue.calls("srun")
    assert arguments[-2:] == [word, "resources.ranks=2"] and folder == str(work)
    assert arguments[:3] == ["--mpi=pmi2", "--cpus-per-task=1", "--kill-on-bad-exit=1"]
    assert list(work.iterdir()) == []
    for line in script.splitlines():  # the user's text is in no line that Slurm reads
        assert not line.startswith("#SBATCH") or "touch" not in line.replace("touch_pwned", "")


def test_a_preamble_may_go_elsewhere_and_has_its_own_names(work, queue):
    (work / "site.yaml").write_text("preamble: |\n  cd /\n  set -- a b\n  folder=x step=y code=z job=1 cwd=/\n")
    script = script_of("resources.site=site.yaml", "seed=3")
    assert subprocess.run(["bash"], input=script, text=True, capture_output=True, cwd=work).returncode == 0
    ((_, arguments, _, folder),) = queue.calls("srun")
    assert arguments[-1] == "seed=3" and folder == str(work)


@pytest.mark.parametrize("word", HOSTILE)
def test_values_of_an_element_arrive_as_themselves(work, queue, monkeypatch, word):
    script = array_of(["seed=1"], [word, "resources.ranks=2"], ["seed=3"])
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "42")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    done = subprocess.run(["bash"], input=script, text=True, capture_output=True, cwd=work)
    assert done.returncode == 0, done.stderr
    ((_, arguments, _, _),) = queue.calls("srun")
    assert arguments[-2:] == [word, "resources.ranks=2"] and list(work.iterdir()) == []
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    assert subprocess.run(["bash"], input=script, text=True, cwd=work).returncode == 1
    assert len(queue.calls("srun")) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("partition: a b", ("site.partition=a b", "without spaces")),
        ("account: $(id)", ("site.account=$(id)", "without spaces")),
        ("options: [exclusive]", ("site.options", "--exclusive")),
        ('options: ["--comment=a b"]', ("site.options", "--exclusive")),
        ("options: [--output=x]", ("site.options", "options other than --output, which the templates set")),
        ("options: [--no-requeue]", ("site.options", "options other than --no-requeue")),
        ("requeue_limit: -1", ("site.requeue_limit=-1", "at least 0")),
        ("partitoin: x", ("site.partitoin", "did you mean partition?")),
        ("[1, 2]", ("keys and values",)),
        ("a: [", ("is not YAML",)),
        ("preamble: [a]", ("site.preamble", "lines of shell")),
    ],
)
def test_a_bad_site_is_one_line(work, text, words):
    (work / "site.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        load_site("site.yaml")
    line = str(caught.value)
    assert all(word in line for word in words) and len(line.splitlines()) == 1, line


def test_the_site_of_the_current_folder_and_its_templates_come_first(work):
    assert load_site(None).site.partition is None and load_site(None).folders == (slurm_dir(),)
    (work / "slurm").mkdir()
    (work / "slurm" / "site.yaml").write_text("partition: here\n")
    assert load_site(None).site.partition == "here" and load_site(None).site.mpi == "pmi2"
    own = (slurm_dir() / "cpu.sbatch").read_text().replace("exec srun ", "exec srun --verbose ")
    (work / "slurm" / "cpu.sbatch").write_text(own)
    assert "srun --verbose --mpi=pmi2" in script_of() and "nqs_limit=20" in script_of()
    (work / "slurm" / "cpu.sbatch").write_text("{{ partitoin }}")
    with pytest.raises(InputError, match=r"cpu.sbatch cannot be filled in: 'partitoin' is undefined"):
        script_of()
    with pytest.raises(InputError, match=r"resources.site=nowhere.yaml is not valid"):
        load_site("nowhere.yaml")
