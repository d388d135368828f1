"""Against Kronecker products with distances written by hand, and against the one large spin of infinite range."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.config.compose import compose
from nqs_hpc.operators import long_range as module
from nqs_hpc.operators.exact import lowest_states, sparse_matrix
from nqs_hpc.operators.long_range import long_range
from nqs_hpc.operators.rydberg import rydberg
from nqs_hpc.system.distances import chord, pairs_within, power_law
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.system.lattice import FACTORIES
from tests.systems import dense

LINE = np.abs(np.subtract.outer(range(6), range(6)))
RING = np.minimum(LINE, 6 - LINE)
CHORDS = 6 / np.pi * np.sin(np.pi * LINE / 6)
PLAQUETTE = np.array([[0, 1, 1, 2**0.5], [1, 0, 2**0.5, 1], [1, 2**0.5, 0, 1], [2**0.5, 1, 1, 0]])
TRIANGLE = np.array([[0, 1.5, 2], [1.5, 0, 2.5], [2, 2.5, 0]])
RING_6, OPEN_6 = ["lattice.length=6"], ["lattice.length=6", "lattice.pbc=false"]
# overrides, the distances as one writes them by hand, and what is asked of the model
CASES = {
    "ring": (RING_6, RING, {"Jz": 1.0, "h": 0.7, "alpha": 3.0}),
    "chords": ([*RING_6, "hamiltonian.distance=chord"], CHORDS, {"Jz": 0.5, "Jxy": 0.5, "alpha": 2.0}),
    "open": (OPEN_6, LINE, {"Jz": -1.0, "Jxy": 0.3, "h": -0.4, "g": 0.2, "alpha": 1.5}),
    "Kac": ([*OPEN_6, "hamiltonian.kac=true"], LINE, {"Jz": -1.0, "h": 0.4, "alpha": 0.5}),
    "cutoff": ([*OPEN_6, "hamiltonian.cutoff=2"], np.where(LINE > 2, 0, LINE), {"Jz": 0.4, "Jxy": -1.0, "alpha": 1.0}),
    "square": (["lattice=square", "lattice.length=2"], PLAQUETTE, {"Jz": 0.0, "Jxy": 1.0, "g": 0.1, "alpha": 6.0}),
    "points": (["lattice=points", "lattice.file=atoms.txt"], TRIANGLE, {"Jz": 1.0, "Jxy": 0.5, "alpha": 3.0}),
}


def by_hand(r, *, Jz, alpha, Jxy=0.0, h=0.0, g=0.0, kac=False):
    n = len(r)
    c = np.where(r > 0, 1 / np.where(r > 0, r, 1.0) ** alpha, 0.0)
    c = c / (c.sum() / n) if kac else c
    bonds = [(i, j) for i in range(n) for j in range(i)]
    terms = [(c[i, j] * J, {i: a, j: a}) for i, j in bonds for a, J in (("Z", Jz), ("X", Jxy), ("Y", Jxy))]
    return dense(n, terms + [(-x, {i: a}) for i in range(n) for a, x in (("X", h), ("Z", g))]).real


@pytest.fixture(params=["a product with the matrix", "pair by pair"])
def way(request, monkeypatch):
    """Both ways to sum the pairs, whatever the size of the lattice would choose."""
    monkeypatch.setattr(module, "DENSE", 0 if request.param.startswith("a product") else 10**9)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("case", CASES)
def test_matrix_is_the_sum_of_kronecker_products(case, tmp_path, monkeypatch):
    overrides, r, values = CASES[case]
    (tmp_path / "atoms.txt").write_text("0 0\n1.5 0\n0 2\n")
    monkeypatch.chdir(tmp_path)
    given = {"h": 0.0} | values
    words = [f"hamiltonian.{name}={value}" for name, value in given.items()]
    config = compose(["hamiltonian=long_range", "sector=none", "sampler=enumerate", *overrides, *words], 1)
    lattice = config.make_sites()
    operator = config.hamiltonian.as_written().operator(lattice)
    wanted = by_hand(r, **values, kac=case == "Kac")
    found = sparse_matrix(operator, spin_half(len(r))).toarray()
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-13 * np.abs(wanted).max())


def test_the_same_couplings_among_all_spins():
    """alpha = 0: one spin of length N / 2 has the ground state, H = -J/2 ((2 Sz)^2 - N) - 2 h Sx; N = 16, J = 1/N."""
    n, h = 16, 0.5
    m = n / 2 - np.arange(n + 1)
    plus = np.diag(np.sqrt(n / 2 * (n / 2 + 1) - m[1:] * (m[1:] + 1)), 1)
    wanted = np.linalg.eigvalsh(-((2 * np.diag(m)) ** 2 - n * np.eye(n + 1)) / (2 * n) - h * (plus + plus.T))[0]
    assert wanted == pytest.approx(-9.6486321, abs=1e-7)
    given = ["hamiltonian=long_range", f"lattice.length={n}", "hamiltonian.alpha=0", "hamiltonian.h=0.5"]
    plain = compose([*given, "hamiltonian.Jz=-0.0625"], 1)
    operator = plain.hamiltonian.operator(plain.make_sites())
    assert lowest_states(operator, spin_half(n))[0][0] == pytest.approx(wanted, abs=1e-9)
    extensive = compose([*given, "hamiltonian.Jz=-0.9375", "hamiltonian.kac=true"], 1)  # Kac's factor is N - 1
    other = extensive.hamiltonian.operator(extensive.make_sites())
    s_BN = jnp.asarray(np.random.default_rng(0).choice([1, -1], (8, n)).astype(np.int8))
    np.testing.assert_allclose(jax.vmap(other.diagonal)(s_BN), jax.vmap(operator.diagonal)(s_BN), rtol=1e-13)


def test_moves_in_blocks_are_the_moves():
    rng = np.random.default_rng(0)
    pairs = np.array(np.triu_indices(7, 1), dtype=np.int32).T
    signs = rng.choice([-1, 1], 7)
    operator = long_range(7, pairs, rng.uniform(0.1, 1.0, len(pairs)), Jz=0.3, Jxy=0.7, h=0.4, signs=signs)
    s_BN = jnp.asarray(rng.choice([-1, 1], (5, 7)).astype(np.int8))
    whole, elements_BK = jax.vmap(operator.connected)(s_BN)
    size = 5  # 28 moves: the last block has two beyond them
    blocks = [jax.vmap(lambda s_N, k=k: operator.connected_some(s_N, k, size))(s_BN) for k in range(0, 28, size)]
    found = [jnp.concatenate(x, axis=1)[:, :28] for x in zip(*((*move, e) for move, e in blocks), strict=True)]
    for one, other in zip(found, (*whole, elements_BK), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not blocks[-1][1][:, 3:].any() and not blocks[-1][0].deltas[:, 3:].any()


def test_the_diagonal_of_many_spins(monkeypatch):
    lattice = FACTORIES["triangular"]((9, 8), (True, False))
    pairs, apart = pairs_within(lattice, None)
    s_BN = jnp.asarray(np.random.default_rng(0).choice([1, -1], (4, lattice.n_sites)).astype(np.int8))
    found = []
    for dense_from in (0, 10**9):
        monkeypatch.setattr(module, "DENSE", dense_from)
        found.append(jax.vmap(long_range(72, pairs, power_law(apart, 1.5), Jz=1.0, Jxy=0.0, g=0.3).diagonal)(s_BN))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)


@pytest.mark.usefixtures("way")
def test_the_diagonal_without_couplings_of_z():
    """In programs of many samples on many sites, of this model and of atoms that do not repel each other."""
    lattice = FACTORIES["chain"]((200,), (True,))
    pairs, apart = pairs_within(lattice, None)
    s_BN = np.random.default_rng(0).choice([1, -1], (64, 200)).astype(np.int8)
    plane = long_range(200, pairs, power_law(apart, 3.0), Jz=0.0, Jxy=1.0, g=0.5)
    wanted = s_BN.sum(axis=1, dtype=int) / 2
    np.testing.assert_allclose(jax.jit(jax.vmap(plane.diagonal))(s_BN), -wanted, atol=1e-12)
    free = rydberg(lattice, Omega=1.0, delta=1.0, V=0.0)
    np.testing.assert_allclose(jax.jit(jax.vmap(free.diagonal))(s_BN), wanted - 100, atol=1e-12)


def test_chords_along_one_side_and_across_it():
    """A cylinder of the triangular lattice: a ring of 4 along x, heights of sqrt(3) / 2."""
    lattice = FACTORIES["triangular"]((4, 2), (True, False))
    ring = 4 / np.pi * np.sin(np.pi * np.array([0, 1, 2, 1]) / 4)
    np.testing.assert_allclose(chord(lattice, 0, np.arange(4)), [0, *ring[1:]], atol=1e-12)
    shifted = 4 / np.pi * np.sin(np.pi * (np.arange(4) + 0.5) / 4)
    np.testing.assert_allclose(chord(lattice, 0, np.arange(4, 8)), np.hypot(shifted, 0.75**0.5), atol=1e-12)


def test_what_has_no_chords():
    with pytest.raises(ValueError, match="right angles"):
        chord(FACTORIES["triangular"]((4, 4), (True, True)), 0, 1)
    with pytest.raises(ValueError, match="without periodic sides"):
        chord(FACTORIES["chain"]((4,), (False,)), 0, 1)
