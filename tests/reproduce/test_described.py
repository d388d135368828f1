"""The reproductions of conf/: each is complete and valid, and their exact values are those of other calculations."""

import math

import numpy as np
import pytest
import scipy.sparse as sparse
import yaml
from scipy.sparse.linalg import eigsh, expm_multiply

from nqs_hpc.config.compose import compose
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.reproduce.command import sweep_words
from nqs_hpc.reproduce.described import names, read, read_known
from nqs_hpc.reproduce.found import point_of, points, recorded
from nqs_hpc.reproduce.targets import NOT_RUN, status
from nqs_hpc.sweep.points import parsed_points

MINIMAL = {
    "title": "a ring",
    "source": {"authors": "A", "year": 2000, "where": "Table I", "doi": "10.1/a", "arxiv": "2000.00001"},
    "sweep": ["lattice.length=4", "ansatz.alpha=1,2"],
    "place": "laptop",
    "targets": [
        {
            "name": "one",
            "at": {"ansatz.alpha": 2},
            "quantity": "energy",
            "value": -1.0,
            "tolerance": 0.1,
            "origin": "table",
            "source": "by hand",
        }
    ],
}


def written(folder, **changes):
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(MINIMAL | changes), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", names())
def test_every_reproduction_is_whole_and_valid(name):
    """It composes here and on a cluster, says where every number comes from, and each target is of one point."""
    one = read_known(name)
    combined = points(one)
    assert one.source.where and one.source.doi.startswith("10.") and one.source.arxiv
    assert all(target.source and len(target.name) < 40 for target in one.targets)
    assert {point_of(target, combined).identity for target in one.targets} == {each.identity for each in combined}
    assert one.cluster and any(word.startswith("resources.time=") for word in one.cluster)
    words = [word for word in sweep_words(one, {"--slurm"}, [])[2:] if not word.startswith("hydra/")]
    for point in parsed_points(words):  # chains are dealt to as many ranks
        compose(point, None)
    assert (status(recorded(one)) == NOT_RUN) == (one.measured is None)


def test_there_is_one_of_every_paper():
    found = {(read_known(name).source.authors.split()[0].strip(","), read_known(name).source.year) for name in names()}
    assert found >= {
        *(("Carleo", 2017), ("Choo", 2019), ("Roth", 2023), ("Sharir", 2020), ("Sprague", 2024)),
        *(("Sinibaldi", 2023), ("Schmitt", 2022), ("Kufel", 2024)),
    }


# --- bad input ---


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"titel": "x"}, "titel=x is not valid: a reproduction has no key titel; did you mean title?"),
        ({"title": ""}, "title='' is not valid; valid: a text"),
        ({"source": {"authors": "A", "year": 2000}}, "source.where is missing; valid: a text"),
        ({"source": 3}, "source=3 is not valid; valid: a mapping"),
        ({"place": "moon"}, "place=moon is not valid; valid: laptop, cluster"),
        ({"sweep": []}, "sweep=[] is not valid; valid: a list"),
        ({"targets": []}, "targets=[] is not valid; valid: a list"),
        ({"targets": MINIMAL["targets"] * 2}, "targets=[one, one] is not valid; valid: names of which no two"),
        ({"targets": [MINIMAL["targets"][0] | {"rule": "near"}]}, "targets.0.rule=near is not valid; valid: within"),
        (
            {"targets": [MINIMAL["targets"][0] | {"origin": "tabel"}]},
            "targets.0.origin=tabel is not valid; did you mean table? valid: table, figure, code, exact, bound",
        ),
        ({"targets": [MINIMAL["targets"][0] | {"tolerance": 0}]}, "targets.0.tolerance=0 is not valid"),
        ({"targets": [MINIMAL["targets"][0] | {"value": 0}]}, "targets.0.relative=true is not valid; valid: false"),
        ({"measured": {"date": "2026-1"}}, "measured.date=2026-1 is not valid; valid: a date"),
        (
            {"measured": {"date": "2026-11-28", "machine": "m", "seconds": 3, "values": {"two": [1, 0]}}},
            "measured.values.two=[1, 0] is not valid: targets has no key two; valid: one",
        ),
        (
            {"measured": {"date": "2026-11-28", "machine": "m", "seconds": 3, "values": {"one": [1]}}},
            "measured.values.one=[1] is not valid; valid: [value, error]",
        ),
        (
            {"measured": {"date": "2026-11-28", "machine": "m", "seconds": 3, "values": {}, "notes": {"one": "x"}}},
            "measured.notes.one=x is not valid: measured.values has no key one; valid: ",
        ),
    ],
)
def test_a_file_that_is_not_valid_is_one_line(tmp_path, changes, line):
    path = written(tmp_path, **changes)
    with pytest.raises(InputError) as caught:
        read(path)
    assert str(caught.value).startswith(f"mine.yaml: {line}") and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"sweep": ["lattice.length=4", "ansatz.alpha=1,x"]}, "mine: ansatz.alpha=x is not valid"),
        ({"sweep": ["lattice.length=4"]}, "mine: targets: one: at={ansatz.alpha: 2} is of 0 points; valid: one of"),
        ({"targets": [MINIMAL["targets"][0] | {"at": {}}]}, "mine: targets: one: at={} is of 2 points"),
    ],
)
def test_a_target_is_of_one_point(tmp_path, changes, line):
    with pytest.raises(InputError) as caught:
        points(read(written(tmp_path, **changes)))
    assert str(caught.value).startswith(line) and "\n" not in str(caught.value)


def test_a_file_that_is_not_there_or_no_yaml(tmp_path):
    with pytest.raises(InputError, match=r"none\.yaml cannot be read: No such file"):
        read(tmp_path / "none.yaml")
    (tmp_path / "mine.yaml").write_text("a: [")
    with pytest.raises(InputError, match=r"mine\.yaml is not valid: "):
        read(tmp_path / "mine.yaml")


