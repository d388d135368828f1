"""Sectors of fermions by their keys: what is refused, what `sectors` counts, and the exact energies of whole jobs."""

import numpy as np
import pytest

from nqs_hpc.config.all_sectors import all_sectors
from nqs_hpc.config.basis import basis_of
from nqs_hpc.config.compose import InputError, checked
from nqs_hpc.config.symmetrize import make_symmetry
from nqs_hpc.operators.exact import sparse_matrix
from nqs_hpc.parallel.comm import serial
from nqs_hpc.parts import build
from nqs_hpc.parts.reference import exact_reference
from nqs_hpc.parts.sectors import symmetries
from nqs_hpc.system.hilbert import dimension
from tests.fermions import representation

RING = ["hamiltonian=hubbard", "lattice.length=4", "hamiltonian.U=3"]
TURNS = "symmetrize.group=translations"


def refused(words: list[str]) -> str:
    with pytest.raises(InputError) as caught:
        config = checked(words, None)
        build(config, serial())
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("words", "key", "valid"),
    [
        (["sector=[2,1]", "ansatz=jastrow", "symmetrize.spin_flip=1"], "symmetrize.spin_flip=1", "sector=[2, 1]"),
        (["sector=[2,2]", "ansatz=jastrow", TURNS, "symmetrize.mode=log_psi"], "symmetrize.mode=log_psi", "exchanges"),
        (["sector=[2,2]", "ansatz=gcnn"], "ansatz=gcnn", "symmetrize.group"),
        (["sector=[2,2]", "ansatz=cnn"], "ansatz=cnn", "one site per cell"),
        (["sector=[2,2]", "ansatz=masked_conv"], "ansatz=masked_conv", "not in rows"),
        (["sector=[2,2]", "ansatz=masked_dense"], "ansatz=masked_dense", "one total"),
        (["sector=[2,2]", "ansatz=rbm_symm"], "ansatz=rbm_symm", "depends on the state"),
        (["sector=[1,1]", "ansatz=rbm_symm", TURNS, "symmetrize.momentum=1"], "symmetrize.momentum=[1]", "is 0"),
        (["sector=[2,2]", "ansatz=rbm", TURNS, "hamiltonian.phases=[1]"], "symmetrize.group=translations", "site 0"),
        (["hamiltonian=tv", "sector=2", "ansatz=rbm", "symmetrize.spin_flip=1"], "symmetrize.spin_flip=1", "no spin"),
        (
            ["sector=[4,4]", "ansatz=rbm", "sampler=enumerate", "symmetrize.spin_flip=-1"],
            "symmetrize.spin_flip=-1",
            "none of the states",
        ),
    ],
)
def test_one_line(words, key, valid):
    given = [word for word in RING if not (word.startswith("hamiltonian") and "hamiltonian=tv" in words)]
    line = refused([*given, *words])
    assert line.startswith(key) and valid in line, line


def test_a_file_that_exchanges_spins_has_the_flip_already(tmp_path):
    (tmp_path / "flip.txt").write_text("0 1 2 3 4 5 6 7\n4 5 6 7 0 1 2 3\n")
    words = [*RING, "sector=[2,2]", "ansatz=jastrow", f"symmetrize.file={tmp_path / 'flip.txt'}"]
    assert "exchange the modes" in refused([*words, "symmetrize.spin_flip=1"])
    config = checked(words, None)
    lattice = config.make_sites()
    symmetry = make_symmetry(config.symmetrize, lattice, basis_of(config, lattice))
    assert symmetry is not None and len(symmetry.perms) == 2


@pytest.mark.parametrize(
    ("words", "flips"),
    [
        (["hamiltonian=hubbard", "lattice=square", "lattice.extent=[2,3]", "sector=[2,2]"], True),
        (["hamiltonian=hubbard", "lattice=square", "lattice.length=3", "sector=[2,1]"], False),
        (["hamiltonian=hubbard", "lattice.length=4", "sector=none"], True),
        (["hamiltonian=tj", "lattice.length=6", "sector=[2,2]"], True),
        (["hamiltonian=tv", "lattice.length=7", "sector=3"], False),
    ],
)
def test_states_add_up_to_the_space(words, flips):
    config = checked([*words, "ansatz=rbm"], None)
    lattice = config.make_sites()
    hilbert = config.hamiltonian.space(lattice.n_sites, config.sector)
    has = symmetries(config)
    assert (has.group, has.flips) == ("space_group", flips)
    found = all_sectors(lattice, hilbert, has)
    assert sum(one.star * one.n_states for one in found) == dimension(hilbert)
    assert all(one.n_states % one.dimension == 0 and one.n_states >= 0 for one in found)


@pytest.mark.parametrize("parity", [1, -1])
def test_the_exact_energy_of_a_whole_job(parity):
    """Of its sector, by a dense projector; and where the ground state of all sectors is."""
    words = [*RING, "sector=[2,2]", "ansatz=jastrow", "symmetrize.group=space_group", f"symmetrize.spin_flip={parity}"]
    config = checked([*words, "symmetrize.momentum=2", "symmetrize.irrep=B"], None)
    parts = build(config, serial())
    assert parts.ansatz.kind == "signed" and parts.symmetry is not None
    matrix = sparse_matrix(parts.operator, parts.hilbert).toarray()
    projector = sum(
        character * representation(parts.hilbert, perm)
        for perm, character in zip(parts.symmetry.perms, parts.symmetry.characters, strict=True)
    ) / len(parts.symmetry.perms)
    lowest = np.linalg.eigvalsh(projector @ matrix @ projector + 100 * (np.eye(len(matrix)) - projector))[0]
    found = exact_reference(config, parts)
    assert found is not None and abs(found["energy"] - lowest) < 1e-10
    ground = np.linalg.eigvalsh(matrix)[0]
    assert abs(found["lowest"]["energy"] - ground) < 1e-10
    # a singlet of two fermions of each spin: (-1)^(n + S) = 1
    assert found["lowest"]["spin_flip"] == 1 and found["lowest"]["momentum"] == [2]
    assert (found["above_lowest"] == 0) == (parity == 1)


def test_the_reference_of_a_network_with_translations():
    """Of odd numbers of fermions on a ring, whose turns have one sign; two particles make a singlet."""
    config = checked([*RING, "sector=[1,1]", "ansatz=rbm_symm"], None)
    found = exact_reference(config, build(config, serial()))
    assert found is not None and found["network_above"] == 0
