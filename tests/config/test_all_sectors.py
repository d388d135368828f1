"""All sectors of a lattice: their states add up to those of the space, and what H lacks is left out."""

import os

import numpy as np
import pytest

from nqs_hpc.cli.command import main
from nqs_hpc.config.all_sectors import Symmetries, all_sectors
from nqs_hpc.config.compose import checked
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.parts.sectors import symmetries
from nqs_hpc.system.characters import point_irreps
from nqs_hpc.system.hilbert import bosons, dimension, spin_half
from nqs_hpc.system.lattice import FACTORIES


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """The command sets what jax reads once: other tests of this process are not to find it."""
    for name in ("JAX_ENABLE_X64", "JAX_PLATFORMS"):
        monkeypatch.setenv(name, os.environ.get(name, "1" if name == "JAX_ENABLE_X64" else "cpu"))


@pytest.mark.parametrize("group", ["translations", "space_group"])
@pytest.mark.parametrize(
    ("name", "extent", "space"),
    [
        ("chain", (6,), spin_half(6)),
        ("chain", (12,), spin_half(12, 0)),
        ("square", (2, 2), spin_half(4, 0)),
        ("square", (4, 4), spin_half(16, 0)),
        ("square", (3, 3), spin_half(9, 3)),
        ("square", (4, 2), bosons(8, 2, 5)),
        ("square", (2, 3), spin_half(6, 0)),
        ("triangular", (4, 3), spin_half(12, 0)),
        ("kagome", (2, 2), spin_half(12)),
        ("cubic", (2, 2, 2), spin_half(8, 0)),
    ],
)
def test_states_add_up_to_the_space(name, extent, space, group):
    lattice = FACTORIES[name](extent, (True,) * len(extent))
    flips = set(space.local_values) == {1, -1} and not space.total
    found = all_sectors(lattice, space, Symmetries(group, flips, point_irreps(lattice)[0], is_real=True))
    assert sum(one.star * one.n_states for one in found) == dimension(space)
    assert all(one.n_states % one.dimension == 0 and one.n_states >= 0 for one in found)
    momenta = {one.momentum: one.star for one in found}
    assert sum(momenta.values()) == np.prod(extent)
    if group == "space_group":  # sum_rho d^2 = |G| of the group that keeps the momentum, on small tori of its image
        n_points = len(point_irreps(lattice)[0])
        flipped = 2 if flips else 1
        of_zero = sum(one.dimension**2 for one in found if one.momentum == (0,) * len(extent))
        assert of_zero <= flipped * n_points and (min(extent) == 2 or of_zero == flipped * n_points)


def test_momenta_of_one_star_are_those_that_a_matrix_relates():
    """On the square torus k, its permutations and its signs; with translations alone every k and, of a real H, -k."""
    lattice = FACTORIES["square"]((4, 4), (True, True))
    space, points = spin_half(16, 0), point_irreps(lattice)[0]
    one = np.arange(16, dtype=np.int32)[None]
    by_hand = {tuple(sorted((min(x, 4 - x), min(y, 4 - y)))) for x, y in np.ndindex(4, 4)}
    for relating, is_real, n in ((points, True, len(by_hand)), (one, False, 16), (one, True, 10)):
        found = all_sectors(lattice, space, Symmetries("translations", False, relating, is_real))
        assert len(found) == n


@pytest.mark.parametrize(
    ("words", "group", "flips"),
    [
        (["lattice.length=6", "hamiltonian.g=0.1"], "space_group", False),
        (["lattice.length=6", "lattice.pbc=false"], "point_group", True),
        (["lattice.length=4", "hamiltonian=pauli", "hamiltonian.terms=['1.0 Z0 Z1', '1.0 X0']"], None, True),
    ],
)
def test_only_what_the_hamiltonian_has(words, group, flips):
    found = symmetries(checked(words, None))
    assert (found.group, found.flips) == (group, flips)


def test_without_a_symmetry_there_are_no_sectors():
    config = checked(["lattice.length=4", "hamiltonian=pauli", "hamiltonian.terms=['1.0 Z0 Z1', '1.0 X0 Z1']"], None)
    with pytest.raises(InputError, match="symmetrize=all is not valid; valid: a Hamiltonian with a symmetry"):
        symmetries(config)


def test_the_table(capsys):
    assert main(["sectors", "lattice.length=6", "hamiltonian=heisenberg", "sector=0,2"]) == 0
    first, second = capsys.readouterr().out.strip().split("\n\nchain 6")
    rows = [line.split() for line in first.splitlines()[3:-1]]
    assert first.splitlines()[0].startswith("chain 6, heisenberg, sector=0: 6 sites, 20 states; 8 inequivalent sectors")
    assert first.splitlines()[-1] == "4 more sectors have no state" and "sector=2: 6 sites, 15 states" in second
    assert sum(int(star) * int(n) for _, star, *_, n in rows) == 20
    assert ["[3]", "1", "A", "1", "-1", "3"] in rows  # of the ground state, by Marshall's rule odd under both


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["lattice=hexagon"], "lattice=hexagon is not valid; valid: chain"),
        (["--all"], "--all is not an option of sectors"),
        (["symmetrize.irrep=A", "symmetrize.group=point_group"], "symmetrize.irrep=A is not valid; valid: null where"),
        (["lattice.pbc=false", "symmetrize.group=translations", "lattice=edges"], "is not valid"),
        (["symmetrize=all"], "symmetrize=all is not valid; valid: with -m alone"),
    ],
)
def test_bad_input_is_one_line(words, line, capsys):
    assert main(["sectors", *words]) == 2
    captured = capsys.readouterr()
    assert line in captured.err and captured.err.count("\n") == 1 and captured.out == ""


def test_numbers_of_large_lattices():
    lattice = FACTORIES["square"]((8, 8), (True, True))
    has = Symmetries("space_group", True, point_irreps(lattice)[0], is_real=True)
    total = sum(one.star * one.n_states for one in all_sectors(lattice, spin_half(64), has))
    assert abs(total / 2**64 - 1) < 1e-12
