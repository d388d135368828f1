"""Whether a Hamiltonian has the symmetries that a wave function is summed over, asked of its matrix elements."""

from __future__ import annotations

from nqs_hpc import schema
from nqs_hpc.checks import bad
from nqs_hpc.operators.symmetric import broken
from nqs_hpc.resolve.symmetry import key_of_group
from nqs_hpc.system.characters import Symmetry
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.types import Operator


def check_symmetry(config: schema.Config, symmetry: Symmetry, operator: Operator, hilbert: Hilbert) -> None:
    """Raise InputError where H does not commute with an element of the group, the same on every rank."""
    element = broken(operator, hilbert, symmetry)
    if element is None:
        return
    key, value = key_of_group(config)
    flipped = symmetry.flips[element] < 0
    if flipped and broken(operator, hilbert, symmetry._replace(perms=symmetry.perms[:1], flips=symmetry.flips[element:][:1])) is not None:
        raise bad("symmetrize.spin_flip", config.symmetrize.spin_flip, "null: the Hamiltonian is another for flipped spins")
    sites = symmetry.perms[element]
    moved = int((sites != range(len(sites))).argmax())
    valid = f"a group of symmetries of the Hamiltonian, which is another where site {moved} goes to {sites[moved]}"
    raise bad(key, value, valid)
