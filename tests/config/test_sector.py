"""sector=auto holds the ground state, judged by Kronecker products; which moves and which line that brings."""

import itertools

import numpy as np
import pytest

from nqs_hpc.config.compose import compose, from_plain
from nqs_hpc.config.symmetrize import told_sector
from nqs_hpc.inputs.mappings import Weights
from nqs_hpc.system.lattice import FACTORIES
from tests.systems import all_states, dense, dense_bosons, ring

N = 6
Pairs = dict[tuple[int, int], tuple[float, float]]  # of each pair the couplings of xx + yy and of zz, Pauli matrices


def chosen(pairs: Pairs, fields: dict[int, float] | None = None) -> int | None:
    """The sector of ``auto``."""
    terms = [
        {"coefficient": c, "operators": a, "sites": list(pair)}
        for pair, (xy, z) in pairs.items()
        for a, c in (("XX", xy), ("YY", xy), ("ZZ", z))
    ]
    terms += [{"coefficient": c, "operators": "Z", "sites": [i]} for i, c in (fields or {}).items()]
    return from_plain({"lattice.length": N, "hamiltonian": {"name": "pauli", "terms": terms}}).sector


def lowest(pairs: Pairs, fields: dict[int, float] | None = None) -> dict[int, float]:
    """The lowest energy of each total."""
    strings = [
        (c, dict.fromkeys(pair, a)) for pair, (xy, z) in pairs.items() for a, c in (("X", xy), ("Y", xy), ("Z", z))
    ]
    matrix = dense(N, strings + [(c, {i: "Z"}) for i, c in (fields or {}).items()])
    totals = all_states(N).sum(axis=1)
    return {int(t): float(np.linalg.eigvalsh(matrix[np.ix_(totals == t, totals == t)])[0]) for t in np.unique(totals)}


def on(bonds, xy: float, z: float) -> Pairs:
    return {(int(i), int(j)): (xy, z) for i, j in bonds}


RING = ring(N)
TRIANGULAR = [(i, j) for i, j in itertools.combinations(range(N), 2) if (j - i) % 3]  # frustrated: all but three pairs
STAR = [(0, i) for i in range(1, N)]  # sublattices of one and of five
CASES: dict[str, tuple[Pairs, dict[int, float], int | None]] = {
    "heisenberg": (on(RING, 0.25, 0.25), {}, 0),
    "in a field": (on(RING, 0.25, 0.25), dict.fromkeys(range(N), -1.0), None),
    "in a weak field": (on(RING, 0.25, 0.25), dict.fromkeys(range(N), 1e-3), None),
    "a field on one site": (on(RING, 0.25, 0.25), {2: 0.3}, None),
    "a staggered field": (on(RING, 0.25, 0.25), {i: 0.4 * (-1) ** i for i in range(N)}, 0),
    "a ferromagnet": (on(RING, -0.25, -0.25), {}, None),
    "an easy-axis ferromagnet": (on(RING, -0.25, -0.5), {}, None),
    "the same behind signs": (on(RING, 0.25, -0.5), {}, None),
    "an easy-plane ferromagnet": (on(RING, -0.25, -0.1), {}, 0),
    "an easy-axis antiferromagnet": (on(RING, 0.25, 0.5), {}, 0),
    "an Ising ferromagnet": (on(RING, 0.0, -1.0), {}, None),
    "an Ising antiferromagnet": (on(RING, 0.0, 1.0), {}, None),
    "frustrated": (on(TRIANGULAR, 0.25, 0.25), {}, 0),
    "a frustrated easy plane": (on(TRIANGULAR, 0.25, 0.1), {}, 0),
    "frustrated, ferromagnetic along z": (on(TRIANGULAR, 0.25, -0.15), {}, None),
    "a star": (on(STAR, 0.25, 0.25), {}, 0),
    "an easy-axis star": (on(STAR, 0.25, 0.5), {}, 4),
    "a star in the plane": (on(STAR, 0.25, 0.1), {}, 0),
}


@pytest.mark.parametrize("name", CASES)
def test_auto_holds_the_ground_state(name):
    pairs, fields, sector = CASES[name]
    assert chosen(pairs, fields) == sector
    energies = lowest(pairs, fields)
    if sector is not None:
        assert energies[sector] == pytest.approx(min(energies.values()), abs=1e-10)


