"""Characters: orthogonality, products, dimensions, the names, and what a file of permutations may say."""

import numpy as np
import pytest

from nqs_hpc.system.characters import (
    chosen,
    generic_irreps,
    momentum,
    point_irreps,
    read_permutations,
    space_group,
    with_spin_flip,
)
from nqs_hpc.system.groups import character_table, classes, inverses, product_table
from nqs_hpc.system.hilbert import Hilbert, bosons, codes, decode, encode, spin_half
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.system.symmetry import translations
from nqs_hpc.system.traces import sector_dimension

T, F = True, False
C2V, C4V, C6V = "A1 A2 B1 B2", "A1 A2 B1 B2 E", "A1 A2 B1 B2 E1 E2"
POINT_GROUPS = [  # lattice, extent, periodic, irreps
    ("chain", (8,), (T,), "A B"),
    ("chain", (7,), (F,), "A B"),
    ("square", (4, 4), (T, T), C4V),
    ("square", (4, 4), (F, F), C4V),
    ("square", (4, 6), (T, T), C2V),
    ("square", (2, 2), (T, T), C4V),
    ("triangular", (3, 3), (T, T), C6V),
    ("triangular", (3, 3), (F, F), C2V),  # a rhombus, neither mirror along an axis of the cell
    ("triangular", (4, 6), (T, T), "A B"),
    ("triangular", (2, 2), (T, T), "A1 A2 E2"),  # the half turn does nothing
    ("honeycomb", (3, 3), (T, T), C6V),
    ("kagome", (2, 2), (T, T), C6V),
    ("kagome", (1, 1), (F, F), "A1 A2 E"),  # one triangle
    ("cubic", (3, 3, 3), (T, T, T), "A1 A2 A3 A4 E1 E2 T1 T2 T3 T4"),
    ("cubic", (2, 2, 3), (T, T, F), "A1 A2 A3 A4 A5 A6 A7 A8 E1 E2"),
]


@pytest.mark.parametrize("name, extent, pbc, irreps", POINT_GROUPS)
def test_point_groups_have_all_their_characters(name, extent, pbc, irreps):
    perms, found = point_irreps(FACTORIES[name](extent, pbc))
    assert " ".join(found) == irreps
    characters, size = np.array(list(found.values())), len(perms)
    # as many as classes, orthonormal, constant on classes, squared dimensions that add up to the order
    table = product_table(perms)
    label = classes(table)
    assert len(found) == label.max() + 1
    assert np.max(np.abs(characters @ characters.conj().T / size - np.eye(len(found)))) < 1e-12
    assert all(len(set(np.round(character[label == t], 12))) == 1 for character in characters for t in set(label))
    assert np.sum(characters[:, 0].real ** 2) == size
    for character in characters[characters[:, 0] == 1]:
        assert np.max(np.abs(character[table] - character[:, None] * character[None, :])) < 1e-12
    assert next(iter(found.values())).tolist() == [1] * size


@pytest.mark.parametrize("name", ["square", "triangular"])
def test_named_and_computed_characters_are_the_same_set(name):
    perms, found = point_irreps(FACTORIES[name]((4, 4), (T, T)))

    def rows(characters):
        return sorted(tuple(np.round(c, 9)) for c in np.asarray(characters).tolist())

    computed = character_table(product_table(perms))
    assert rows([c.real for c in found.values()]) == rows(computed.real) and not computed.imag.any()


def test_the_names_on_the_square_lattice():
    """s-wave A1, x y (x^2 - y^2) A2, x^2 - y^2 B1, x y B2, by what these functions do on the sites about site 0."""
    lattice = FACTORIES["square"]((5, 5), (T, T))
    perms, irreps = point_irreps(lattice)
    x, y = (lattice.positions + 2).T % 5 - 2
    for name, f in {"A1": x**2 + y**2, "A2": x * y * (x**2 - y**2), "B1": x**2 - y**2, "B2": x * y}.items():
        moved = np.array([f[np.argsort(perm)] for perm in perms])
        assert np.array_equal(moved, irreps[name].real[:, None] * f)
    e = irreps["E"].real
    moved = np.array([[z[np.argsort(perm)] @ w / (z @ z) for z, w in ((x, x), (y, y))] for perm in perms])
    assert np.max(np.abs(moved.sum(axis=1) - e)) < 1e-12


def test_momentum():
    lattice = FACTORIES["square"]((4, 3), (T, T))
    moves = translations(lattice)
    for k in ((0, 0), (1, 0), (3, 2)):
        chi = momentum(lattice, k)
        x, y = lattice.positions[moves[:, 0]].T  # where site 0 goes
        assert np.max(np.abs(chi - np.exp(-2j * np.pi * (k[0] * x / 4 + k[1] * y / 3)))) < 1e-12
        table = product_table(moves)
        assert np.max(np.abs(chi[table] - chi[:, None] * chi[None, :])) < 1e-12
    assert momentum(lattice, None).tolist() == [1] * 12
    assert set(momentum(FACTORIES["chain"]((4,), (T,)), (1,)).tolist()) == {1, -1, 1j, -1j}
    assert momentum(FACTORIES["square"]((4, 3), (F, T)), (1,)).shape == (3,)
    assert momentum(FACTORIES["square"]((4, 3), (F, F)), ()).tolist() == [1]
    with pytest.raises(ValueError, match="one for each of 2 periodic directions"):
        momentum(lattice, (1,))


