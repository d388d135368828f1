"""Commands that start no rank have one BLAS thread; jobs, and what commands start, have the environment of the user."""

import os
import subprocess
import sys

import pytest

from nqs_hpc.cli.begin import starts_no_rank
from nqs_hpc.parallel.blas import NAMES

# as the console command begins, then what NumPy and a child find
BEGUN = """
import os, sys
sys.argv[1:] = {words!r}
from nqs_hpc.cli.begin import starts_no_rank
from nqs_hpc.parallel import blas
assert "numpy" not in sys.modules
if starts_no_rank(sys.argv[1:]):
    blas.one_thread()
from nqs_hpc.sweep.local import child_environment
names = {names!r}
print([os.environ.get(name) for name in names], [child_environment().get(name) for name in names])
"""


@pytest.mark.parametrize(
    ("words", "free"),
    [
        ("submit --dry-run lattice.length=4", True),
        ("sectors", True),
        ("-m study=x seed=1,2", True),
        ("study=x seed=1,2 --multirun", True),
        ("--help ansatz", True),
        ("reproduce NAME", True),
        ("", False),
        ("lattice.length=4 seed=2", False),
        ("doctor", False),
        ("sampel", False),
    ],
)
def test_which_commands_start_no_rank(words: str, free: bool) -> None:
    assert starts_no_rank(words.split()) is free


@pytest.mark.parametrize(
    ("words", "given", "own", "childs"),
    [
        (["submit"], {}, ["1", "1", "1"], [None, None, None]),
        (["-m"], {NAMES[0]: "4"}, ["4", "1", "1"], ["4", None, None]),
        (["-m"], {NAMES[1]: "1"}, ["1", "1", "1"], [None, "1", None]),
        (["seed=1"], {}, [None, None, None], [None, None, None]),
    ],
)
def test_jobs_have_the_environment_of_the_user(words, given, own, childs) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in NAMES} | given
    code = BEGUN.format(words=words, names=NAMES)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"{own} {childs}"
