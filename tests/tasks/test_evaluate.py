"""task=evaluate: expectation values against exact sums over the states, chains that go on, input that is refused."""

import json
import subprocess
import sys

import h5py
import jax
import numpy as np
import pytest

from nqs_hpc.config.compose import InputError, compose, from_plain
from nqs_hpc.config.identity import to_plain
from nqs_hpc.job import checkpoint
from nqs_hpc.library import load_run
from nqs_hpc.operators.exact import sparse_matrix
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.system.hilbert import codes, decode, spin_half
from nqs_hpc.types import PauliString

N = 6
SMALL = ["sampler.n_chains=16", "sampler.n_samples=64", "sampler.warmup=8", "compile_cache=auto"]
FERRO = ["lattice.length=6", "hamiltonian=heisenberg", "ansatz.dtype=complex", "ansatz.init_scale=0.2"]
OBSERVED = ["observables.zz=pauli", "observables.zz.terms=[1.0 Z0 Z3]"]
EXCHANGE = [
    "observables.xx=pauli",
    "observables.xx.terms=[{coefficient: 0.5, operators: XX, sites: [0, 1]}, {coefficient: 0.25, operators: XX, "
    "sites: [0, 2]}, {coefficient: 1.0, operators: X, sites: [0]}]",
]


def start(*words, code=0):
    found = subprocess.run([sys.executable, "-m", "nqs_hpc", *words], capture_output=True, text=True)
    assert found.returncode == code, found.stderr
    return found.stderr


