"""Every ansatz that says it can be a product state is that state, and can move from there; what it says is so."""

import functools
from contextlib import suppress

import jax
import numpy as np
import pytest

from nqs_hpc.choices.initial import fields
from nqs_hpc.config.basis import basis_of
from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.jacobian import jacobian
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.system.hilbert import codes, decode
from nqs_hpc.system.product_states import log_amplitude
from tests.contract.tried import N, configuration, of_chains

RBM = {"name": "rbm", "alpha": 1}
CHOICES = {
    **of_chains(),
    "rbm-even": {**RBM, "bias": False},
    "rbm-few": {**RBM, "alpha": 0.5, "dtype": "complex"},
    "modulus_phase-jastrow": {"name": "modulus_phase", "modulus": {"name": "rbm"}, "phase": {"name": "jastrow"}},
    "anchored-plus": {"name": "anchored", "net": {"name": "cnn"}, "state": "plus_x"},
}
STATES = {
    "plus_x": "plus_x",
    "minus_x": "minus_x",
    "up": "up",
    "neel": "neel",
    "all": [1.1, 0.0],
    "phases": [1, 0.3],
    "each": [[0.4 * i, 0.3 * i] for i in range(1, N + 1)],
}
SYSTEMS = {
    "spins": {"hamiltonian": "ising", "sector": "none"},
    "occupations": {"hamiltonian": {"name": "bose_hubbard", "n_max": 1}, "sector": "none"},
    "signs": {"hamiltonian": {"name": "heisenberg", "marshall": True}, "sector": 0},
}
ABLE = {"rbm", "rbm_symm", "jastrow", "modulus_phase", "anchored"}


@functools.cache
def made(name: str, system: str):
    """Configuration, ansatz, the lattice of its sites, its basis and all states."""
    config = configuration(**SYSTEMS[system], ansatz=CHOICES[name], sampler="enumerate", optimizer="sgd")
    lattice = config.make_sites()
    basis = basis_of(config, lattice)
    ansatz = config.ansatz.make(lattice, basis, "float64")
    return config, ansatz, lattice, basis, decode(basis.hilbert, codes(basis.hilbert))


def known(lattice, basis) -> dict[str, np.ndarray]:
    """The fields of the states that are not orthogonal to the space."""
    found = {}
    for label, given in STATES.items():
        with suppress(InputError):
            found[label] = fields("task.initial", given, 3.0, lattice, basis)
    return found


CASES = [(name, "spins") for name in CHOICES]
CASES += [(name, system) for name in ("rbm-2", "rbm_symm-2", "jastrow-2") for system in ("occupations", "signs")]
CASES += [("anchored-1", "occupations"), ("rbm-even", "occupations"), ("jastrow-1", "signs")]


@pytest.mark.parametrize(("name", "system"), CASES)
def test_product_states_are_exact_and_what_a_choice_says_of_them_is_so(name, system):
    config, ansatz, lattice, basis, states = made(name, system)
    if ansatz.product_state is None:
        assert config.ansatz.name not in ABLE or name == "modulus_phase"  # one of whose networks cannot
    log_psi = jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0)))
    taken = set()
    for label, a_N in known(lattice, basis).items():
        why = config.ansatz.why_not(a_N, lattice, basis)
        if why:
            assert len(why) < 300 and "\n" not in why
            if ansatz.product_state is not None:
                with pytest.raises(ValueError, match=r"state|bias"):
                    ansatz.product_state(a_N)
            continue
        taken.add(label)
        found = np.asarray(log_psi(ansatz.product_state(a_N), states), complex)
        apart = found - log_amplitude(a_N, basis.hilbert, states)
        assert np.abs(np.exp(apart - apart[0]) - 1).max() < 1e-12, label
        if not a_N.any() and name.startswith(("rbm", "jastrow")):
            assert np.ptp(found.real) == np.ptp(found.imag) == 0
    assert system != "spins" or (taken != set()) == (ansatz.product_state is not None)


