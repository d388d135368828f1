"""What a run says of its final energy: done, doubtful or failed, in the words of its last line and of summary.json."""

from types import SimpleNamespace

import numpy as np
import pytest

from nqs_hpc.config.signs import NOT_REAL, switched_off
from nqs_hpc.library import build, compose
from nqs_hpc.operators.exact import sparse_matrix
from nqs_hpc.parallel.launch import Placement
from nqs_hpc.run.record import Description, spoiling
from nqs_hpc.tasks.final import Final, System, judged
from nqs_hpc.tasks.guard import why_rejected

LENGTH = 64


@pytest.fixture(scope="module")
def parts():
    return build(["lattice.length=6"])


@pytest.mark.parametrize(
    ("ansatz", "said"), [("rbm", True), ("mps", True), ("mean_field", True), ("rbm-complex", False)]
)
def test_a_real_wave_function_and_complex_elements(ansatz, said):
    """Whatever its signs, <psi| i A |psi> = 0 for real psi and real antisymmetric A, so a line says so."""
    name, _, dtype = ansatz.partition("-")
    words = ["hamiltonian=xyz", "lattice.length=4", f"ansatz={name}", *([f"ansatz.dtype={dtype}"] if dtype else [])]
    config = compose([*words, "hamiltonian.D=[0,0,0.3]"])
    parts = build([*words, "hamiltonian.D=[0,0,0.3]"])
    matrix = sparse_matrix(parts.operator, parts.hilbert).toarray()
    psi = np.random.default_rng(2).normal(size=len(matrix))
    assert abs(matrix.imag).max() > 0.1 and abs(psi @ matrix.imag @ psi) < 1e-12
    assert (NOT_REAL in spoiling(config, parts)) == said
    assert NOT_REAL not in spoiling(compose(words), build(words))


def judge(parts, e_loc_A, *, accepted=0.5, reference=None, recent=(), error=None, words=("lattice.length=6",)):
    """The verdict of a final evaluation with these local energies, chain by chain."""
    lines = [{"step": k + 1, "energy": energy, "rejected": False} for k, energy in enumerate(recent)]
    e_loc_A = np.asarray(e_loc_A, dtype=float)
    n = len(e_loc_A)
    means = e_loc_A.reshape(-1, LENGTH).mean(axis=1)
    if error is None:
        error = float(means.std(ddof=1) / np.sqrt(len(means)))
    proposed = 6.0 * n
    counts = {"accepted": accepted * proposed, "proposed": proposed}
    final = Final(e_loc_A, np.full(n, 1 / n), complex(e_loc_A.mean()), error, float(e_loc_A.var()), counts, LENGTH)
    line = {
        "energy": final.mean.real, "energy_error": error, "energy_variance": final.variance,
        "accepted_per_sample": counts["accepted"] / n, "acceptance": accepted, "r_hat": 1.0,
    }  # fmt: skip
    hamiltonian = compose(words).hamiltonian
    system = System(
        6, parts.operator.bounds, parts.operator.e_infinity, signs_off=lambda: switched_off(hamiltonian, parts.lattice)
    )
    exact = None if reference is None else {"energy": reference}
    status, reason, found, _ = judged(final, line, system, 300, lines, exact)
    assert "\n" not in reason and (status == "done") == (not found and "energy" in reason and status != "failed")
    return status, reason, found, line


def energies(mean, spread=0.1, n_chains=64):
    return mean + spread * np.random.default_rng(0).normal(size=n_chains * LENGTH)


def test_a_good_energy_is_done(parts):
    status, reason, _, _ = judge(parts, energies(-7.72), reference=-7.7274, recent=[-7.7, -7.72, -7.71])
    assert status == "done" and reason.startswith("300 steps, energy -7.7")


@pytest.mark.parametrize(
    ("given", "status", "words"),
    [
        ({"e_loc_A": energies(-7.72), "accepted": 1e-5}, "failed", "the chains are frozen, "),
        ({"e_loc_A": energies(-7.72), "accepted": 1e-5, "reference": -7.7274}, "doubtful", "it agrees with the exact"),
        ({"e_loc_A": energies(-7.72), "accepted": 1e-5, "reference": -12.0}, "failed", "the chains are frozen, "),
        ({"e_loc_A": energies(np.nan), "error": np.nan}, "failed", "the energy of the final parameters is not finite"),
        ({"e_loc_A": energies(390.0, 5e4)}, "failed", "no state of the spectrum (-12 to 12) has"),
        ({"e_loc_A": energies(-5.0), "reference": -7.7274}, "doubtful", "35.3 % from the exact lowest energy"),
        ({"e_loc_A": energies(-7.72), "recent": [-3.0] * 30}, "doubtful", "the last steps of training had -3"),
        ({"e_loc_A": energies(13.0, 0.01)}, "doubtful", "outside of the spectrum"),
    ],
)
def test_another_is_not(parts, given, status, words):
    found = judge(parts, **given)
    assert found[0] == status and words in found[1]


def test_signs_that_are_off_make_a_positive_state_doubtful():
    off = ["lattice.length=6", "hamiltonian.h=-1", "hamiltonian.gauge=false"]
    status, reason, _, _ = judge(build(off), energies(-6.0), words=off)
    assert status == "doubtful" and "hamiltonian.gauge" in reason


def test_frozen_chains_have_neither_error_nor_v_score_in_the_summary(parts):
    about = Description(
        compose(["lattice.length=6"]), SimpleNamespace(size=1), Placement(*[1] * len(Placement._fields)), parts,
        versions={}, started=0.0, seconds_before=0.0,
    )  # fmt: skip
    state = SimpleNamespace(step=300)
    for accepted, has in ((0.5, True), (1e-5, False)):
        status, reason, doubts, line = judge(parts, energies(-7.72), accepted=accepted)
        found = about.summary(state, line, status=status, reason=reason, final=True, doubts=doubts)
        assert (found["v_score"] is not None) == (found["energy"]["error"] is not None) == has
        assert found["energy"]["mean"] == line["energy"] and found["e_infinity"] == 0.0
        assert found["status"] == ("done" if has else "failed") and bool(found["doubts"]) == (not has)


def test_a_rejected_step_says_why():
    bounds = (-12.0, 12.0)
    assert why_rejected({"energy": np.nan, "energy_variance": np.nan}, bounds) == "the energy is not finite"
    assert why_rejected({"energy": -7.0, "energy_variance": 1.0}, bounds) == "the update is not finite"
    assert "(-12 to 12)" in why_rejected({"energy": 1e8, "energy_variance": 1e17}, bounds)
