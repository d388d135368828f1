"""What every optimizer answers, and the keys that all share."""

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
    examples: ClassVar[Examples] = ({},)  # keys under which contract tests try it, on a chain of six sites
    solves: ClassVar[bool] = False  # whether a step solves a linear system: then it has ``solver`` and ``blocks``
    # whether its sums are centred for each of several wave functions apart, whose samples a batch holds
    by_coupling: ClassVar[bool] = False
    needs_jacobian: ClassVar[bool] = False  # whether ansaetze with factors have one made too
    learning_rate: Schedule = key(schedule(), "step size, a number or a schedule", physics=False)
    max_norm: float | None = key(
        checks.optional(checks.positive), "bound on the Euclidean norm of one step of the parameters", physics=False
    )
    clip: float | None = key(
        checks.optional(checks.positive),
        "a local energy further from the median than this many mean absolute deviations enters the gradient as if it "
        "were that far away, which biases the gradient; null: off",
        physics="given",
    )
    line_search: tuple[float, ...] | None = key(
        checks.optional(Check("a list of different numbers above 0, at most 1", _fractions)),
        "fractions of a step, of which the one with the least energy by the same samples, reweighted, is taken, while "
        "half of these are left; null: whole steps",
        physics="given",
    )
    average: float | None = key(
        checks.optional(checks.number(above=0, below=1)),
        "decay of a running mean of the parameters, used by the final evaluation",
    )
    max_rejected: int = key(checks.integer(), "rejected steps in a row before the run fails", physics=False)
    broadcast: bool = key(checks.boolean, "take rank 0's update on every rank, for mixed hardware", physics=False)

    def check(self, context: Context) -> None:
        """Raise InputError where the optimizer cannot do its part of this job."""
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
        """The solver as the key has it, ``auto`` too; None for optimizers without one."""
        return None

    def asked_blocks(self) -> int | str | None:
        """The blocks of the Jacobian as the key has them, ``auto`` too; None for optimizers without any."""
        return None

    def chosen_solver(self, size: Size, wide: int, memory: float) -> str | None:
        """What ``auto`` stands for; ``wide``: bytes of a number, ``memory``: bytes for all matrices together."""
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
        """The update, `clipped`, and in a trust region where that is asked for.

        ``solver``, ``blocks`` and ``chunk`` are those of the plan, ``chain_length`` that of the sampler.
        """
        raise NotImplementedError

    def clipped(self, made: Update) -> Update:
        """An update that makes its gradient of clipped local energies where that is asked for."""
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
    import optax  # an eighth of a second that a constant rate need not wait for

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