def started(*words):
    return subprocess.run([sys.executable, "-m", "nqs_hpc", *words], capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A ground state with Marshall's signs in the sector of total 0."""
    folder = tmp_path_factory.mktemp("runs") / "ring"
    start(*FERRO, *SMALL, "task.n_steps=3", "task.final_samples=256", f"run_dir={folder}")
    return folder


def summary(folder):
    return json.loads((folder / "summary.json").read_text())


def exact(run, terms):
    """<psi|A|psi> / <psi|psi> of the physical wave function, from a matrix over all states."""
    states = decode(spin_half(N), codes(spin_half(N)))
    psi = np.exp(load_run(run).log_psi(states))
    matrix = sparse_matrix(pauli(N, terms), spin_half(N)).toarray()
    return np.real(psi.conj() @ matrix @ psi) / np.sum(np.abs(psi) ** 2)


def test_exact_sums_are_those_over_the_states(run, tmp_path):
    start("task=evaluate", f"task.run={run}", "sampler=enumerate", *OBSERVED, *EXCHANGE, f"run_dir={tmp_path / 'a'}")
    found = summary(tmp_path / "a")
    assert found["task"] == "evaluate" and found["status"] in ("done", "doubtful") and found["final"]
    heisenberg = [PauliString(0.25, 2 * axis, (i, (i + 1) % N)) for axis in "XYZ" for i in range(N)]
    assert found["energy"]["mean"] == pytest.approx(exact(run, heisenberg), rel=1e-11)
    zz, xx = found["observables"]["zz"], found["observables"]["xx"]
    assert zz["mean"] == pytest.approx(exact(run, [PauliString(1.0, "ZZ", (0, 3))]), rel=1e-11)
    # X alone leads out of the sector, where psi is 0; XX changes sign with Marshall's rule between sublattices
    terms = [PauliString(0.5, "XX", (0, 1)), PauliString(0.25, "XX", (0, 2)), PauliString(1.0, "X", (0,))]
    assert xx["mean"] == pytest.approx(exact(run, terms), rel=1e-10)
    assert zz["error"] == xx["error"] == 0 and zz["variance"] == pytest.approx(1 - zz["mean"] ** 2, rel=1e-10)


def test_more_samples_go_on_with_the_same_chains(run, tmp_path):
    words = ["task=evaluate", f"task.run={run}", *SMALL, *OBSERVED, "checkpoint.every_steps=1"]
    words.append("observables.all_pairs=spin_correlations")
    start(*words, "task.samples=256", f"run_dir={tmp_path / 'grown'}")
    first = summary(tmp_path / "grown")
    start(*words, "task.samples=1024", f"run_dir={tmp_path / 'grown'}")
    start(*words, "task.samples=1024", f"run_dir={tmp_path / 'whole'}")
    grown, whole = summary(tmp_path / "grown"), summary(tmp_path / "whole")
    assert (first["n_samples"], grown["n_samples"], grown["step"]) == (256, 1024, 16)
    assert grown["observables"] == whole["observables"] and grown["energy"] == whole["energy"]
    states = [checkpoint.read(tmp_path / name).leaves for name in ("grown", "whole")]
    for a, b in zip(*(jax.tree.leaves(leaves) for leaves in states), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()
    lines = [json.loads(text) for text in (tmp_path / "grown" / "metrics.jsonl").read_text().splitlines()]
    zz = grown["observables"]["zz"]
    assert [line["step"] for line in lines] == list(range(1, 17))
    assert lines[-1]["observables.zz"] == pytest.approx(zz["mean"], abs=1e-12)
    assert lines[-1]["energy_variance"] == pytest.approx(grown["energy"]["variance"], rel=1e-10)
    assert abs(zz["mean"] - exact(run, [PauliString(1.0, "ZZ", (0, 3))])) < 5 * zz["error"]
    assert "nothing to do" in subprocess.run(
        [sys.executable, "-m", "nqs_hpc", *words, "task.samples=512", f"run_dir={tmp_path / 'grown'}"],
        capture_output=True, text=True,
    ).stdout  # fmt: skip


def test_it_ends_when_the_error_is_small_enough(run, tmp_path):
    words = ["task=evaluate", f"task.run={run}", *SMALL, "observables=[magnetization]", *OBSERVED]
    words += ["observables.magnetization.staggered=true", "task.samples=100000", "task.error_of=zz"]
    words.append(f"run_dir={tmp_path / 'a'}")
    start(*words, "task.error=0.03")
    first = summary(tmp_path / "a")
    assert first["observables"]["zz"]["error"] <= 0.03 and first["n_samples"] < 100000
    assert first["n_samples"] >= 16 * 16  # chains long enough to know their error
    assert "nothing to do" in started(*words, "task.error=0.04")
    start(*words, "task.error=0.02")  # the same chains go on
    second = summary(tmp_path / "a")
    assert not [line for line in second["warnings"] if "task.error" in line]
    few = [word for word in words[:-1] if not word.startswith("task.samples")]
    start(*few, "task.error=0.001", "task.samples=2048", f"run_dir={tmp_path / 'b'}")
    [said] = [line for line in summary(tmp_path / "b")["warnings"] if "task.error" in line]
    assert "is above task.error=0.001: raise task.samples" in said
    assert second["observables"]["zz"]["error"] <= 0.02 and second["n_samples"] > first["n_samples"]
    with h5py.File(tmp_path / "a" / "observables.h5") as file:
        zz, told = file["zz"], second["observables"]["zz"]
        assert (zz["mean/value"][()], zz["mean/error"][()]) == (told["mean"], told["error"])
        assert file["energy/mean/value"][()] == second["energy"]["mean"]
        assert file["magnetization/m2/mean/error"][()] == second["observables"]["magnetization.m2"]["error"]
        assert dict(file.attrs) == {"n_samples": second["n_samples"], "n_sites": N, "step": second["step"]}


LABEL = "observables.a"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "task.run=null is not valid; valid: the folder of a run"),
        (["task.run=nowhere"], "task.run=nowhere is not valid: it does not exist; valid: the folder of a run"),
        (["task.run=RUN", "lattice.length=8"], "lattice.length=8 is not valid; valid: nothing: the wave function"),
        (["task.run=RUN", "sector=none"], "sector=none is not valid"),
        (["task.run=RUN", "ansatz.alpha=2"], "ansatz.alpha=2 is not valid"),
        (["task.run=RUN", "symmetrize.spin_flip=1"], "symmetrize.spin_flip=1 is not valid"),
        (["task.run=RUN", "hamiltonian.marshall=false"], "with the same signs of basis states"),
        (["task.run=RUN", "optimizer=adam"], "optimizer=adam is not valid; valid: nothing"),
        (["task.run=RUN", "task.samples=100000000000"], "task.samples=100000000000 is not valid; valid: at most"),
        (
            ["task.run=RUN", f"{LABEL}=spin"],
            f"{LABEL}=spin is not valid; did you mean spin_correlations? valid: density, density_correlations, ",
        ),
        (["task.run=RUN", f"{LABEL}=pauli"], f"{LABEL}.terms=null is not valid; valid: a list of lines"),
        (["task.run=RUN", f"{LABEL}=pauli", f"{LABEL}.terms=[1.0 Z9]"], f"{LABEL}.terms="),
        (["task.run=RUN", "observables=[total_spin,total_spin]"], "each name once"),
        (["task.run=RUN", "observables=3"], "observables=3 is not valid; valid: a list of names, or a mapping"),
        (["task.run=RUN", "observables={1a: pauli}"], "observables.1a"),
        (["task.run=RUN", "init_from=RUN"], "init_from="),
        (["task.run=RUN", "observables.every=5"], "observables.every=5 is not valid; valid: null"),
        (["task.run=RUN", "observables.energy=pauli"], "observables.energy"),
        (["task.run=RUN", "task.error=0"], "task.error=0 is not valid"),
        (["task.run=RUN", "task.error=0.1", "task.error_of=m"], "task.error_of=m is not valid; valid: energy"),
        (["task.run=RUN", "task.samples=0"], "task.samples=0 is not valid"),
    ],
)
def test_bad_input_is_one_line(run, words, said):
    with pytest.raises(InputError) as caught:
        compose(["task=evaluate", *(word.replace("RUN", str(run)) for word in words)], 1)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_the_configuration_is_that_of_the_run(run):
    config = compose(["task=evaluate", f"task.run={run}"], 1)
    own = load_run(run).config
    assert (config.lattice, config.hamiltonian, config.ansatz) == (own.lattice, own.hamiltonian, own.ansatz)
    assert config.sampler == own.sampler and config.sector == own.sector == 0 and config.task.n_steps == 512
    words = ["hamiltonian.J=[1,0.2]", "sampler.n_samples=128", "observables.v_score=pauli"]
    words.append("observables.v_score.terms=[1.0 Z0]")
    other = compose(["task=evaluate", f"task.run={run}", *words], 1)
    assert other.hamiltonian.J == (1.0, 0.2) and other.sampler.n_samples == 128 and other.ansatz == own.ansatz
    assert from_plain(to_plain(other)) == other


def test_another_hamiltonian_is_the_operator_it_says(run, tmp_path):
    """The energy under couplings of another kind, against the same operator over all states."""
    start("task=evaluate", f"task.run={run}", "sampler=enumerate", "hamiltonian.J=[1,0.5]", f"run_dir={tmp_path / 'a'}")
    pairs = [(d, 0.25 / d) for d in (1, 2)]  # J_1 = 1, J_2 = 0.5
    terms = [PauliString(c, 2 * axis, (i, (i + d) % N)) for d, c in pairs for axis in "XYZ" for i in range(N)]
    assert summary(tmp_path / "a")["energy"]["mean"] == pytest.approx(exact(run, terms), rel=1e-11)
    assert load_run(tmp_path / "a").expect(["1.0 Z0 Z3"]).mean == pytest.approx(
        exact(run, [PauliString(1.0, "ZZ", (0, 3))]), rel=1e-11
    )
