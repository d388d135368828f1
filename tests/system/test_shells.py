"""Neighbours among positions as people write them: no bond is lost to their decimals, and none is added."""

import numpy as np
import pytest

from nqs_hpc.config.compose import checked, from_plain
from nqs_hpc.config.identity import physics, run_name, to_plain
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.system.lattice import FACTORIES, bond_lengths, neighbours
from nqs_hpc.system.points import points_lattice
from nqs_hpc.system.shells import TOLERANCE, shell
from tests.systems import dense

FLAKE = FACTORIES["triangular"]((3, 3), (False, False))


def write(path, positions, decimals=4, scale=1.0):
    rows = (" ".join(f"{scale * x:.{decimals}f}" for x in row) for row in positions)
    path.write_text("\n".join(rows) + "\n")


def lattice_of(path, *words):
    return checked(["lattice=points", f"lattice.file={path}", *words], 1).lattice.make()


@pytest.mark.parametrize("decimals", [3, 4, 5, 15])
@pytest.mark.parametrize("name", ["triangular", "honeycomb", "kagome", "square"])
def test_decimals_lose_no_bonds(name, decimals, tmp_path):
    exact = FACTORIES[name]((3, 3), (False, False))
    write(tmp_path / "p.txt", exact.positions, decimals)
    lattice = lattice_of(tmp_path / "p.txt", "hamiltonian=heisenberg", "hamiltonian.J=[1,0.5,0.2]")
    for order in (1, 2, 3):
        np.testing.assert_array_equal(neighbours(lattice, order), neighbours(exact, order))


def test_a_flake_of_four_decimals_has_its_energy(tmp_path):
    """Nine spins on sixteen bonds: -17.4099, where the five bonds of the shortest distance alone give -10.2962."""
    write(tmp_path / "p.txt", FLAKE.positions)
    bonds = neighbours(lattice_of(tmp_path / "p.txt"), 1).tolist()
    assert len(bonds) == 16
    matrix = dense(9, [(-1.0, {i: "Z", j: "Z"}) for i, j in bonds] + [(-1.0, {i: "X"}) for i in range(9)]).real
    assert np.linalg.eigvalsh(matrix)[0] == pytest.approx(-17.409924265918, abs=1e-9)


def test_measured_positions_in_any_unit(tmp_path):
    """Errors of 0.1 %, in units of which the spacing is five thousandths and five thousand."""
    square = FACTORIES["square"]((4, 4), (False, False))
    noisy = square.positions + np.random.default_rng(0).uniform(-5e-4, 5e-4, (16, 2))
    for scale, decimals in ((5e-3, 9), (1.0, 6), (5e3, 2)):
        write(tmp_path / "p.txt", noisy, decimals, scale)
        lattice = lattice_of(tmp_path / "p.txt", "hamiltonian=heisenberg", "hamiltonian.J=[1,0.5]")
        for order in (1, 2):
            np.testing.assert_array_equal(neighbours(lattice, order), neighbours(square, order))
        low, high = bond_lengths(lattice, 1)
        assert 0.998 * scale < low < high < 1.002 * scale


@pytest.mark.parametrize(
    ("x", "order", "said"),
    [
        ([0, 1, 2.007, 5], 1, "shells 1 and 2 are closer than 0.01 of their distances, 1 and 1.007"),
        ([0, 1, 2.007, 5], 2, "shells 1 and 2 are closer"),
        ([0, 1, 2.004, 3.012, 4.024], 1, "from 1 to 1.012 run into each other"),
        ([0, 1, 3], 4, "has orders 1-3"),
    ],
)
def test_what_is_not_clear_is_refused(x, order, said):
    positions = np.array(x, dtype=float)[:, None]
    with pytest.raises(ValueError, match=f"^neighbour order {order}: .*{said}"):
        shell(positions, order, TOLERANCE)


def test_the_line_names_the_key_and_the_way_out(tmp_path):
    (tmp_path / "p.txt").write_text("0\n1\n2.007\n5\n")
    words = ["lattice=points", f"lattice.file={tmp_path / 'p.txt'}"]
    with pytest.raises(InputError, match=r"^lattice\.file=.* closer than 0\.01 .*lattice\.tolerance=0\.005"):
        checked(words, 1)
    with pytest.raises(InputError, match=r"^hamiltonian\.J=.*lattice\.tolerance"):
        checked([*words, "hamiltonian=heisenberg"], 1)
    terms = "hamiltonian.terms=[{coefficient: 1, operators: XX, neighbours: 1}]"
    with pytest.raises(InputError, match=r"^hamiltonian\.terms=.*lattice\.tolerance"):
        checked([*words, "hamiltonian=pauli", terms], 1)
    for tolerance, bonds in ((0.001, [[0, 1]]), (0.01, [[0, 1], [1, 2]])):
        config = checked([*words, f"lattice.tolerance={tolerance}"], 1)
        assert neighbours(config.lattice.make(), 1).tolist() == bonds
        assert config.lattice.tolerance == physics(config)["lattice"]["tolerance"] == tolerance
    assert checked([*words, "hamiltonian=rydberg"], 1).lattice.tolerance is None  # takes no bonds


