"""Every large program of a run (`Task.programs`) lowers for CUDA without a GPU: what only CPUs have is not in it.

Whole jobs, of every choice that `test_jobs` and `test_observables` find, on two ranks: the collectives are stand-ins of
the right shapes, because mpi4jax without its GPU bridge has none for CUDA. Nothing is compiled, and nothing runs.
"""

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from nqs_hpc.config.basis import basis_of
from nqs_hpc.config.compose import compose
from nqs_hpc.operators.ising import ising
from nqs_hpc.parallel import foreign
from nqs_hpc.parallel.ahead import Program
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parts import Parts, build
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import flip
from nqs_hpc.system.hilbert import spin_half
from nqs_hpc.tasks.observing import observing
from nqs_hpc.tasks.penalty import Lower
from nqs_hpc.tasks.vmc import vmc
from nqs_hpc.update.minsr import minsr
from nqs_hpc.update.solvers import cholesky
from tests.contract import test_jobs, test_observables
from tests.contract.tried import configuration
from tests.systems import ansatz_of, ring

# What jax calls on NVIDIA's devices, and what XLA itself replaces there.
ALLOWED = re.compile(r"cu(solver|blas|dnn|fft|_)\w*|__cu\w+|Sharding|SPMD\w+|mhlo\.topk|annotate_device_placement")
MANY = {"n_chains": 8, "n_samples": 2 * foreign.SMALLEST}  # enough for BLAS to be asked on CPUs
FEW = 64  # numbers of float64 in a float32 network: more is its work
F64_WORK = re.compile(
    r"stablehlo\.(?:exponential|exponential_minus_one|log|log_plus_one|tanh|logistic|cosine|sine|power|dot_general|"
    r"convolution) .*?-> tensor<([^>]*)xf64>|"
    r"stablehlo\.(?:exponential|exponential_minus_one|log|log_plus_one|tanh|logistic|cosine|sine) "
    r"[^\n]*: tensor<([^>]*)xf64>\n"
)
TWO = Comm(
    rank=0,
    size=2,
    sum=lambda x: x + x,
    max=lambda x: x,
    gather=lambda x: jnp.stack([x, x]),
    all_to_all=lambda x: x[::-1],
)


def lowered(program: Program, platform: str = "cuda") -> str:
    return program.function.trace(*program.arguments).lower(lowering_platforms=(platform,)).as_text()


def strangers(text: str) -> set[str]:
    """The targets of custom calls that a GPU does not know; calls of Python are among them."""
    targets = re.findall(r"custom_call @([\w.$]+)|call_target_name = \"([^\"]+)\"", text)
    return {one or other for one, other in targets if not ALLOWED.fullmatch(one or other)}


def in_float64(text: str) -> list[str]:
    """Results of functions and products in float64, of more numbers than FEW."""
    sizes = ["".join(pair) for pair in F64_WORK.findall(text)]
    return [size for size in sizes if np.prod([int(n) for n in size.split("x")]) > FEW]


def of_job(**groups: Any) -> Parts:
    return build(configuration(**groups), TWO)


def enough(case: dict[str, Any]) -> dict[str, Any]:
    sampler = case.get("sampler", {"name": "metropolis"})
    many = {key: n for key, n in MANY.items() if key in sampler or sampler["name"] == "metropolis"}
    return {**case, "sampler": sampler | many}


# In every run of the suite: each sampler and optimizer, and networks of all ways to a ratio, a gradient and a solve.
OFTEN = {*test_jobs.PAIRS, "rbm", "jastrow", "vit", "slater", "modulus_phase", "symmetrize-signed-sector"}


@pytest.mark.parametrize("name", test_jobs.slow_but(OFTEN))
def test_programs_of_a_ground_state(name):
    for program in of_job(**enough(test_jobs.CASES[name])).task.programs(fresh=True):
        assert not strangers(lowered(program))


SOLVERS = {
    f"{name}-{solver}": {"name": name, "solver": solver}
    for name, solvers in {"minsr": ("eigh", "distributed", "cg"), "sr": ("cholesky", "eigh", "minsr", "cg")}.items()
    for solver in solvers
}


@pytest.mark.parametrize("name", SOLVERS)
def test_programs_of_solvers(name):
    # parameters enough for BLAS too
    wide = {**test_jobs.ISING, "ansatz": {"name": "rbm", "alpha": 2}, "optimizer": SOLVERS[name]}
    update = of_job(**enough(wide)).task.programs(fresh=False)[0]
    assert not strangers(lowered(update))


TIME = ["task=dynamics", "task.t_end=1.0", "lattice.length=6", "ansatz.dtype=complex", "ansatz.init_scale=0.1"]
EVOLUTIONS = {
    "tvmc": ["task.integrator=heun"],
    "tvmc-adaptive-in-samples": ["task.integrator=rk23", "task.solver=samples"],
    "tvmc-exact-sums": ["sampler=enumerate"],
    "ptvmc": ["task.method=ptvmc"],
}


