"""FCIDUMP files that PySCF wrote and operators of OpenFermion, judged by the energies that these programs found."""

from pathlib import Path

import numpy as np
import pytest

from nqs_hpc.cli.export import export
from nqs_hpc.config.compose import checked
from nqs_hpc.operators.exact import lowest_states
from nqs_hpc.system import fcidump
from nqs_hpc.system.fermion_strings import FermionString, hop, jordan_wigner, normal_ordered, number
from nqs_hpc.system.fermion_terms import strings_of

DATA = Path(__file__).parents[1] / "data" / "formats"
# of pyscf.fci, and of mcscf.CASCI(mf, 4, 2) with the core in the file; STO-3G, hartree
PYSCF = {"h4_pyscf.fcidump": -2.217942049886965, "lih_pyscf.fcidump": -7.863681624920655}


def energy(*words):
    config = checked(["ansatz=table", "sampler=enumerate", *words], 1)
    lattice = config.make_sites()
    space = config.hamiltonian.space(lattice.n_sites, config.sector)
    return lowest_states(config.hamiltonian.operator(lattice), space)[0][0]


@pytest.mark.parametrize("name", PYSCF)
def test_the_energy_is_that_of_the_other_program_also_of_what_is_written(name, tmp_path):
    words = ["lattice.length=4", "hamiltonian=fermion"]
    # 1e-10: integrals below 1e-12 are not in the file
    assert energy(*words, f"hamiltonian.fcidump={DATA / name}") == pytest.approx(PYSCF[name], abs=1e-10)
    assert export([*words, f"hamiltonian.fcidump={DATA / name}", "--fcidump", str(tmp_path / "again")]) == 0
    one, two = fcidump.read(DATA / name), fcidump.read(tmp_path / "again")
    assert two[:3] == one[:3]
    assert same(one, two)


def same(one, two):
    left, right = (
        {(string.sites, string.operators): string.coefficient for string in jordan_wigner(strings_of(each.terms, 4))}
        for each in (one, two)
    )
    assert left.keys() == right.keys()
    return all(left[at] == pytest.approx(right[at], rel=1e-12, abs=1e-14) for at in left)


def test_a_fermion_operator_of_openfermion(tmp_path):
    """Hubbard's dimer at half filling: U/2 - sqrt(U^2/4 + 4 t^2)."""
    exact = 2 - np.sqrt(8)
    words = ["lattice.length=2", "lattice.pbc=false", "hamiltonian=fermion"]
    assert energy(*words, f"hamiltonian.file={DATA / 'fermion_operator.txt'}") == pytest.approx(exact, abs=1e-12)
    hubbard = ["lattice.length=2", "lattice.pbc=false", "hamiltonian=hubbard", "hamiltonian.U=4"]
    assert export([*hubbard, "--fermions", str(tmp_path / "h"), "--fcidump", str(tmp_path / "f")]) == 0
    assert energy(*words, f"hamiltonian.file={tmp_path / 'h'}") == pytest.approx(exact, abs=1e-12)
    assert energy(*words[:3], f"hamiltonian.fcidump={tmp_path / 'f'}") == pytest.approx(exact, abs=1e-12)
    theirs, ours = (
        (path.read_text()).replace(" +", "").split("\n") for path in (DATA / "fermion_operator.txt", tmp_path / "h")
    )
    assert theirs[0] == ours[0] == "FermionOperator:" and sorted(theirs) == sorted(ours)


def test_normal_order_is_the_same_operator():
    made = np.random.default_rng(1)
    strings = []
    for _ in range(6):
        modes = made.integers(0, 4, 4).tolist()
        operators = tuple((mode, bool(made.integers(2))) for mode in modes)
        conjugate = tuple((mode, not creates) for mode, creates in reversed(operators))
        strings += [FermionString(0.5, operators), FermionString(0.5, conjugate)]
    ordered = normal_ordered(strings)
    left, right = jordan_wigner(strings), jordan_wigner(ordered)
    assert [one[1:] for one in left] == [one[1:] for one in right]
    assert [one.coefficient for one in left] == pytest.approx([one.coefficient for one in right])
    for string in ordered:
        flags = [creates for _, creates in string.operators]
        assert flags == sorted(flags, reverse=True)


H3 = DATA / "h3_uhf_block2.fcidump"
BY_PYSCF = -1.5738298981697763  # fci.FCI of the same UHF orbitals


def test_orbitals_of_each_spin():
    words = ["lattice.length=3", "hamiltonian=fermion", f"hamiltonian.fcidump={H3}"]
    assert energy(*words) == pytest.approx(BY_PYSCF, abs=1e-10)
    assert checked(words, 1).sector == (2, 1)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda lines: lines[:-1], "ends before the energy of the core"),
        (lambda lines: [*lines, lines[-1]], "a line behind the energy of the core"),
        (lambda lines: [*lines[:87], " 0.5 0 0 0 0", *lines[88:]], "0.5, where 0 ends the integrals up up"),
        (lambda lines: [*lines[:8], " 0.5 1 1 0 0", *lines[8:]], "0.5 1 1 0 0 among the integrals up up"),
        (lambda lines: [*lines[:8], " 0.9 1 1 1 2", *lines[8:]], "real orbitals make equal"),
    ],
)
def test_a_broken_file_of_each_spin_ends_in_one_line(change, line, tmp_path):
    lines = H3.read_text().rstrip("\n").split("\n")
    (tmp_path / "f").write_text("\n".join(change(lines)) + "\n")
    with pytest.raises(ValueError) as caught:
        fcidump.read(tmp_path / "f")
    assert line in str(caught.value) and "\n" not in str(caught.value) and str(tmp_path / "f") in str(caught.value)


N = 2
UP_DOWN = (number(1.0, 0, N), number(1.0, 1, N + 1))


@pytest.mark.parametrize(
    "strings",
    [
        [number(1.0, 0)],  # of one spin
        [*hop(1j, 0, 1), *hop(1j, N, N + 1)],  # complex
        [FermionString(1.0, ((0, True), (1, True))), FermionString(1.0, ((1, False), (0, False)))],  # a pair
        [*UP_DOWN, number(0.5, 0, 1)],  # of two electrons of one spin alone
        [number(1.0, 0, 1, N)],
    ],
)
def test_what_is_no_sum_of_integrals_is_refused(strings):
    with pytest.raises(ValueError, match="not made of integrals"):
        fcidump.written(strings, N, 1, 1)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["hamiltonian=ising", "--fcidump"], "hamiltonian=ising is not one of fermions"),
        (["hamiltonian=tj", "--fermions"], "hamiltonian=tj excludes states"),
        (["hamiltonian=tv", "--fcidump"], "valid: [N_up, N_down]"),
        (["hamiltonian=hubbard", "sector=none", "--fcidump"], "sector=null; valid: [N_up, N_down]"),
        (["hamiltonian=hubbard", "hamiltonian.phases=0.5", "--fcidump"], "not made of integrals"),
    ],
)
def test_bad_input_is_one_line(words, line, tmp_path, capsys):
    assert export(["lattice.length=4", *words, str(tmp_path / "f")]) == 2 and not (tmp_path / "f").exists()
    (said,) = capsys.readouterr().err.splitlines()
    assert line in said
