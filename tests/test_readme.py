"""The README is true of the code: its table of keys is the generated one, its commands parse, its files exist."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from nqs_hpc.cli.command import main
from nqs_hpc.config.compose import compose
from nqs_hpc.config.usage import key_table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_key_table_is_the_generated_one():
    shown = README.split("<!-- keys -->\n")[1].split("<!-- /keys -->")[0]
    assert shown.strip() == key_table().strip()  # else: paste what nqs_hpc.config.usage.key_table() returns


def commands() -> list[list[str]]:
    """The overrides of every `python -m nqs_hpc` line in the README."""
    found = []
    for line in README.replace("\\\n", " ").splitlines():
        if line.startswith("    ") and "python -m nqs_hpc" in line:
            words = shlex.split(line.split("python -m nqs_hpc")[1], comments=True)
            if words[:1] == ["submit"]:  # its options are its own, its keys those of a job
                words = [word for word in words[1:] if not word.startswith("--")]
            if words[:1] not in (["doctor"], ["status"], ["report"]):
                found.append(words)
    return found


def test_commands_are_good_input(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (here_document,) = re.findall(r"cat > cluster.txt <<'END'\n(.*?)    END\n", README, flags=re.DOTALL)
    (tmp_path / "cluster.txt").write_text(here_document)
    assert len(commands()) >= 4
    for words in commands():
        if words[:1] == ["-m"]:
            assert main([*words, "hydra.launcher.dry_run=true"]) == 0
        elif words != ["--help"]:
            compose(words, 4 if "mpiexec" in " ".join(words) else 1)


def test_faults_are_counted():
    words = [sys.executable, "-m", "pytest", "--collect-only", "--quiet", "-m", "faults", "tests/faults"]
    collected = subprocess.run(words, cwd=ROOT, capture_output=True, text=True).stdout
    (count,) = re.findall(r"<!-- faults -->(\d+)<!-- /faults -->", README)
    assert int(count) == sum("::test_" in line for line in collected.splitlines()), collected[-500:]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?:\]\(|src(?:set)?=\")([\w./]+)[)\"]", README))))
def test_linked_files_exist(target):
    assert (Path(__file__).parents[1] / target).exists()
