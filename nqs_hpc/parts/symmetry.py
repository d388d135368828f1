"""Whether a Hamiltonian has the symmetries that a wave function is summed over, asked of its matrix elements."""

from __future__ import annotations

import numpy as np

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
    if symmetry.flips[element] < 0:  # the permutations stand first, and have passed
        valid = "null: the Hamiltonian is another one for flipped spins"
        raise bad("symmetrize.spin_flip", config.symmetrize.spin_flip, valid)
    key, value = key_of_group(config)
    sites = symmetry.perms[element]
    moved = int(np.argmax(sites != np.arange(len(sites))))
    valid = f"symmetries of the Hamiltonian, which is another one where site {moved} goes to {sites[moved]}, ..."
    raise bad(key, value, valid)
