"""What observables of spins and of fermions require of the sites."""

from __future__ import annotations

from nqs_hpc.choices.context import Context
from nqs_hpc.inputs.checks import bad


def check_spins(context: Context, prefix: str, name: str, *, halves: bool = False, of_fermions: bool = False) -> None:
    """InputError if the sites hold no spins, or, with ``halves``, other spins than 1/2; ``of_fermions``: spins of
    fermions are valid too.
    """
    if of_fermions and context.hilbert.fermionic and context.lattice.layers == 2:
        return
    values = context.hilbert.local_values
    two_s = len(values) - 1
    if values != tuple(range(two_s, -two_s - 1, -2)):
        raise bad(prefix, name, f"an observable that fits {context.hamiltonian.words}, such as density_correlations")
    if halves and two_s != 1:
        raise bad(prefix, name, "an observable that fits spins longer than 1/2, such as spin_correlations")


def check_fermions(context: Context, prefix: str, name: str, *, with_spin: bool = False) -> None:
    """InputError if the sites are not modes of fermions, or, ``with_spin``, if the fermions have none."""
    if not context.hilbert.fermionic:
        words = context.hamiltonian.words
        raise bad(prefix, name, f"an observable that fits {words}: this one is of fermions, as of hamiltonian=hubbard")
    if with_spin and context.lattice.layers != 2:
        raise bad(prefix, name, "an observable that fits fermions without spin, such as density_correlations")
