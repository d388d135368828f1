"""The collectives of a compiled program: how often each is executed, and how many bytes each rank sends.

They are read from the traced program, so we can check the number of collectives per step without a network, for any
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
    n_bytes: int  # sent by each rank in one execution
    times: int  # executions: the product of the lengths of the loops around it
    in_while: bool  # inside a loop whose length is decided at run time: ``times`` is then per iteration


def collectives(jaxpr: Any, times: int = 1, in_while: bool = False) -> list[Collective]:
    """All collectives of a jaxpr, nested ones included. A branch counts as taken."""
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
