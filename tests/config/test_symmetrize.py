"""Keys of symmetries: what a run is named by, what it keeps of a file, what it says, and what it refuses."""

import json
from typing import Any

import numpy as np
import pytest
import yaml

from nqs_hpc.config.compose import InputError, compose, from_plain
from nqs_hpc.config.identity import physics, to_plain
from nqs_hpc.config.symmetrize import sector_of, words_of_sector
from nqs_hpc.operators.exact import lowest_states
from nqs_hpc.parts import build
from nqs_hpc.system.hilbert import codes, decode, encode
from tests.systems import SERIAL

HEISENBERG = ["hamiltonian=heisenberg", "sampler=enumerate"]


def test_without_symmetries_a_run_is_what_it_was():
    assert "symmetrize" not in physics(compose([], 1))
    assert compose([], 1).symmetrize.mode is None
    on = physics(compose(["symmetrize.group=translations", "symmetrize.momentum=3"], 1))
    assert on["symmetrize"] == {"group": "translations", "momentum": [3], "mode": "psi"}


def test_a_file_counts_by_what_it_holds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "turns.txt").write_text("0 1 2 3\n2 3 0 1\n")
    config = compose(["lattice.length=4", "symmetrize.file=turns.txt", "symmetrize.irrep=A2"], 1)
    assert physics(config)["symmetrize"] == {
        "irrep": "A2",
        "mode": "psi",
        "permutations": [[0, 1, 2, 3], [2, 3, 0, 1]],
    }
    (tmp_path / "turns.txt").unlink()
    again = from_plain(yaml.safe_load(yaml.safe_dump(to_plain(config))))
    assert again.symmetrize == config.symmetrize
    symmetry = sector_of(again, again.make_sites())
    assert symmetry is not None and symmetry.characters.tolist() == [1, -1]


def test_a_sector_that_was_another_one_in_the_basis_of_the_ansatz_is_another_run():
    """Names were those of the network once: a run that was started so is not taken up as one of the physical name."""
    turns = ["lattice.length=6", *HEISENBERG, "ansatz.dtype=complex", "symmetrize.group=translations"]
    config = compose([*turns, "symmetrize.momentum=0"], 1)
    assert physics(config)["symmetrize"]["names"] == "physical"
    assert from_plain(yaml.safe_load(yaml.safe_dump(to_plain(config)))) == config
    same = [turns, [*turns, "hamiltonian.marshall=false", "symmetrize.momentum=0"]]
    same.append([*turns, "lattice.length=8", "symmetrize.momentum=0", "sector=0"][1:])
    assert all("names" not in physics(compose(words, 1))["symmetrize"] for words in same)


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (
            ["sector=none", "symmetrize.group=translations", "symmetrize.momentum=0"],
            "symmetrize.momentum=[0] is not valid; valid: null, a fixed total in place of sector=none, or "
            "hamiltonian.marshall=false: with the signs of hamiltonian.marshall",
        ),
        (["sector=none", "symmetrize.group=space_group", "symmetrize.irrep=A"], "symmetrize.irrep=A is not valid"),
        (["sector=none", "ansatz=gcnn", "ansatz.momentum=3"], "ansatz.momentum=[3] is not valid; valid: null, a fixed"),
        (["ansatz=gcnn", "ansatz.momentum=0"], "ansatz.dtype=real is not valid; valid: complex: the characters"),
        (["symmetrize.spin_flip=1", "ansatz.bias=false"], "symmetrize.spin_flip=1 is not valid; valid: null or -1"),
        (
            ["ansatz=cnn", "ansatz.kernel=3", "symmetrize.group=translations", "symmetrize.momentum=0"],
            "symmetrize.momentum=[0] is not valid; valid: null: ansatz=cnn is the same behind 6",
        ),
    ],
)
def test_names_that_the_basis_of_the_ansatz_has_not(overrides, line):
    with pytest.raises(InputError) as caught:
        compose(["lattice.length=6", *HEISENBERG, *overrides], 1)
    assert str(caught.value).startswith(line) and len(str(caught.value).splitlines()) == 1


def test_a_network_that_is_positive_by_its_making_has_the_momentum_of_marshalls_rule():
    kinds = [["ansatz=gcnn", "ansatz.momentum=3"], ["symmetrize.group=translations", "symmetrize.momentum=3"]]
    kinds += [[*kinds[1], "symmetrize.mode=log_psi"], ["symmetrize.spin_flip=-1", "ansatz.bias=false"]]
    for words in kinds:
        assert build(compose(["lattice.length=6", *HEISENBERG, *words], 1), SERIAL).ansatz.kind == "real"


SQUARE = ["lattice=square", "lattice.length=3", "lattice.pbc=[true,false]"]
TERM = "hamiltonian.terms=[{coefficient: 1.0, operators: Z, sites: [0]}]"


@pytest.mark.parametrize(
    ("overrides", "key", "valid"),
    [
        (["hamiltonian.g=0.5", "symmetrize.spin_flip=1"], "symmetrize.spin_flip=1", "for flipped spins"),
        (["hamiltonian=pauli", TERM, "symmetrize.group=translations"], "symmetrize.group=translations", "0 goes to 1"),
        (["hamiltonian=pauli", TERM, "ansatz=gcnn"], "ansatz.group=translations", "site 0 goes to 1"),
        # symmetries that a network has by construction
        (["hamiltonian.g=0.5", "ansatz.bias=false"], "ansatz=rbm", "for flipped spins"),
        (["hamiltonian=pauli", TERM, "ansatz=cnn"], "ansatz=cnn", "one that tells sites apart"),
        (["hamiltonian=pauli", TERM, "ansatz=vit"], "ansatz=vit", "site 0 goes to 2"),
        (
            ["hamiltonian=pauli", TERM, "ansatz=modulus_phase", "ansatz.modulus=gcnn", "ansatz.phase=cnn"],
            "ansatz=modulus_phase",
            "site 0 goes to 1",
        ),
    ],
)
def test_a_symmetry_that_the_hamiltonian_has_not(overrides, key, valid):
    with pytest.raises(InputError) as caught:
        build(compose(["lattice.length=4", "sampler=enumerate", *overrides], 1), SERIAL)
    line = str(caught.value)
    assert line.startswith(f"{key} is not valid; valid: ") and valid in line and len(line.splitlines()) == 1


def test_along_an_open_direction_there_are_no_translations():
    config = compose([*SQUARE, "symmetrize.group=translations", "symmetrize.momentum=[1]", "sampler=enumerate"], 1)
    symmetry = build(config, SERIAL).symmetry
    assert symmetry is not None and len(symmetry.perms) == 3


def words(*overrides: str) -> dict[str, Any]:
    config = compose([*HEISENBERG, *overrides], 1)
    found = words_of_sector(config, config.make_sites())
    assert found is not None
    json.dumps(found)
    return found


def test_networks_on_hamiltonians_of_their_own_symmetry():
    """A term on every other site is one for patches of two; a phase that tells sites apart fits any."""
    terms = (
        "hamiltonian.terms=[{coefficient: 1.0, operators: Z, sites: [0]}, {coefficient: 1.0, operators: Z, sites: [2]}]"
    )
    pauli = ["lattice.length=4", "sampler=enumerate", "hamiltonian=pauli"]
    build(compose([*pauli, terms, "ansatz=vit", "ansatz.width=4", "ansatz.heads=1", "ansatz.layers=1"], 1), SERIAL)
    build(compose([*pauli, TERM, "ansatz=modulus_phase", "ansatz.modulus=cnn", "ansatz.phase=jastrow"], 1), SERIAL)


def test_words_of_a_sector():
    assert words_of_sector(compose([], 1), compose([], 1).make_sites()) is None
    found = words(
        "lattice.length=8", "symmetrize.group=space_group", "symmetrize.momentum=-2", "symmetrize.spin_flip=1"
    )
    assert found["momentum"] == [6] and found["irrep"] == "A" and found["elements"] == 16
    found = words("lattice=square", "lattice.length=4", "ansatz=gcnn", "ansatz.group=space_group")
    assert found["group"] == "space_group" and found["irrep"] == "A1" and found["spin_flip"] is None


@pytest.mark.parametrize("length", [4, 6])
def test_the_physical_momentum_behind_marshalls_rule(length):
    """The ground state of the ring is of momentum 0 in the ansatz's basis; in that of H it is pi for 6 sites."""
    flip = {4: 1, 6: -1}[length]  # of the ground state
    keys = [f"lattice.length={length}", "symmetrize.group=space_group", f"symmetrize.spin_flip={flip}"]
    physical = words(*keys)["physical"]
    config = compose([*HEISENBERG, *keys], 1)
    marshall, plain = (
        build(config, SERIAL),
        build(compose([*HEISENBERG, keys[0], "hamiltonian.marshall=false"], 1), SERIAL),
    )

    energies, vectors = lowest_states(plain.operator, plain.hilbert)
    assert (
        abs(energies[0] - lowest_states(marshall.operator, marshall.hilbert, symmetry=marshall.symmetry)[0][0]) < 1e-10
    )
    psi = vectors[:, 0]
    all_codes = codes(plain.hilbert)
    s = decode(plain.hilbert, all_codes)

    def eigenvalue(image):
        moved = psi[np.searchsorted(all_codes, encode(plain.hilbert, image))]
        return moved @ psi

    k = physical["momentum"][0]
    assert np.isclose(eigenvalue(np.roll(s, 1, axis=1)), np.exp(-2j * np.pi * k / length).real)
    assert np.isclose(eigenvalue(-s), physical["spin_flip"])
    mirror = (-np.arange(length)) % length
    assert np.isclose(eigenvalue(s[:, mirror]), 1 if physical["irrep"] == "A" else -1)
    assert k == (0 if length == 4 else 3)
