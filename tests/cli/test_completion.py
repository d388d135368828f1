"""Completion by bash and zsh themselves: the printed script is loaded, and asked what could follow."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nqs_hpc.choices import groups, names
from nqs_hpc.cli.completion import completion, script
from nqs_hpc.config.catalogue import spots, where, words_of
from nqs_hpc.config.commands import COMMANDS

ROOT = Path(__file__).parents[2]
BREAKS = re.compile(r"([=:])")  # where bash cuts words, as COMP_WORDBREAKS has it


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scripts")
    for shell in ("bash", "zsh"):
        (folder / shell).write_text(script(shell))
    return folder


def cut(line):
    """The words of a line as bash gives them to a completion; the cursor stands at the end."""
    words = shlex.split(line) + ([""] if line.endswith(" ") else [])
    return [part for word in words for part in (BREAKS.split(word) if "=" in word or ":" in word else [word])]


def ask_bash(scripts, folder, *lines, function="_nqs_hpc", whole=False):
    """What bash completes for each line: the whole last word with each answer put in place of what bash replaces."""
    program = [f"source {scripts / 'bash'}"]
    for line in lines:
        words = shlex.split(line) + ([""] if line.endswith(" ") else []) if whole else cut(line)
        if words[-1] == "" and len(words) > 1 and words[-2] in "=:" and not line.endswith(" "):
            words = words[:-1]  # the cursor behind an equals sign: that is the word
        program += [f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; COMPREPLY=(); {function}"]
        program += ["printf '%s\\n' \"${COMPREPLY[@]}\"; echo ---"]
    # as interactive shells have it, but without the files of the user
    done = subprocess.run(["bash", "--norc", "-c", "\n".join(program)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    answers = done.stdout.split("---\n")[:-1]
    found = []
    for line, answer in zip(lines, answers, strict=True):
        last = "" if line.endswith(" ") else shlex.split(line)[-1]
        kept = "" if whole else last[: last.rfind("=") + 1]
        found.append([kept + word for word in answer.splitlines() if word])
    return found


def ask_zsh(scripts, folder, *lines):
    """The same of zsh, whose compadd only notes what it is given."""
    program = ["compadd() { local -a some; some=(${(P)@[-1]}); print -rl -- $some; }", f"source {scripts / 'zsh'}"]
    for line in lines:
        words = shlex.split(line) + ([""] if line.endswith(" ") else [])
        program += [f"words=({shlex.join(words)}); CURRENT={len(words)}; _nqs_hpc; print -- ---"]
    done = subprocess.run(["zsh", "-f", "-c", "\n".join(program)], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    answers = done.stdout.split("---\n")[:-1]
    lasts = ["" if line.endswith(" ") else shlex.split(line)[-1] for line in lines]
    # zsh itself takes those that begin like the word
    return [
        [word for word in answer.splitlines() if word and word.startswith(last)]
        for last, answer in zip(lasts, answers, strict=True)
    ]


def ask(shell, *arguments):
    if shell == "zsh" and shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    return (ask_zsh if shell == "zsh" else ask_bash)(*arguments)


SHELLS = pytest.mark.parametrize("shell", ["bash", "zsh"])

# a line with the cursor at its end, then all that can stand there
LINES = {
    "nqs-hpc latt": ["lattice.", "lattice="],
    "nqs-hpc stat": ["status"],
    "nqs-hpc lattice=square stat": [],  # a command comes first
    "nqs-hpc ansatz=vi": ["ansatz=vit"],
    "nqs-hpc -m ansatz=rbm,vi": ["ansatz=rbm,vit"],
    "nqs-hpc ansatz.al": ["ansatz.alpha="],  # of rbm, the default
    "nqs-hpc ansatz=vit ansatz.al": [],
    "nqs-hpc ansatz=vit ansatz.pa": ["ansatz.patch="],
    "nqs-hpc experiment=tfim_square lattice.cl": ["lattice.cluster="],  # of square, which the experiment takes
    "nqs-hpc lattice.cl": [],
    "nqs-hpc sampler.n_ch": ["sampler.n_chains="],
    "nqs-hpc sampler=enumerate sampler.n_ch": [],
    "nqs-hpc log.progress=": ["log.progress=auto", "log.progress=bar", "log.progress=lines"],
    "nqs-hpc log.tensorboard=t": ["log.tensorboard=true"],
    "nqs-hpc symmetrize.group=n": ["symmetrize.group=null"],
    "nqs-hpc checkpoint.k": ["checkpoint.keep="],
    "nqs-hpc task=dynamics task.int": ["task.integrator.", "task.integrator="],
    "nqs-hpc task=dynamics task.integrator=rk": ["task.integrator=rk23", "task.integrator=rk4"],
    "nqs-hpc task=dynamics task.integrator=rk23 task.integrator.tol": ["task.integrator.tolerance="],
    "nqs-hpc ansatz=modulus_phase ansatz.modulus=j": ["ansatz.modulus=jastrow", "ansatz.modulus=jastrow_slater"],
    "nqs-hpc ansatz=modulus_phase ansatz.modulus.al": ["ansatz.modulus.alpha="],
    "nqs-hpc observables.e": ["observables.every="],
    "nqs-hpc observables.zz=di": ["observables.zz=dimer"],
    "nqs-hpc observables.zz=dimer observables.zz.o": ["observables.zz.order="],
    "nqs-hpc observables=[pauli,di": ["observables=[pauli,dimer"],
    "nqs-hpc -m hydra/l": ["hydra/launcher="],
    "nqs-hpc -m hydra/launcher=slurm hydra.launcher.a": ["hydra.launcher.array_parallelism="],
    "nqs-hpc submit --d": ["--dry-run"],
    "nqs-hpc submit ansatz=vi": ["ansatz=vit"],
    "nqs-hpc completion z": ["zsh"],
    "nqs-hpc --ver": ["--version"],
    "nqs-hpc --help sampler.n_s": ["sampler.n_samples"],
    "nqs-hpc --help integ": [],
    "nqs-hpc --help ansatz=vi": ["ansatz=vit"],
    "nqs-hpc --help clea": ["clean"],
    "nqs-hpc task=evaluate task.run=r": ["task.run=runs/"],
    "nqs-hpc init_from=runs/o": ["init_from=runs/one"],
    "nqs-hpc task.below=runs/one,runs/t": ["task.below=runs/one,runs/two"],
    "nqs-hpc status ": ["--filter", "--json", "--sort", "--watch", "runs/", "sweeps/"],
    "nqs-hpc clean runs/o": ["runs/one"],
    "nqs-hpc compare runs/one runs/": ["runs/one", "runs/two"],
    "nqs-hpc status sweeps/": ["sweeps/s", "sweeps/s/"],
    "nqs-hpc status --sort ": [],
    "nqs-hpc doctor r": ["runs/"],
    "nqs-hpc lattice=edges lattice.file=bo": ["lattice.file=bonds.txt"],
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with runs, a sweep, and what is neither."""
    folder = tmp_path_factory.mktemp("home")
    for name in ("runs/one", "runs/two", "sweeps/s", "sweeps/s/p1", "other"):
        (folder / name).mkdir(parents=True)
        if name != "other":
            (folder / name / "manifest.json").touch()
    (folder / "bonds.txt").touch()
    return folder


