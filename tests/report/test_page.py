"""The report: whole, escaped, in itself, and its numbers those that went in."""

import csv
import io
import json
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.image import imread

from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, FAULT
from nqs_hpc.report import figures
from nqs_hpc.report.convergence import MOST_PANELS
from nqs_hpc.report.figures import FORMATS, Panel, Sheet, printed
from nqs_hpc.report.page import report

from .conftest import Runs, point
from .test_rows import BROKEN, break_run

pytestmark = pytest.mark.usefixtures("quick")

E_INFINITE, BOUNDARY = -1.6719, 0.18  # of E/N = e + b/N
SIZES = (8, 12, 16, 24)
# ansatz -> variance over N; energies lie ABOVE variances over the exact one, so that zero variance is the exact one
NETWORKS = {"rbm": 0.001, "mlp": 0.003, "jastrow": 0.01}
ABOVE = 0.25


def exact(n):
    return n * E_INFINITE + BOUNDARY


def write_sweep(runs):
    """Twelve finished points on known lines."""
    points = []
    for n in SIZES:
        for ansatz, per_site in NETWORKS.items():
            name, variance = f"{ansatz}{n}", per_site * n
            energy = exact(n) + ABOVE * variance
            runs.copy(
                name,
                n=n,
                ansatz=ansatz,
                energy=energy,
                error=1e-4,
                variance=variance,
                v_score=n * variance / energy**2,
                reference={"energy": exact(n), "method": "made up"},
            )
            points.append(point(name, {"lattice.length": n, "ansatz": ansatz}, n_sites=n))
    runs.study(points)
    return runs


@pytest.fixture
def sweep(runs):
    return write_sweep(runs)


@pytest.fixture(scope="module")
def whole(real_run, tmp_path_factory):
    """The folder of a report of that sweep, which nobody changes, and its page."""
    runs = write_sweep(Runs(real_run, tmp_path_factory.mktemp("sweep") / "runs"))
    assert report([str(runs.folder)]) == DONE
    return runs.folder / "report", Page((runs.folder / "report" / "index.html").read_text())


class Page(HTMLParser):
    """Tags with attributes, the text outside of style, and whether all tags are closed."""

    VOID = ("meta", "path", "use", "rect", "circle", "br")

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text.append(data)


def made(runs, capsys):
    assert report([str(runs.folder)]) == DONE
    goal = runs.folder / "report"
    out = capsys.readouterr()
    assert out.out.strip() == str(goal / "index.html") and out.err == ""
    return goal, Page((goal / "index.html").read_text())


def test_all_files(whole):
    goal, parsed = whole
    assert {path.name for path in goal.iterdir()} == {
        *("index.html", "points.csv", "report.md", "varbench.md"),
        *(f"{name}.{kind}" for name in ("convergence", "size", "variance", "cost", "sampling") for kind in FORMATS),
    }
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in goal.glob("*.png"))
    assert parsed.open == []
    headings = re.findall(r"<h2>(.*?)</h2>", (goal / "index.html").read_text())
    assert headings[:2] == ["Points", "Convergence"]
    assert headings[2:6] == ["Infinite size", "Zero variance", "Accuracy and cost", "Sampling"]
    assert headings[6:] == ["Run a point again", "Versions"]


def test_the_page_needs_nothing_beside_it(whole):
    goal, parsed = whole
    text = (goal / "index.html").read_text()
    assert not {"script", "link", "img", "iframe", "image"} & {tag for tag, _ in parsed.tags}
    references = [
        value for _, told in parsed.tags for key, value in told.items() if key in ("src", "href", "xlink:href")
    ]
    assert references and all(value.startswith("#") for value in references)
    assert all(inside.startswith("#") for inside in re.findall(r"url\(([^)]*)\)", text))
    assert "@import" not in text and "@font-face" not in text


