"""Bad input about fermions is one line that says what is valid; what a run keeps needs no file again."""

from __future__ import annotations

from pathlib import Path

import pytest

import nqs_hpc
from nqs_hpc.config.basis import basis_of
from nqs_hpc.config.compose import checked, from_plain
from nqs_hpc.config.identity import physics, run_name, to_plain
from nqs_hpc.config.signs import why_not_positive
from nqs_hpc.config.symmetrize import told_sector
from nqs_hpc.inputs.checks import InputError

H2 = (Path(nqs_hpc.__file__).parent / "data" / "h2_sto3g.fcidump").read_text(encoding="utf-8")
HUBBARD, TJ, TV = (["lattice.length=4", f"hamiltonian={name}"] for name in ("hubbard", "tj", "tv"))
FERMION = ["lattice.length=2", "hamiltonian=fermion"]
HOP = 'hamiltonian.terms=["-1.0 [0^ 1]","-1.0 [1^ 0]"]'


@pytest.mark.parametrize(
    ("overrides", "key", "says"),
    [
        ([*HUBBARD, "sector=[5,1]"], "sector=[5, 1]", "[N_up, N_down], each 0 to 4"),
        ([*HUBBARD, "sector=[1,1,1]"], "sector=[1, 1, 1]", "[N_up, N_down], each 0 to 4"),
        ([*HUBBARD, "sector=4"], "sector=4", "[N_up, N_down], each 0 to 4"),
        ([*TJ, "sector=[3,2]"], "sector=[3, 2]", "each 0 to 4, together at most 4"),
        ([*TV, "sector=[2,2]"], "sector=[2, 2]", "the number of fermions, 0 to 4"),
        ([*TV, "sector=-1"], "sector=-1", "the number of fermions, 0 to 4"),
        (["hamiltonian=ising", "sector=[1,1]"], "sector=[1, 1]", "auto or none"),
        ([*HUBBARD, "hamiltonian.t=[1,0,0,1]"], "hamiltonian.t", "no bonds on chain 4"),
        ([*HUBBARD, "hamiltonian.t=0", "hamiltonian.U=0"], "hamiltonian.t=[0.0]", "hamiltonian.t, .U"),
        ([*TJ, "hamiltonian.t=0", "hamiltonian.J=[0,0]"], "hamiltonian.t=[0.0]", "hamiltonian.t, .J"),
        ([*HUBBARD, "hamiltonian.phases=[1,0]"], "hamiltonian.phases", "one for each of the 1 directions"),
        ([*HUBBARD, "lattice.pbc=false", "hamiltonian.phases=1"], "hamiltonian.phases", "no side of the lattice"),
        (["lattice.length=2", *HUBBARD[1:], "hamiltonian.phases=0.5"], "hamiltonian.phases", "double_bonds=true"),
        (FERMION, "hamiltonian.terms=null", "none is given; valid: exactly one"),
        ([*FERMION, HOP, "hamiltonian.file=x.txt"], "hamiltonian.terms=", "terms and file are given"),
        ([*FERMION, "hamiltonian.file=/nowhere/x.txt"], "hamiltonian.file", "cannot be read"),
        ([*FERMION, 'hamiltonian.terms=["1.0 [0^ 1]"]'], "hamiltonian.terms", "conjugate of 1.0 [0^ 1]"),
        ([*FERMION, 'hamiltonian.terms=["1.0 [0^ 4]"]'], "hamiltonian.terms", "mode 4 is not one of the 4"),
        ([*FERMION, 'hamiltonian.terms=["1.0 (1 3|1 1)"]'], "hamiltonian.terms", "orbitals are 1 to 2"),
        ([*FERMION, 'hamiltonian.terms=["1.0 (1|1)"]', "hamiltonian.spin=false"], "hamiltonian.terms", "spin=true"),
        ([*FERMION, 'hamiltonian.terms=["1.0 []"]'], "hamiltonian.terms", "add up to a constant"),
        ([*FERMION, "hamiltonian.terms=[1.0]"], "hamiltonian.terms", "term 1: 1.0 is not a line of text"),
        (
            [*FERMION, 'hamiltonian.terms=["1.0 [0^ 2]","1.0 [2^ 0]"]', "sector=[1,1]"],
            "sector=[1, 1]",
            "terms that change the number of up or of down does not conserve",
        ),
        ([*FERMION, HOP, "task=dynamics", "task.ramp={spin: [[0, 1]]}"], "task.ramp", "which are numbers: none"),
        ([*HUBBARD, "task=dynamics", "task.ramp={phases: [[0, 1]]}"], "task.ramp.phases", "which are numbers: t, U"),
        (["lattice.length=3", "hamiltonian=fermion", "hamiltonian.fcidump=package:h2_sto3g.fcidump"],
         "hamiltonian.fcidump", "NORB=2 orbitals, and the lattice 3 sites"),
        ([*FERMION, "hamiltonian.fcidump=package:water"], "hamiltonian.fcidump", "cannot be read"),
        ([*HUBBARD, "ansatz=slater", "ansatz.start=/nowhere/x.npy"], "ansatz.start", "No such file"),
        ([*HUBBARD, "ansatz=slater", "sector=none"], "ansatz=slater", "sector=none lacks"),
        (["ansatz=backflow"], "ansatz=backflow", "needs fermions"),
        (["ansatz=product"], "ansatz.second=slater", "needs fermions"),
        ([*HUBBARD, "ansatz=backflow", "ansatz.features=100000000"], "ansatz.features", "below 16384"),
        ([*HUBBARD, "ansatz=hidden_fermion", "ansatz.n_hidden=1000000"], "ansatz.n_hidden", "below 1024"),
    ],
)  # fmt: skip
def test_one_line(overrides, key, says):
    with pytest.raises(InputError) as caught:
        checked(overrides, 1)
    line = str(caught.value)
    assert line.startswith(key) and says in line and "\n" not in line, line


