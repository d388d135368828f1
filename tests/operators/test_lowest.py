"""The exact energy of the sector that a run samples, and where the lowest level of all is: Kronecker products."""

import json
import subprocess
import sys
from typing import Any

import jax
import numpy as np
import pytest

from nqs_hpc.config.compose import from_plain
from nqs_hpc.config.schema import Config
from nqs_hpc.inputs.checks import InputError
from nqs_hpc.library.wave import wave_function
from nqs_hpc.operators import lowest
from nqs_hpc.parts import Parts, build
from nqs_hpc.parts.reference import exact_reference, lowest_line, read_reference, short_line
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import codes, decode, named_total
from nqs_hpc.system.lattice import FACTORIES, neighbours
from nqs_hpc.system.spaces import fermions
from nqs_hpc.system.symmetry import translations
from tests.systems import SERIAL, all_states, dense, ring

HEISENBERG = {"hamiltonian": "heisenberg", "sampler": "enumerate"}
SMALL = {"ansatz.dtype": "complex", "ansatz.alpha": 1}


def heisenberg(n: int, bonds: Any, field: float = 0.0) -> np.ndarray:
    pairs = [(0.25, {int(i): a, int(j): a}) for i, j in bonds for a in "XYZ"]
    return dense(n, pairs + [(-field, {i: "Z"}) for i in range(n)]).real


