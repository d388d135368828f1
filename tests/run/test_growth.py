"""Parameters of another lattice: which are taken, which are refused, and that they mean the same there."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from nqs_hpc.ansatz.resnet import resnet
from nqs_hpc.config.compose import checked
from nqs_hpc.config.identity import physics
from nqs_hpc.job.checkpoint import Stored
from nqs_hpc.run.growth import judged

CNN = ["lattice=square", "ansatz=cnn", "ansatz.features=4"]


def config(*words):
    return checked(list(words), 1)


def stored(*words, leaves=()):
    meta = json.loads(json.dumps({"physics": physics(config(*words))}))
    return Stored(dict.fromkeys(leaves), meta, Path("step_00000005.h5"), ())


def test_a_smaller_and_a_larger_lattice_are_named():
    small, large = [*CNN, "lattice.length=4"], [*CNN, "lattice.length=6"]
    assert judged(config(*large), stored(*small), "") == ("the parameters are those of a smaller lattice (4x4 -> 6x6)",)
    assert "larger lattice (6x6 -> 4x4)" in judged(config(*small), stored(*large), "")[0]
    assert judged(config(*small), stored(*small), "") == ()
    # couplings and the spread of random parameters may differ
    assert judged(config(*large), stored(*small, "hamiltonian.h=0.5", "ansatz.init_scale=0.1"), "")
    lines = judged(config(*small), stored(*small, leaves=["memory/average/weight"]), "")
    assert lines == ("step_00000005.h5: the parameters after its last update are taken, not their running mean",)


@pytest.mark.parametrize(
    ("before", "now", "line"),
    [
        (["ansatz.activation=tanh"], [], "ansatz.activation: tanh -> gelu"),
        (["ansatz.kernel=[1,9]", "lattice.extent=[2,9]"], ["ansatz.kernel=[3,3]"], "ansatz.kernel: [1, 9] -> [3, 3]"),
        (["lattice=triangular"], [], "lattice: triangular -> square"),
        (["hamiltonian=heisenberg"], [], "hamiltonian: heisenberg -> ising"),
        (["lattice.extent=[4,9]"], [], "4x9 -> 6x6 are as many sites in another arrangement"),
    ],
)
def test_what_is_something_else_is_refused(before, now, line):
    own = [word for word in CNN if word.partition("=")[0] not in {one.partition("=")[0] for one in before}]
    lengths = [] if any("extent" in word for word in before) else ["lattice.length=4"]
    with pytest.raises(ValueError) as caught:
        judged(config(*CNN, "lattice.length=6", *now), stored(*own, *lengths, *before), "")
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_shapes_that_differ_are_said_to_be_of_the_lattice():
    with pytest.raises(ValueError, match=r"^params/w .*: its parameters depend on the size of .* \(8 -> 10\)$"):
        judged(config("lattice.length=10"), stored("lattice.length=8"), "params/w is (8, 8), this run has (10, 10)")
    with pytest.raises(ValueError, match=r"^params/x$"):
        judged(config("ansatz=mlp", "lattice.length=10"), stored("lattice.length=8"), "params/x")


def test_the_network_is_the_same_function_on_the_larger_lattice():
    """A state that repeats after four sites has on 8x4 sites twice the log psi that it has on 4x4."""
    small, large = (resnet(e, (True, True), layers=2, features=3, kernel=(3, 3), skip=False) for e in ((4, 4), (8, 4)))
    params = small.init(jax.random.key(3))
    s_N = np.random.default_rng(0).choice(np.array([1, -1], np.int8), 16).reshape(4, 4)  # y, x
    doubled = np.concatenate([s_N, s_N], axis=1)
    one, two = small.log_psi(params, s_N.ravel()), large.log_psi(params, doubled.ravel())
    assert two == pytest.approx(2 * float(one), rel=1e-12)


@pytest.mark.slow  # the network as a function, and what is said, are tested apart
def test_grown_from_4x4_to_6x6(tmp_path):
    words = [*CNN, "sampler.n_chains=32", "sampler.n_samples=256", "task.final_samples=256", "hamiltonian.h=2.5"]

    def start(*more, code=0):
        done = subprocess.run(
            [sys.executable, "-m", "nqs_hpc", *words, *more], capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == code, done.stderr
        return done.stderr

    def first_energy(name):
        return json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[0])["energy"]

    start("lattice.length=4", "task.n_steps=40", "run_dir=small")
    said = start("lattice.length=6", "task.n_steps=1", "init_from=small", "run_dir=large")
    assert said.count("the parameters are those of a smaller lattice (4x4 -> 6x6)") == 1
    start("lattice.length=6", "task.n_steps=1", "run_dir=random")
    # -2.79 a site is the ground state of the infinite lattice; a random start has a good deal less
    assert first_energy("large") < -2.7 * 36 < first_energy("random") - 5
    refused = start("lattice.length=6", "ansatz.kernel=5", "init_from=small", "run_dir=wide", code=2)
    assert refused.count("\n") == 1 and "weight in step_00000040.h5 is float64 (9, 1, 4)" in refused


PAIR = ["lattice.length=2", "lattice.pbc=false"]
HEISENBERG = ["hamiltonian=heisenberg", "lattice.length=8"]


@pytest.mark.parametrize(
    ("before", "now", "line"),
    [
        # a field of the other sign, whose network is in the basis with all signs -1
        (["hamiltonian.h=-1"], ["hamiltonian.h=1"], "give that run hamiltonian.gauge=false"),
        (["hamiltonian.h=1"], ["hamiltonian.h=-1"], "with hamiltonian.gauge=false they are ours"),
        (["hamiltonian.h=-1"], ["hamiltonian.h=-1", "hamiltonian.gauge=false"], "with hamiltonian.gauge=true they"),
        (HEISENBERG, [*HEISENBERG, "hamiltonian.J=-1"], "give that run hamiltonian.marshall=false"),
        (HEISENBERG, [*HEISENBERG, "hamiltonian.marshall=false"], "with hamiltonian.marshall=true they are ours"),
        ([*HEISENBERG, "hamiltonian.J=-1"], HEISENBERG, "with hamiltonian.marshall=false they are ours"),
        (HEISENBERG, ["lattice.length=8", "hamiltonian.h=2"], "give that run hamiltonian.marshall=false"),
    ],
)
def test_other_signs_of_basis_states_are_refused(before, now, line):
    with pytest.raises(ValueError) as caught:
        judged(config(*now), stored(*before), "")
    assert line in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (["hamiltonian.h=-1"], ["hamiltonian.h=-2"]),
        (["hamiltonian.h=-1", "hamiltonian.gauge=false"], ["hamiltonian.h=1"]),
        (HEISENBERG, [*HEISENBERG, "hamiltonian.J=[1,0.7]"]),
        ([*HEISENBERG, "hamiltonian.delta=0.5"], [*HEISENBERG, "hamiltonian.delta=2"]),
        # of the other sublattice: the same up to a factor in a sector of one total
        (
            [
                "hamiltonian=pauli",
                "lattice.length=2",
                "lattice.pbc=false",
                "hamiltonian.terms=['1.0 X0 X1','1.0 Y0 Y1']",
            ],
            ["hamiltonian=heisenberg", "lattice.length=2", "lattice.pbc=false"],
        ),
    ],
)
def test_the_same_signs_pass(before, now):
    assert judged(config(*now), stored(*before), "") == ()
