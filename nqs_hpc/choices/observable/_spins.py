"""What observables of spins ask of the sites."""

from __future__ import annotations

from nqs_hpc.choices.context import Context
from nqs_hpc.inputs.checks import bad


def check_spins(context: Context, prefix: str, name: str, *, halves: bool = False) -> None:
    """InputError where the sites hold no spins, or with ``halves`` where these are not spins 1/2."""
    values = context.hilbert.local_values
    two_s = len(values) - 1
    if values != tuple(range(two_s, -two_s - 1, -2)):
        raise bad(prefix, name, f"an observable that fits {context.hamiltonian.words}, such as density_correlations")
    if halves and two_s != 1:
        raise bad(prefix, name, "an observable that fits spins longer than 1/2, such as spin_correlations")
