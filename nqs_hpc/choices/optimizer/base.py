"""The facts and methods of every optimizer, and the keys that all share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Examples, Float, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import Check, Invalid, bad
from nqs_hpc.inputs.schedules import Schedule, schedule
from nqs_hpc.types import Ansatz, Update

if TYPE_CHECKING:
    from nqs_hpc.parallel.comm import Comm
    from nqs_hpc.update.cost import Size
    from nqs_hpc.update.step_size import Schedule as StepSchedule


def _fractions(value: Any) -> tuple[float, ...]:
    found: tuple[float, ...] = tuple(sorted(checks.list_of(checks.number(above=0, most=1)).read(value)))
    if len(set(found)) < len(found):
        raise Invalid
    return found


@dataclass(frozen=True)
class Optimizer:
    name: str
    examples: ClassVar[Examples] = ({},)  # keys with which contract tests run it, on a chain of six sites
    solves: ClassVar[bool] = False  # whether a step solves a linear system; then there are ``solver`` and ``blocks``
    # whether it centres sums separately for each of several wave functions in a batch
    by_coupling: ClassVar[bool] = False
    needs_jacobian: ClassVar[bool] = False  # also for ansaetze with factors
    learning_rate: Schedule = key(schedule(), "step size, a number or a schedule", physics=False)
    max_norm: float | None = key(
        checks.optional(checks.positive), "largest Euclidean norm of one step of the parameters", physics=False
    )
    clip: float | None = key(
        checks.optional(checks.positive),
        "in the gradient, local energies further from the median than this many mean absolute deviations are clipped "
        "to that distance, which biases it; null: off",
        physics="given",
    )
    line_search: tuple[float, ...] | None = key(
        checks.optional(Check("a list of different numbers above 0, at most 1", _fractions)),
        "fractions of a step; the one with the lowest energy on the same samples, reweighted, is taken, as long as "
        "half of the effective samples are left; null: whole steps",
        physics="given",
    )
    average: float | None = key(
        checks.optional(checks.number(above=0, below=1)),
        "decay of a running mean of the parameters, used by the final evaluation",
    )
    max_rejected: int = key(checks.integer(), "rejected steps in a row before the run fails", physics=False)
    broadcast: bool = key(checks.boolean, "take rank 0's update on every rank, for mixed hardware", physics=False)

    def check(self, context: Context) -> None:
        """Raise InputError if the optimizer cannot be used in this job."""
        self.check_search(context)
        if context.solve_dtype != "float64":
            raise bad("precision.solve", context.solve_dtype, f"float64: optimizer={self.name} solves nothing")

    def check_search(self, context: Context) -> None:
        if self.line_search is not None and not context.task.shortens:
            raise bad("optimizer.line_search", self.line_search, f"null with task={context.task.name}")
        if not context.task.swept:
            return
        of_it = f"with task={context.task.name}, whose samples are of several wave functions"
        if not self.by_coupling:
            raise bad("optimizer", self.name, f"minsr, march, adam, sgd or optax {of_it}")
        if self.clip is not None:
            raise bad("optimizer.clip", self.clip, f"null {of_it}")

    def asked_solver(self) -> str | None:
        """The value of the key solver, possibly ``auto``; None for optimizers without one."""
        return None

    def asked_blocks(self) -> int | str | None:
        """The value of the key blocks, possibly ``auto``; None for optimizers without one."""
        return None

    def chosen_solver(self, size: Size, wide: int, memory: float) -> str | None:
        """What ``auto`` chooses; ``wide``: bytes of a number, ``memory``: bytes for all matrices together."""
        del size, wide, memory
        return self.asked_solver()

    def make(
        self,
        ansatz: Ansatz,
        comm: Comm,
        *,
        solver: str | None,
        blocks: int | None,
        chunk: int | None,
        chain_length: int,
        solve_dtype: Float,
    ) -> Update:
        """The update, `clipped`, and in a trust region if requested.

        ``solver``, ``blocks`` and ``chunk`` are those of the plan, ``chain_length`` that of the sampler.
        """
        raise NotImplementedError

    def clipped(self, made: Update) -> Update:
        """An update whose gradient uses clipped local energies, if requested."""
        if self.clip is None:
            return made
        from nqs_hpc.update.clipping import clipping

        return clipping(made, self.clip)

    def common(self, chunk: int | None) -> dict[str, Any]:
        """The arguments that all factories of updates share."""
        return {"learning_rate": step_schedule(self.learning_rate), "max_norm": self.max_norm, "chunk": chunk}


def step_schedule(schedule: Schedule) -> StepSchedule:
    """A schedule of the configuration as a function of the step."""
    import jax

    if schedule.kind == "constant":
        ((_, constant),) = schedule.arguments
        return lambda step: jax.numpy.asarray(constant)
    import optax  # takes an eighth of a second, which a constant rate does not need

    given = dict(schedule.arguments)
    if schedule.kind == "join":
        return optax.join_schedules([step_schedule(part) for part in given["schedules"].of], given["boundaries"])
    if schedule.kind == "sgdr":
        return optax.sgdr_schedule([dict(cycle.arguments) for cycle in given["cosine_kwargs"].of])
    kinds: dict[str, Callable[..., Any]] = {
        "linear": optax.linear_schedule,
        "polynomial": optax.polynomial_schedule,
        "exponential": optax.exponential_decay,
        "cosine": optax.cosine_decay_schedule,
        "piecewise_constant": optax.piecewise_constant_schedule,
        "piecewise_interpolate": optax.piecewise_interpolate_schedule,
        "warmup_constant": optax.warmup_constant_schedule,
        "warmup_cosine": optax.warmup_cosine_decay_schedule,
        "warmup_exponential": optax.warmup_exponential_decay_schedule,
        "linear_onecycle": optax.linear_onecycle_schedule,
        "cosine_onecycle": optax.cosine_onecycle_schedule,
    }
    if (scales := given.get("boundaries_and_scales")) is not None:
        given["boundaries_and_scales"] = dict(scales.entries)
    return kinds[schedule.kind](**given)
