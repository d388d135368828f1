"""The integrator of a task follows its method where none is named."""

import pytest

from nqs_hpc.config.compose import compose, from_plain
from nqs_hpc.config.identity import to_plain

TIME = ["task=dynamics", "ansatz.dtype=complex", "lattice.length=6"]


@pytest.mark.parametrize(
    ("words", "method", "integrator"),
    [
        ([], "tvmc", {"name": "heun", "dt": 0.01}),
        (["task.method=ptvmc"], "ptvmc", {"name": "lpe", "dt": 0.05, "order": 2}),
        (["task.integrator.order=3", "task.method=ptvmc"], "ptvmc", {"name": "lpe", "dt": 0.05, "order": 3}),
        (["task.method=ptvmc", "task.integrator=slpe"], "ptvmc", {"name": "slpe", "dt": 0.05, "order": 2}),
        (["task.method={name: ptvmc, iterations: 7}"], "ptvmc", {"name": "lpe", "dt": 0.05, "order": 2}),
        (["task.method=tvmc", "task.integrator=rk4"], "tvmc", {"name": "rk4", "dt": 0.01}),
    ],
)
def test_what_is_not_named_fits(words, method, integrator):
    config = compose([*TIME, *words], 1)
    found = to_plain(config)["task"]
    assert found["method"]["name"] == method and found["integrator"] == integrator
    assert found["method"].get("iterations") == {"tvmc": None, "ptvmc": 7 if "7" in str(words) else 20}[method]
    assert to_plain(from_plain(to_plain(config))) == to_plain(config)
