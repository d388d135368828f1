"""`-m symmetrize=all`: a point for each sector, composed as if its keys had been written; what is refused."""

import os

import pytest

from nqs_hpc.cli import sectors as listed
from nqs_hpc.cli.command import main
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.sweep import sectors
from nqs_hpc.sweep.points import combinations, parsed_points


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """The command sets what jax reads once: other tests of this process are not to find it."""
    for name in ("JAX_ENABLE_X64", "JAX_PLATFORMS"):
        monkeypatch.setenv(name, os.environ.get(name, "1" if name == "JAX_ENABLE_X64" else "cpu"))


RING = ("hamiltonian=heisenberg", "lattice.length=6", "ansatz.dtype=complex")


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch, tmp_path):
    """The sectors from the function behind `sectors --json`, which another test calls as a program."""
    monkeypatch.setattr(sectors, "_asked", listed._systems)
    monkeypatch.chdir(tmp_path)


def points(*words, chain=None):
    found = parsed_points(["study=a", *words])
    assert sectors.asks_all(found)
    expanded, lines = sectors.every_sector(found, ["study=a", *words])
    return combinations(expanded, chain=chain, n_ranks=None), lines


def test_every_sector_of_every_total():
    found, lines = points("symmetrize=all", *RING, "sector=0,2")
    assert [one.config.sector for one in found] == [0] * 8 + [2] * 5  # pairs of flipped spins at k = 3: odd and even
    asked = [one.config.symmetrize for one in found]
    assert {one.group for one in asked} == {"space_group"}
    # the eight sectors of the ring of six that have a state; k = 1 and 5, 2 and 4 have the same energies
    names = [(one.momentum, one.irrep, one.spin_flip) for one in asked[:8]]
    at_both_ends = [((0,), "A", 1), ((0,), "B", -1), ((3,), "B", 1), ((3,), "A", -1)]
    assert sorted(names) == sorted([*at_both_ends, *(((k,), "A", flip) for k in (1, 2) for flip in (1, -1))])
    assert {one.spin_flip for one in asked[8:]} == {None}
    assert set(found[0].swept) == {"sector", *(f"symmetrize.{key}" for key in ("momentum", "irrep", "spin_flip"))}
    assert found[0].name.startswith("sector=0,irrep=A,momentum=0,spin_flip=1-")
    assert len({one.name for one in found}) == len({one.identity for one in found}) == 13
    assert len(lines) == 2 and "chain 6, sector=0: without a state, and left out: momentum [0], irrep B" in lines[0]


def test_a_point_is_the_one_that_a_user_would_write():
    found, _ = points("symmetrize=all", *RING)
    words = ["symmetrize.group=space_group", "symmetrize.momentum=[1]", "symmetrize.irrep=A", "symmetrize.spin_flip=-1"]
    (own,) = combinations([[*RING, *words]], chain=None, n_ranks=None)
    (same,) = (one for one in found if one.config.symmetrize == own.config.symmetrize)
    assert same.config == own.config and same.identity == own.identity
    more, _ = points("symmetrize=all", *RING, "sector=0,2,4")  # and it is found again where the study has grown
    assert {one.identity for one in found} < {one.identity for one in more}


def test_beside_a_group_other_keys_and_a_network_with_its_own_sectors():
    found, _ = points("symmetrize=all", *RING, "symmetrize.group=translations", "seed=0,1")
    assert len(found) == 2 * 8 and {one.config.symmetrize.irrep for one in found} == {None}
    chained, _ = points("symmetrize=all", *RING, "symmetrize.group=translations", "seed=0,1", chain="seed")
    assert [one.after is None for one in chained] == [True] * 8 + [False] * 8
    found, _ = points("symmetrize=all", *RING, "ansatz=gcnn", "ansatz.group=translations")
    assert len(found) == 8 and {one.config.symmetrize.group for one in found} == {None}
    assert {one.config.ansatz.momentum for one in found} == {(k,) for k in range(4)}


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["symmetrize=some"], "symmetrize=some is not valid; valid: all by itself"),
        (["symmetrize=all,null"], "symmetrize=all,null is not valid; valid: all by itself"),
        (["symmetrize=all", "symmetrize.momentum=[0]"], "symmetrize.momentum=[0] is not valid; valid: nothing beside"),
        (["symmetrize=all", "symmetrize.spin_flip=1,-1"], "symmetrize.spin_flip=1,-1 is not valid; valid: nothing"),
        (["symmetrize=all", "ansatz.irrep=A"], "ansatz.irrep=A is not valid; valid: nothing beside symmetrize=all"),
        (["symmetrize=all", "lattice.length=six"], "lattice.length=six is not valid; valid: null, or a whole number"),
    ],
)
def test_what_is_refused(words, line):
    with pytest.raises(InputError) as caught:
        points(*words)
    assert line in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_the_command_asks_a_process_of_its_own_and_makes_nothing(monkeypatch, tmp_path, capfd):
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    words = ["-m", "study=a", "symmetrize=all", *RING, "seed=0,1", "hydra.launcher.dry_run=true"]
    assert main(words) == 0
    out = capfd.readouterr().out.splitlines()
    assert "left out: momentum [0], irrep B" in out[0] and out[1] == "16 points, 16 to run" and len(out) == 18
    assert main(["-m", "study=a", "symmetrize=all", "lattice=edges"]) == 2
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err.startswith("lattice.") and captured.err.count("\n") == 1
    assert main(["symmetrize=all"]) == 2
    assert "symmetrize=all is not valid; valid: with -m alone, a point for every sector" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []
