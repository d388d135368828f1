"""Where the lowest level of a whole space is: its total, momentum, representation and parity.

A vector v of the level is projected on one sector after another, first totals, then P_chi v(s) = (d / |G|) sum_g
chi*(g) v(g s) of each character of a group, of fermions with the sign of sorting (`system.exchange`). A sector in which
something of v is left holds the level, for the projections commute with H. Of several, as a degenerate level has, the
first is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system.basis import Basis, signs_of_states
from nqs_hpc.system.characters import Characters, Symmetry, momentum
from nqs_hpc.system.exchange import image
from nqs_hpc.system.hilbert import Block, Hilbert, codes, decode, encode
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.layers import exchanged
from nqs_hpc.system.spaces import constrained
from nqs_hpc.system.symmetry import translations

HELD = 1e-6  # of the norm squared: a vector that is not of a sector has some 1e-12 of it by rounding


class Vector(NamedTuple):
    """A physical wave function on the states of one space."""

    hilbert: Hilbert
    codes_n: NDArray[np.int64]
    s_nN: NDArray[np.int8]
    psi_n: NDArray[np.complex128]


def vector(basis: Basis, phi_n: NDArray[np.floating | np.complexfloating]) -> Vector:
    """psi = U phi of phi in the order of ``codes(basis.hilbert)``."""
    codes_n = codes(basis.hilbert)
    s_nN = decode(basis.hilbert, codes_n)
    return Vector(
        basis.hilbert, codes_n, s_nN, signs_of_states(basis, s_nN).astype(np.complex128) * phi_n.astype(np.complex128)
    )


def is_in(hilbert: Hilbert, phi_n: NDArray[np.floating | np.complexfloating], symmetry: Symmetry) -> bool:
    """Whether something of a vector is of a one-dimensional sector, in the basis of both."""
    codes_n = codes(hilbert)
    s_nN = decode(hilbert, codes_n)
    total_n = np.zeros(len(codes_n), dtype=np.complex128)
    for perm, flip, character in zip(symmetry.perms, symmetry.flips, symmetry.characters, strict=True):
        moved_nN, sign_n = image(hilbert, perm, flip, s_nN)
        total_n += np.conj(character) * sign_n * phi_n[np.searchsorted(codes_n, encode(hilbert, moved_nN))]
    return bool(np.linalg.norm(total_n / len(symmetry.perms)) ** 2 > HELD)


def of_one_total(v: Vector, layers: int = 1) -> Vector:
    """What of v has the least total that holds the level, of two opposite ones the positive one. Of several ``layers``
    each has a total, as fermions with spin up and down.
    """
    totals_nL = v.s_nN.reshape(len(v.s_nN), layers, -1).sum(axis=2, dtype=np.int64)
    totals, number_n = np.unique(totals_nL, axis=0, return_inverse=True)
    weights = np.bincount(number_n.ravel(), np.abs(v.psi_n) ** 2, len(totals))
    held = [(k, total) for k, total in enumerate(totals.tolist()) if weights[k] > HELD]
    k, total = min(held, key=lambda one: (sum(map(abs, one[1])), [-t for t in one[1]]))
    kept_n = number_n.ravel() == k
    n = v.hilbert.n_sites // layers
    blocks = [Block(tuple(range(layer * n, (layer + 1) * n)), t) for layer, t in enumerate(total)]
    inside = (
        v.hilbert._replace(total=total[0])
        if layers == 1
        else constrained(v.hilbert, blocks=blocks, excluded=v.hilbert.excluded)
    )
    return Vector(inside, v.codes_n[kept_n], v.s_nN[kept_n], _normalised(v.psi_n[kept_n]))


def of_one_momentum(v: Vector, lattice: Lattice) -> tuple[tuple[int, ...], Vector]:
    """The first momentum that holds the level."""
    extent = [length for length, closed in zip(lattice.extent, lattice.pbc, strict=True) if closed]
    images_Gn = _images(v, translations(lattice))
    for k in product(*map(range, extent)):
        if (part := _projected(images_Gn, momentum(lattice, k))) is not None:
            return k, v._replace(psi_n=part)
    raise AssertionError("no momentum holds a vector that is not 0")


def of_one_irrep(v: Vector, perms: NDArray[np.integer], irreps: Mapping[str, Characters]) -> tuple[str | None, Vector]:
    """The first representation of a group of permutations that holds the level, None if none is known to."""
    images_Gn = _images(v, perms)
    for name, characters in irreps.items():
        if (part := _projected(images_Gn, characters)) is not None:
            return name, v._replace(psi_n=part)
    return None, v


def of_one_parity(v: Vector) -> int:
    """1 or -1 under the flip of all spins."""
    n, is_fermionic = v.hilbert.n_sites, v.hilbert.fermionic
    flipped_n = _moved(v, exchanged(n) if is_fermionic else np.arange(n, dtype=np.int32), 1 if is_fermionic else -1)
    return 1 if np.linalg.norm(v.psi_n + flipped_n) ** 2 / 4 > HELD else -1


def _images(v: Vector, perms: NDArray[np.integer]) -> NDArray[np.complex128]:
    """(G, n) v(g s), of fermions with the sign of sorting."""
    return np.stack([_moved(v, perm, 1) for perm in perms])


def _moved(v: Vector, perm: NDArray[np.integer], flip: int) -> NDArray[np.complex128]:
    moved_nN, sign_n = image(v.hilbert, perm, flip, v.s_nN)
    return np.asarray(sign_n * v.psi_n[np.searchsorted(v.codes_n, encode(v.hilbert, moved_nN))])


def _projected(images_Gn: NDArray[np.complex128], characters: Characters) -> NDArray[np.complex128] | None:
    """What of a vector has these characters, normalised; None if nothing has."""
    part = characters[0].real / len(characters) * (characters.conj() @ images_Gn)
    return _normalised(part) if np.linalg.norm(part) ** 2 > HELD else None


def _normalised(psi_n: NDArray[np.complex128]) -> NDArray[np.complex128]:
    return np.asarray(psi_n / np.linalg.norm(psi_n))