def test_drawings_take_the_colours_of_the_page(whole):
    goal, _ = whole
    text = (goal / "index.html").read_text()
    style, body = text.split("</style>", 1)[0], text[text.index("<body>") :]
    used = set(re.findall(r"var\(--([\w-]+)\)", body))
    assert {"ink", "muted", "grid", "c0", "c1", "c2"} <= used
    for block in (style[: style.index("@media")], style[style.index("@media") :]):
        assert used - {"dot"} <= set(re.findall(r"--([\w-]+):", block))
    assert set(re.findall(r"#[0-9a-f]{6}\b", body)) <= {"#ffffff", "#000000"}  # nothing keeps a colour of its own
    ids = re.findall(r' id="([^"]+)"', body)
    shapes = {name: set(re.findall(rf'id="{name}"[^>]*d="([^"]*)"', body)) for name in ids if ids.count(name) > 1}
    assert all(len(found) <= 1 for found in shapes.values())  # what two drawings call alike is alike


def test_numbers_of_the_extrapolations(whole):
    goal, _ = whole
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in (goal / "report.md").read_text().splitlines()]
    fits = {line[0]: line[1:] for line in lines if len(line) == 4}
    for ansatz, per_site in NETWORKS.items():
        value, error = re.match(r"(-[\d.]+)\((\d+)\)", fits[ansatz][0]).groups()
        assert abs(float(value) - E_INFINITE - ABOVE * per_site) < 1e-5 and int(error) >= 10
        assert fits[ansatz][1] == "4" and "2 degrees of freedom" in fits[ansatz][2]
    for n in SIZES:
        told = fits[f"chain {n}"][0]
        value = float(re.match(r"-[\d.]+", told)[0])
        assert abs(value - exact(n) / n) < 2e-5
        away = float(re.search(r"([+-][\d.]+) standard errors", told)[1])
        assert abs(away) < 0.1


def test_the_last_tick_label_is_inside_of_the_picture(monkeypatch):
    monkeypatch.setattr(figures, "DPI", 110)

    def draw(axes):
        axes.plot([0.0, 0.175], [0.0, 1.0])
        axes.set_xlim(0.0, 0.175)
        axes.set_xticks([0.0, 0.175])

    shown = imread(io.BytesIO(printed(Sheet("x", [Panel("", "", draw)], []))["png"]), format="png")
    assert shown[:, :, 0].min() < 0.5  # something is drawn
    assert shown[:, -3:, :3].min() == 1.0


def test_finished_points_need_more_than_their_command(whole):
    goal, parsed = whole
    for text in ("".join(parsed.text), (goal / "report.md").read_text()):
        assert text.count("A finished point needs a larger task.n_steps") == 1


def test_launches_at_different_fields_are_different_curves(runs, capsys):
    """Two launches into one study, each sweeping sizes alone: no point says its field but its record."""
    points = []
    for h, limit in ((1.0, -1.25), (0.5, -1.05)):
        for n in SIZES[:3]:
            name = f"{n}-{h}"
            runs.copy(name, n=n, energy=limit * n + BOUNDARY, error=1e-4, variance=0.01)
            runs.edit(name, "manifest.json", lambda told, h=h: told["physics"]["hamiltonian"].update(h=h))
            points.append(point(name, {"lattice.length": n}, n_sites=n))
    runs.study(points)
    goal, _ = made(runs, capsys)
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in (goal / "report.md").read_text().splitlines()]
    fits = {line[0]: (float(line[1].partition("(")[0]), line[2]) for line in lines if len(line) == 4 and "(" in line[1]}
    assert fits == {"h 1": (pytest.approx(-1.25, abs=1e-5), "3"), "h 0.5": (pytest.approx(-1.05, abs=1e-5), "3")}


def test_the_table_as_csv(whole):
    goal, _ = whole
    rows = list(csv.DictReader((goal / "points.csv").read_text().splitlines()))
    assert len(rows) == len(SIZES) * len(NETWORKS)
    assert rows[0]["lattice.length"] == "8" and rows[0]["ansatz"] == "rbm" and rows[0]["eta_seconds"] == ""
    energies = [float(row["energy"]) for row in rows]
    expected = [exact(n) + ABOVE * per_site * n for n in SIZES for per_site in NETWORKS.values()]
    np.testing.assert_array_equal(energies, expected)