def test_where_the_ground_state_is_known_by_a_theorem():
    """Random couplings of the kinds of `choices.hamiltonian`, on random connected pairs."""
    rng = np.random.default_rng(1)
    for kind in ("plane", "axis") * 12:
        tree = [(int(rng.integers(i)), i) for i in range(1, N)]
        bonds = sorted({*tree, *(tuple(sorted(rng.choice(N, 2, replace=False).tolist())) for _ in range(4))})
        colour = rng.choice([1, -1], N)
        strong, weak = rng.uniform(0.3, 1, len(bonds)), rng.uniform(0, 0.3, len(bonds)) * rng.choice([1, -1])
        signs = np.array([-colour[i] * colour[j] for i, j in bonds])
        xy, z = (strong * signs, weak) if kind == "plane" else (weak, strong * signs)
        pairs = {pair: (float(a), float(b)) for pair, a, b in zip(bonds, xy, z, strict=True)}
        sector = chosen(pairs)
        energies = lowest(pairs)
        if sector is not None:
            assert energies[sector] == pytest.approx(min(energies.values()), abs=1e-10), (kind, pairs)
        else:  # all pairs are ferromagnetic along z
            assert kind == "axis" and abs(colour.sum()) == N


def test_auto_of_xxz_by_its_keys():
    def sector(*overrides: str) -> int | None:
        found: int | None = compose(["hamiltonian=heisenberg", *overrides], 1).sector
        return found

    assert sector() == 0 and sector("lattice.length=9") == 1
    assert sector("hamiltonian.J=-1") is None and sector("hamiltonian.J=-1", "hamiltonian.delta=2") is None
    assert sector("hamiltonian.delta=-2") is None and sector("hamiltonian.delta=2") == 0
    assert sector("hamiltonian.J=-1", "hamiltonian.delta=0.5") == 0
    assert sector("hamiltonian.J=[-1,0.3]") == 0  # of SU(2), where a multiplet has all its totals
    assert sector("hamiltonian.J=[-1,0.3]", "hamiltonian.delta=1.1") is None
    assert sector("lattice=square", "lattice.extent=[3,3]", "lattice.pbc=false", "hamiltonian.delta=3") == 1


def test_bosons_with_a_chemical_potential_have_any_number():
    bosons = ["hamiltonian=bose_hubbard", "lattice.length=4", "hamiltonian.n_max=2", "hamiltonian.U=4"]
    assert compose(bosons, 1).sector == 4 and compose([*bosons, "sector=2"], 1).sector == 2
    in_bath = compose([*bosons, "hamiltonian.mu=3"], 1)
    assert in_bath.sector is None and in_bath.sampler.move == Weights((("flip", 0.5), ("hop", 0.5)))
    # one boson a site, as auto took before, is not the ground state of this one
    states = np.array(list(itertools.product(range(3), repeat=4))).sum(axis=1)
    matrix = dense_bosons(4, ring(4), 2, J=1.0, U=4.0, mu=3.0)
    at_4 = np.linalg.eigvalsh(matrix[np.ix_(states == 4, states == 4)])[0]
    assert np.linalg.eigvalsh(matrix)[0] < at_4 - 0.1


def test_a_sweep_in_h_stays_in_one_space():
    configs = [compose([f"hamiltonian.h={h}", f"hamiltonian.g={g}"], 1) for h in (0, 0.5, 1) for g in (0, 1)]
    assert {(config.sector, config.sampler.move) for config in configs} == {(None, "flip")}
    assert compose(["hamiltonian.h=0", "sector=2"], 1).sampler.move == "exchange"  # who asks for a sector has it


def test_moves_find_a_total_that_auto_leaves_open():
    """Single flips alone freeze in a state of one total; who asks for sector=none has what he had."""
    field = "hamiltonian.terms=[{coefficient: 1, operators: XX, neighbours: 1}, {coefficient: 1, operators: YY, "
    field += "neighbours: 1}, {coefficient: 0.1, operators: Z, sites: all}]"
    both = Weights((("exchange", 0.5), ("flip", 0.5)))
    assert compose(["hamiltonian=pauli", field], 1).sampler.move == both
    assert compose(["hamiltonian=heisenberg", "hamiltonian.J=-1"], 1).sampler.move == both
    assert compose(["hamiltonian=pauli", field, "sector=none"], 1).sampler.move == "flip"
    assert compose(["hamiltonian=pauli", field, "sampler.move=flip"], 1).sampler.move == "flip"
    diagonal = "hamiltonian.terms=[{coefficient: 1, operators: ZZ, neighbours: 1}]"
    assert compose(["hamiltonian=pauli", diagonal], 1).sampler.move == "flip"


def test_the_sector_in_words():
    def told(*overrides: str) -> str:
        config = compose([*overrides, "lattice.length=6"], 1)
        return told_sector(config, FACTORIES["chain"]((6,), (True,)))

    assert told() == "sector=none"
    assert told("hamiltonian=heisenberg", "sector=2") == "sector=2"
    turns = ("hamiltonian=heisenberg", "symmetrize.group=space_group", "symmetrize.spin_flip=-1")
    assert told(*turns) == "sector=0 with momentum [3], irrep A, spin flip -1"