FIRST = " 0.6744887663568376    1    1    1    1\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (H2.replace("&FCI", "FCI"), "does not begin with &FCI"),
        ("\0\x01nonsense" * 100, "does not begin with &FCI"),
        (H2.replace("&END", ""), "does not begin with &FCI"),
        (H2.replace("NORB=   2,", ""), "no NORB in its header"),
        (H2.replace("NELEC= 2", "NELEC=two"), "NELEC=two in its header"),
        (H2.replace("MS2=0", "MS2=1"), "NELEC=2 with MS2=1"),
        (H2.replace("NELEC= 2", "NELEC=5"), "NELEC=5 with MS2=0"),
        (H2.replace("MS2=0,", "MS2=0,IUHF=1,"), "among the integrals up up"),
        (H2.replace(FIRST, FIRST[:30] + "\n"), "is not a number and four orbitals"),
        (H2.replace(FIRST, FIRST.replace("0.67", "nan")), "is not a number and four orbitals"),
        (H2.replace(FIRST, FIRST.replace("1\n", "3\n")), "orbitals are 1 to NORB=2"),
        (H2.replace(FIRST, FIRST.replace("1\n", "0\n")), "names three orbitals"),
        (H2.replace(" 2    2    1    1\n", " 2    2    1    1\n 0.1 1 1 2 2\n"), "make equal to it is 0.663468"),
        (H2[: H2.rindex("\n", 0, -2) + 1], "no line with the energy of the core"),
        (H2 + H2[H2.rindex("\n", 0, -2) + 1 :], "a second energy of the core"),
    ],
)
def test_fcidumps_that_are_wrong(tmp_path: Path, text: str, says: str):
    path = tmp_path / "x.fcidump"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        checked([*FERMION, f"hamiltonian.fcidump={path}"], 1)
    line = str(caught.value)
    assert line.startswith("hamiltonian.fcidump=") and says in line and "\n" not in line, line


def test_other_ways_to_write_an_fcidump(tmp_path: Path):
    """Exponents of Fortran, a slash at the end of the header, energies of orbitals, all equal integrals written out."""
    path = tmp_path / "x.fcidump"
    more = " 0.1812888082114958D0 1 2 1 2\n 0.1812888082114958D+00 2 1 1 2\n -0.57797 1 0 0 0\n"
    path.write_text(H2.replace("&END", "/").replace(FIRST, FIRST + more), encoding="utf-8")
    named = "hamiltonian.fcidump=package:h2_sto3g.fcidump"
    found, known = (checked([*FERMION, one], 1).hamiltonian for one in (f"hamiltonian.fcidump={path}", named))
    assert found.terms == known.terms


def test_files_without_end_are_not_read():
    with pytest.raises(InputError, match="not a regular file"):
        checked([*FERMION, "hamiltonian.fcidump=/dev/zero"], 1)


def test_a_run_reads_no_file_again(tmp_path: Path):
    path = tmp_path / "h2.fcidump"
    path.write_text(H2, encoding="utf-8")
    config = checked([*FERMION, f"hamiltonian.fcidump={path}"], 1)
    path.unlink()
    again = from_plain(to_plain(config))
    assert again.hamiltonian == config.hamiltonian and again.sector == config.sector == (1, 1)
    assert again.hamiltonian.fcidump == str(path)
    assert physics(again) == physics(config) and run_name(again) == run_name(config)


def test_what_a_start_says():
    config = checked([*HUBBARD, "sector=[2,1]", "hamiltonian.phases=1"], 1)
    sites = config.make_sites()
    assert told_sector(config, sites) == "sector=[2, 1] (3 fermions on 4 orbitals)"
    assert any("phases [1.0] pi" in line for line in config.hamiltonian.lines(sites))
    line = why_not_positive(config.hamiltonian, sites)
    assert line is not None and "moves fermions past each other" in line and "gauge" not in line
    free = checked([*TV, "lattice.pbc=false"], 1)
    assert why_not_positive(free.hamiltonian, free.make_sites()) is None  # no fermion passes another on an open chain
    turned = checked([*TV, "lattice.pbc=false", "hamiltonian.t=-1"], 1)
    assert why_not_positive(turned.hamiltonian, turned.make_sites()) is not None


def test_an_open_shell_is_a_warning_of_the_run():
    """Two of four degenerate orbitals of the ring of four, of spin up alone; a closed one says nothing."""
    for sector, n_warnings in (("[2,1]", 1), ("[3,1]", 0)):
        config = checked([*HUBBARD, f"sector={sector}", "ansatz=product"], 1)
        lattice = config.make_sites()
        found = config.ansatz.warnings(lattice, basis_of(config, lattice))
        assert len(found) == n_warnings and all("open shell" in line for line in found)
