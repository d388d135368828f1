"""Extrapolations to infinite size against published energies and closed forms, and what may lie on one line."""

import csv
import json
import math

import pytest

from nqs_hpc.job.lifecycle import BAD_INPUT, DONE
from nqs_hpc.report.chapters import content
from nqs_hpc.report.curves import FitOptions, curve_set
from nqs_hpc.report.extrapolation import quality, sizes, variances
from nqs_hpc.report.laws import law
from nqs_hpc.report.page import report
from nqs_hpc.report.places import find_runs
from nqs_hpc.report.rows import read_rows

pytestmark = pytest.mark.usefixtures("quick")

# Heisenberg model on the L x L torus, energy per site in units of J with its error: Sandvik 1997, table II,
# doi:10.1103/PhysRevB.56.11678, arXiv:cond-mat/9707123; and its limit of all sizes.
SQUARE = {4: (-0.701777, 7e-6), 6: (-0.678873, 4e-6), 8: (-0.673487, 4e-6)}
SQUARE_LIMIT = -0.669437
RING_LIMIT = 0.25 - math.log(2)  # Hulthén 1938

HEISENBERG = {"name": "heisenberg", "J": [1.0], "delta": 1.0, "marshall": True}


def ising(h, J=1.0, g=0.0):
    return {"name": "ising", "J": J, "h": h, "g": g}


def ising_ring(n, h):
    """The lowest energy of a periodic ring of an even number of sites, by free fermions (Pfeuty 1970)."""
    momenta = [math.pi * (2 * i + 1) / n for i in range(n)]
    return -sum(math.sqrt(1 + h * h - 2 * h * math.cos(k)) for k in momenta)


class Folder:
    """A folder of finished runs, of which only what a report reads is written."""

    def __init__(self, path):
        self.path = path

    def run(
        self, name, extent, energy, error=None, *, lattice="chain", pbc=True, hamiltonian=HEISENBERG, cells=1, **more
    ):
        """``energy`` and its error per site; ``more``: sections of the record, or status, reason, variance, exact."""
        n = cells * math.prod(extent)
        goal = self.path / name
        goal.mkdir(parents=True)
        status, reason = more.pop("status", "done"), more.pop("reason", "")
        variance, exact = more.pop("variance", 0.1), more.pop("exact", None)
        sides = pbc if isinstance(pbc, list) else [pbc] * len(extent)
        physics = {
            "lattice": {"name": lattice, "extent": list(extent), "pbc": sides},
            "hamiltonian": hamiltonian,
            "ansatz": {"name": "rbm"},
            "sampler": {"name": "metropolis"},
            "sector": None if hamiltonian["name"] == "ising" else 0,
            "seed": 0,
        } | more
        summary = {
            "status": status,
            "reason": reason,
            "step": 5,
            "final": True,
            "energy": {"mean": n * energy, "error": error and n * error, "variance": variance},
            "reference": exact and {"energy": exact, "method": "made up"},
            "n_sites": n,
        }
        exit_ = {"time": "", "step": 5, "reason": f"{status}: {reason}"}
        manifest = {"physics": physics, "starts": [{"step": 0, "exit": exit_}]}
        (goal / "summary.json").write_text(json.dumps(summary))
        (goal / "manifest.json").write_text(json.dumps(manifest))
        (goal / "config.yaml").write_text("task: {name: ground_state, n_steps: 5, final_samples: 64}\n")
        if status == "done":
            (goal / "DONE").write_text("5\n")

    def found(self):
        return read_rows(find_runs(str(self.path)), 0.0)

    def lines(self, **choice):
        """Extrapolation to infinite size by name."""
        return {one.of: one for one in sizes(curve_set(self.found(), FitOptions(**choice)))[1]}

    def only(self, **choice):
        (one,) = self.lines(**choice).values()
        return one


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "runs")


def squares(folder, names="L{}"):
    for length, (energy, error) in SQUARE.items():
        folder.run(names.format(length), [length, length], energy, error, lattice="square")


