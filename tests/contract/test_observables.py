"""The contract of observables, for every name in nqs_hpc/choices/observable with its examples, on a chain of six sites
that hold spins, or fermions.

All are measured together by exact sums, whole and in chunks: results have the shapes that they declare, chunks change
nothing, and what a run writes of its configuration is read again as the same.
"""

from typing import Any

import jax
import numpy as np
import pytest

from nqs_hpc.choices import names
from nqs_hpc.config.compose import from_plain
from nqs_hpc.config.identity import to_plain
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.library.wave import wave_function
from nqs_hpc.parts import build
from tests.contract.tried import N, cases, configuration
from tests.systems import SERIAL

SYSTEM: dict[str, Any] = {
    "ansatz": {"name": "rbm", "dtype": "complex", "init_scale": 0.3},
    "sampler": {"name": "enumerate"},
}
# on no chain; of no single state; of networks that are told couplings
ELSEWHERE = {"plaquette", "loschmidt", "fidelity_susceptibility"}
OF_FERMIONS = {"density", "double_occupancy", "momentum_distribution", "pair_correlations"}
OF_SPINS = {"dimer", "local_spins", "magnetization", "pauli", "plaquette"}
EVERY = {name.replace("-", "_"): one for name, one in cases("observable").items()}
CASES = {
    "spins": {label: one for label, one in EVERY.items() if one["name"] not in OF_FERMIONS},
    "fermions": {label: one for label, one in EVERY.items() if one["name"] not in OF_SPINS},
}
SYSTEMS: dict[str, Any] = {
    "spins": {"hamiltonian": {"name": "heisenberg"}},
    "fermions": {"hamiltonian": {"name": "hubbard"}, "sector": [1, 1]},
}


@pytest.fixture(scope="module", params=CASES)
def measured(request):
    found = []
    for chunk in (None, 5):
        config = configuration(**SYSTEM, **SYSTEMS[request.param], observables=CASES[request.param], chunk_size=chunk)
        parts = build(config, SERIAL)
        wave = wave_function(config, parts, parts.ansatz.init(jax.random.key(1)))
        found.append(wave.measure(CASES[request.param]))
    return config, parts, *found


def test_every_observable_has_an_example():
    assert set(names("observable")) == {one["name"] for one in EVERY.values()} | ELSEWHERE
    assert set(names("observable")) >= OF_FERMIONS | OF_SPINS


@pytest.mark.parametrize(("system", "others"), [("spins", OF_FERMIONS), ("fermions", OF_SPINS)])
def test_what_does_not_fit_is_refused_in_one_line(system, others):
    for one in EVERY.values():
        if one["name"] in others:
            with pytest.raises(InputError, match=f"^observables.a=.* valid: an.* fits {system}|(are|hold) {system}"):
                configuration(**SYSTEM, **SYSTEMS[system], observables={"a": one})


@pytest.mark.parametrize("hamiltonian", [{"name": "blbq"}, {"name": "spin_s", "S": 1.5, "E": -0.2}])
def test_what_longer_spins_take(hamiltonian):
    """Of magnetization the z axis; the others are refused in one line."""
    taken = set()
    for label, one in EVERY.items():
        try:
            configuration(**SYSTEM, hamiltonian=hamiltonian, observables={"a": one})
            taken.add(label)
        except InputError as error:
            assert str(error).startswith("observables.a") and "\n" not in str(error)
    names = {EVERY[label]["name"] for label in taken}
    assert names == {
        "formula",
        "lanczos",
        "magnetization",
        "overlap",
        "qgt",
        "renyi",
        "spin_correlations",
        "total_spin",
    }
    assert all(EVERY[label].get("axis", "z") == "z" for label in taken)


def test_results_are_as_declared_whatever_the_chunks(measured):
    config, parts, whole, in_chunks = measured
    for label, one in config.observables.measured.items():
        made = one.make(parts.pieces)
        assert sum(x is not None for x in (made.local, made.strings, made.sums)) == 1
        kept = made.sums is None and made.n_values <= 8
        assert not kept or one.few_values >= made.n_values, label
        for output in made.outputs:
            name = f"{label}.{output.name}" if output.name else label
            assert np.shape(whole[name].value) == output.shape
            assert np.isfinite(whole[name].value).all(), name
            assert in_chunks[name].value == pytest.approx(whole[name].value, abs=1e-9), name


def test_a_configuration_is_read_again_as_it_was(measured):
    config, *_ = measured
    assert from_plain(to_plain(config)).observables == config.observables
    assert config.make_sites().n_sites == N * config.make_sites().layers