@pytest.mark.parametrize(
    "name, extent, k, order, irreps",
    [
        ("square", (4, 4), (0, 0), 128, C4V),
        ("square", (4, 4), (2, 2), 128, C4V),
        ("square", (4, 4), (2, 0), 64, C2V),
        ("square", (4, 4), (1, 0), 32, "A B"),
        ("square", (4, 4), (1, 2), 32, "A B"),
        ("chain", (6,), (3,), 12, "A B"),
        ("triangular", (3, 3), (1, 2), 54, "A1 A2 E"),  # a corner of the zone
        ("kagome", (2, 2), (0, 0), 48, C6V),
    ],
)
def test_space_groups(name, extent, k, order, irreps):
    lattice = FACTORIES[name](extent, (T,) * len(extent))
    perms, found = space_group(lattice, k)
    assert len(perms) == order and " ".join(found) == irreps and perms[0].tolist() == list(range(lattice.n_sites))
    table = product_table(perms)
    label = classes(table)
    of_moves = momentum(lattice, k)
    place = [perms.tolist().index(move) for move in translations(lattice).tolist()]
    for character in found.values():
        assert abs(np.sum(np.abs(character) ** 2) / order - 1) < 1e-12
        assert all(np.ptp(character[label == t].real) < 1e-12 for t in set(label))
        assert np.max(np.abs(character[place] - character[0] * of_moves)) < 1e-12
        if character[0] == 1:
            assert np.max(np.abs(character[table] - character[:, None] * character[None, :])) < 1e-12


def test_what_is_no_character_of_a_small_torus_is_left_out():
    """On 2 x 2 sites the mirrors about the plaquette's centre are translations: some names contradict a momentum."""
    perms, found = space_group(FACTORIES["square"]((2, 2), (T, T)), None)
    assert len(perms) == 8 and list(found) == ["A1", "B1"]
    with pytest.raises(ValueError, match="valid: A1, B1"):
        chosen(found, "A2")


def test_spin_flip():
    perms, irreps = space_group(FACTORIES["chain"]((6,), (T,)), None)
    odd = with_spin_flip(perms, irreps["B"], -1)
    assert odd.perms.shape == (24, 6) and odd.flips.tolist() == [1] * 12 + [-1] * 12
    assert np.array_equal(odd.characters[12:], -irreps["B"]) and not odd.is_trivial
    assert with_spin_flip(perms, irreps["A"], None).is_trivial


def test_cyclic_groups_have_complex_characters():
    turns = np.array([(np.arange(5) + i) % 5 for i in range(5)])
    characters = np.array(list(generic_irreps(turns).values()))
    assert list(generic_irreps(turns)) == ["A1", "A2", "A3", "A4", "A5"]
    assert np.max(np.abs(characters @ characters.conj().T / 5 - np.eye(5))) < 1e-12
    table = product_table(turns)
    assert np.array_equal(turns[inverses(table)], np.argsort(turns, axis=1))


def test_a_file_of_permutations(tmp_path):
    file = tmp_path / "group.txt"
    file.write_text("# a ring of 4, turned\n1 2 3 0\n2,3,0,1\n\n0 1 2 3  # nothing\n3 0 1 2\n")
    perms = read_permutations(file, 4)
    assert perms[0].tolist() == [0, 1, 2, 3] and len(perms) == 4
    for text, what in {
        "0 1 2 3\n0 1 2": "line 2: '0 1 2'; valid: the numbers 0 to 3",
        "0 1 2 3\n1 2 3 0": "not a group: permutation 2 followed by 2",
        "1 0 2 3": "contains the identity",
        "0 1 2 3\n1 0 2 x": "line 2",
        "0 1 2 3\n1 0 2 3\n1 0 2 3": "line 3 is the permutation of line 2",
    }.items():
        file.write_text(text)
        with pytest.raises(ValueError, match=what):
            read_permutations(file, 4)
    with pytest.raises(ValueError, match="No such file"):
        read_permutations(tmp_path / "none.txt", 4)


def projector_rank(symmetry, hilbert: Hilbert) -> int:
    """The rank of d / |G| sum_g chi*(g) g, as a matrix on all states."""
    states = codes(hilbert)
    s_nN, place = decode(hilbert, states), {code: i for i, code in enumerate(states.tolist())}
    matrix = np.zeros((len(states), len(states)), complex)
    for perm, flip, character in zip(symmetry.perms, symmetry.flips, symmetry.characters, strict=True):
        image = [place[code] for code in encode(hilbert, flip * s_nN[:, np.argsort(perm)]).tolist()]
        matrix[image, np.arange(len(states))] += np.conj(character)
    return int(np.linalg.matrix_rank(matrix))


@pytest.mark.parametrize("parity", [None, 1, -1])
@pytest.mark.parametrize("name, extent, hilbert", [("chain", (6,), spin_half(6, 0)), ("square", (2, 2), spin_half(4))])
def test_dimensions_of_sectors_are_ranks_of_projectors(name, extent, hilbert, parity):
    lattice = FACTORIES[name](extent, (T,) * len(extent))
    dimensions = []
    for k in np.ndindex(extent):
        perms, irreps = space_group(lattice, k)
        for character in irreps.values():
            symmetry = with_spin_flip(perms, character, parity)
            dimensions.append(sector_dimension(symmetry, hilbert))
            assert dimensions[-1] == projector_rank(symmetry, hilbert)
    assert len(set(dimensions)) > 1 and (parity is None or 0 in dimensions)


def test_dimensions_of_sectors_of_bosons():
    ring, hilbert = FACTORIES["chain"]((4,), (T,)), bosons(4, 2, 3)
    symmetries = [with_spin_flip(translations(ring), momentum(ring, (k,)), None) for k in range(4)]
    dimensions = [sector_dimension(symmetry, hilbert) for symmetry in symmetries]
    assert dimensions == [projector_rank(symmetry, hilbert) for symmetry in symmetries]
    assert sum(dimensions) == len(codes(hilbert))