def carried(n: int, perm: np.ndarray, flip: int = 1) -> np.ndarray:
    """The matrix (R psi)(s) = psi(g s) in the order of `all_states`."""
    s = all_states(n)
    moved = np.empty_like(s)
    moved[:, perm] = flip * s
    matrix = np.zeros((2**n, 2**n))
    matrix[np.arange(2**n), ((1 - moved.astype(int)) // 2) @ 2 ** np.arange(n)] = 1
    return matrix


def lowest_of(matrix: np.ndarray, *projectors: np.ndarray) -> float:
    """The lowest eigenvalue of ``matrix`` where all projectors, which commute, are 1."""
    whole = np.linalg.multi_dot([np.eye(len(matrix)), *projectors, np.eye(len(matrix))])
    values, vectors = np.linalg.eigh((whole + whole.conj().T) / 2)
    basis = vectors[:, values > 0.5]
    return float(np.linalg.eigvalsh(basis.conj().T @ matrix @ basis)[0])


def of_momentum(n: int, lattice: Any, k: tuple[int, ...]) -> np.ndarray:
    extent = [length for length, closed in zip(lattice.extent, lattice.pbc, strict=True) if closed]
    total = np.zeros((2**n, 2**n), complex)
    for number, perm in enumerate(translations(lattice)):
        steps = np.unravel_index(number, extent, order="F")
        turn = sum(k_i * t / length for k_i, t, length in zip(k, steps, extent, strict=True))
        total += np.exp(2j * np.pi * turn) * carried(n, perm)
    return total / np.prod(extent)


def made(given: dict[str, Any]) -> tuple[Config, Parts, dict[str, Any]]:
    config = from_plain(given)
    parts = build(config, SERIAL)
    found = exact_reference(config, parts)
    assert found is not None and json.loads(json.dumps(found)) == found and read_reference(found) == found
    return config, parts, found


RING = FACTORIES["chain"]((6,), (True,))
H_RING = heisenberg(6, ring(6))


@pytest.mark.parametrize(("by", "k"), [("symmetrize", k) for k in range(4)] + [("gcnn", 0), ("gcnn", 1)])
def test_a_momentum_is_that_of_the_physical_state(k, by):
    given = HEISENBERG | {"lattice.length": 6}
    if by == "gcnn":
        given |= {"ansatz": "gcnn", "ansatz.features": 2, "ansatz.dtype": "complex", "ansatz.momentum": k}
    else:
        given |= SMALL | {"symmetrize.group": "translations", "symmetrize.momentum": k}
    config, parts, found = made(given)
    total = np.diag((all_states(6).sum(axis=1) == 0).astype(float))
    assert found["energy"] == pytest.approx(lowest_of(H_RING, total, of_momentum(6, RING, (k,))), abs=1e-9)
    assert found["lowest"] == {
        "energy": pytest.approx(-2.802775637732, abs=1e-9),
        "sector": 0,
        "momentum": [3],
        "irrep": None,
        "spin_flip": None,
    }
    assert found["above_lowest"] == pytest.approx(found["energy"] + 2.802775637732, abs=1e-8)
    if k == 0:
        assert found["energy"] == pytest.approx(-2.118033988750, abs=1e-9)
        text = "this sector does not hold the ground state: its lowest level, -2.118033989, lies 0.6847 above that of "
        text += "all, -2.802775638, at sector=0, momentum [3]"
        assert short_line(found) == text

    # what a notebook is given has the momentum of its name: psi(t s) = exp(-i k t) psi(s)
    wave = wave_function(config, parts, parts.ansatz.init(jax.random.key(2)))
    s = all_states(6, 0)
    with np.errstate(divide="ignore"):
        psi, moved = np.exp(wave.log_psi(s)), np.exp(wave.log_psi(np.roll(s, 1, axis=1)))
    np.testing.assert_allclose(moved, np.exp(-2j * np.pi * k / 6) * psi, atol=1e-10 * np.abs(psi).max())


NEWER = {  # keys of a lattice of at most eight sites, and a momentum
    "lieb": ({"lattice": "lieb", "lattice.extent": [2, 1], "lattice.pbc": [True, False]}, (1,)),
    "ladder": ({"lattice": "ladder", "lattice.length": 4, "lattice.rung": 0.8}, (1,)),
    "checkerboard": ({"lattice": "checkerboard", "lattice.length": 2}, (1, 0)),
    "tilted": ({"lattice": "square", "lattice.cluster": [[2, 2], [-2, 2]]}, (1, 1)),
}


@pytest.mark.parametrize("name", NEWER)
def test_a_symmetrized_run_reaches_the_lowest_level_of_its_sector(name):
    """Every amplitude a parameter, summed over translations: with all states summed and steps of imaginary time the
    energy goes to the lowest level of the momentum, which projectors on dense matrices have too.
    """
    keys, k = NEWER[name]
    J = [1.0, 0.6] if name in ("ladder", "checkerboard") else [1.0]
    given = HEISENBERG | keys | {"hamiltonian.J": J, "ansatz": "table", "optimizer": "sr", "optimizer.diag_shift": 1e-6}
    given |= {"symmetrize.group": "translations", "symmetrize.momentum": list(k), "optimizer.learning_rate": 0.1}
    _, parts, found = made(given)
    lattice, n = parts.lattice, parts.lattice.n_sites
    matrix = sum(coupling * heisenberg(n, neighbours(lattice, order)) for order, coupling in enumerate(J, 1))
    total = np.diag((all_states(n).sum(axis=1) == parts.hilbert.total).astype(float))
    wanted = lowest_of(matrix, total, of_momentum(n, lattice, k))
    assert found["energy"] == pytest.approx(wanted, abs=1e-9)
    assert wanted > np.linalg.eigvalsh(matrix)[0] + 0.1  # another momentum than that of the ground state
    driver = parts.task.functions
    state = driver.warmed(driver.init())
    for _ in range(240):
        moved, samples, counts = driver.sample(state)
        batch, _ = driver.evaluate(state.params, samples, counts)
        state = driver.update(state, moved, batch)[0]
    _, samples, counts = driver.sample(state)
    batch, _ = driver.evaluate(state.params, samples, counts)
    assert np.sum(batch.w_A * batch.e_loc_A) == pytest.approx(wanted, abs=1e-6)


def test_a_network_with_a_symmetry_that_the_ground_state_has_not_says_so():
    """cnn is of k = 0 by construction, an rbm without biases even: on frustrated lattices no signs put that right."""
    given = HEISENBERG | {"lattice": "triangular", "lattice.extent": [4, 3]}
    _, _, found = made(given | {"ansatz": "cnn", "ansatz.layers": 1, "ansatz.features": 1, "ansatz.kernel": 3})
    assert found["energy"] == pytest.approx(-6.930812363, abs=1e-8)
    assert found["network_above"] == pytest.approx(-6.604129342 + 6.930812363, abs=1e-7)
    assert "the lowest level of such states, -6.604129342, lies 0.3267 above the -6.930812363 here" in short_line(found)
    odd = HEISENBERG | {"lattice.length": 6, "hamiltonian.marshall": False, "ansatz.bias": False}
    assert made(odd)[2]["network_above"] == pytest.approx(2.802775637732 - 2.118033988750, abs=1e-8)
    assert made(odd | {"hamiltonian.marshall": True})[2]["network_above"] == 0.0
    assert made(odd | {"ansatz.bias": True})[2]["network_above"] is None


def test_without_a_number_the_sector_is_that_of_the_ground_state():
    """Of the ring of 6 k = pi, as Marshall's rule has it, and k = 0 for who switches the rule off."""
    turns = HEISENBERG | {"lattice.length": 6, "symmetrize.group": "space_group"}
    _, _, found = made(turns)
    assert found["energy"] == pytest.approx(-2.802775637732, abs=1e-9) and found["above_lowest"] == 0.0
    assert found["lowest"]["momentum"] == [3] and short_line(found) == ""
    assert str(lowest_line(found)).startswith("the lowest level of all sectors, -2.802775638, is at sector=0, momentum")
    _, _, plain = made(turns | {"hamiltonian.marshall": False, "symmetrize.irrep": "A"})
    assert plain["energy"] == pytest.approx(-2.118033988750, abs=1e-9) and plain["lowest"]["momentum"] == [3]
    _, _, same = made(turns | SMALL | {"symmetrize.momentum": 0, "symmetrize.irrep": "A"})
    assert same["energy"] == pytest.approx(plain["energy"], abs=1e-9)


@pytest.mark.parametrize("irrep", ["A", "B"])
@pytest.mark.parametrize("flip", [1, -1])
def test_representations_and_parities_are_physical(irrep, flip):
    """The mirror of an open chain of 6 exchanges the sublattices."""
    given = HEISENBERG | SMALL | {"lattice.length": 6, "lattice.pbc": False}
    given |= {"symmetrize.group": "point_group", "symmetrize.irrep": irrep, "symmetrize.spin_flip": flip}
    _, _, found = made(given)
    chain = heisenberg(6, [(i, i + 1) for i in range(5)])
    total = np.diag((all_states(6).sum(axis=1) == 0).astype(float))
    mirror, turned = carried(6, np.arange(6)[::-1]), carried(6, np.arange(6), -1)
    one, sign = np.eye(64), 1 if irrep == "A" else -1
    expected = lowest_of(chain, total, (one + sign * mirror) / 2, (one + flip * turned) / 2)
    assert found["energy"] == pytest.approx(expected, abs=1e-9)
    assert (found["lowest"]["irrep"], found["lowest"]["spin_flip"]) == ("B", -1)  # three singlets, each of them odd


def test_an_open_ladder_by_its_parity():
    given = HEISENBERG | SMALL | {"lattice": "square", "lattice.extent": [5, 2], "lattice.pbc": False}
    _, _, even = made(given | {"symmetrize.spin_flip": 1})
    _, _, odd = made(given | {"symmetrize.spin_flip": -1})
    assert even["energy"] == pytest.approx(-4.7330934, abs=1e-6)
    assert odd["energy"] == pytest.approx(-5.446712064, abs=1e-8)
    assert even["lowest"]["spin_flip"] == -1 and even["above_lowest"] == pytest.approx(0.7136186, abs=1e-6)


def test_a_frustrated_torus_says_where_its_ground_state_is():
    given = HEISENBERG | {"lattice": "triangular", "lattice.extent": [4, 3]}
    _, _, found = made(given | {"ansatz": "gcnn", "ansatz.layers": 1, "ansatz.features": 1, "ansatz.dtype": "complex"})
    assert found["energy"] == pytest.approx(-6.604129342, abs=1e-8)
    assert found["lowest"]["energy"] == pytest.approx(-6.930812363, abs=1e-8)
    assert found["lowest"]["momentum"] == [2, 0] and found["lowest"]["sector"] == 0


FIELD = [{"coefficient": 0.25, "operators": 2 * a, "neighbours": 1} for a in "XYZ"]
FIELD += [{"coefficient": -1.0, "operators": "Z", "sites": "all"}]


@pytest.mark.parametrize(
    ("given", "energy", "sectors"),
    [
        ({"lattice.length": 8, "hamiltonian.h": 0}, -8.0, (8, -8)),
        ({"lattice.length": 8, "hamiltonian": {"name": "pauli", "terms": FIELD}}, -6.0, (6, 8)),  # just saturated
        ({"lattice.length": 8, "hamiltonian": {"name": "heisenberg", "J": -1, "delta": 2}}, -4.0, (8, -8)),
        ({"lattice.length": 6, "hamiltonian": {"name": "heisenberg", "J": -1}}, -1.5, range(-6, 8, 2)),
    ],
)
def test_auto_has_the_lowest_level(given, energy, sectors):
    _, _, found = made(given | {"sampler": "enumerate"})
    assert found["energy"] == pytest.approx(energy, abs=1e-9) and found["above_lowest"] == 0.0
    assert found["lowest"]["sector"] in sectors


def test_a_total_that_is_not_the_lowest():
    _, _, found = made(HEISENBERG | {"lattice.length": 6, "sector": 2})
    assert found["energy"] == pytest.approx(-2.118033988750, abs=1e-9)
    assert found["lowest"]["sector"] == 0 and found["above_lowest"] == pytest.approx(0.684741648982, abs=1e-8)
    pauli = {"name": "pauli", "terms": [*FIELD[:3], {"coefficient": -0.5, "operators": "Z", "sites": "all"}]}
    _, _, found = made({"lattice.length": 6, "sampler": "enumerate", "hamiltonian": pauli, "sector": 0})
    whole = np.linalg.eigh(heisenberg(6, ring(6), 0.5))
    totals = all_states(6).sum(axis=1)
    assert found["lowest"]["energy"] == pytest.approx(whole.eigenvalues[0], abs=1e-9)
    assert found["lowest"]["sector"] == round(float(whole.eigenvectors[:, 0] ** 2 @ totals))
    assert str(lowest_line(found)).startswith("this sector does not hold the ground state: its lowest level")


def test_where_nothing_is_compared_nothing_is_said():
    """A field that no total survives; a number of bosons that somebody prepared."""
    _, _, found = made({"lattice.length": 6, "sampler": "enumerate"})
    assert found["lowest"] is None and lowest_line(found) is None and short_line(found) == ""
    bosons = {"lattice.length": 4, "hamiltonian": "bose_hubbard", "hamiltonian.n_max": 2, "sampler": "enumerate"}
    assert made(bosons | {"sector": 3})[2]["lowest"] is None
    _, _, found = made(bosons | {"sector": 3, "hamiltonian.mu": 3.0, "hamiltonian.U": 4.0})
    assert found["lowest"]["sector"] not in (None, 3) and found["above_lowest"] > 0.1


def test_a_sector_of_a_space_that_is_not_conserved():
    """The transverse field's excitation with momentum pi, odd under the mirror of the little group or even."""
    given = {"lattice.length": 6, "sampler": "enumerate", "symmetrize.group": "space_group", "symmetrize.momentum": 3}
    _, _, found = made(given | {"symmetrize.spin_flip": -1})
    field = dense(6, [(-1.0, {i: "Z", (i + 1) % 6: "Z"}) for i in range(6)] + [(-1.0, {i: "X"}) for i in range(6)])
    assert found["lowest"] == {
        "energy": pytest.approx(np.linalg.eigvalsh(field)[0], abs=1e-9),
        "sector": None,
        "momentum": [0],
        "irrep": "A",
        "spin_flip": 1,
    }


@pytest.mark.parametrize("flip", [1, -1])
def test_signs_of_a_field_do_not_change_what_a_parity_means(flip):
    """Of an odd number of spins they make an odd network of an even state."""
    given = SMALL | {"lattice.length": 5, "hamiltonian.h": -0.7, "sampler": "enumerate", "symmetrize.spin_flip": flip}
    _, _, found = made(given)
    field = dense(5, [(-1.0, {i: "Z", (i + 1) % 5: "Z"}) for i in range(5)] + [(0.7, {i: "X"}) for i in range(5)]).real
    turned = carried(5, np.arange(5), -1)
    assert found["energy"] == pytest.approx(lowest_of(field, (np.eye(32) + flip * turned) / 2), abs=1e-9)
    assert found["lowest"]["spin_flip"] == -1


@pytest.mark.parametrize("k", [0, 3])
def test_signs_of_a_hopping_do_not_change_what_a_momentum_means(k):
    """Three bosons on a ring of six: the signs of one sublattice turn k = 3 into k = 0, and their names stay."""
    given = {"hamiltonian": "bose_hubbard", "hamiltonian.J": -1, "lattice.length": 6, "hamiltonian.n_max": 2}
    given |= SMALL | {"sampler": "enumerate", "sector": 3, "symmetrize.group": "translations", "symmetrize.momentum": k}
    config, _, found = made(given)
    assert config.hamiltonian.gauge
    assert found["energy"] == pytest.approx(made(given | {"hamiltonian.gauge": False})[2]["energy"], abs=1e-9)
    assert found["lowest"]["momentum"] == [3]


def test_a_degenerate_level_is_named_by_one_of_its_sectors():
    """Of an odd ring four states of two momenta k and -k hold the lowest level."""
    given = HEISENBERG | SMALL | {"lattice.length": 5, "symmetrize.group": "translations", "symmetrize.momentum": 0}
    _, _, found = made(given)
    odd = FACTORIES["chain"]((5,), (True,))
    matrix = heisenberg(5, ring(5))
    k = tuple(found["lowest"]["momentum"])
    assert lowest_of(matrix, of_momentum(5, odd, k)) == pytest.approx(np.linalg.eigvalsh(matrix)[0], abs=1e-9)
    assert found["lowest"]["energy"] == pytest.approx(np.linalg.eigvalsh(matrix)[0], abs=1e-9)


@pytest.mark.parametrize(("irrep", "energy"), [("A1", 1.0), ("B2", -1.0), ("A2", None), ("B1", None)])
def test_irreps_of_a_square_in_their_own_names(irrep, energy):
    """One spin down on the 2x2 cluster: the even sum of its places, of total spin 2, the sum with signs, odd under
    quarter turns and mirrors along the bonds, and two states of E. A quarter turn changes Marshall's sign.
    """
    given = HEISENBERG | SMALL | {"lattice": "square", "lattice.length": 2, "lattice.pbc": False, "sector": 2}
    given |= {"symmetrize.group": "point_group", "symmetrize.irrep": irrep}
    for marshall in (True, False):
        if energy is None:
            with pytest.raises(InputError, match="none of the states"):
                from_plain(given | {"hamiltonian.marshall": marshall})
        else:
            assert made(given | {"hamiltonian.marshall": marshall})[2]["energy"] == pytest.approx(energy, abs=1e-9)


@pytest.mark.parametrize(
    "change",
    [
        {"lowest": {"energy": -1.0, "sector": "\x1b[2J", "momentum": None, "irrep": None, "spin_flip": None}},
        {"lowest": {"energy": -1.0, "sector": 0, "momentum": None, "irrep": "A\x1b", "spin_flip": None}},
        {"lowest": {"energy": -1.0, "sector": 0, "momentum": ["x"], "irrep": None, "spin_flip": None}},
        {"lowest": []},
        {"lowest": {}},
        {"above_lowest": "x", "lowest": {"energy": 0, "sector": 0, "momentum": None, "irrep": None, "spin_flip": 1}},
    ],
)
def test_a_kept_reference_holds_names_alone(change):
    kept = {"energy": -1.0, "method": "exact", "network_above": None, "lowest": None, "above_lowest": None}
    assert read_reference(kept) == kept
    with pytest.raises((ValueError, TypeError, KeyError)):
        read_reference(kept | change)
    with pytest.raises(KeyError):  # of a version that did not compare sectors: computed again
        read_reference({"energy": -1.0, "method": "exact"})


def test_a_run_says_its_sector_and_how_far_it_is_from_the_ground_state(tmp_path):
    words = ["lattice.length=6", "hamiltonian=heisenberg", "ansatz.dtype=complex", "symmetrize.group=translations"]
    words += ["symmetrize.momentum=0", "sampler=enumerate", "task.n_steps=1", f"run_dir={tmp_path / 'run'}"]
    done = subprocess.run([sys.executable, "-m", "nqs_hpc", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "; 6 sites (3 of them with signs), sector=0 with momentum [0], " in done.stderr
    where = (
        "this sector does not hold the ground state: its lowest level, -2.118033989, lies 0.6847 above that of all, "
    )
    assert done.stderr.count(f"{where}-2.802775638, at sector=0, momentum [3]") == 2  # once known, and at the end
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["reference"]["lowest"]["momentum"] == [3] and where in summary["reason"]
    assert summary["symmetry"]["momentum"] == [0] and summary["symmetry"]["ansatz_basis"]["momentum"] == [3]


def test_the_numbers_of_both_spins_that_hold_a_level():
    """A mixture of fermions (2, 1) and (1, 2) on three orbitals: the first has the larger number of up."""
    space = fermions(3, None, None)
    states = decode(space, codes(space))
    numbers_n2 = states.reshape(-1, 2, 3).sum(axis=2)
    psi_n = np.where((numbers_n2 == [2, 1]).all(1), 0.5, 0) + np.where((numbers_n2 == [1, 2]).all(1), 0.3j, 0)
    found = lowest.of_one_total(lowest.vector(Basis(space), psi_n), layers=2)
    assert found.hilbert == fermions(3, 2, 1) and named_total(found.hilbert) == (2, 1)
    assert len(found.psi_n) == 9 and np.array_equal(np.sort(found.codes_n), codes(found.hilbert))


def test_a_sector_of_several_numbers_is_read_again():
    place = {"energy": -1.0, "sector": [2, 1], "momentum": [0], "irrep": "A", "spin_flip": None}
    kept = {"energy": -1.0, "method": "", "network_above": None, "above_lowest": 0.0, "lowest": place}
    assert read_reference(kept)["lowest"] == place
    assert "at sector=[2, 1], momentum [0]" in lowest_line(read_reference(kept))
    for wrong in ([2, 1.5], "[2, 1]", {"up": 2}):
        with pytest.raises(ValueError, match="no names of a sector"):
            read_reference(kept | {"lowest": place | {"sector": wrong}})
