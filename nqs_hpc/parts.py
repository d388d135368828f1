"""From a configuration to its parts: the only file that knows names. Config objects stop here.

A new lattice, Hamiltonian, ansatz, sampler or optimizer is one file of its own, one line here, one YAML, one dataclass.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import jaxprs_in_params

from nqs_hpc import schema
from nqs_hpc.ansatz.jastrow import jastrow
from nqs_hpc.ansatz.mlp import mlp
from nqs_hpc.ansatz.rbm import rbm
from nqs_hpc.checks import Schedule
from nqs_hpc.config import make_hilbert, make_sites
from nqs_hpc.driver.ground_state import GroundState, ground_state
from nqs_hpc.gradient.flat import flat
from nqs_hpc.gradient.jacobian import rows_per_sample
from nqs_hpc.operators.bose_hubbard import bose_hubbard
from nqs_hpc.operators.heisenberg import heisenberg
from nqs_hpc.operators.ising import ising
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.operators.rydberg import rydberg
from nqs_hpc.operators.toric_code import toric_code
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.sampler.enumerate import enumeration
from nqs_hpc.sampler.metropolis import metropolis
from nqs_hpc.sampler.moves import Proposal, exchange, flip, hop
from nqs_hpc.system.hilbert import Hilbert, dimension
from nqs_hpc.system.lattice import Lattice, bipartition, neighbours
from nqs_hpc.types import Ansatz, Operator, Sampler, Tree, Update
from nqs_hpc.update.cost import Size, cheapest
from nqs_hpc.update.first_order import adam, sgd
from nqs_hpc.update.minsr import minsr
from nqs_hpc.update.sr import sr
from nqs_hpc.update.step_size import Schedule as StepSchedule

FINAL_CHAIN_LENGTH = 64  # at least so many samples a chain, for R-hat and tau mean nothing below


class Plan(NamedTuple):
    """What ``auto`` chose, once, at step 0; kept in config.yaml and in every checkpoint, and reused on resume."""

    solver: str | None  # None for optimizers without one
    chunk_size: int | None
    blocks: int | None = None  # of the Jacobian; None for optimizers without one


class Parts(NamedTuple):
    """Everything a run computes with."""

    lattice: Lattice  # its sites carry the spins or bosons
    hilbert: Hilbert
    operator: Operator
    ansatz: Ansatz
    sampler: Sampler
    update: Update
    driver: GroundState
    plan: Plan
    n_parameters: int  # real degrees of freedom


def build(config: schema.Config, comm: Comm, plan: Plan | None = None, *, ansatz: Ansatz | None = None) -> Parts:
    """The parts of a job on this rank.

    ``plan`` is that of an earlier start; without it ``auto`` is decided here. ``ansatz`` stands in for the one that the
    configuration names.
    """
    lattice = make_sites(config)
    hilbert = make_hilbert(config.hamiltonian, lattice.n_sites, config.sector)
    operator = make_operator(config.hamiltonian, lattice)
    ansatz = ansatz or make_ansatz(config.ansatz, hilbert, config.precision.network)
    plan = plan or make_plan(config, ansatz, hilbert)

    sampler = make_sampler(config.sampler, ansatz, lattice, hilbert, comm, chunk=plan.chunk_size)
    update = make_update(config, ansatz, comm, plan)
    driver = ground_state(
        ansatz,
        operator,
        sampler,
        update,
        comm,
        seed=config.seed,
        chunk=plan.chunk_size,
        average=config.optimizer.average,
        broadcast=config.optimizer.broadcast,
    )
    form = flat(parameter_shapes(ansatz), ansatz.kind)
    return Parts(lattice, hilbert, operator, ansatz, sampler, update, driver, plan, form.n_real)


def make_operator(config: schema.Hamiltonian, lattice: Lattice) -> Operator:
    """``lattice`` is that of the sites."""
    match config:
        case schema.Ising():
            return ising(lattice.n_sites, neighbours(lattice, 1), J=config.J, h=config.h, g=config.g)
        case schema.Heisenberg():
            # an order without coupling may not exist on this lattice
            orders = [n for n, coupling in enumerate(config.J, start=1) if coupling != 0]
            return heisenberg(
                lattice.n_sites,
                [neighbours(lattice, n) for n in orders],
                [config.J[n - 1] for n in orders],
                delta=config.delta,
                marshall_signs=bipartition(lattice) if config.marshall else None,
            )
        case schema.Pauli():
            return pauli(lattice.n_sites, config.terms)
        case schema.Rydberg():
            return rydberg(lattice, Omega=config.Omega, delta=config.delta, V=config.V, cutoff=config.cutoff)
        case schema.ToricCode():
            return toric_code(lattice, hx=config.hx, hy=config.hy, hz=config.hz)
        case schema.BoseHubbard():
            edges = neighbours(lattice, 1)
            return bose_hubbard(lattice.n_sites, edges, J=config.J, U=config.U, mu=config.mu, n_max=config.n_max)


def make_ansatz(
    config: schema.Rbm | schema.Jastrow | schema.Mlp, hilbert: Hilbert, float_dtype: schema.Float
) -> Ansatz:
    n = hilbert.n_sites
    match config:
        case schema.Rbm():
            return rbm(
                n,
                n_hidden=max(1, round(config.alpha * n)),
                dtype=config.dtype,
                bias=config.bias,
                init_scale=config.init_scale,
                local_values=hilbert.local_values,
                float_dtype=float_dtype,
            )
        case schema.Jastrow():
            return jastrow(n, dtype=config.dtype, init_scale=config.init_scale, float_dtype=float_dtype)
        case schema.Mlp():
            return mlp(
                n,
                widths=tuple(max(1, round(alpha * n)) for alpha in config.alphas),
                activation=config.activation,
                dtype=config.dtype,
                init_scale=config.init_scale,
                float_dtype=float_dtype,
            )


def make_sampler(
    config: schema.Metropolis | schema.Enumerate,
    ansatz: Ansatz,
    lattice: Lattice,
    hilbert: Hilbert,
    comm: Comm,
    *,
    chunk: int | None,
) -> Sampler:
    match config:
        case schema.Metropolis():
            return metropolis(
                ansatz,
                make_proposal(config.move, lattice, hilbert),
                hilbert,
                comm,
                n_chains=config.n_chains,
                n_samples=config.n_samples,
                sweep=config.sweep,
                warmup=config.warmup,
            )
        case schema.Enumerate():
            return enumeration(ansatz, hilbert, comm, chunk=chunk)


def make_proposal(move: str, lattice: Lattice, hilbert: Hilbert) -> Proposal:
    if move == "flip":
        return flip(hilbert)
    pairs = neighbours(lattice, 1)
    if not connected(lattice.n_sites, pairs):  # nearest neighbours alone would not reach every state of the sector
        pairs = np.array(np.triu_indices(lattice.n_sites, 1), dtype=np.int32).T
    return exchange(pairs) if move == "exchange" else hop(pairs, hilbert)


def make_update(config: schema.Config, ansatz: Ansatz, comm: Comm, plan: Plan) -> Update:
    optimizer = config.optimizer
    common: dict[str, Any] = {
        "learning_rate": make_schedule(optimizer.learning_rate),
        "max_norm": optimizer.max_norm,
        "chunk": plan.chunk_size,
    }
    match optimizer:
        case schema.Sgd():
            return sgd(ansatz, comm, **common)
        case schema.Adam():
            return adam(ansatz, comm, b1=optimizer.b1, b2=optimizer.b2, eps=optimizer.eps, **common)
    common |= {
        "diag_shift": make_schedule(optimizer.diag_shift),
        "blocks": plan.blocks,
        "rcond": optimizer.rcond,
        "solve_dtype": config.precision.solve,
    }
    match optimizer:
        case schema.Sr() if plan.solver != "minsr":
            return sr(
                ansatz,
                comm,
                solver=plan.solver,  # type: ignore[arg-type]
                cg_tolerance=optimizer.cg_tolerance,
                cg_max_iterations=optimizer.cg_max_iterations,
                **common,
            )
        case schema.Sr():
            return minsr(ansatz, comm, solver="cholesky", **common)
        case schema.Minsr():
            return minsr(ansatz, comm, solver=plan.solver, momentum=optimizer.momentum, **common)  # type: ignore[arg-type]


def make_schedule(schedule: Schedule) -> StepSchedule:
    if schedule.kind == "constant":
        ((_, constant),) = schedule.arguments
        return lambda step: jax.numpy.asarray(constant)
    import optax  # an eighth of a second that a constant rate need not wait for

    kinds = {
        "linear": optax.linear_schedule,
        "exponential": optax.exponential_decay,
        "cosine": optax.cosine_decay_schedule,
        "polynomial": optax.polynomial_schedule,
        "warmup_cosine": optax.warmup_cosine_decay_schedule,
    }
    return kinds[schedule.kind](**dict(schedule.arguments))


def make_plan(config: schema.Config, ansatz: Ansatz, hilbert: Hilbert) -> Plan:
    """Decide what is ``auto`` from sizes and ``memory_gib`` alone: never from the rank count or a clock.

    solver: sr takes the cheapest of parameter space, sample space and matrix-free whose matrices fit in half the memory
    (`update.cost`); minsr Cholesky. blocks: as many as bring the Jacobian, twice over, down to half the memory; one
    where the ansatz has factors. chunk_size: the largest power of two of samples whose activations, and Jacobian rows
    where there are no factors, twice over, fit in an eighth of the memory; null where that is all samples.
    """
    memory = config.memory_gib * 2**30
    optimizer, factors = config.optimizer, ansatz.factors
    params = parameter_shapes(ansatz)
    form = flat(params, ansatz.kind)
    itemsize = form.dtype.itemsize
    s_N = jax.ShapeDtypeStruct((hilbert.n_sites,), np.int8)
    sampler = config.sampler  # of chains, the states of a large space are never counted
    n_samples = sampler.n_samples if isinstance(sampler, schema.Metropolis) else dimension(hilbert)
    n_rows = n_samples * rows_per_sample(ansatz.kind)

    solver = getattr(optimizer, "solver", None)
    if solver == "auto" and isinstance(optimizer, schema.Sr):
        width = None
        if factors is not None:
            width = sum(part.size for part in jax.eval_shape(factors.parts, params, s_N))
        size = Size(n_rows, form.n_parameters, width, ansatz.kind == "holomorphic")
        wide = max(itemsize, np.dtype(config.precision.solve).itemsize * (2 if form.dtype.kind == "c" else 1))
        # the iterations of cg are counted by each rank from its own bits, which mixed nodes do not share
        solver = cheapest(size, wide, memory / 2, matrix_free=not optimizer.broadcast)
    elif solver == "auto":
        solver = "cholesky"

    blocks = getattr(optimizer, "blocks", None)
    if blocks == "auto":
        whole = 2 * n_rows * form.n_parameters * itemsize
        blocks = 1 if factors is not None else max(1, math.ceil(whole / (memory / 2)))

    chunk = config.chunk_size
    if chunk == "auto":
        numbers = 2 * activations(jax.make_jaxpr(ansatz.log_psi)(params, s_N).jaxpr)
        if factors is None:
            numbers += 2 * rows_per_sample(ansatz.kind) * form.n_parameters
        chunk = 2 ** int(np.log2(max(1, memory / 8 / (numbers * itemsize))))
        if chunk >= n_samples:
            chunk = None
    return Plan(solver, chunk, blocks)


def activations(jaxpr: Any) -> int:
    """The number of elements of all intermediates of a jaxpr and of those inside it."""
    total = 1
    for equation in jaxpr.eqns:
        total += sum(variable.aval.size for variable in equation.outvars if hasattr(variable.aval, "size"))
        total += sum(activations(inner) for inner in jaxprs_in_params(equation.params))
    return total


def parameter_shapes(ansatz: Ansatz) -> Tree:
    """Shapes and dtypes of the parameters, without making any."""
    return jax.eval_shape(lambda: ansatz.init(jax.random.key(0)))


def final_chain_length(config: schema.Config) -> int:
    """Samples a chain of the final evaluation: ``task.final_samples`` shared out, and at least 64; 0 for exact sums."""
    if not isinstance(config.sampler, schema.Metropolis):
        return 0
    return max(FINAL_CHAIN_LENGTH, -(-config.task.final_samples // config.sampler.n_chains))


def connected(n_sites: int, pairs: np.ndarray) -> bool:
    """Whether the pairs join all sites."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(n_sites, n_sites))
    return connected_components(graph, directed=False)[0] == 1