def test_squares_of_a_magnet_land_on_the_infinite_one(folder):
    squares(folder)
    one = folder.only()
    assert one.law.name() == "1/L³, L = √N" and "spin waves" in one.law.why
    assert one.line.intercept == pytest.approx(SQUARE_LIMIT, abs=2e-4)
    by_sites = folder.only(power=2.0)  # 1/N, which open ends do
    assert by_sites.law.name() == "1/L², L = √N" and by_sites.line.intercept - SQUARE_LIMIT > 5e-3


@pytest.mark.parametrize("error", [None, 2e-5])
def test_exact_energies_of_squares(folder, error):
    """By the law of the torus within two of its errors of the infinite lattice; by 1/N six thousandths above it."""
    for length, energy in {4: -0.7017802, 6: -0.678872, 8: -0.673487}.items():
        folder.run(f"L{length}", [length, length], energy, error, lattice="square")
    one, by_sites = folder.only(), folder.only(power=2.0)
    assert abs(one.line.intercept - SQUARE_LIMIT) < 2 * one.line.error < 5e-4
    assert by_sites.line.intercept == pytest.approx(-0.6630, abs=5e-4)


def test_ladders_grow_along_their_legs(folder):
    """Lx != Ly: of sides 4x2 to 12x2 the width stays, and a torus that is longer than wide keeps its shape."""
    for length in (6, 8, 10):
        folder.run(f"w{length}", [length, 4], -0.62 - 0.3 / length, 1e-5, lattice="square", pbc=[False, True])
        folder.run(f"t{length}", [2 * length, length], -0.66 - 1.5 / length**3, 1e-5, lattice="square")
    lines = folder.lines()
    told = {one.law.name(): one for one in lines.values()}
    assert set(told) == {"1/N", "1/L³, L = √N"}  # open ends of a tube; the torus
    assert told["1/N"].line.intercept == pytest.approx(-0.62, abs=1e-9)
    assert told["1/L³, L = √N"].line.intercept == pytest.approx(-0.66, abs=1e-9)


def test_seeds_and_samples_do_not_stand_for_sizes(folder):
    """Four seeds at two sizes are two sizes: no line; at three they are points of one line, each with its weight."""
    for length in (4, 6):
        for seed in range(4):
            energy = SQUARE[length][0] + 1e-6 * seed
            folder.run(f"L{length}-{seed}", [length] * 2, energy, 1e-5, lattice="square", seed=seed)
    assert folder.lines() == {}
    folder.run("L8", [8, 8], *SQUARE[8], lattice="square")
    one = folder.only()
    assert one.n_points == 9 and one.line.intercept == pytest.approx(SQUARE_LIMIT, abs=2e-4)


def test_odd_rings_of_other_sectors_do_not_bend_the_line_of_the_even(folder):
    """An odd ring has a spin left over, in whatever sector it was run: what it tells is not in the even rings' line."""
    for n in (8, 12, 16):
        folder.run(f"even{n}", [n], RING_LIMIT - 0.2 / n**2, 1e-6)
    for n in (9, 11):
        folder.run(f"odd{n}", [n], RING_LIMIT + 0.6 / n**2, 1e-6, sector=1)
    one = folder.only()
    assert one.n_points == 3 and one.line.intercept == pytest.approx(RING_LIMIT, abs=1e-9)


def test_a_critical_ring_lands_on_the_infinite_one(folder):
    for n in (8, 12, 16, 24):
        folder.run(f"n{n}", [n], ising_ring(n, 1.0) / n, 1e-6, hamiltonian=ising(1.0))
    one = folder.only()
    assert one.law.name() == "1/N²" and "critical ring" in one.law.why
    assert one.line.intercept == pytest.approx(-4 / math.pi, abs=1e-4)
    assert abs(folder.only(power=1.0).line.intercept + 4 / math.pi) > 1e-3


