"""Dense matrices from Kronecker products: the independent side of the tests of operators."""

from collections.abc import Callable
from functools import reduce

import numpy as np
import pytest

PAULI = {
    "I": np.eye(2),
    "X": np.array([[0.0, 1.0], [1.0, 0.0]]),
    "Y": np.array([[0.0, -1j], [1j, 0.0]]),
    "Z": np.diag([1.0, -1.0]),
}


def kron_string(n_sites: int, operators: str, sites: tuple[int, ...]) -> np.ndarray:
    """The matrix of a product of Pauli matrices; site 0 is the fastest digit, so it stands last in the product."""
    letters = dict(zip(sites, operators, strict=True))
    return reduce(np.kron, [PAULI[letters.get(site, "I")] for site in reversed(range(n_sites))])


@pytest.fixture(scope="session")
def kron() -> Callable[[int, str, tuple[int, ...]], np.ndarray]:
    return kron_string
