"""What a compiled program sends: its collectives with how often each is executed and how many bytes go in.

Read off the traced program, so that the promise of few collectives a step can be checked without a network, for any
number of ranks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from jax.extend.core import jaxprs_in_params

# The primitives of mpi4jax by the names of MPI.
KINDS = {"allreduce_mpi": "allreduce", "allgather_mpi": "allgather", "alltoall_mpi": "alltoall", "bcast_mpi": "bcast"}


class Collective(NamedTuple):
    """One collective of a program."""

    kind: str
    n_bytes: int  # handed in by each rank, at one execution
    times: int  # executions: the lengths of the loops around it multiplied
    in_while: bool  # inside a loop whose length is decided as it runs: ``times`` is then per iteration


def collectives(jaxpr: Any, times: int = 1, in_while: bool = False) -> list[Collective]:
    """All collectives of a jaxpr and of those inside it. A branch counts as if it were taken."""
    found = []
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name in KINDS:
            n_bytes = sum(v.aval.size * v.aval.dtype.itemsize for v in equation.invars if hasattr(v.aval, "dtype"))
            found.append(Collective(KINDS[name], int(n_bytes), times, in_while))
            continue
        inner_times = times * equation.params["length"] if name == "scan" else times
        for inner in jaxprs_in_params(equation.params):
            found += collectives(inner, inner_times, in_while or name == "while")
    return found
