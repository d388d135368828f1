"""Updates: from the keys of an optimizer to a step of the parameters."""

from __future__ import annotations

from typing import Any

import jax

from nqs_hpc import schema
from nqs_hpc.inputs.checks import Schedule
from nqs_hpc.parallel.comm import Comm
from nqs_hpc.parts.plan import Plan
from nqs_hpc.types import Ansatz, Update
from nqs_hpc.update.first_order import adam, sgd
from nqs_hpc.update.minsr import minsr
from nqs_hpc.update.sr import sr
from nqs_hpc.update.step_size import Schedule as StepSchedule


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
