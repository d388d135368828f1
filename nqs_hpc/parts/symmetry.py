"""Whether a Hamiltonian has the symmetries that a wave function is summed over, asked of its matrix elements."""

from __future__ import annotations

import numpy as np

from nqs_hpc.config.schema import Config
from nqs_hpc.config.symmetrize import key_of_group
from nqs_hpc.inputs.checks import bad
from nqs_hpc.operators.symmetric import broken
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.characters import Symmetry, with_spin_flip
from nqs_hpc.system.exchange import one_sign
from nqs_hpc.system.hilbert import Hilbert, are_spins
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.types import Operator


def check_symmetry(config: Config, symmetry: Symmetry, operator: Operator, hilbert: Hilbert) -> None:
    """Raise InputError where H does not commute with an element of the group, the same on every rank."""
    element = broken(operator, hilbert, symmetry)
    if element is None:
        return
    n_perms = len(symmetry.perms) // (1 if config.symmetrize.spin_flip is None else 2)
    if element >= n_perms:  # the permutations stand first, and have passed
        valid = "null: the Hamiltonian is another one for flipped spins"
        raise bad("symmetrize.spin_flip", config.symmetrize.spin_flip, valid)
    raise bad(*key_of_group(config), f"symmetries of the Hamiltonian, which {_moved(symmetry, element)}")


def check_network(config: Config, lattice: Lattice, operator: Operator, basis: Basis) -> None:
    """Raise InputError where H does not commute with what leaves the network as it is by construction, for then none of
    its ground states need be near any such wave function; the same on every rank.
    """
    own = None if config.ansatz.has_sector() else config.ansatz.invariance(lattice, basis)
    if own is not None and not one_sign(basis.hilbert, own).all():
        name = config.ansatz.name
        same = f"{name} is the same behind translations, which exchange fermions with a sign that depends on the state"
        raise bad("ansatz", name, f"one that tells sites apart, as rbm and mlp do: {same}")
    symmetry = of_network(config, lattice, basis)
    element = None if symmetry is None else broken(operator, basis.hilbert, symmetry)
    if symmetry is not None and element is not None:
        name = config.ansatz.name
        if symmetry.flips[element] < 0:
            same = "without biases psi(-s) = psi(s), and the Hamiltonian is another one for flipped spins"
            raise bad("ansatz", name, f"one with biases: {same}")
        same = f"{name} is the same behind translations, and the Hamiltonian {_moved(symmetry, element)}"
        raise bad("ansatz", name, f"one that tells sites apart, as rbm and mlp do: {same}")


def of_network(config: Config, lattice: Lattice, basis: Basis) -> Symmetry | None:
    """The sector that any network of this kind is of, whatever was asked for: of what leaves it as it is."""
    own = None if config.ansatz.has_sector() else config.ansatz.invariance(lattice, basis)
    turns = are_spins(basis.hilbert) and not basis.hilbert.paths  # of paths none is another one turned
    parity = 1 if config.ansatz.is_even() and turns else None
    if own is None and parity is None:
        return None
    if own is None:
        own = np.arange(lattice.n_sites, dtype=np.int32)[None]
    # of fermions psi(g s) = psi(s) is a sector where the sign of sorting is one number, which `check_network` sees to
    return with_spin_flip(own, one_sign(basis.hilbert, own).astype(np.complex128), parity)


def _moved(symmetry: Symmetry, element: int) -> str:
    sites = symmetry.perms[element]
    moved = int(np.argmax(sites != np.arange(len(sites))))
    return f"is another one where site {moved} goes to {sites[moved]}, ..."