def test_runs_keep_their_bonds_and_their_names(tmp_path):
    """A tolerance that decides nothing is no physics; one that does is another run than one by exact distances."""
    write(tmp_path / "exact.txt", FLAKE.positions, 15)
    exact = checked(["lattice=points", f"lattice.file={tmp_path / 'exact.txt'}"], 1)
    assert exact.lattice.tolerance is None and "tolerance" not in physics(exact)["lattice"]
    write(tmp_path / "p.txt", FLAKE.positions)
    config = checked(["lattice=points", f"lattice.file={tmp_path / 'p.txt'}"], 1)
    assert config.lattice.tolerance == TOLERANCE
    again = from_plain(to_plain(config))
    assert run_name(again) == run_name(config)
    assert len(neighbours(again.lattice.make(), 1)) == 16
    # a run of the version before, which told distances apart by a millionth, is opened as it was made
    old = to_plain(config)
    del old["lattice"]["tolerance"]
    before = from_plain(old)
    assert len(neighbours(before.lattice.make(), 1)) == len(neighbours(points_lattice(config.lattice.positions), 1))
    assert run_name(before) != run_name(config)


def test_a_cutoff_takes_a_whole_shell_or_nothing(tmp_path):
    write(tmp_path / "p.txt", FLAKE.positions)
    words = ["lattice=points", f"lattice.file={tmp_path / 'p.txt'}", "hamiltonian=rydberg"]
    with pytest.raises(InputError, match=r"^hamiltonian\.cutoff=1\.0 .*divides pairs 0\.999978 to 1\.00006 apart"):
        checked([*words, "hamiltonian.cutoff=1"], 1)
    config = checked([*words, "hamiltonian.cutoff=1.2"], 1)
    (line,) = config.hamiltonian.lines(config.lattice.make())
    assert line == "lattice: 9 sites, 16 pairs of atoms 0.99998 to 1.0001 apart"
    # on a lattice of exact distances the user's rounding is named
    square = checked(["lattice=square", "lattice.pbc=false", "hamiltonian=rydberg", "hamiltonian.cutoff=1.414"], 1)
    (line,) = square.hamiltonian.lines(square.lattice.make())
    assert "24 pairs" in line and "18 more, 1.41421 apart, are just beyond hamiltonian.cutoff=1.414" in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], ["lattice: 20 sites, 20 bonds of order 1 (distance 1.0000)"]),
        (["hamiltonian.J=0"], ["lattice: 20 sites"]),
        (
            ["lattice=square", "hamiltonian=heisenberg", "hamiltonian.J=[1,0,0.5]"],
            ["lattice: 16 sites, 32 bonds of order 1 (distance 1.0000), 16 of order 3 (distance 2.0000)"],
        ),
        (
            ["lattice=square", "lattice.extent=[2,3]", "lattice.double_bonds=true", "hamiltonian=bose_hubbard"],
            ["lattice: 6 sites, 9 bonds of order 1 (distance 1.0000; 3 of them 2 times)"],
        ),
        (["lattice=square", "hamiltonian=toric_code"], ["lattice: 32 links, 16 stars, 16 plaquettes"]),
        (
            ["lattice.length=3", "hamiltonian=pauli", "hamiltonian.terms=[-1 Z0 Z1, -0.5 X1, 2 I]"],
            [
                "lattice: 3 sites, 1 Pauli string of 1 site, 1 Pauli string of 2 sites, a constant 2",
                "lattice: no string acts on site 2, counted from 0",
            ],
        ),
    ],
)
def test_a_start_says_what_the_lattice_has(words, said):
    config = checked(words, 1)
    assert config.hamiltonian.lines(config.make_sites()) == said


def test_a_site_left_alone_is_named(tmp_path):
    """Two spacings: by the shorter one some sites have no neighbour."""
    (tmp_path / "p.txt").write_text("0\n1\n2\n4\n")
    config = checked(["lattice=points", f"lattice.file={tmp_path / 'p.txt'}"], 1)
    assert config.hamiltonian.lines(config.lattice.make())[1] == "lattice: no bond joins site 3, counted from 0"
