"""The help page and the tables of keys name everything that exists."""

import dataclasses
import subprocess
import sys

import pytest

from nqs_hpc.choices import choice, groups, names
from nqs_hpc.cli.command import decide
from nqs_hpc.config.catalogue import sections, spots, where
from nqs_hpc.config.commands import COMMANDS
from nqs_hpc.config.defaults import choices, place_of
from nqs_hpc.config.explain import explained
from nqs_hpc.config.usage import WIDTH, help_text
from nqs_hpc.inputs.checks import InputError


def test_help_is_complete_and_narrow():
    page = help_text()
    assert max(len(line) for line in page.splitlines()) <= WIDTH
    for group in groups():
        for name in names(group):
            cls = choice(group, name)
            assert f"{place_of(group)}={name} " in page
            for field in dataclasses.fields(cls):
                if "check" in field.metadata:
                    assert f"  {place_of(group).replace('/', '.')}.{field.name}=" in page
    for name in choices("experiment"):
        assert f"experiment={name} " in page
    for key in ("seed=0", "sector=auto", "precision.solve=float64", "checkpoint.keep=3", "log.progress=auto"):
        assert f"  {key} " in page
    assert "optimizer.learning_rate=0.05, 0.001 (adam)" in page and "  85  " in page
    for name in COMMANDS:
        assert f"python -m nqs_hpc {name} " in page


# --- of a word alone ---


def words():
    """Every word that there is something to say of."""
    found = [*COMMANDS, "schedules", *sections(), "experiment", *groups(), *map(where, groups()), *spots()]
    found += [f"{where(group)}={name}" for group in (*groups(), "experiment") for name in choices(group)]
    return list(dict.fromkeys(found))


def test_every_word_has_a_narrow_page_that_names_it():
    assert len(words()) > 300
    for word in words():
        page = explained([word])
        assert max(map(len, page.splitlines())) <= WIDTH, word
        assert word.removesuffix("s") in page and "\0" not in page and page.endswith("\n") and "\n\n\n" not in page
        assert not any(line != line.rstrip() for line in page.splitlines()), word


def test_a_key_is_told_with_all_there_is_of_it():
    page = " ".join(explained(["sampler.n_chains"]).split())
    field = next(f for f in dataclasses.fields(choice("sampler", "metropolis")) if f.name == "n_chains")
    assert field.metadata["doc"] in page and f"valid {field.metadata['check'].valid} default" in page
    assert "type whole number" in page and "of sampler=metropolis, sampler=tempering" in page
    assert "default 256, 64 (tempering)" in page  # as in conf/sampler/
    assert "another run" in page and "leaves the run what it is" in explained(["optimizer.learning_rate"])
    # those whose meaning differs from choice to choice are told apart
    alpha = explained(["ansatz.alpha"])
    assert "ansatz=rbm, ansatz=rbm_local" in alpha and alpha.count("  default ") == 2


@pytest.mark.parametrize(
    ("word", "there"),
    [
        ("ansatz.modulus.alpha", "hidden units, in units of the number of sites"),  # of a choice inside a choice
        ("task.integrator=rk23", "  task.integrator.dt_least=1e-06 "),
        ("integrator", "  task.integrator=rk23 "),
        ("observables.mine=dimer", "  observables.mine.reference=0 "),
        ("observables.mine.order", "of        observables.LABEL=dimer"),
        ("hydra.launcher.n_jobs", "of        hydra/launcher=local"),
        ("sampler.n_chains=16", "a whole number, at least 2"),
        ("experiment=tfim_square", "    hamiltonian.h=3.0"),
        ("status", "--watch"),
    ],
)
def test_words_as_they_are_given(word, there):
    assert there in explained([word])


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("sampler.nchains", "sampler.n_chains"),
        ("n_chains", "sampler.n_chains"),
        ("optimiser", "optimizer"),
        ("optimiser.momentum", "optimizer.momentum"),
        ("vit", "ansatz=vit"),
        ("rb", "ansatz=rbm"),
        ("ansatz=vti", "vit"),
        ("statsu", "status"),
        ("qwertz", ""),
    ],
)
def test_an_unknown_word_is_one_line(word, meant):
    with pytest.raises(InputError) as caught:
        explained(["lattice", word])
    line = str(caught.value)
    assert word in line and "valid: " in line and "\n" not in line
    assert (f"did you mean {meant}" in line) if meant else "did you mean" not in line


def test_help_of_words_is_asked_anywhere_and_loads_no_jax():
    ask = "from nqs_hpc.cli.command import decide; import sys; print(*decide(sys.argv[1:], 1), 'jax' in sys.modules)"
    for given in (["--help", "lattice.length"], ["lattice.length", "-h"]):
        out = subprocess.run([sys.executable, "-c", ask, *given], capture_output=True, text=True, check=True).stdout
        assert out.startswith("0 lattice.length\n") and out.endswith(" False\n")
    code, line = decide(["--help", "latice"], 1)
    assert code == 2 and line.startswith("--help latice is not valid; did you mean lattice?")
    assert decide(["--help"], 1).line == help_text()
