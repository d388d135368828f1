"""The second Renyi entropy of a region (`observables.renyi`)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from nqs_hpc.choices.context import Context
from nqs_hpc.choices.keys import Examples, key
from nqs_hpc.choices.observable.base import Observable
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system.layers import one_layer

if TYPE_CHECKING:
    from nqs_hpc.choices.pieces import Pieces
    from nqs_hpc.types import Observable as Functions


@dataclass(frozen=True)
class Renyi(Observable):
    """Resolved: ``region`` is a tuple of sites; for fermions with spin, of orbitals, each with two modes."""

    examples: ClassVar[Examples] = ({}, {"region": [0, 2]})
    region: tuple[int, ...] = key(
        checks.either("half", checks.list_of(checks.integer(least=0))),
        "sites whose entropy is measured, orbitals for fermions; half: the first half of them",
    )

    def resolved(self, context: Context, prefix: str) -> Self:
        n = one_layer(context.lattice).n_sites
        given: Any = self.region
        region = tuple(range(n // 2)) if given == "half" else tuple(sorted(given))
        if len(set(region)) < len(region) or max(region) >= n or len(region) == n:
            valid = f"half, or different sites from 0 to {n - 1}, not all of them"
            raise bad(f"{prefix}.region", given, valid)
        return dataclasses.replace(self, region=region)

    def make(self, pieces: Pieces) -> Functions:
        from nqs_hpc.observables.renyi import renyi_by_swap, renyi_exact

        sampler, n_ranks = pieces.sampler, pieces.comm.size
        n_orbitals = one_layer(pieces.lattice).n_sites
        region = [layer * n_orbitals + site for layer in range(pieces.lattice.layers) for site in self.region]
        if sampler.chain_length == 0:
            return one_line("sampler", "enumerate", lambda: renyi_exact(region, pieces.hilbert, chunk=pieces.chunk))
        n_chains = sampler.n_samples // sampler.chain_length
        if n_chains % (2 * n_ranks):
            name = "sampler.n_samples" if sampler.independent else "sampler.n_chains"
            why = f"observable=renyi compares pairs of chains, and each of the {n_ranks} ranks needs whole pairs"
            raise bad(name, n_chains, f"a multiple of {2 * n_ranks}: {why}")
        return renyi_by_swap(region, pieces.hilbert, chain_length=sampler.chain_length, chunk=pieces.chunk)