def test_varbench_rows(runs, capsys):
    runs.copy("ising", energy=-6.5, error=0.01, variance=0.02, v_score=4 * 0.02 / 6.5**2)
    runs.copy("spins", energy=-1.6, error=0.01, variance=0.02, v_score=4 * 0.02 / (1.6 + 0.5) ** 2, e_infinity=0.5)
    change = {"name": "heisenberg", "J": [2.0, 1.0], "delta": 1.0}
    runs.edit("spins", "manifest.json", lambda told: told["physics"].update(hamiltonian=change))
    goal, _ = made(runs, capsys)
    lines = (goal / "varbench.md").read_text().splitlines()
    header = "| Energy | Sigma | Energy Variance | DOF | Einf | Method | Data Repository |"
    assert lines.count(header) == 2
    ising, spins = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| -"))
    assert [float(cell) for cell in ising[:5]] == pytest.approx([-6.5, 0.01, 0.02, 4, 0.0])
    # in Pauli matrices and units of J: a factor of 4/2
    assert [float(cell) for cell in spins[:5]] == pytest.approx([-3.2, 0.02, 0.08, 4, 1.0])
    assert ising[5].startswith("rbm (") and "minsr" in ising[5] and ising[6] == ""


def test_doubtful_energies_stand_apart_in_varbench_and_are_marked_on_the_page(runs, capsys):
    def doubted(told):
        told.update(status="doubtful", reason="the energy still falls")
        told["trust"] = {"verdict": "doubtful", "checks": {}}

    runs.copy("good", energy=-6.5, error=0.01, trust={"verdict": "good", "checks": {}})
    runs.copy("odd", energy=-6.4, error=0.01)
    runs.edit("odd", "summary.json", doubted)
    goal, parsed = made(runs, capsys)
    text = (goal / "varbench.md").read_text()
    believed, apart = text.split("## Not to be handed in")
    assert "-6.5" in believed and "-6.4" not in believed
    assert "| odd | -6.400(10) | doubtful | the energy still falls |" in apart and "good" not in apart
    marks = [told["class"] for tag, told in parsed.tags if tag == "td" and told.get("class", "").startswith("trust")]
    assert marks == ["trust done", "trust doubtful"]


def test_failed_points_show_why_and_their_log(sweep, capsys):
    sweep.unfinish("rbm8", status="failed", reason="10 steps in a row were not finite")
    (sweep.folder / "rbm8" / "output.log").write_text("first\n" * 30 + "step 12/300 E -3\nnot <b>finite</b>\n")
    goal, parsed = made(sweep, capsys)
    text = "".join(parsed.text)
    assert "Needs attention" in text and "10 steps in a row were not finite" in text
    assert "not <b>finite</b>" in text and "<b>finite" not in (goal / "index.html").read_text()
    assert text.count("first") == 13
    assert "python -m nqs_hpc run_dir=rbm8" in text and "/somewhere" in text
    assert "1 failed" in (goal / "report.md").read_text()


def test_versions_that_differ_are_counted(sweep, capsys):
    sweep.edit("rbm8", "manifest.json", lambda told: told["versions"].update(jax="0.0.7"))
    text = "".join(made(sweep, capsys)[1].text)
    assert "0.0.7 (1 points)" in text and "(11 points)" in text


def test_many_points_share_panels(runs, capsys):
    points = []
    for n in (8, 12):
        for i in range(8):
            name = f"p{n}-{i}"
            runs.copy(name, n=n, energy=-n * 1.6, reference={"energy": -n * 1.7, "method": "made up"})
            points.append(point(name, {"lattice.length": n, "seed": i}, n_sites=n))
    runs.study(points)
    _, parsed = made(runs, capsys)
    images = [
        told["aria-label"] for tag, told in parsed.tags if tag == "figure" and "Convergence" in told["aria-label"]
    ]
    assert len(points) > MOST_PANELS and images == ["Convergence: chain 8", "Convergence: chain 12"]


