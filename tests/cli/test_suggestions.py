"""A mistyped word of any command is one line with what was meant, exit code 2, and nothing is made."""

import pytest

from nqs_hpc.cli.command import decide, main
from nqs_hpc.config.compose import from_plain
from nqs_hpc.doctor import command as doctor
from nqs_hpc.inputs.checks import InputError


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["status", "--wach", "."], "--wach is not an option of status; did you mean --watch? "),
        (["report", "--min-sise=3", "."], "--min-sise is not an option of report; did you mean --min-size? "),
        (["submit", "--dryrun"], "--dryrun is not an option of submit; did you mean --dry-run? "),
        (["submit", "resources.tiem=5"], "resources has no key tiem; did you mean time? "),
        (["sectors", "--jsn"], "--jsn is not an option of sectors; did you mean --json? "),
        (["sectors", "latice=chain"], "the configuration has no key latice; did you mean lattice? "),
        (["-m", "studdy=a", "seed=1,2"], "the configuration has no key studdy; did you mean study? "),
        (["-m", "study=a", "n_chains=8,16"], "the configuration has no key n_chains; did you mean sampler.n_chains? "),
        (["-m", "study=a", "task.nsteps=1,2"], "task=ground_state has no key nsteps; did you mean n_steps? "),
        (["-m", "study=a", "ansatz=rbm,vti"], "ansatz=vti is not valid; did you mean vit? "),
        (["-m", "study=a", "seed=1,2", "hydra/launcher=slrum"], "slrum is not valid; did you mean slurm? "),
        (["-m", "study=a", "seed=1,2", "hydra.launcher.njobs=3"], "has no key njobs; did you mean n_jobs? "),
        # what is mistyped is said before a study that is missing
        (["-m", "lattice.lenght=4,6"], "lattice.lenght=4 is not valid: lattice=chain has no key lenght; did you mean "),
        (["-m", "lattice.lenght=4,6", "study=x"], "lattice.lenght=4 is not valid: lattice=chain has no key lenght; "),
        (["-m", "lattice=sqare,chain"], "lattice=sqare is not valid; did you mean square? "),
        (["-m", "hydra/lancher=slurm", "seed=1,2"], "a sweep has no key hydra/lancher; did you mean hydra/launcher? "),
        (["-m", "lattice.length=4,6"], "study=null is not valid; valid: a name with -m"),
        (["-m", "symmetrize=all"], "study=null is not valid; valid: a name with -m"),
        (["-m", "study=x", "sampel"], "sampel is not valid: not of the form KEY=VALUE; did you mean sampler=NAME? "),
        (["submit", "sampel"], "sampel is not valid: not of the form KEY=VALUE; did you mean sampler=NAME? "),
        (["sectors", "chian"], "chian is not valid: not of the form KEY=VALUE; did you mean lattice=chain? "),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_commands(tmp_path, monkeypatch, capsys, words, line):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    out = capsys.readouterr()
    assert out.out == "" and line in out.err and "valid: " in out.err and out.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--hlep"], "--hlep is not an option of nqs_hpc; did you mean --help? "),
        (["repotr", "runs"], "repotr is not valid: not of the form KEY=VALUE; did you mean report? "),
        (["sampel"], "sampel is not valid: not of the form KEY=VALUE; did you mean sampler=NAME? "),
        (["heisenberg"], "did you mean hamiltonian=heisenberg? "),
        (["tfim_sqare"], "did you mean experiment=tfim_square? "),
        (["n_chains"], "did you mean sampler.n_chains? "),
        (["submt", "--dry-run"], "submt is not valid: not of the form KEY=VALUE; did you mean submit? "),
        (["lattice.length=4", "submit"], "a command comes first: python -m nqs_hpc submit ...; "),
        (["--dry-run", "submit"], "--dry-run is not an option of nqs_hpc; "),
        (["qqqq"], "qqqq is not valid: not of the form KEY=VALUE; valid: for example lattice.length=6"),
        (["optimiser.learning_rate=0.1"], "the configuration has no key optimiser; did you mean optimizer? "),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_job(words, line):
    left = decide(words, 1)
    assert left.code == 2 and line in left.line and "\n" not in left.line


def test_the_doctor_and_plain_data():
    code, line = doctor._asked(["--jsn"])
    assert code == 2 and "did you mean --json?" in line
    with pytest.raises(InputError, match=r"but sampler=metropolis, sampler=tempering have; valid: blur$"):
        from_plain({"lattice": "chain", "sampler": {"name": "enumerate", "n_chains": 8}})
