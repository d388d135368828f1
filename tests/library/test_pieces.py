"""Parts for one's own script, from any form of a configuration."""

import numpy as np
import pytest
import yaml

import nqs_hpc
from nqs_hpc.config.compose import InputError
from nqs_hpc.config.identity import to_plain
from nqs_hpc.operators.exact import lowest_states

SQUARE = ["lattice=square", "lattice.length=4", "hamiltonian.J=2", "ansatz.alpha=3"]


def test_all_forms_of_a_configuration_are_one():
    config = nqs_hpc.compose(SQUARE)
    assert config.lattice.extent == (4, 4) and config.ansatz.alpha == 3.0
    flat = {"lattice": "square", "lattice.length": 4, "hamiltonian.J": 2, "ansatz.alpha": 3}
    nested = {"lattice": {"name": "square", "length": 4}, "hamiltonian": {"J": 2}, "ansatz": {"alpha": 3}}
    for form in (config, tuple(SQUARE), flat, nested, to_plain(config)):
        assert nqs_hpc.compose(form) == config


def test_parts_are_those_of_the_system():
    parts = nqs_hpc.build(["lattice=chain", "lattice.length=6", "hamiltonian.h=0.5", "sampler.n_chains=8",
                           "sampler.n_samples=16"])  # fmt: skip
    assert parts.lattice.n_sites == parts.hilbert.n_sites == 6
    k = np.pi / 6 * np.arange(1, 12, 2)  # Pfeuty's solution of the ring, antiperiodic fermions
    energy = -np.sqrt(1 + 0.25 - np.cos(k)).sum()
    assert lowest_states(parts.operator, parts.hilbert)[0][0] == pytest.approx(energy, rel=1e-12)
    state = parts.task.functions.warmed(parts.task.functions.init())
    chains, samples, counts = parts.task.functions.sample(state)
    batch, _ = parts.task.functions.evaluate(state.params, samples, counts)
    state, _ = parts.task.functions.update(state, chains, batch)
    assert int(state.step) == 1 and samples.s_BN.shape == (16, 6)


def test_building_makes_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nqs_hpc.build(["lattice.length=4"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (["lattice=squair"], "did you mean square?"),
        ({"lattice": "squair"}, "did you mean square?"),
        ({"latice": "square"}, "did you mean lattice?"),
        ({"lattice": {"name": "square", "lenght": 4}}, "did you mean length?"),
        ({"lattice": {"name": ["square"]}}, "lattice=[square] is not valid"),
        ({"lattice.length": 0}, "lattice.length=0 is not valid"),
        ({"seed": {"a": 1}}, "seed.a=1 is not valid"),
        ({"ansatz": {"_target_": "os.system"}}, "executes nothing"),
        ({"run_dir": "${oc.env:HOME}"}, "is not evaluated"),
        ({"lattice": {"name": "edges", "file": "x", "edges": [[0, 0, 1]], "n_sites": 1}}, "lattice.edges="),
        ({"lattice": {"name": "edges", "file": "x", "edges": 3, "n_sites": 1}}, "lattice.edges=3"),
        ({"lattice": {"name": "points", "file": "x", "positions": [[0], [0]], "n_sites": 2}}, "lattice.positions="),
        ({"lattice": {"name": "points", "file": "x", "positions": 3, "n_sites": 1}}, "lattice.positions=3"),
    ],
)
def test_bad_input_is_one_line(given, part):
    with pytest.raises(InputError) as caught:
        nqs_hpc.compose(given)
    assert part in str(caught.value) and "\n" not in str(caught.value)


def test_one_text_is_no_list_of_overrides():
    with pytest.raises(ValueError, match="one text"):
        nqs_hpc.compose("lattice=square")


FORMS = [
    ["experiment=tfim_square_10x10"],
    ["experiment=heisenberg_chain", "lattice=square"],
    ["hamiltonian=heisenberg", "hamiltonian.J=[1,0.5]", "optimizer=sr", "optimizer.solver=cg", "lattice.length=6"],
    ["lattice=edges", "lattice.file=g.txt", "hamiltonian=pauli", "hamiltonian.file=h.txt"],
    ["lattice=points", "lattice.file=p.txt", "hamiltonian=rydberg", "hamiltonian.cutoff=1.5"],
    ["hamiltonian=toric_code", "lattice=square", "lattice.pbc=[true,false]"],
    ["hamiltonian=bose_hubbard", "sector=3", "lattice.length=4"],
    [
        "ansatz=mlp",
        "optimizer.learning_rate={schedule: cosine, init_value: 1e-5, decay_steps: 300}",
        "seed=12345678901",
    ],
]


@pytest.mark.parametrize("overrides", FORMS)
def test_a_configuration_comes_back_from_its_yaml(overrides, tmp_path, monkeypatch):
    """Also when the files it was read from are gone, or others stand in their place."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "g.txt").write_text("0 1\n1 2\n0 2 2\n")
    (tmp_path / "h.txt").write_text("-1 Z0 Z1\n-0.5 X2\n")
    (tmp_path / "p.txt").write_text("0 0\n1 0\n0 1.5\n")
    config = nqs_hpc.compose(overrides)
    text = yaml.safe_dump(to_plain(config), sort_keys=False)
    (tmp_path / "g.txt").write_text("0 1\n")
    (tmp_path / "h.txt").unlink()
    (tmp_path / "p.txt").unlink()
    assert nqs_hpc.compose(yaml.safe_load(text)) == config
