"""task.ramp in a configuration: which couplings it takes, and which facts of the Hamiltonian hold at all times."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.config.compose import checked, from_plain
from nqs_hpc.config.identity import physics, run_name, to_plain
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.parts import build
from tests.systems import SERIAL

WORDS = ["task=dynamics", "lattice.length=4", "ansatz.dtype=complex"]


def config(*words):
    return checked([*WORDS, *words], 1)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["task.ramp={hh: [[0, 1]]}"],
            "hh=[[0.0, 1.0]] is not valid: hamiltonian=ising has no key hh; did you mean h",
        ),
        (["task.ramp={gauge: [[0, 1]]}"], "for couplings of hamiltonian=ising, which are numbers: J, h, g"),
        (["task.ramp={h: [[0, 1], [0, 2]]}"], "task.ramp.h=[[0, 1], [0, 2]] is not valid; valid: times that go up"),
        (
            ["task.ramp={h: [[0, [1, 2]]]}"],
            ".h=[[0.0, [1.0, 2.0]]] is not valid; valid: for each value a number",
        ),
        (["task.ramp.h.mean=1", "task.ramp.h.omega=2"], "amplitude is missing"),
        (["hamiltonian=rydberg", "task.ramp={V: [[0, 1], [1, -1]]}"], "task.ramp.V=[[0.0, 1.0], [1.0, -1.0]] is not"),
        (["hamiltonian=rydberg", "task.ramp={cutoff: [[0, 1], [1, 2]]}"], "which are numbers: Omega, delta, V"),
        (["hamiltonian=bose_hubbard", "task.ramp={n_max: [[0, 1], [1, 2]]}"], "which are numbers: J, U, mu"),
        (["hamiltonian=heisenberg", "task.ramp={J: [[0, 0], [1, 0]]}"], "hamiltonian.J=0.0 is not"),
        (["task.ramp={h: [[0, 1], [1, 2]]}", "observables=[lanczos]"], "observables.lanczos=lanczos is not valid"),
        (["sector=0", "task.ramp={h: [[0, 0], [1, 1]]}"], "hamiltonian=ising with h other than 0 does not conserve"),
    ],
)
def test_one_line_for_what_is_not_valid(words, line):
    with pytest.raises(InputError) as caught:
        config(*words)
    assert line in str(caught.value) and "\n" not in str(caught.value)


def test_what_a_run_keeps_and_what_makes_it_another(tmp_path):
    table = tmp_path / "h.txt"
    table.write_text("0 0\n1 -3\n2 1\n", encoding="utf-8")
    one = config(f"task.ramp={{h: {table}}}")
    assert one.hamiltonian.h == -3.0  # the largest: what is conserved, joined and signed at all times
    assert one.hamiltonian.gauge
    table.unlink()
    plain = to_plain(one)
    again = from_plain(plain)
    assert again == one and to_plain(again) == plain
    pieces = config("task.ramp={h: [[0, 0], [1, -3], [2, 1]]}")
    assert run_name(pieces) == run_name(one)
    # whatever the value beside it, which is never taken
    assert run_name(config("hamiltonian.h=5", "task.ramp={h: [[0, 0], [1, -3], [2, 1]]}")) == run_name(one)
    assert run_name(config("task.ramp={h: [[0, 0], [1, -3], [2, 2]]}")) != run_name(one)
    assert "ramp" not in physics(config())["task"] and config("task.ramp=null") == config()


def test_of_a_list_the_entries_that_move():
    found = config("hamiltonian=heisenberg", "task.ramp={J: [[0, [1, 0]], [2, [1, -0.5]]]}")
    assert found.hamiltonian.J == (1.0, -0.5)
    operator = build(found, SERIAL).operator
    assert len(operator.terms) == 2  # one number depends on time
    assert operator.n_connected == 6  # bonds of both orders at all times


def test_symmetries_are_those_of_all_times():
    words = ["symmetrize.spin_flip=1", "task.ramp={g: [[0, 0], [1, 0.5]]}"]
    with pytest.raises(InputError, match=r"^symmetrize\.spin_flip=1 is not valid") as caught:
        build(config(*words), SERIAL)
    assert "\n" not in str(caught.value)
    assert build(config("symmetrize.spin_flip=1", "task.ramp={h: [[0, 0], [1, 0.5]]}"), SERIAL).symmetry is not None
    with pytest.raises(InputError, match=r"^ansatz=rbm is not valid.*flipped spins"):
        build(config("ansatz.bias=false", *words[1:]), SERIAL)


def test_proposals_along_elements_that_vanish_at_first():
    """h is 0 at time 0, where H joins no states."""
    found = config("sampler.move=hamiltonian", "task.ramp={h: [[0, 0], [1, 1]]}", "sampler.n_chains=16")
    parts = build(found, SERIAL)
    moves, elements = parts.operator.connected(jnp.ones(4, jnp.int8))
    assert not np.any(elements) and not np.any(moves.deltas) and parts.operator.n_connected == 4
    sampler, key = parts.sampler, np.zeros(2, np.uint32)
    chains = sampler.init(key)
    _, samples, _ = jax.jit(sampler.sample)(key, parts.ansatz.init(jax.random.key(0)), chains)
    assert len(np.unique(np.asarray(samples.s_BN), axis=0)) == 16  # every state is reached
