"""The tower of states: where levels are drawn, with what symbol, and when there is none."""

import time

from matplotlib.figure import Figure

from nqs_hpc.report.figures import COLOURS, PAPER, printed
from nqs_hpc.report.page import report
from nqs_hpc.report.places import find_runs
from nqs_hpc.report.rows import read_rows
from nqs_hpc.report.tower import tower
from tests.report.conftest import point

KEYS = ("symmetrize.momentum", "symmetrize.irrep", "symmetrize.spin_flip", "sector")
# momentum, irrep, flip, total, energy, exact, S(S + 1)
LEVELS = [
    ([0], "A", 1, 0, -4.9, -5.0, 0.02),
    ([2], "B", -1, 0, -3.8, -4.0, 2.05),
    ([2], "A", None, 2, -4.01, -4.0, 2.0),
    ([1], "A", 1, 0, -2.0, -2.5, 6.1),
]


def study(runs, levels=LEVELS, spins=True):
    points = []
    for i, (k, irrep, flip, total, energy, exact, spin) in enumerate(levels):
        named = {"momentum": k, "irrep": irrep, "spin_flip": flip}
        more = {"sector": total, "symmetry": {"group": "space_group"} | named}
        if spins:
            more["observables"] = {"total_spin.s2": {"mean": spin, "error": 0.1}}
        more["reference"] = {"energy": exact, "lowest": {"energy": -5.0}, "above_lowest": exact + 5}
        runs.copy(f"p{i}", energy=energy, error=0.05, **more)
        physics = {"lattice": {"name": "chain", "extent": [4]}, "hamiltonian": {"name": "heisenberg", "delta": 1.0}}
        runs.edit(f"p{i}", "manifest.json", lambda told, physics=physics: told["physics"].update(physics))
        swept = dict(zip(KEYS, (k, irrep, flip, total), strict=True))
        points.append(point(f"p{i}", swept))
    runs.study(points)
    return read_rows(find_runs(str(runs.folder)), time.time())


def drawn(panel):
    """Symbols (x, y, colour, face) and exact levels (middle, y) of a panel."""
    axes = Figure().add_subplot()
    panel.draw(axes)
    symbols = [
        (float(line.get_xdata()[0]), float(line.get_ydata()[0]), line.get_color(), line.get_markerfacecolor())
        for line in axes.lines
        if len(line.get_xdata()) == 1
    ]
    exact = [
        (float(sum(line.get_xdata())) / 2, float(line.get_ydata()[0]))
        for line in axes.lines
        if line.get_marker() == "None"
    ]
    return axes, symbols, exact


def test_against_the_measured_spin_and_the_momentum(runs):
    sheet, notes = tower(study(runs))
    assert [panel.title.partition(":")[0] for panel in sheet.panels] == ["Tower of states", "Levels by sector"]
    assert notes == ["E₀ of chain 4 = −5, the exact lowest level of all sectors."]
    axes, symbols, exact = drawn(sheet.panels[0])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "2", "6"]
    heights = sorted(round(y, 6) for _, y, _, _ in symbols)
    assert heights == [0.1, 0.99, 1.2, 3.0] and sorted(y for _, y in exact) == [0.0, 1.0, 1.0, 2.5]
    of = {round(y, 6): (x, colour, face) for x, y, colour, face in symbols}
    assert abs(of[0.1][0] - 0.02) < 1e-9 and abs(of[3.0][0] - 6.1) < 1e-9  # alone at their multiplets: as measured
    assert of[1.2][2] == PAPER and of[0.99][2] == of[0.99][1] == of[1.2][1]  # odd is open; one momentum, one colour
    assert len({of[0.1][1], of[1.2][1], of[3.0][1]}) == 3 and of[0.1][1] in COLOURS
    assert of[1.2][0] != of[0.99][0]  # would cover each other
    axes, symbols, _ = drawn(sheet.panels[1])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "1", "2"]
    assert {key.label for key in sheet.keys} == {"k = 0", "k = 1", "k = 2", "A", "B", "exact"}
    assert set(printed(sheet)) >= {"png"}


def test_without_a_measured_spin_the_total_stands_for_it(runs):
    sheet, _ = tower(study(runs, spins=False))
    axes, symbols, _ = drawn(sheet.panels[0])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "2"]  # Sz(Sz + 1) of 2 Sz = 0 and 2
    assert {round(y, 6) for x, y, _, _ in symbols if abs(x - 2) < 0.5} == {0.99}


def test_fermions_by_the_numbers_of_both_spins(runs):
    levels = [([0], "A", 1, total, -5.0 + i, -5.0 + i, 0.0) for i, total in enumerate(([2, 2], [3, 1], [1, 3]))]
    sheet, _ = tower(study(runs, levels, spins=False))
    axes, symbols, _ = drawn(sheet.panels[0])
    assert [label.get_text() for label in axes.get_xticklabels()] == ["[1, 3]", "[2, 2]", "[3, 1]"]
    assert sorted((round(x, 6), round(y, 6)) for x, y, _, _ in symbols) == [(0, 2), (1, 0), (2, 1)]


def test_different_numbers_of_fermions_make_no_tower(runs):
    levels = [([0], "A", 1, total, -5.0, -5.0, 0.0) for total in ([2, 2], [2, 1])]
    assert tower(study(runs, levels, spins=False))[0].panels == []


def test_no_tower_where_no_sector_is_swept(runs):
    runs.copy("a", ansatz="rbm")
    runs.copy("b", ansatz="mlp")
    runs.study([point("a"), point("b")])
    sheet, notes = tower(read_rows(find_runs(str(runs.folder)), time.time()))
    assert sheet.panels == [] and notes == []


def test_anything_in_the_files_and_the_page(runs, capsys):
    study(runs)
    strange = {"momentum": "x", "irrep": ["$"], "spin_flip": 3}
    runs.edit("p1", "summary.json", lambda told: told.update(symmetry=strange, sector="many", observables=[1]))
    runs.edit("p3", "summary.json", lambda told: told.update(symmetry=None, energy=None, reference=None))
    assert report([str(runs.folder)]) == 0
    page = (runs.folder / "report" / "index.html").read_text()
    assert "Tower of states" in page and (runs.folder / "report" / "tower.png").exists()
    assert capsys.readouterr().err == ""