@pytest.mark.parametrize("finished", [True, False])
def test_every_kind_of_broken_run_at_once(runs, capsys, finished):
    for i, (kind, what) in enumerate(BROKEN.items()):
        runs.copy(f"run{i}", n=4 + i)
        if not finished:
            runs.unfinish(f"run{i}", status="running", ended=False)
        break_run(runs.folder / f"run{i}", what)
        assert kind
    (runs.folder / "empty").mkdir()
    goal, parsed = made(runs, capsys)
    assert len((goal / "points.csv").read_text().splitlines()) == len(BROKEN) + 2
    assert (
        sum(told.get("class", "").startswith("state ") for tag, told in parsed.tags if tag == "td") == len(BROKEN) + 1
    )
    assert "nan" not in "".join(parsed.text).lower().split()


HOSTILE = [
    "<script>alert(1)</script>",
    "$\\frac{1}{$",
    "| a | `b` <i>",
    "{{ 7 * 7 }}",
    '"><img src=x onerror=y>',
    "é漢\u202e",
]


def test_hostile_names_are_text(runs, capsys):
    points = []
    for i, name in enumerate(HOSTILE):
        runs.copy(f"r{i}", n=8 + i, ansatz=name, r_hat=1.0)
        runs.unfinish(f"r{i}", status="failed", reason=name) if i == 0 else None
        (runs.folder / f"r{i}" / "output.log").write_text(name)
        runs.edit(f"r{i}", "manifest.json", lambda told, name=name: told["versions"].update({name: name}))
        points.append(point(f"r{i}", {name: 1.0, "ansatz": name}, command=name, n_sites=8))
    runs.study(points)
    study = json.loads((runs.folder / "manifest.json").read_text())
    study["study"] = HOSTILE[0]
    study["launches"][-1]["command"] = study["cwd"] = HOSTILE[4]
    (runs.folder / "manifest.json").write_text(json.dumps(study))
    goal, parsed = made(runs, capsys)
    assert not {"script", "img", "i"} & {tag for tag, _ in parsed.tags}
    assert not any(key.startswith("on") for _, told in parsed.tags for key in told)
    text = "".join(parsed.text)
    assert HOSTILE[0] in text and "{{ 7 * 7 }}" in text and "49" not in text.split() and "$\\frac" in text
    assert parsed.open == []
    table = [line for line in (goal / "report.md").read_text().splitlines() if line.startswith("| ")]
    assert "<script" not in "".join(table) and len({line.count("|") for line in table[:7]}) == 1


def test_a_single_run_and_one_without_steps(runs, capsys):
    one = runs.copy("a")
    assert report([str(one)]) == DONE and (one / "report" / "index.html").exists()
    (runs.folder / "a" / "metrics.jsonl").unlink()
    (runs.folder / "a" / "summary.json").unlink()
    (runs.folder / "a" / "DONE").unlink()
    assert report([str(one)]) == DONE
    assert "No point has its final energy yet" in (one / "report" / "index.html").read_text()


def test_bad_input_is_one_line(runs, capsys, monkeypatch):
    runs.copy("a")
    for words, named in (([], "one folder, not 0"), (["/nowhere"], "/nowhere is not a folder"), (["-x"], "-x is not")):
        assert report(words) == BAD_INPUT
        out = capsys.readouterr()
        assert named in out.err and out.err.count("\n") == 1 and out.out == ""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert report([str(runs.folder)]) == BAD_INPUT
    assert "nqs_hpc[plot]" in capsys.readouterr().err
    assert not (runs.folder / "report").exists()


def test_a_folder_that_cannot_be_written_is_one_line(runs, capsys, monkeypatch):
    runs.copy("a")
    (runs.folder / "report").write_text("")
    assert report([str(runs.folder)]) == FAULT
    assert capsys.readouterr().err.count("\n") == 1


def test_a_newer_report_replaces_the_older(runs, capsys):
    runs.copy("a")
    goal, _ = made(runs, capsys)
    assert "1 done" in (goal / "index.html").read_text()
    runs.unfinish("a", status="stopped", reason="STOP file")
    goal, _ = made(runs, capsys)
    assert "1 stopped" in (goal / "index.html").read_text()
    assert not list(goal.glob(".*"))  # nothing temporary is left
