"""The exact trajectory of a run, against dense matrices built apart, and against the run that makes it."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest

from nqs_hpc.config.compose import checked
from nqs_hpc.operators.exact import lowest_states
from nqs_hpc.parts import build, reference_in_time
from nqs_hpc.parts.reference_in_time import exact_trajectory, read_trajectory, thinned
from tests.operators.test_evolution import small_steps
from tests.systems import SERIAL, all_states, amplitudes, dense

TRAJECTORIES = json.loads((Path(__file__).parents[1] / "data" / "trajectories.json").read_text())["trajectories"]
DYNAMICS = ["task=dynamics", "sampler=enumerate", "ansatz.dtype=complex"]


def made(*words):
    config = checked([*DYNAMICS, *words], 1)
    parts = build(config, SERIAL)
    return config, parts, parts.ansatz.init(jax.random.key(2))


def xx_zz(psi, n, pair):
    return [np.vdot(psi, dense(n, [(1.0, dict.fromkeys(pair, a))]) @ psi).real for a in "XZ"]


def test_observables_in_a_ramp_of_the_field():
    """Of a network at random, with signs of basis states: the field is negative at first, and passes 0."""
    n, times = 4, [0.0, 0.5, 1.0]
    config, parts, params = made(
        f"lattice.length={n}",
        "ansatz.init_scale=0.3",
        "task.ramp={h: [[0, -2], [1, 1]]}",
        "observables.xx=pauli",
        "observables.xx.terms=['1.0 X0 X1']",
        "observables.zz=pauli",
        "observables.zz.terms=['1.0 Z0 Z1']",
        "observables.x=pauli",
        "observables.x.terms=['1.0 X2']",
        "observables.r=renyi",
    )
    assert config.hamiltonian.gauge  # the basis is not the physical one
    found = exact_trajectory(config, parts, params, times)
    states = all_states(n)
    psi = amplitudes(parts.ansatz, params, states) * np.prod(states, axis=1)  # U(s) is the product of all spins
    zz = dense(n, [(-1.0, {i: "Z", (i + 1) % n: "Z"}) for i in range(n)])
    x = dense(n, [(-1.0, {i: "X"}) for i in range(n)])

    def matrix_at(time):
        return zz + (-2 + 3 * time) * x

    for i, time in enumerate(times):
        now = small_steps(matrix_at, psi, time, 600) if time else psi
        assert found["energy"][i] == pytest.approx(np.vdot(now, matrix_at(time) @ now).real, abs=1e-8)
        values = [found["observables"][name][i] for name in ("xx", "zz", "x")]
        exact = [*xx_zz(now, n, (0, 1)), xx_zz(now, n, (2,))[0]]
        np.testing.assert_allclose(values, exact, atol=1e-8)
        rho = now.reshape(4, 4).T @ now.reshape(4, 4).conj()  # sites 0 and 1 are the fast ones
        assert found["observables"]["r.s2"][i] == pytest.approx(-np.log(np.trace(rho @ rho).real), abs=1e-8)
    assert found["times"] == times and found["left_out"] is None
    assert read_trajectory(json.loads(json.dumps(found))) == found


def test_a_quench_that_is_known(monkeypatch):
    """From |+x>: a network of zeros."""
    known = TRAJECTORIES[0]
    config, parts, params = made(
        "lattice.length=10",
        "hamiltonian.h=0.5",
        "observables=[magnetization]",
        "observables.s=renyi",
        "observables.x=pauli",
        "observables.x.terms=['1.0 X0']",
    )
    params = jax.tree.map(np.zeros_like, params)
    found = exact_trajectory(config, parts, params, known["t"])
    assert found["observables"]["x"] == pytest.approx(known["sx"], abs=1e-9)
    assert found["observables"]["magnetization.m2"] == pytest.approx(known["mz2"], abs=1e-9)
    assert found["observables"]["s.s2"] == pytest.approx(known["renyi2_A"], abs=1e-9)
    assert found["energy"] == pytest.approx(known["energy"], abs=1e-9)
    # what is too large or takes too long is left out, and that is said
    short = exact_trajectory(config, parts, params, known["t"], seconds=0.0)
    assert short["times"] == [] or short["times"][-1] < known["t"][-1]
    assert "would take longer than 0 s" in short["left_out"]
    monkeypatch.setattr(reference_in_time, "MOST_TIMES", 4)
    assert thinned([0.0, 0.1, 0.2, 0.3]) == [0.0, 0.1, 0.2, 0.3]
    assert thinned([k / 10 for k in range(10)]) == [0.0, 0.3, 0.6, 0.9]
    assert thinned([k / 10 for k in range(11)]) == [0.0, 0.1, 0.4, 0.7, 1.0]


def test_imaginary_time_of_bosons_in_a_sector():
    config, parts, params = made(
        "lattice.length=4",
        "hamiltonian=bose_hubbard",
        "hamiltonian.n_max=2",
        "ansatz=mlp",
        "task.time=imaginary",
        "task.ramp={U: [[0, 1], [1, 8]]}",
        "observables=[density_correlations]",
    )
    found = exact_trajectory(config, parts, params, [0.0, 30.0], imaginary=True)
    later = checked(["lattice.length=4", "hamiltonian=bose_hubbard", "hamiltonian.n_max=2", "hamiltonian.U=8"], 1)
    exact = lowest_states(build(later, SERIAL).operator, parts.hilbert)[0][0]
    assert found["energy"][1] == pytest.approx(exact, abs=1e-8)


def test_larger_sectors_have_none(monkeypatch):
    config, parts, params = made("lattice.length=4")
    monkeypatch.setattr(reference_in_time, "MAX_STATES", 15)
    assert exact_trajectory(config, parts, params, [0.0, 1.0]) is None


@pytest.mark.slow  # two starts of a job
def test_a_run_leaves_it_and_goes_along_it(tmp_path):
    """A network with as many directions as there are states follows the exact ramp; a later start makes both longer."""
    words = [*DYNAMICS, "lattice.length=4", "ansatz.alpha=4", "ansatz.init_scale=0.1", "task.integrator=rk4"]
    words += ["task.integrator.dt=0.02", "task.spacing=0.1", "observables=[magnetization]", "run_dir=run"]
    words += ["task.ramp={h: [[0, 1.5], [0.3, -0.5]]}"]
    for t_end in (0.2, 0.4):
        start = [sys.executable, "-m", "nqs_hpc", *words, f"task.t_end={t_end}"]
        done = subprocess.run(start, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        exact = json.loads((tmp_path / "run" / "reference.json").read_text())["trajectory"]
        assert exact["times"][-1] == t_end
        lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
        energies = {line["time"]: line["energy"] for line in lines}
        assert [energies[time] for time in exact["times"]] == pytest.approx(exact["energy"], abs=2e-5)
        with h5py.File(tmp_path / "run" / "observables.h5") as file:
            values = file["magnetization/m2/mean/value"][...]
        assert values == pytest.approx(np.array(exact["observables"]["magnetization.m2"]), abs=2e-5)