def test_a_gap_is_no_power(folder):
    """Sizes that agree are the limit; the error is the last change, not what a line that does not hold makes of it."""
    for h, name in ((1.5, "a"), (0.5, "b")):
        for n in (6, 10, 14):
            folder.run(f"{name}{n}", [n], ising_ring(n, h) / n, 1e-7, hamiltonian=ising(h))
    lines = folder.lines()
    assert set(lines) == {"h 1.5", "h 0.5"}
    for h in (1.5, 0.5):
        one, limit = lines[f"h {h}"], ising_ring(2000, h) / 2000
        assert one.law.power is None and "gap" in one.law.why
        change = abs(ising_ring(14, h) / 14 - ising_ring(10, h) / 10)
        assert abs(one.line.intercept - limit) < one.line.error == pytest.approx(change, rel=1e-3)
        assert "largest size" in quality(one)


def test_open_ends_leave_their_surface(folder):
    for length in (4, 6, 8):  # b for each site of the border
        energy = -0.67 + 0.3 / length
        folder.run(f"s{length}", [length, length], energy, 1e-5, lattice="square", pbc=[True, False])
    one = folder.only()
    assert one.law.name() == "1/L, L = √N" and "open ends" in one.law.why
    assert one.line.intercept == pytest.approx(-0.67, abs=1e-9)


PBC = [True, True]


@pytest.mark.parametrize(
    ("lattice", "hamiltonian", "grown", "more", "power", "word"),
    [
        ("square", {"name": "heisenberg", "J": [1.0], "delta": 0.5}, (0, 1), {}, 3.0, "spin waves"),
        ("square", {"name": "heisenberg", "J": [-1.0], "delta": 0.0}, (0, 1), {}, 3.0, "spin waves"),
        ("honeycomb", HEISENBERG, (0, 1), {}, 3.0, "spin waves"),
        ("triangular", HEISENBERG, (0, 1), {}, 3.0, "spin waves"),
        ("square", {"name": "heisenberg", "J": [1.0], "delta": 2.0}, (0, 1), {}, None, "easy axis"),
        ("square", {"name": "heisenberg", "J": [1.0, 0.5], "delta": 1.0}, (0, 1), {}, 3.0, "not known"),
        ("square", {"name": "heisenberg", "J": [1.0], "delta": 2.0, "h": 3.0}, (0, 1), {}, 3.0, "not known"),
        ("square", {"name": "ising", "J": {"random": "sign"}, "h": 1.0, "g": 0.0}, (0, 1), {}, 3.0, "random couplings"),
        ("kagome", HEISENBERG, (0, 1), {}, 3.0, "not known"),
        ("square", ising(3.044), (0, 1), {}, 3.0, "critical"),
        ("square", ising(2.0), (0, 1), {}, None, "gap"),
        ("square", ising(-3.044), (0, 1), {}, 3.0, "critical"),  # the sign of a transverse field is a gauge
        ("triangular", ising(1.0, J=-1.0), (0, 1), {}, 3.0, "not known"),
        ("square", HEISENBERG, (0,), {"extent": [8, 2]}, None, "ladder of 2 legs"),
        ("square", HEISENBERG, (0,), {"extent": [8, 3], "pbc": [True, False]}, 2.0, "ladder of 3 legs"),
        ("square", HEISENBERG, (1,), {"extent": [4, 8], "pbc": [True, False]}, 1.0, "open ends"),
        ("square", {"name": "pauli", "terms": []}, (0, 1), {}, 3.0, "not known"),
    ],
)
def test_what_is_known_of_a_model_is_its_law(lattice, hamiltonian, grown, more, power, word):
    physics = {"lattice": {"name": lattice, "extent": [8, 8], "pbc": PBC} | more, "hamiltonian": hamiltonian}
    found = law(physics, grown)
    assert found.power == power and word in found.why


