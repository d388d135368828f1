"""What samplers with Markov chains share: their keys, and their moves."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import key
from nqs_hpc.choices.sampler import _moves
from nqs_hpc.choices.sampler.base import LEAST_LADDERS, MAX_STATES, MOST_LADDERS, Sampler, SecondPlan
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.mappings import Range, Weights, one_or_weights, whole_or_range
from nqs_hpc.system.hilbert import Hilbert, dimension_up_to
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Ansatz, Operator
from nqs_hpc.types import Sampler as Functions

if TYPE_CHECKING:
    from nqs_hpc.parallel.comm import Comm
    from nqs_hpc.sampler.moves import Mixture, Proposal

FINAL_CHAIN_LENGTH = 64  # least samples per chain, because R-hat and tau mean nothing below


@dataclass(frozen=True)
class Chains(Sampler):
    of_several: ClassVar[bool] = True
    n_chains: int = key(checks.integer(least=2), "Markov chains over all ranks; errors come from their spread")
    n_samples: int = key(checks.integer(), "samples per step over all ranks, a multiple of n_chains")
    sweep: int | Range = key(
        checks.either("auto", checks.either("adaptive", whole_or_range())),
        "proposals between two samples of a chain; auto: the number of sites; adaptive: from a quarter of that to 16 "
        "times it, or within {least: A, most: B}, as many as make samples nearly independent",
    )
    warmup: int = key(checks.integer(least=0), "sweeps before the first sample of a fresh chain")
    move: str | Weights = key(
        checks.either("auto", one_or_weights(*_moves.MOVES)),
        "move, or {NAME: weight, ...}: flip (another value of one site), exchange (of spins), hop (of a boson or a "
        "fermion), pair_hop (of both fermions of a site), heat_bath (one site, in a sector two, takes "
        "any of its values by their probabilities), plaquette (four spins, for toric_code a star), global_flip, "
        "hamiltonian (as H connects); auto: in a sector exchange or hop, both if no site holds two fermions, else "
        "flip, with exchange or hop if sector=auto leaves a conserved total open",
    )
    move_range: int | str | None = key(
        checks.optional(checks.either(_moves.ANY, checks.integer(below=101))),
        "the two sites of exchange, hop, pair_hop and, in a sector, heat_bath: neighbours up to this order; "
        "any: any two sites; null: nearest neighbours",
        physics="given",
    )

    power: float | None = key(
        checks.optional(checks.number(above=0, most=2)),
        "the chains sample |psi|^p with this power p, and samples have the weights |psi|^(2 - p); below 2 they visit "
        "states where psi is small more often; 2, or null: |psi|^2",
        physics="given",
    )

    @property
    def exponent(self) -> float:
        return 2.0 if self.power is None else self.power

    def resolved(self, context: Context) -> Self:
        refuse_one_state(context)
        known = dataclasses.replace(super().resolved(context), power=None if self.power == 2 else self.power)
        move = _moves.resolved(self.move, self.move_range, context)
        if self.n_chains % context.n_ranks:
            raise bad("sampler.n_chains", self.n_chains, f"a multiple of the {context.n_ranks} ranks")
        if self.n_samples % self.n_chains:
            raise bad("sampler.n_samples", self.n_samples, f"a multiple of sampler.n_chains={self.n_chains}")
        return dataclasses.replace(known, move=move, sweep=known.proposals(context.hilbert.n_sites))

    def proposals(self, n_sites: int) -> int | Range:
        """Proposals between two samples, resolved."""
        sweep: Any = self.sweep
        if sweep == "auto":
            return n_sites
        if sweep == "adaptive" or isinstance(sweep, Range):
            if self.is_weighted:
                why = "the correlation of weighted samples does not determine it (sampler.blur=null, sampler.power=2)"
                raise bad("sampler.sweep", plain(sweep), f"auto, or a whole number: {why}")
            if self.n_samples < 2 * self.n_chains:
                few = f"sampler.n_samples={self.n_samples} of sampler.n_chains={self.n_chains}"
                valid = f"auto, or a whole number, below two samples a chain ({few})"
                raise bad("sampler.sweep", plain(sweep), valid)
            return Range(max(1, n_sites // 4), 16 * n_sites) if sweep == "adaptive" else sweep
        return int(sweep)

    def samples_a_step(self, hilbert: Hilbert) -> int:
        return self.n_samples

    def check_samples(self, most: int, hilbert: Hilbert, why: str) -> None:
        if self.n_samples > most:
            raise bad("sampler.n_samples", self.n_samples, why)

    def final_chain_length(self, final_samples: int) -> int:
        return max(FINAL_CHAIN_LENGTH, -(-final_samples // self.n_chains))

    def second(self, hilbert: Hilbert) -> SecondPlan:
        """Ladders of four replicas each, a quarter as many as chains."""
        n_chains = min(max(self.n_chains // 4, LEAST_LADDERS), MOST_LADDERS)
        return SecondPlan(n_chains, self.sweep if isinstance(self.sweep, int) else hilbert.n_sites, self.warmup)

    def check_several(self, n: int, context: Context) -> None:
        if self.n_chains % n or self.n_chains < 2 * n:
            valid = f"a multiple of the {n} lists of couplings, at least twice as many: each has chains of its own"
            raise bad("sampler.n_chains", self.n_chains, valid)
        if n % context.n_ranks and context.n_ranks % n:
            valid = f"as many values as divide the number of ranks, {context.n_ranks}, or a multiple of that: not {n}"
            raise bad("task.couplings", context.task.couplings.plain(), valid)  # type: ignore[attr-defined]

    def several(
        self,
        ansatz: Ansatz,
        couplings_KG: NDArray[np.float64],
        lattice: Lattice,
        hilbert: Hilbert,
        comm: Comm,
        *,
        operator: Operator,
        chunk: int | None,
    ) -> Functions:
        from nqs_hpc.ansatz.couplings import carrying
        from nqs_hpc.parallel.comm import serial
        from nqs_hpc.sampler.each import chains_of_each, groups_of_chains

        groups = groups_of_chains(couplings_KG, comm.size)
        blocks = comm.size * groups.n_local
        block = dataclasses.replace(self, n_chains=self.n_chains // blocks, n_samples=self.n_samples // blocks)
        made = block.make(carrying(ansatz), lattice, hilbert, serial(), operator=operator, chunk=chunk)
        return chains_of_each(made, groups, comm)

    def moves(self, operator: Operator, lattice: Lattice, hilbert: Hilbert) -> Proposal | Mixture:
        return _moves.make(self.move, self.move_range, operator, lattice, hilbert)


def refuse_one_state(context: Context) -> None:
    """Raise InputError if there is nothing to sample."""
    if dimension_up_to(context.hilbert, MAX_STATES) == 1:
        raise bad("sector", context.sector, "a sector of more than one state, or sampler=enumerate")


def plain(sweep: str | Range) -> Any:
    return sweep._asdict() if isinstance(sweep, Range) else sweep
