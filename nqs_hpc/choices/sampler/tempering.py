"""sampler=tempering: replicas of powers of |psi|^2 that swap (`sampler.tempering`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.choices.sampler._chains import Chains, plain
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.mappings import Range
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz, Operator
from nqs_hpc.types import Sampler as Functions

if TYPE_CHECKING:
    from nqs_hpc.parallel.comm import Comm


@dataclass(frozen=True)
class Tempering(Chains):
    """``n_chains`` ladders of replicas with a fixed number of proposals."""

    examples: ClassVar[Examples] = (
        {"n_replicas": 3, "n_chains": 8, "n_samples": 32},
        {"n_replicas": 3, "n_chains": 8, "n_samples": 32, "spacing": "adaptive"},
    )
    n_replicas: int = key(checks.integer(least=2), "replicas of each chain; they sample powers beta of |psi|^2")
    beta_min: float = key(checks.number(above=0, below=1), "the lowest beta; the highest is 1")
    spacing: Literal["geometric", "linear", "adaptive"] = key(
        checks.choice("geometric", "linear", "adaptive"),
        "betas with equal ratios or equal differences; adaptive: geometric first, then such that all neighbours swap "
        "equally often",
    )

    def resolved(self, context: Context) -> Self:
        if self.spacing == "adaptive" and self.n_replicas == 2:
            raise bad(
                "sampler.spacing", "adaptive", "geometric or linear where sampler.n_replicas=2: both betas are ends"
            )
        return super().resolved(context)

    def proposals(self, n_sites: int) -> int | Range:
        sweep: Any = self.sweep
        if sweep == "adaptive" or isinstance(sweep, Range):
            raise bad("sampler.sweep", plain(sweep), "auto, or a whole number, with sampler=tempering")
        return super().proposals(n_sites)

    def make(
        self,
        ansatz: Ansatz,
        lattice: Lattice,
        hilbert: Hilbert,
        comm: Comm,
        *,
        operator: Operator,
        chunk: int | None,
    ) -> Functions:
        from nqs_hpc.sampler.tempering import ladder, tempering

        return tempering(
            ansatz,
            self.moves(operator, lattice, hilbert),
            hilbert,
            comm,
            betas=ladder(self.n_replicas, self.beta_min, self.spacing),
            adaptive=self.spacing == "adaptive",
            n_chains=self.n_chains,
            n_samples=self.n_samples,
            sweep=self.sweep,  # type: ignore[arg-type]  # a number: checked
            warmup=self.warmup,
            power=self.exponent,
        )