@pytest.mark.parametrize(
    ("hamiltonian", "power"),
    [
        (HEISENBERG, 2.0),
        ({"name": "heisenberg", "J": [1.0], "delta": -0.5}, 2.0),
        ({"name": "heisenberg", "J": [-1.0], "delta": 1.0}, None),  # the ferromagnet: exactly extensive
        ({"name": "heisenberg", "J": [1.0], "delta": 1.5}, None),
        ({"name": "heisenberg", "J": [1.0, 0.5], "delta": 1.0}, None),  # Majumdar and Ghosh
        ({"name": "heisenberg", "J": [1.0, 0.1], "delta": 1.0}, 2.0),
        (ising(1.0, J=-1.0), 2.0),
        (ising(1.0, g=0.2), None),
    ],
)
def test_rings(hamiltonian, power):
    ring = {"lattice": {"name": "chain", "extent": [8], "pbc": [True]}, "hamiltonian": hamiltonian}
    assert law(ring, (0,)).power == power
    excited = ring | {"symmetrize": {"group": "translations", "momentum": [4]}}
    assert law(excited, (0,)).power == (1.0 if power is None else power)  # above a gap, once


def test_shapes_and_widths_are_curves_of_their_own(folder):
    """Squares and ladders of one sweep: a line for the squares, one for each width, and none through all."""
    squares(folder, "s{}")
    for length in (6, 8, 10):  # closed along, open across: two legs have a gap
        folder.run(f"w{length}", [length, 2], -0.578, 1e-5, lattice="square", pbc=[True, False])
    folder.run("odd", [12, 5], -0.66, 1e-5, lattice="square")
    given = curve_set(folder.found(), FitOptions())
    counted = {curve.name: (sorted(one.row.name for one in curve.members), curve.law.power) for curve in given.curves}
    assert sorted(counted.values(), key=str) == [(["s4", "s6", "s8"], 3.0), (["w10", "w6", "w8"], None)]
    assert len(given.notes) == 1 and given.notes[0].endswith("keep their shape: odd.")


def test_torus_and_tube_of_the_same_sides_are_not_mixed(folder):
    squares(folder, "s{}")
    folder.run("wide", [12, 8], -0.6714, 1e-5, lattice="square")
    folder.run("wider", [16, 8], -0.6711, 1e-5, lattice="square")
    lines = folder.lines()
    assert {name: one.n_points for name, one in lines.items()} == {"sides 1:1": 3, "L×8": 3}
    assert lines["sides 1:1"].line.intercept == pytest.approx(SQUARE_LIMIT, abs=2e-4)


def test_sizes_that_frustrate_an_antiferromagnet_are_apart(folder):
    for n in (4, 5, 6, 7, 8, 9):
        folder.run(f"n{n}", [n], RING_LIMIT - (0.2 if n % 2 == 0 else -0.6) / n**2, 1e-6, sector=n % 2)
    lines = folder.lines()
    assert len(lines) == 2 and {one.n_points for one in lines.values()} == {3}
    assert all(one.line.intercept == pytest.approx(RING_LIMIT, abs=1e-9) for one in lines.values())


def test_a_side_of_two_has_half_its_bonds(folder):
    for n in (2, 4, 6, 8):
        folder.run(f"n{n}", [n], -1.2, 1e-5 * n, hamiltonian=ising(1.0))
    assert folder.only().n_points == 3
    left_out = curve_set(folder.found(), FitOptions()).left_out
    assert left_out["n2"].startswith("two bonds across a periodic side coincide")


def test_sites_are_counted_with_the_basis(folder):
    for length in (4, 6, 8):
        n = 2 * length**2
        folder.run(f"h{length}", [length] * 2, -0.5445 - 0.5 / n**1.5, 1e-6, lattice="honeycomb", cells=2)
    one = folder.only()
    assert one.law.power == 3.0 and one.line.intercept == pytest.approx(-0.5445, abs=1e-9)
    assert one.line.slope == pytest.approx(-0.5, abs=1e-6)


