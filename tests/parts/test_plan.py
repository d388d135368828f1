"""What ``auto`` decides, and what of it a resumed run keeps."""

import jax
import numpy as np
import pytest

from nqs_hpc.config.basis import basis_of
from nqs_hpc.config.compose import compose
from nqs_hpc.parallel.launch import Placement
from nqs_hpc.parallel.world import alone
from nqs_hpc.parts import Plan, build
from nqs_hpc.parts.plan import make_plan
from nqs_hpc.run.record import differences_of_machine
from nqs_hpc.run.resume import merge_plans
from nqs_hpc.update.cost import TOGETHER_FROM, Size, bytes_held, cheapest, exact, seconds
from tests.systems import SERIAL


def plan_of(*overrides: str, n_ranks: int = 1) -> Plan:
    config = compose(list(overrides), n_ranks)
    lattice = config.make_sites()
    basis = basis_of(config, lattice)
    return make_plan(config, config.ansatz.make(lattice, basis, config.precision.network), basis.hilbert)


@pytest.mark.parametrize(
    ("size", "best"),
    [
        (Size(4096, 100, None, False), "cholesky"),  # few parameters
        (Size(256, 100_000, None, False), "minsr"),  # few samples
        (Size(1024, 10_000, 200, False), "minsr"),  # factors make the kernel cheap
        (Size(100_000, 100_000, None, False), "cg"),  # no matrix fits
    ],
)
def test_the_cheapest_solver_is_the_one_whose_count_is_least(size, best):
    assert cheapest(size, 8, 2**30) == best
    fitting = {name for name, held in bytes_held(size, 8).items() if held <= 2**30}
    assert best == min(fitting, key=seconds(size).__getitem__)


def test_without_cg_the_smallest_matrix_is_taken():
    assert cheapest(Size(90_000, 100_000, None, False), 8, 2**30, matrix_free=False) == "minsr"


def test_large_systems_are_solved_together():
    """By their rows, or where one rank has no room for a whole one; never by the number of ranks."""
    assert [exact(n, 8, 2**40) for n in (TOGETHER_FROM - 1, TOGETHER_FROM)] == ["cholesky", "distributed"]
    assert exact(1024, 8, 8 * 1024**2) == "cholesky" and exact(1024, 8, 8 * 1024**2 - 1) == "distributed"
    large = ("sampler.n_samples=4096", "lattice.length=64")
    assert plan_of(*large).solver == "distributed"
    assert plan_of(*large, "optimizer.solver=cholesky").solver == "cholesky"
    assert plan_of("sampler.n_samples=1024", "memory_gib=0.0077", n_ranks=2).solver == "distributed"
    stored = ("optimizer=sr", "ansatz=jastrow", "sampler.n_samples=32768", "optimizer.broadcast=true")  # so no cg
    assert plan_of(*stored, "lattice.length=92").solver == "distributed"  # 4186 parameters
    assert plan_of(*stored, "lattice.length=90").solver == "cholesky"  # 4005


def test_plans_of_configurations():
    assert plan_of("optimizer=adam") == Plan(None, None, None)
    assert plan_of("optimizer=minsr").solver == "cholesky"
    assert plan_of("optimizer=sr", "lattice.length=4", "sampler.n_samples=4096").solver == "cholesky"
    assert plan_of("optimizer=sr", "lattice.length=60", "ansatz.alpha=4").solver == "minsr"
    small = plan_of("ansatz=jastrow", "lattice.length=100", "memory_gib=0.05")
    assert small.blocks == int(np.ceil(2 * 1024 * 5050 * 8 / (0.05 * 2**30 / 2))) and small.chunk_size < 1024
    assert plan_of("lattice.length=100", "memory_gib=0.05").blocks == 1  # an RBM needs no Jacobian
    for solver in ("cholesky", "eigh"):
        assert plan_of("optimizer=sr", "optimizer.block_diagonal=layers", f"optimizer.solver={solver}").solver == solver


def test_sr_in_sample_space_makes_the_step_of_minsr():
    keys = ["lattice.length=6", "sampler.n_chains=8", "sampler.n_samples=16", "sampler.warmup=2"]
    steps = []
    for words in (["optimizer=sr", "optimizer.solver=minsr"], ["optimizer=minsr"]):
        driver = build(compose(keys + words, 1), SERIAL).task.functions
        state = driver.init()
        chains, samples, counts = driver.sample(state)
        state, _ = driver.update(state, chains, driver.evaluate(state.params, samples, counts)[0])
        steps.append(jax.tree.leaves(state.params))
    # the same matrix, shift and solver in two programs: rounding alone, which the solve enlarges
    assert all(np.allclose(a, b, rtol=1e-9, atol=1e-12) for a, b in zip(*steps, strict=True))


def test_a_resumed_run_keeps_its_plan():
    auto = compose(["optimizer=sr"], 1)
    stored, fresh = Plan("cg", 64, 2), Plan("minsr", None, 1)
    assert merge_plans(auto, stored, fresh) == (stored, [])
    assert merge_plans(auto, Plan("cg", None, None), fresh) == (Plan("cg", None, 1), [])  # older than blocks
    by_hand = compose(["optimizer=sr", "optimizer.solver=minsr", "chunk_size=null"], 1)
    plan, messages = merge_plans(by_hand, stored, fresh)
    assert plan == Plan("minsr", None, 2) and len(messages) == 2
    broadcast = compose(["optimizer=sr", "optimizer.broadcast=true"], 1)
    plan, messages = merge_plans(broadcast, stored, fresh)
    assert plan.solver == "minsr" and "was cg" in messages[0]


def test_another_installation_is_told_in_one_line():
    versions = {"nqs_hpc": "2.0", "jax": "0.7.0", "numpy": "2.1", "optax": "1.0"}
    here, placement = alone()._replace(library="MPICH 5"), Placement("here", (0,), 1, None)
    meta = {"n_ranks": 1, "threads": 1, "versions": versions, "mpi": "MPICH 5"}
    assert differences_of_machine(meta, here, placement, versions) == []
    before = {"nqs_hpc": "1.0", "jax": "0.6\x1b[2J", "numpy": "2.1", "optax": None}
    (line,) = differences_of_machine(meta | {"versions": before, "mpi": "MPICH 4"}, here, placement, versions)
    assert line == (
        "nqs_hpc 2.0, before 1.0; jax 0.7.0, before 0.6?[2J; MPI MPICH 5, before MPICH 4: "
        "the run goes on within rounding"
    )
    older = {"n_ranks": 2, "threads": 1}  # a checkpoint that says nothing of them
    (line,) = differences_of_machine(older, here, placement, versions)
    assert line.startswith("1 rank, before 2: ")