@pytest.mark.parametrize("name", EVOLUTIONS)
def test_programs_of_evolutions(name):
    drawn = [] if "sampler=enumerate" in EVOLUTIONS[name] else [f"sampler.{key}={n}" for key, n in MANY.items()]
    for program in build(compose([*TIME, *EVOLUTIONS[name], *drawn], 2), TWO).task.programs(fresh=True):
        assert not strangers(lowered(program))


def test_programs_of_several_wave_functions():
    """Of a network that is told couplings, with those of the second ensembles."""
    words = ["lattice.length=6", "ansatz=foundation_vit", "ansatz.width=4", "ansatz.heads=2", "ansatz.layers=1"]
    words += ["task=foundation", "task.couplings={h: [0.5, 1.5]}", *(f"sampler.{key}={n}" for key, n in MANY.items())]
    programs = build(compose(words, 2), TWO).task.programs(fresh=True)
    assert len(programs) == 6
    for program in programs:
        assert not strangers(lowered(program))


def test_programs_of_an_excited_state():
    """The wave functions below lie in the state; their samples are drawn beside those of a step."""
    n = 6
    psi, space = ansatz_of("rbm-complex", n), spin_half(n)
    operator = ising(n, ring(n), J=1.0, h=1.0)
    rates = {"learning_rate": optax.constant_schedule(0.1), "diag_shift": optax.constant_schedule(1e-3)}
    update = minsr(psi, TWO, solver="cholesky", **rates)
    counts = {"n_chains": 8, "n_samples": 128, "sweep": n, "warmup": 1}
    sampler = metropolis(psi, flip(space), space, TWO, **counts)
    below = ansatz_of("mlp-complex", n)
    lower = [Lower(below, metropolis(below, flip(space), space, TWO, **counts), 1.0)]
    for program in vmc(psi, operator, sampler, update, TWO, seed=2, chunk=None, lower=lower).programs(fresh=True):
        assert not strangers(lowered(program))


@pytest.mark.parametrize("system", test_observables.CASES)
def test_programs_of_observables(system):
    """All at once, as `task=evaluate` has them."""
    shared = {**test_observables.SYSTEM, **test_observables.SYSTEMS[system], "sampler": test_jobs.METROPOLIS["sampler"]}
    config = configuration(**shared, observables=test_observables.CASES[system])
    parts = build(config, TWO)
    of_all = {label: one.make(parts.pieces) for label, one in config.observables.measured.items()}
    basis = basis_of(config, parts.lattice)
    seen = observing(parts.ansatz, [], of_all, parts.sampler, TWO, basis=basis, chunk=None, memory=2**30)
    key = jax.ShapeDtypeStruct((2,), np.uint32)
    params = jax.eval_shape(parts.ansatz.init, jax.random.key(0))
    chains = jax.eval_shape(parts.sampler.init, key, np.int32(0))
    _, samples, counts = jax.eval_shape(parts.sampler.sample, key, params, chains)
    assert not strangers(lowered(Program(jax.jit(seen.measure), (params, samples, counts, np.int32(0)))))


NETWORKS = ("rbm", "mlp", "vit", "resnet", "jastrow", "slater")


@pytest.mark.parametrize("name", NETWORKS)
def test_float32_networks_do_no_work_in_float64(name):
    """log psi, its gradient and all ratios; sums over samples, which are float64, are not in these programs."""
    config = configuration(**test_jobs.CASES[name], precision={"network": "float32", "solve": "float64"})
    parts = build(config, TWO)
    ansatz, s_BN = parts.ansatz, jax.ShapeDtypeStruct((100, parts.hilbert.n_sites), np.int8)
    params = jax.eval_shape(ansatz.init, jax.random.key(0))
    values = jax.jit(jax.vmap(ansatz.log_psi, (None, 0)))
    slopes = jax.jit(jax.grad(lambda p, s: jnp.sum(jax.vmap(ansatz.log_psi, (None, 0))(p, s).real)))
    assert not in_float64(lowered(Program(values, (params, s_BN))))
    assert not in_float64(lowered(Program(slopes, (params, s_BN))))


def test_a_program_with_what_only_cpus_have_is_told():
    n = foreign.SMALLEST
    solve = jax.jit(lambda a, b: cholesky(a, b, jnp.float64(0.1), 1e-12)[0])
    program = Program(solve, (jnp.eye(n), jnp.ones(n)))
    assert strangers(lowered(program, "cpu")) and not strangers(lowered(program))

    def back(x):
        return jax.pure_callback(np.sin, x, x)

    with pytest.raises(ValueError, match="lowering platform"):  # jax refuses calls of Python itself
        lowered(Program(jax.jit(back), (jnp.ones(3),)))
    wide, narrow = jnp.ones((9, 9)), jnp.ones((9, 9), np.float32)
    for function in (jnp.exp, lambda x: x @ x):
        assert in_float64(lowered(Program(jax.jit(function), (wide,))))
        assert not in_float64(lowered(Program(jax.jit(function), (narrow,))))