@SHELLS
def test_what_can_follow(shell, scripts, home):
    answers = ask(shell, scripts, home, *LINES)
    assert {line: sorted(found) for line, found in zip(LINES, answers, strict=True)} == LINES


def test_bash_that_does_not_cut_at_equals_signs(scripts, home):
    lines = [line for line in LINES if "," not in line]
    answers = ask_bash(scripts, home, *lines, whole=True)
    assert {line: sorted(found) for line, found in zip(lines, answers, strict=True)} == {
        one: LINES[one] for one in lines
    }


@SHELLS
def test_every_choice_key_and_word_is_there(shell, scripts, home):
    lines, wanted = [], []
    for group in groups():
        place = where(group).replace("LABEL", "x")
        lines.append(f"nqs-hpc {place}=")
        wanted.append({f"{place}={name}" for name in names(group)})
        for name in names(group):
            dotted = place.replace("/", ".")
            lines.append(f"nqs-hpc {place}={name} {dotted}.")
            own = {one.key for several in spots().values() for one in several if one.owner == f"{where(group)}={name}"}
            wanted.append({f"{dotted}.{key.rpartition('.')[2]}=" for key in own})
    for key, several in spots().items():
        if any(one.inner for one in several):
            continue  # not all choices can stand inside of another one
        if words := {word for one in several for word in words_of(one)}:
            lines.append(f"nqs-hpc {key}=")
            wanted.append({f"{key}={word}" for word in words})
    for line, want, found in zip(lines, wanted, ask(shell, scripts, home, *lines), strict=True):
        plain = {word for word in found if not word.endswith((".", "/", ".txt"))}
        assert plain == want, line
    (found,) = ask(shell, scripts, home, "nqs-hpc ")
    assert set(COMMANDS) < set(found)


def test_python_and_launchers_are_completed_behind_the_module(scripts, home):
    lines = ["python -m nqs_hpc ansatz=vi", "mpiexec -n 2 python -m nqs_hpc ansatz=vi", "srun -n 2 nqs-hpc ansatz=vi"]
    lines += ["python other.py ansatz=vi", "python -m other ansatz=vi"]
    answers = ask_bash(scripts, home, *lines, function="_nqs_hpc_behind")
    assert answers == [["ansatz=vit"]] * 3 + [[]] * 2


def test_what_completed_python_before_still_does(scripts, home):
    program = f"""_before() {{ COMPREPLY=(mine); }}
complete -F _before python
source {scripts / "bash"}
source {scripts / "bash"}
complete -p python nqs-hpc
COMP_WORDS=(python ot); COMP_CWORD=1; _nqs_hpc_behind python; echo "${{COMPREPLY[@]}}"
COMP_WORDS=(python -m nqs_hpc repo); COMP_CWORD=3; _nqs_hpc_behind python; echo "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "--norc", "-c", program], cwd=home, capture_output=True, text=True)
    assert done.stderr == ""
    *_, declared, before, ours = done.stdout.splitlines()
    assert "-F _nqs_hpc nqs-hpc" in declared and before == "mine" and ours == "report"


def test_a_script_is_printed_and_everything_else_refused(capsys):
    assert completion(["bash"]) == 0
    assert capsys.readouterr().out == script("bash")
    for words, line in (
        (["fish"], "fish is not valid; valid: "),
        (["bsh"], "bsh is not valid; did you mean bash? valid: "),
        ([], "completion is not valid; valid: python -m nqs_hpc completion bash|zsh"),
        (["bash", "zsh"], "bash zsh is not valid; valid: "),
    ):
        assert completion(words) == 2
        out = capsys.readouterr()
        assert out.out == "" and out.err.startswith(line) and out.err.count("\n") == 1


def test_a_script_is_made_without_jax():
    ask = "import sys; from nqs_hpc.cli.completion import script; script('bash'); print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