def test_momenta_and_bosons_in_proportion_are_one_curve(folder):
    bosons = {"name": "bose_hubbard", "J": 1.0, "U": 4.0, "mu": 0.0, "n_max": 4}
    for n in (6, 8, 12):
        for k, name in ((0, "zero"), (n // 2, "half")):
            sector = {"group": "translations", "momentum": [k], "mode": "psi"}
            folder.run(f"{name}{n}", [n], -0.44 - 0.2 / n**2 + k / n**2, 1e-6, symmetrize=sector)
        folder.run(f"full{n}", [n], -1.3 - 0.1 / n**2, 1e-6, hamiltonian=bosons, sector=n)
        folder.run(f"ten{n}", [n], -10 / n, 1e-6, hamiltonian=bosons, sector=10)  # another filling each: no line
    members = [
        sorted(one.row.name[:4] for one in curve.members) for curve in curve_set(folder.found(), FitOptions()).curves
    ]
    assert sorted(members) == [["full"] * 3, ["half"] * 3, ["zero"] * 3]


def test_fermions_in_proportion_are_one_curve(folder):
    """Half filling, and an eighth of holes; a number of fermions that stays is another filling at each size."""
    hubbard, tv = {"name": "hubbard", "t": [1.0], "U": 8.0}, {"name": "tv", "t": [1.0], "V": [2.0]}
    for n in (8, 16, 24):
        folder.run(f"half{n}", [n], -0.3 - 0.1 / n**2, 1e-6, hamiltonian=hubbard, sector=[n // 2, n // 2])
        folder.run(f"hole{n}", [n], -0.5 - 0.2 / n**2, 1e-6, hamiltonian=hubbard, sector=[3 * n // 8, n // 2])
        folder.run(f"four{n}", [n], -4 / n, 1e-6, hamiltonian=hubbard, sector=[4, 4])
        folder.run(f"none{n}", [n], -0.7 - 0.1 / n**2, 1e-6, hamiltonian=tv, sector=n // 4)
    members = [
        sorted(one.row.name[:4] for one in curve.members) for curve in curve_set(folder.found(), FitOptions()).curves
    ]
    assert sorted(members) == [["four", "half", "half", "half"], ["hole"] * 3, ["none"] * 3]


def test_failed_doubtful_and_copied_runs_are_in_no_fit(folder):
    squares(folder)
    folder.run("L10", [10, 10], -5.0, 1e-5, lattice="square", status="failed", reason="not finite")
    folder.run("L12", [12, 12], -5.0, 1e-5, lattice="square", status="doubtful", reason="outside the spectrum")
    folder.run("L8copy", [8, 8], *SQUARE[8], lattice="square")
    given = curve_set(folder.found(), FitOptions())
    assert [one.row.name for one in given.points] == ["L4", "L6", "L8"]
    assert given.left_out == {
        "L10": "failed: not finite",
        "L12": "doubtful: outside the spectrum",
        "L8copy": "a copy of L8, equal in every digit",
    }
    assert folder.only().n_points == 3


def test_a_run_that_says_doubtful_beside_its_done_is_not_done(folder):
    squares(folder)
    summary = folder.path / "L8" / "summary.json"
    told = json.loads(summary.read_text()) | {"status": "doubtful", "reason": "acceptance vanishes"}
    summary.write_text(json.dumps(told))
    states = {one.row.name: (one.row.state, one.row.why) for one in folder.found()}
    assert states["L8"] == ("doubtful", "acceptance vanishes") and states["L4"] == ("done", "")
    assert folder.lines() == {}


def test_zero_variance_takes_one_sector(folder):
    """Two momenta and the unsymmetrised function: those of one exact energy go together, the other is apart."""
    trivial = {"group": "translations", "momentum": [0], "mode": "psi"}
    other = {"group": "translations", "momentum": [4], "mode": "psi"}
    for i, variance in enumerate((0.1, 0.2, 0.3)):
        folder.run(f"plain{i}", [8], -0.45 + variance / 100, 1e-6, variance=variance, exact=-3.651093408936)
        folder.run(
            f"k0-{i}", [8], -0.45 + variance / 90, 1e-6, variance=variance, exact=-3.651093408937, symmetrize=trivial
        )
        folder.run(f"k4-{i}", [8], -0.39 + variance / 80, 1e-6, variance=variance, exact=-3.128, symmetrize=other)
        folder.run(
            f"delta-{i}",
            [8],
            -0.3 + variance / 80,
            1e-6,
            variance=variance,
            hamiltonian={**HEISENBERG, "delta": 0.5},
        )
    told = {one.of: one for one in variances(curve_set(folder.found(), FitOptions()).points)[1]}
    assert sorted(one.n_points for one in told.values()) == [3, 3, 6]
    assert sorted(one.reference * 8 for one in told.values() if one.reference) == pytest.approx([-3.6510934, -3.128])


def test_zero_variance_without_exact_energies_takes_no_two_sectors(folder):
    for k in (0, 4):
        for i, variance in enumerate((0.1, 0.2, 0.3)):
            sector = {"group": "translations", "momentum": [k], "mode": "psi"}
            folder.run(f"k{k}-{i}", [40], -0.44 + k / 400, 1e-6, variance=variance, symmetrize=sector)
    told = variances(curve_set(folder.found(), FitOptions()).points)[1]
    assert [one.n_points for one in told] == [3, 3] and len({one.of for one in told}) == 2


def test_the_page_says_law_reason_and_what_is_left_out(folder, capsys):
    squares(folder)
    folder.run("L10", [10, 10], -5.0, 1e-5, lattice="square", status="failed", reason="not finite")
    assert report([str(folder.path)]) == DONE
    for name in ("report.md", "index.html"):
        text = (folder.path / "report" / name).read_text()
        assert "1/L³, L = √N: antiferromagnet with long-range order on a torus" in text
        assert (
            "does not include the variational bias" in " ".join(text.split())
            and "Not in the fits: L10 (failed: not finite)." in text
        )
    rows = {
        row["point"]: row for row in csv.DictReader((folder.path / "report" / "points.csv").read_text().splitlines())
    }
    assert rows["L4"]["size_law"] == "1/L³, L = √N" and rows["L4"]["left_out"] == ""
    assert rows["L10"]["size_law"] == "" and rows["L10"]["left_out"] == "failed: not finite"


def test_a_law_and_points_of_ones_own(folder, capsys):
    squares(folder)
    for length in (10, 12):
        folder.run(f"L{length}", [length, length], -0.6695 - 2.2 / length**3, 1e-5, lattice="square")
    assert report([str(folder.path), "--size-power", "2.5", "--leave-out=L4", "--leave-out", "n_sites=36"]) == DONE
    text = (folder.path / "report" / "report.md").read_text()
    assert "1/L^2.5, L = √N: as --size-power asks" in text
    assert "L4 (--leave-out L4); L6 (--leave-out n\\_sites=36)" in text and "| 3 |" in text
    assert folder.only(min_size=50).n_points == 3


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--size-power"], "--size-power needs a value"),
        (["--size-power", "0"], "--size-power 0 is not valid; valid: a number above 0, at most 20"),
        (["--size-power", "nan"], "--size-power nan is not valid"),
        (["--size-power=two"], "--size-power two is not valid"),
        (["--min-size", "4.5"], "--min-size 4.5 is not valid; valid: a whole number of sites"),
        (["--size-power", "2", "--size-power", "3"], "--size-power is given 2 times"),
        (["--leave-out", "nobody"], "--leave-out nobody is not valid; valid: the name of a point (L4, L6, L8, …)"),
        (["--power", "2"], "--power is not an option of report"),
    ],
)
def test_bad_choices_are_one_line(folder, capsys, words, line):
    squares(folder)
    assert report([str(folder.path), *words]) == BAD_INPUT
    said = capsys.readouterr()
    assert line in said.err and said.err.count("\n") == 1 and said.out == ""
    assert not (folder.path / "report").exists()


def test_two_sizes_have_no_line_and_the_page_says_so(folder):
    squares(folder)
    other = {**HEISENBERG, "delta": 0.5}
    for length in (4, 6):
        folder.run(f"xy{length}", [length, length], -0.6, 1e-5, lattice="square", hamiltonian=other)
    told = content(find_runs(str(folder.path)), folder.found())
    (infinite,) = (part for part in told.sections if part.title == "Infinite size")
    assert [fit.n_points for fit in infinite.fits] == [3]
    assert any("a line needs three sizes" in note and "xy4, xy6" in note for note in infinite.notes)
