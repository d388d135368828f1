"""Characters of a symmetry sector from its names: momentum, irreducible representation and parity.

Names refer to the physical wave function. The network is a function in the basis of the ansatz, where Marshall's rule
changes characters (`system.basis`), so names are translated here, key by key. The name null means the trivial
representation in the basis of the ansatz: by Marshall's theorem the sector of the ground state.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.line import one_line
from nqs_hpc.system.automorphisms import is_searched
from nqs_hpc.system.basis import Basis, sign_of_flip, signs_of_permutations
from nqs_hpc.system.characters import Characters, chosen, momentum, momentum_of, point_irreps, space_group
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.symmetry import translations


def sector(
    prefix: str, group: str, k: tuple[int, ...] | None, irrep: str | None, lattice: Lattice, basis: Basis
) -> tuple[NDArray[np.int32], Characters]:
    """The permutations of a group of the lattice, and the chosen characters in the basis of the ansatz."""
    if is_searched(lattice) and group != "point_group" and (lattice.edges is not None or group != "translations"):
        few = "null or point_group" if prefix == "symmetrize" else "translations"
        all_of_them = "; point_group is all its symmetries" if prefix == "symmetrize" else ""
        raise bad(f"{prefix}.group", group, f"{few} with {lattice.told}, which has no unit cell{all_of_them}")
    if group == "point_group":
        perms, irreps = one_line(f"{prefix}.group", group, lambda: point_irreps(lattice))
        return perms, turned(prefix, chosen_irrep(prefix, irreps, irrep), irrep, perms, basis)
    physical, of_ansatz = _momenta(prefix, k, irrep, lattice, basis)
    if group == "translations":
        return translations(lattice), momentum(lattice, of_ansatz)
    # point operations do not change the signs of translations, so the same ones keep both momenta
    perms, irreps = space_group(lattice, of_ansatz if irrep is None else physical)
    return perms, turned(prefix, chosen_irrep(prefix, irreps, irrep), irrep, perms, basis)


def _momenta(
    prefix: str, k: tuple[int, ...] | None, irrep: str | None, lattice: Lattice, basis: Basis
) -> tuple[tuple[int, ...] | None, tuple[int, ...] | None]:
    """The momentum of psi and that of the ansatz; null means 0 in the basis of the ansatz."""
    moves, key = translations(lattice), f"{prefix}.momentum"
    characters = one_line(key, k, lambda: momentum(lattice, k))
    if k is None and irrep is None:
        return None, None
    signs = _signs(f"{prefix}.irrep", irrep, moves, basis) if k is None else _signs(key, k, moves, basis)
    if (signs == 1).all():
        return k, k
    other = momentum_of(lattice, characters * signs)
    return (other, None) if k is None else (k, other)


def turned(
    prefix: str, characters: Characters, irrep: str | None, perms: NDArray[np.int32], basis: Basis
) -> Characters:
    """The characters, in the basis of the ansatz, of a physical representation given by name; null is trivial."""
    if irrep is None:
        return characters
    signs = _signs(f"{prefix}.irrep", irrep, perms, basis)
    return characters if (signs == 1).all() else characters * signs + 0.0


def _signs(key: str, value: Any, perms: NDArray[np.int32], basis: Basis) -> NDArray[np.int8]:
    """U(g s) / U(s) of each permutation; InputError of ``key`` if one of them depends on s."""
    signs = signs_of_permutations(basis, perms)
    if not signs.all():
        if basis.hilbert.total is None:
            how, why = "a fixed total in place of sector=none, ", "of all totals"
        else:
            how, why = "", "of one total"
        rule = f"with the signs of {basis.key} the states {why} do not share one such name"
        valid = f"null, {how}or {basis.key}=false: {rule}"
        raise bad(key, value, valid)
    return signs


def parity(spin_flip: int | None, basis: Basis) -> int | None:
    """psi(-s) / psi(s) in the basis of the ansatz."""
    return None if spin_flip is None else spin_flip * sign_of_flip(basis)


def chosen_irrep(prefix: str, irreps: dict[str, Characters], name: str | None) -> Characters:
    if not irreps:
        raise bad(f"{prefix}.irrep", name, "another momentum: on this lattice no representation has this one")
    if name is not None and name not in irreps:
        raise bad(f"{prefix}.irrep", name, f"null, {', '.join(irreps)}")
    return chosen(irreps, name)