# --- exact values, calculated here ---


def value(name: str, target: str) -> float:
    (found,) = [one for one in read_known(name).targets if one.name == target]
    return found.value


@pytest.mark.parametrize("h", [0.5, 1, 2])
def test_energies_of_free_fermions(h):
    """Pfeuty, Ann. Phys. 57, 79 (1970): the even sector of the ring, momenta (2 n + 1) pi / N."""
    k = (2 * np.arange(80) + 1) * np.pi / 80
    exact = -np.sqrt(1 + h * h - 2 * h * np.cos(k)).sum()
    for alpha in (1, 2, 4):
        assert value("carleo_troyer_2017_tfim", f"h = {h:g}, alpha = {alpha}") == pytest.approx(exact, abs=1e-8)


def test_energy_of_the_bethe_ansatz():
    """N arctan(2 x) = pi I + sum_k arctan(x - x_k), E = N/4 - sum 2 / (1 + 4 x^2), by Newton's method."""
    n = 80
    quantum = np.arange(n // 2) - (n // 2 - 1) / 2
    x = np.tan(np.pi * quantum / n) / 2
    for _ in range(60):
        apart = x[:, None] - x[None, :]
        residual = n * np.arctan(2 * x) - np.pi * quantum - np.arctan(apart).sum(1)
        slope = -1 / (1 + apart**2)
        jacobian = np.diag(2 * n / (1 + 4 * x**2)) - slope * 0
        jacobian -= np.diag((1 / (1 + apart**2)).sum(1)) + slope
        x -= np.linalg.solve(jacobian, residual)
    assert abs(residual).max() < 1e-10
    exact = n / 4 - (2 / (1 + 4 * x**2)).sum()
    for alpha in (1, 2, 4):
        assert value("carleo_troyer_2017_heisenberg", f"alpha = {alpha}") == pytest.approx(exact, abs=1e-9)


def flips(n: int) -> sparse.csr_array:
    """sum_i X_i on n spins, site i at bit i."""
    states = np.arange(1 << n)
    rows = np.concatenate([states] * n)
    columns = np.concatenate([states ^ (1 << i) for i in range(n)])
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(1 << n, 1 << n))


def z(n: int) -> np.ndarray:
    """(n, states): sigma^z of each site."""
    return 1 - 2 * ((np.arange(1 << n)[None, :] >> np.arange(n)[:, None]) & 1)


def test_magnetisation_of_the_quench():
    spins = z(8)
    ising = -(spins * np.roll(spins, 1, axis=0)).sum(0)
    h = sparse.diags_array(ising.astype(complex)) - flips(8)
    psi = expm_multiply(-1.2j * h.tocsr(), np.eye(1, 256, dtype=complex)[0])
    exact = (abs(psi) ** 2 * spins.mean(0)).sum()
    for target in read_known("sinibaldi_2023_bias").targets:
        assert target.value == pytest.approx(exact, abs=1e-6)


def open_square(length: int) -> list[tuple[int, int]]:
    sites = np.arange(length * length).reshape(length, length)
    pairs = [*zip(sites[:, :-1].flat, sites[:, 1:].flat, strict=True)]
    return [*pairs, *zip(sites[:-1].flat, sites[1:].flat, strict=True)]


def test_energy_of_the_toric_code_in_both_fields():
    """Spins on the 12 bonds of 3x3 vertices: stars of X, faces of Z."""
    bonds, spins, states = open_square(3), z(12), np.arange(1 << 12)
    h = sparse.diags_array(-0.2 * spins.sum(0).astype(float)) - 0.2 * flips(12)
    for vertex in range(9):
        mask = sum(1 << b for b, pair in enumerate(bonds) if vertex in pair)
        h = h - sparse.csr_array((np.ones(1 << 12), (states, states ^ mask)), shape=h.shape)
    for corner in (0, 1, 3, 4):
        face = {corner, corner + 1, corner + 3, corner + 4}
        around = [b for b, pair in enumerate(bonds) if set(pair) <= face]
        assert len(around) == 4
        h = h - sparse.diags_array(spins[around].prod(0).astype(float))
    exact = eigsh(h.tocsr(), k=1, which="SA", return_eigenvectors=False)[0]
    assert value("kufel_2024_toric_3x3", "energy") == pytest.approx(exact, abs=1e-8)


def test_energies_of_the_toric_code_by_duality():
    """With hx = 0 all faces are +1, stars are spin flips, links products of neighbours: an Ising model at h = 1/hz."""
    spins = z(16)
    ising = -sum(spins[i] * spins[j] for i, j in open_square(4)).astype(float)
    h = sparse.diags_array(ising) - 10.0 * flips(16)
    dual = -9 + 0.1 * eigsh(h.tocsr(), k=1, which="SA", return_eigenvectors=False)[0]
    assert value("kufel_2024_toric_4x4", "energy") == pytest.approx(dual, abs=1e-7)
    for hz, target, field in ((1 / 4, "hz = 1/4", "h = 4"), (1 / 3, "hz = 1/3", "h = 3")):
        dual = -121 + hz * value("sharir_2020_tfim_12x12", field)
        assert value("kufel_2024_toric_12x12", target) == pytest.approx(dual, abs=1e-6)


def test_normalisations():
    """J1-J2: totals in Pauli matrices are four times those of S.S, which is what hamiltonian=heisenberg has."""
    for name, target in (("choo_2019_j1j2_6x6", "energy"), ("roth_2023_j1j2", "6x6")):
        (one,) = [each for each in read_known(name).targets if each.name == target]
        assert one.times == 4 and math.isclose(one.value / (4 * 36), -0.503810, abs_tol=1e-6)
