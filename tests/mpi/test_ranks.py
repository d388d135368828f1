"""1, 2 and 4 ranks: collectives, chains and steps agree. One start a rank count does all of it."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.mpi.starts import job, metrics, run, summary

pytestmark = pytest.mark.mpi
PROGRAM = str(Path(__file__).with_name("ranks.py"))


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[int, dict]:
    folder = tmp_path_factory.mktemp("ranks")
    found = {}
    for n_ranks in (1, 2, 4):
        output = run(n_ranks, PROGRAM, cwd=folder)
        (line,) = [line for line in output.splitlines() if line.startswith("RESULT ")]
        found[n_ranks] = json.loads(line.removeprefix("RESULT "))
        counted = re.findall(r"COUNTING\n(.*?)COUNTED\n", output, re.DOTALL)
        found[n_ranks]["counted"] = [len(re.findall(r"r0 \| \w+ \| MPI_\w+ done", part)) for part in counted]
    return found


@pytest.mark.parametrize("n_ranks", [1, 2, 4])
def test_collectives(results, n_ranks):
    found = results[n_ranks]
    assert len(found["collectives"]) == n_ranks
    assert all(difference == 0 for rank in found["collectives"] for difference in rank.values())
    assert found["bcast"] == [{"rank": 0}] * n_ranks
    assert found["flags"] == 2**n_ranks - 1 and found["gather"] == list(range(n_ranks))


# run -> collectives in the programs that sample, evaluate and update; one of sr-cg's stands in its loop
RUNS = {
    "minsr-complex-momentum": [0, 1, 4],
    "line-search": [0, 1, 5],
    "minsr-mlp-complex": [0, 1, 5],  # with broadcast
    "sr-broadcast": [0, 1, 3],
    "sr-cg-complex": [0, 1, 3],
    "sr-block-diagonal": [0, 1, 2],
    "adam": [0, 1, 1],
    "optax": [0, 1, 1],
    "enumerate": [1, 1, 4],
    "heisenberg": [0, 1, 3],
    "bosons": [0, 1, 4],
    "autoregressive": [0, 1, 3],
    "symmetric": [0, 1, 3],
    "adaptive-mixture": [0, 1, 4],
    "tempering": [0, 1, 4],
    "minsr-blocks": [0, 1, 3],
    "minsr-layers": [0, 1, 5],  # an all-to-all for each of three groups of layers
    "sr-cg-recomputed": [0, 1, 3],
    "march": [0, 1, 3],  # from a Jacobian, of an RBM too
    "march-blocks": [0, 1, 3],
    "blur": [1, 1, 3],
    "minsr-cg": [0, 1, 10],  # 2 to make its rows, 3 before the loop, 3 in it, 1 after it, the adjoint
    "minsr-cg-jastrow": [0, 1, 10],  # the rows by two all-to-alls
    "sr-cg-sketch": [0, 1, 11],  # means and force; an all-to-all before the loop and one in it
    "excited": [0, 2, 4],  # overlaps take one more gather
}


ON_FOUR = ("minsr-complex-momentum", "sr-broadcast", "enumerate", "minsr-cg")
IN_LOOP = {"sr-cg-complex": 1, "sr-cg-recomputed": 1, "minsr-cg": 3, "minsr-cg-jastrow": 3, "sr-cg-sketch": 4}
SIX = ("line-search", "enumerate", "minsr-mlp-complex", "minsr-blocks", "minsr-layers", "march-blocks", "excited")
SHARED = {
    "minsr-cg": 8,
    "minsr-cg-jastrow": 9,  # its 18 rows, two blocks of each rank, take two exchanges
    "sr-cg-sketch": 8,
}  # whose ranks share the vectors, outside of the loop


@pytest.mark.parametrize(("n_ranks", "name"), [(2, name) for name in RUNS] + [(4, name) for name in ON_FOUR])
def test_steps_do_not_know_the_rank_count(results, name, n_ranks):
    """Identical chains; the first energy to 1e-12, the others and theta within rounding; one theta on all ranks."""
    one, many = results[1][name], results[n_ranks][name]
    n_states = len(one["samples"])
    assert many["samples"][:n_states] == one["samples"]  # an enumeration may end in pads
    # before and after one step; conjugate gradients end within their own tolerance
    rounding = 1e-10 if "cg" in name else 1e-12
    assert many["energies"][:2] == pytest.approx(one["energies"][:2], rel=rounding)
    assert many["energies"] == pytest.approx(one["energies"], rel=1e-9)
    assert many["grad_norm"] == pytest.approx(one["grad_norm"], rel=1e-7)
    assert np.abs(np.array(many["theta"]) - one["theta"]).max() < 1e-7
    assert len(set(many["hashes"])) == 1 and len(many["hashes"]) == n_ranks
    assert many["collectives"] == RUNS[name] and one["collectives"] == [0, 0, 0]


@pytest.mark.parametrize(("number", "name"), list(enumerate(RUNS)))
def test_collectives_executed_in_a_step(results, name, number):
    """At most 6, and one more for each block of the Jacobian or iteration of CG: in the program and as it runs. Where
    ranks share the vectors of CG, some more, and three or four an iteration."""
    two = results[2][name]
    outside = sum(c["times"] for c in two["executed"] if not c["in_while"])
    inside = sum(c["times"] for c in two["executed"] if c["in_while"])
    assert inside == IN_LOOP.get(name, 0)
    assert outside == SHARED.get(name, outside)
    assert name in SHARED or (outside <= 6 and (outside == 6) == (name in SIX))
    assert results[2]["counted"][number] == outside + inside * two["cg_iterations"]
    assert results[1][name]["executed"] == [] and results[1]["counted"][number] == 0
    assert all(c["n_bytes"] > 0 for c in two["executed"])


@pytest.mark.as_users
def test_jobs_on_one_two_and_four_ranks(tmp_path):
    """The command itself: energies equal to 1e-12 after one step and 1e-8 after ten, the final one too."""
    energies, finals = [], []
    for n_ranks in (1, 2, 4):
        output = job(n_ranks, "task.n_steps=10", f"run_dir=run{n_ranks}", cwd=tmp_path)
        assert output.count("final evaluation") == 1  # rank 0 alone speaks
        energies.append([line["energy"] for line in metrics(tmp_path / f"run{n_ranks}")])
        finals.append(summary(tmp_path / f"run{n_ranks}")["energy"]["mean"])
        assert summary(tmp_path / f"run{n_ranks}")["n_ranks"] == n_ranks
    for other in (1, 2):
        assert energies[other][:2] == pytest.approx(energies[0][:2], rel=1e-12)  # line 2 is after one step
        assert energies[other] == pytest.approx(energies[0], rel=1e-8)
        assert finals[other] == pytest.approx(finals[0], rel=1e-8)


def test_bad_input_is_one_line_and_exit_code_2_on_all_ranks(tmp_path):
    output = job(2, "ansatz.alpha=-1", cwd=tmp_path, code=2)
    assert len(output.splitlines()) == 1 and "ansatz.alpha=-1" in output
    assert not list(tmp_path.iterdir())
