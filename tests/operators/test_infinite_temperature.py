"""The mean energy of a sector against the trace of its matrix."""

import numpy as np
import pytest

from nqs_hpc.operators import exact
from nqs_hpc.operators.infinite_temperature import mean_of_sector
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.operators.projected import projected
from nqs_hpc.system.fermion_strings import FermionString, hop, jordan_wigner, number
from nqs_hpc.system.spaces import fermions, spinless_fermions


@pytest.mark.parametrize(
    "hilbert",
    [
        *(fermions(4, *numbers) for numbers in ((2, 2), (1, 3), (0, 1))),
        fermions(4, 1, 2, double=False),
        spinless_fermions(8, 3),
    ],
)
def test_it_is_the_trace_over_the_dimension(hilbert):
    hops = [one for i, j in ((0, 1), (1, 2), (2, 3)) for spin in (0, 4) for one in hop(-1.0, i + spin, j + spin)]
    four = [number(0.3 + i, i, i + 4) for i in range(4)] + [number(-0.7, 0, 1, 6), number(0.2, 5)]
    strings = jordan_wigner([*hops, *four, FermionString(1.5, ())])
    matrix = exact.sparse_matrix(projected(pauli(8, strings, first=0), hilbert), hilbert)
    expected = matrix.trace() / matrix.shape[0]
    assert mean_of_sector(strings, hilbert) == pytest.approx(float(np.real(expected)), rel=1e-12)


def test_hubbard_at_any_size():
    """U N_up N_down / N."""
    strings = jordan_wigner([number(8.0, i, i + 64) for i in range(64)])
    assert mean_of_sector(strings, fermions(64, 28, 25)) == pytest.approx(8 * 28 * 25 / 64, rel=1e-12)