def test_which_states_are_taken():
    def taken(name: str, system: str = "spins") -> set[str]:
        config, _, lattice, basis, _ = made(name, system)
        given = known(lattice, basis).items()
        return {label for label, a_N in given if not config.ansatz.why_not(a_N, lattice, basis)}

    real = {"plus_x", "up", "neel", "all"}
    uniform = {"plus_x", "minus_x", "up", "all", "phases"}
    assert taken("rbm-2") == taken("jastrow-2") == taken("modulus_phase-jastrow") == set(STATES)
    assert taken("rbm-1") == taken("jastrow-1") == real and taken("rbm-even") == {"plus_x"}
    assert taken("rbm_symm-2") == uniform and taken("rbm_symm-1") == uniform & real
    assert taken("anchored-plus") == {"plus_x"} and taken("mlp-1") == set()
    # Marshall's signs are phases of +x
    assert "plus_x" not in taken("jastrow-1", "signs") and taken("rbm-2", "signs") == set(STATES) - {"up"}


def tangent(name: str, label: str = "plus_x") -> tuple[np.ndarray, np.ndarray]:
    """The centred log-derivatives, a column each, and states."""
    _, ansatz, lattice, basis, states = made(name, "spins")
    params = ansatz.product_state(fields("task.initial", STATES[label], 3.0, lattice, basis))
    form = flat(params, ansatz.kind)
    rows = np.asarray(jax.jit(lambda p: jacobian(ansatz, form, p, states, None))(params))
    if ansatz.kind == "complex":
        rows = rows[0::2] + 1j * rows[1::2]
    return rows - rows.mean(axis=0), states


def pairs(states: np.ndarray) -> np.ndarray:
    """s_i and s_i s_j, a column each."""
    i, j = np.triu_indices(N, 1)
    return np.concatenate([states, states[:, i] * states[:, j]], axis=1).astype(float)


def outside(columns: np.ndarray, wanted: np.ndarray) -> float:
    """How far ``wanted`` lies outside of the span, relative."""
    found = np.linalg.lstsq(columns, wanted, rcond=1e-10)[0]
    return float(np.abs(columns @ found - wanted).max())


@pytest.mark.parametrize("name", ["rbm-1", "rbm-2", "jastrow-1", "jastrow-2"])
def test_all_sites_and_pairs_are_in_the_tangent_space_of_plus_x(name):
    columns, states = tangent(name)
    assert outside(columns, pairs(states)) < 1e-10
    assert np.linalg.matrix_rank(columns, tol=1e-10) == N * (N + 1) // 2


@pytest.mark.parametrize("label", ["plus_x", "minus_x"])
def test_modulus_and_phase_can_each_move_by_all_of_them(label):
    """Real parameters: the real and the imaginary multiples of each are in the span of real combinations."""
    columns, states = tangent("modulus_phase-jastrow", label)
    wanted, none = pairs(states), np.zeros((len(states), N * (N + 1) // 2))
    planes = np.concatenate([columns.real, columns.imag])
    assert outside(planes, np.concatenate([wanted, none])) < 1e-10
    assert outside(planes, np.concatenate([none, wanted])) < 1e-10


def test_few_units_have_the_pairs_of_their_sites():
    columns, states = tangent("rbm-few")
    i, j = np.triu_indices(N, 1)
    inside = [
        outside(columns, (states[:, a] * states[:, b])[:, None].astype(float)) < 1e-10
        for a, b in zip(i, j, strict=True)
    ]
    assert sum(inside) == 12  # all but those of two of the three other sites


def test_shared_weights_have_the_pairs_of_each_distance():
    columns, states = tangent("rbm_symm-2")
    sums = np.stack([(states * np.roll(states, d, axis=1)).sum(axis=1) for d in range(1, N // 2 + 1)], axis=1)
    assert outside(columns, np.concatenate([sums, states.sum(axis=1, keepdims=True)], axis=1).astype(float)) < 1e-10


def test_no_two_units_on_a_site_have_the_same_strength():
    """They would move together for all times."""
    _, ansatz, lattice, basis, _ = made("rbm-2", "spins")
    w = np.asarray(ansatz.product_state(fields("task.initial", "plus_x", 3.0, lattice, basis)).w)
    strengths = w[w != 0]
    assert strengths.shape == (w.shape[1],) and len(np.unique(np.round(strengths, 4))) == len(strengths)
    assert (np.abs(strengths) >= 0.1).all() and (np.abs(strengths) <= 0.2).all() and (strengths.real > 0).all()
    assert np.count_nonzero(w, axis=1).tolist() == [2, 1, 2, 1, 2, 1]  # alpha = 1.5
