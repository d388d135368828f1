"""The sector: which conserved total is sampled."""

from __future__ import annotations

from typing import Any

from nqs_hpc import schema
from nqs_hpc.checks import bad
from nqs_hpc.resolve.hamiltonian import conserves, make_hilbert
from nqs_hpc.resolve.line import one_line
from nqs_hpc.schema import Config


def resolve_sector(config: Config, n_sites: int) -> int | None:
    """The conserved total, None for all states; raises InputError."""
    given: Any = config.sector
    conserved = conserves(config.hamiltonian)
    hamiltonian = config.hamiltonian
    if given == "auto" and isinstance(hamiltonian, schema.BoseHubbard):
        return n_sites if hamiltonian.n_max > 1 else n_sites // 2
    if given == "auto":
        return n_sites % 2 if conserved else None
    if given is None or given == "none":
        return None
    if not conserved:
        why = " with h other than 0" if hamiltonian.name == "ising" else ""
        raise bad(
            "sector",
            given,
            f"auto or none: hamiltonian={hamiltonian.name}{why} does not conserve the total magnetisation",
        )
    if isinstance(hamiltonian, schema.BoseHubbard) and not 0 <= given <= hamiltonian.n_max * n_sites:
        most = f"{hamiltonian.n_max * n_sites} bosons, hamiltonian.n_max={hamiltonian.n_max} on each of {n_sites} sites"
        raise bad("sector", given, f"auto, none, or 0 to {most}")
    one_line("sector", given, lambda: make_hilbert(hamiltonian, n_sites, given))
    return int(given)
