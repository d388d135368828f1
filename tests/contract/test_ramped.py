"""Every Hamiltonian with all its couplings in time, against the one that is made at the couplings of that time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from nqs_hpc.choices.hamiltonian.base import Hamiltonian
from nqs_hpc.choices.task import _ramp
from nqs_hpc.inputs.checks import InputError, Invalid
from nqs_hpc.inputs.drawn import Drawn
from nqs_hpc.inputs.ramps import Linear, Ramp, value_at
from nqs_hpc.operators.exact import sparse_matrix
from nqs_hpc.operators.ramped import MOST_MULTILINEAR
from nqs_hpc.system.lattice import Lattice
from tests.contract.test_hamiltonians import HAMILTONIANS, LATTICES, configured

CASES = [(name, next(on for on in LATTICES if configured(name, on))) for name in HAMILTONIANS]
TIMES = (-0.5, 2 / 3, 1.0)  # before it begins, and where what has changed its sign is 0


def entries_of(hamiltonian: Hamiltonian, lattice: Lattice) -> list[tuple[str, Linear]]:
    """Every coupling from its value, or 1 where that is 0, to minus half of it, or to half where it has one sign; none
    that this Hamiltonian refuses.
    """
    entries = []
    for key, check in hamiltonian.couplings().items():
        value = getattr(hamiltonian, key)
        if any(isinstance(x, Drawn) for x in (value if isinstance(value, tuple) else (value,))):
            continue
        first = tuple(x or 1.0 for x in value) if isinstance(value, tuple) else value or 1.0
        for factor in (-0.5, 0.5):
            last = tuple(factor * x for x in first) if isinstance(first, tuple) else factor * first
            try:
                check.read(last)
                _ramp.driven(hamiltonian, Ramp(((key, Linear((0.0, 1.0), (first, last))),))).resolved(lattice)
            except (Invalid, InputError):
                continue
            entries.append((key, Linear((0.0, 1.0), (first, last))))
            break
    return sorted(entries)


def ramps_of(hamiltonian: Hamiltonian, lattice: Lattice) -> list[Ramp]:
    """One of all couplings, or of some at a time where they are more than a sum of their products may have."""
    entries = entries_of(hamiltonian, lattice)
    count = sum(len(np.atleast_1d(path.values[0])) for _, path in entries)
    if count > MOST_MULTILINEAR and "delta" in dict(entries):  # J delta is a product
        return [Ramp(tuple(entries[:2])), Ramp(tuple(entries[2:]))]
    return [Ramp(tuple(entries))] if entries else []


# of each Hamiltonian two examples are tried each time
OFTEN = ("", "1", "2")
MARKED = [
    pytest.param(name, on, marks=() if name.partition("-")[2] in OFTEN else pytest.mark.slow, id=f"{name}-on-{on}")
    for name, on in CASES
]


@pytest.mark.parametrize(("name", "on"), MARKED)
def test_an_operator_in_time_is_the_one_at_its_couplings(name, on):
    config = configured(name, on)
    lattice, given = config.make_sites(), config.hamiltonian
    if getattr(given, "gauge", None) is True:  # as it was read: which signs there are depends on the couplings
        given = dataclasses.replace(given, gauge="auto")
    ramps = ramps_of(given, config.lattice.make())
    if not ramps:
        pytest.skip("no coupling is a number")
    for ramp in ramps:
        check(_ramp.driven(given, ramp).resolved(config.lattice.make()), lattice, ramp)


def check(hamiltonian: Hamiltonian, lattice: Lattice, ramp: Ramp) -> None:
    signs_N, hilbert = hamiltonian.signs(lattice), hamiltonian.space(lattice.n_sites)
    operator, corners = _ramp.operators(hamiltonian, lattice, signs_N, ramp)
    assert operator.n_connected == hamiltonian.make(lattice, signs_N).n_connected  # no moves side by side
    assert {one.n_connected for one in corners} == {operator.n_connected}
    for time in TIMES:
        now = {key: value_at(path, time) for key, path in ramp.entries}
        plain = dataclasses.replace(hamiltonian, **now).make(lattice, signs_N)
        matrix, exact = sparse_matrix(operator, hilbert, time=time), sparse_matrix(plain, hilbert)
        size = max(1.0, np.abs(exact.data).max(initial=0.0))
        assert np.abs((matrix - exact).toarray()).max() < 1e-12 * size
        levels = np.linalg.eigvalsh(exact.toarray())
        assert operator.bounds[0] - 1e-9 <= levels[0] and levels[-1] <= operator.bounds[1] + 1e-9
        if time < 0:  # constant up to time 0
            assert operator.e_infinity == pytest.approx(np.mean(levels), abs=1e-9 * size)
