"""task=dynamics: evolution in real or imaginary time (`tasks.dynamics`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices import choice, names
from nqs_hpc.choices import initial as starts
from nqs_hpc.choices.context import Context
from nqs_hpc.choices.hamiltonian.base import Hamiltonian
from nqs_hpc.choices.integrator.base import Integrator
from nqs_hpc.choices.keys import Auto, inner, key
from nqs_hpc.choices.method.base import Method
from nqs_hpc.choices.optimizer.base import Optimizer
from nqs_hpc.choices.task import _kick, _ramp
from nqs_hpc.choices.task._kick import Kick, check_kick, kicked
from nqs_hpc.choices.task.base import Task
from nqs_hpc.inputs import checks, ramps
from nqs_hpc.inputs.checks import bad
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Operator

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Projection
    from nqs_hpc.types import Task as Functions
    from nqs_hpc.update.cost import Size

NOT_IN_REAL_TIME = "a positive or signed wave function cannot evolve in real time"
MOST_TIMES = 2**16  # times of output
# The fraction of blurred samples: zeros of psi contribute to the forces, and in a start along z nothing else does.
BLUR = 0.3
MULTIPLE = 1e-9  # relative tolerance for t_end as a multiple of the spacing
# r of the smooth cut. Eigenvalues of exact sums are known to rounding; those of N samples only if they are not far
# below 1 / N of the largest.
CUT_OF_SUMS, CUT_OF_SAMPLES = 1e-14, 1e-6
# In a start along z pairs of flips have the weight exp(-4 bias) relative to single flips. They come next in the
# evolution, and blurred samples contain them.
BELOW_PAIRS = 0.05
DEFAULT_BIAS = 5.0
MOST_BIAS = 8.0  # beyond it the range of psi exceeds double precision


def default_integrator(method: str) -> str:
    default: str = choice("method", method).integrator
    return default


def _integrators_of(method: str) -> list[str]:
    return [name for name in names("integrator") if choice("integrator", name).method == method]


@dataclass(frozen=True)
class Dynamics(Task):
    prefix: ClassVar[str] = "dynamics-"
    optimizes: ClassVar[bool] = False
    measures: ClassVar[bool] = True
    when_measured: ClassVar[str] = "at the multiples of task.spacing"
    has_beginning: ClassVar[bool] = True
    time: Literal["real", "imaginary"] = key(checks.choice("real", "imaginary"), "exp(-i H t), or exp(-H t)")
    t_end: float = key(
        checks.positive,
        "end of the evolution, a multiple of task.spacing; a later start may raise it",
        physics=False,
    )
    spacing: float = key(
        checks.positive, "time between two measurements of the observables, from 0 on; steps end exactly there"
    )
    ramp: ramps.Ramp | None = key(
        ramps.ramp,
        "couplings as functions of time: {h: [[0, 6.09], [2, 0]]}, linear pieces, constant outside; {h: FILE}, a "
        "table of lines TIME VALUE; or {h: {mean: 1, amplitude: 0.3, omega: 2, phase: 0}}, a cosine; {}: none",
        physics="given",
    )
    initial: starts.State | None = key(
        checks.optional(starts.state),
        f"the product state at time 0: {starts.DOC}; null: random parameters, or those of init_from",
    )
    initial_bias: float = key(
        checks.number(above=0, most=MOST_BIAS),
        "largest field of that state, for spins along z: one flip away the weight is exp(-4 bias); halved in a "
        "sector, where two sites change",
    )
    kick: Kick | None = key(
        _kick.check,
        "multiply psi(0) by exp(-i strength s_site): the spins then show the response to sigma^z of that site",
        physics="given",
    )
    method: Method = inner(
        "method",
        "task.method",
        "tvmc (the time-dependent variational principle) or ptvmc (projections of each step); its keys: "
        "task.method.infidelity",
    )
    integrator: Integrator = inner(
        "integrator",
        "task.integrator",
        "euler, heun, rk4 (fixed dt), rk23 (adaptive); for task.method=ptvmc lpe, slpe; its keys: task.integrator.dt",
        default=("method", default_integrator),
    )
    cut: float | Auto | None = key(
        checks.optional(checks.either("auto", checks.number(above=0, below=1))),
        "eigenvalues of the quantum geometric tensor below this fraction of the largest are smoothly suppressed; "
        f"auto: {CUT_OF_SUMS:g} for exact sums, {CUT_OF_SAMPLES:g} for samples, less in a start along z; null: none",
    )
    diag_shift: float = key(
        checks.number(least=0),
        "added to the eigenvalues, absolute; the least value with task.method=ptvmc, which adapts it",
    )
    signal_to_noise: float | None = key(
        checks.optional(checks.positive),
        "directions with a force below this many errors are smoothly suppressed (Schmitt & Heyl 2020); null: none",
    )
    solver: Literal["auto", "parameters", "samples", "cholesky", "cg"] = key(
        checks.choice("auto", "parameters", "samples", "cholesky", "cg"),
        "eigenvalues in the space of parameters or of samples; auto: the smaller one, or cg if neither fits into "
        "memory_gib; cholesky (parameters) and cg (matrix-free) take only diag_shift",
        physics=False,
    )
    stop_at_error: float | None = key(
        checks.optional(checks.positive),
        "the evolution ends when the bound on the distance to the exact state exceeds this; null: never",
        physics=False,
    )

    def resolved(self, context: Context) -> Self:
        if self.time == "real" and context.ansatz.is_real():
            raise bad("task.time", self.time, f"imaginary, or {context.ansatz.complex_keys()}: {NOT_IN_REAL_TIME}")
        for name, dtype in (("network", context.network_dtype), ("solve", context.solve_dtype)):
            if dtype != "float64":
                why = "time steps change parameters too little for single precision"
                raise bad(f"precision.{name}", dtype, f"float64 with task=dynamics: {why}")
        if self.kick is not None and self.time != "real":
            raise bad(
                "task.kick",
                {"site": self.kick.site, "strength": self.kick.strength},
                "null in imaginary time: a response needs real time",
            )
        if self.kick is not None:
            check_kick(self.kick, context)
        if self.initial is None and self.initial_bias != DEFAULT_BIAS:
            raise bad("task.initial_bias", self.initial_bias, f"{DEFAULT_BIAS:g} without task.initial")
        if self.initial is not None:
            self._check_start(self.initial, context)
        n = self.t_end / self.spacing
        if abs(n - round(n)) > MULTIPLE * n or round(n) < 1:
            raise bad("task.t_end", self.t_end, f"a multiple of task.spacing={self.spacing:g}")
        if n > MOST_TIMES:
            raise bad("task.spacing", self.spacing, f"at least {self.t_end / MOST_TIMES:g}: {MOST_TIMES} times at most")
        if self.integrator.method != self.method.name:
            *others, last = _integrators_of(self.method.name)
            valid = f"{', '.join(others)} or {last} with task.method={self.method.name}"
            raise bad("task.integrator", self.integrator.name, valid)
        if context.ansatz.is_real():
            self._check_order()
        for label, one in context.observables.items() if self.ramp is not None else ():
            if one.of_hamiltonian:
                valid = "another one: with task.ramp its Hamiltonian changes"
                raise bad(f"observables.{label}", one.name, valid)
        self.integrator.check("task.integrator", self.t_end)
        if self.solver in ("cholesky", "cg"):
            if self.cut not in ("auto", None):
                raise bad("task.cut", self.cut, f"null with task.solver={self.solver}, which computes no eigenvalues")
            if self.signal_to_noise is not None:
                valid = f"null with task.solver={self.solver}, which computes no eigenvalues"
                raise bad("task.signal_to_noise", self.signal_to_noise, valid)
            if self.diag_shift == 0:
                raise bad("task.diag_shift", self.diag_shift, f"above 0 with task.solver={self.solver}")
        elif self.cut is None and self.diag_shift == 0:
            raise bad("task.cut", None, "a number, auto, or a task.diag_shift above 0: singular directions need one")
        return self

    def _check_order(self) -> None:
        """Raise InputError where a real wave function would be multiplied by complex factors."""
        if not self.integrator.is_real():
            why = "factors of higher orders are complex, and this wave function is not"
            raise bad("task.integrator.order", getattr(self.integrator, "order", None), f"1: {why}")

    @property
    def blur(self) -> float | None:
        return BLUR if self.time == "real" else None

    def driven(self, hamiltonian: Hamiltonian) -> Hamiltonian:
        return _ramp.driven(hamiltonian, self.ramp)

    def operators(
        self, hamiltonian: Hamiltonian, lattice: Lattice, signs_N: NDArray[np.int8] | None
    ) -> tuple[Operator, tuple[Operator, ...]]:
        return _ramp.operators(hamiltonian, lattice, signs_N, self.ramp)

    def course(self) -> tuple[tuple[float, ...], bool]:
        from nqs_hpc.tasks.trajectory import times_of_output

        return tuple(times_of_output(self.t_end, self.spacing)), self.time == "imaginary"

    def _check_start(self, given: starts.State, context: Context) -> None:
        """Raise InputError if there is no such state, the network cannot represent it, or it does not evolve."""
        hamiltonian, lattice = context.hamiltonian, context.lattice
        basis = Basis(context.hilbert, hamiltonian.signs(lattice), hamiltonian.signs_key)
        a_N = starts.fields("task.initial", given, self.initial_bias, lattice, basis)
        if why := context.ansatz.why_not(a_N, lattice, basis):
            raise bad("task.initial", given, why)
        state = starts.product_state("task.initial", given, self.initial_bias, lattice, context.hilbert)
        if state.along_N.all() and not hamiltonian.joins(lattice):
            why = f"hamiltonian={hamiltonian.name} has no element off the diagonal, so such a state does not change"
            raise bad("task.initial", given, f"a state that is not along z: {why}")

    def start(self) -> tuple[str, Any] | None:
        return None if self.initial is None else ("task.initial", self.initial)

    @property
    def total_steps(self) -> None:
        return None

    def is_met(self, summary: Mapping[str, Any]) -> bool:
        try:
            if float(summary["time"]) >= self.t_end:
                return True
            return self.stop_at_error is not None and float(summary["bound"]) > self.stop_at_error
        except (KeyError, TypeError, ValueError):
            return False

    def solving(self, optimizer: Optimizer) -> Self:
        del optimizer
        return self

    @property
    def needs_jacobian(self) -> bool:
        return False

    def asked_solver(self) -> str:
        return self.solver

    def chosen_solver(self, size: Size, wide: int, memory: float) -> str:
        if self.solver != "auto":
            return self.solver
        n = min(size.n_rows, size.n_parameters)
        if 4.0 * n * n * wide > memory:  # the matrix, its eigenvectors, and the workspace of LAPACK
            if self.diag_shift > 0 and self.cut in ("auto", None) and self.signal_to_noise is None:
                return "cg"
            gib = 8.0 * n * n * wide / 2**30
            valid = f"cg with a task.diag_shift, or memory_gib of {gib:.1f}: the matrix of {n} rows does not fit"
            raise bad("task.solver", "auto", valid)
        return "samples" if size.n_rows < size.n_parameters else "parameters"

    def asked_blocks(self) -> str:
        return "auto"

    def _auto_cut(self, pieces: Pieces) -> float:
        if pieces.sampler.chain_length == 0:
            return CUT_OF_SUMS
        if self.initial is None:
            return CUT_OF_SAMPLES
        a_N = starts.fields("task.initial", self.initial, self.initial_bias, pieces.lattice, pieces.basis)
        of_a_move = starts.sites_of_a_move(pieces.hilbert)
        return float(min(CUT_OF_SAMPLES, BELOW_PAIRS * np.exp(-4.0 * of_a_move * np.abs(np.real(a_N)).max())))

    def projection(self, pieces: Pieces) -> Projection:
        """The projection of velocities, and of the inner steps of other methods. Those may adapt the shift, and then
        pass it instead of the number of a step.
        """
        from nqs_hpc.update.minsr import in_samples
        from nqs_hpc.update.spectral import Cut
        from nqs_hpc.update.sr import in_parameters

        ansatz, comm = pieces.ansatz, pieces.comm
        relative = self._auto_cut(pieces) if self.cut == "auto" else self.cut
        length = pieces.sampler.chain_length if self.signal_to_noise is not None else 0
        options: dict[str, Any] = {
            "diag_shift": lambda given: given if self.method.adapts else self.diag_shift,
            "cut": Cut(relative, signal_to_noise=self.signal_to_noise, chain_length=length),
            "chunk": pieces.chunk,
            "blocks": pieces.blocks or 1,
            "solve_dtype": pieces.solve_dtype,
        }
        if pieces.solver == "samples":
            return in_samples(ansatz, comm, solver="filter", **options)
        solver: Any = "filter" if pieces.solver == "parameters" else pieces.solver
        return in_parameters(ansatz, comm, solver=solver, **options)

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.tasks.straying import Limits

        if pieces.ansatz.kind in ("real", "signed"):  # of a network by import path this is known here at last
            if self.time == "real":
                valid = f"imaginary, or a network whose log psi is complex: {NOT_IN_REAL_TIME}"
                raise bad("task.time", self.time, valid)
            self._check_order()
        begin: dict[str, Any] = {}
        if (given := self.initial) is not None:
            begin = starts.begin_with(pieces, given, self.initial_bias)
        if self.kick is not None:
            begin["kick"] = kicked(self.kick, pieces.ansatz, pieces.hilbert.n_sites)
        return self.method.make(
            pieces,
            self.projection(pieces),
            integrator=self.integrator,
            least_shift=self.diag_shift,
            is_real=self.time == "real",
            t_end=self.t_end,
            spacing=self.spacing,
            limits=Limits(stop=self.stop_at_error),
            basis=pieces.basis,
            seed=pieces.seed,
            chunk=pieces.chunk,
            memory=pieces.memory,
            observables=pieces.observables(),
            is_driven=pieces.operator.at is not None,
            **begin,
        )
