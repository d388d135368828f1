"""Product states of sites with two values, as fields.

    psi(s) = prod_i exp(a_i x_i),     x_i = +1 for the upper local value, -1 for the lower:     e^{2 a_i} = up / down

on site i, so the state cos(theta/2) |up> + e^{i phi} sin(theta/2) |down> on the Bloch sphere has

    a = log(cos(theta/2) / sin(theta/2)) / 2 - i phi / 2.

Along z the field is infinite; it is cut off at a ``bias``, which leaves the weight exp(-4 bias) for the other value. A
change of a_i by i pi only changes the sign of psi for all states, so Im a_i is in (-pi/2, pi/2]. In a space with a
fixed total or excluded states we take the projection of the product state onto that space.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nqs_hpc.system.basis import Basis
from nqs_hpc.system.characters import Symmetry
from nqs_hpc.system.exchange import one_sign
from nqs_hpc.system.hilbert import Block, Hilbert, base_state, groups, members, violates
from nqs_hpc.system.lattice import Lattice, bipartition

NAMES = ("plus_x", "minus_x", "up", "down", "neel")

TINY = 1e-12  # smaller differences of phases or fields are rounding errors


class ProductState(NamedTuple):
    fields_N: NDArray[np.complex128]
    along_N: NDArray[np.int8]  # +1 if a site is up, -1 if it is down, 0 if it is neither


def named(name: str, lattice: Lattice, bias: float) -> ProductState:
    """One of `NAMES`: all spins equal, except that they alternate in neel, where site 0 is up. ValueError if nearest
    neighbours cannot alternate.
    """
    along = np.zeros(lattice.n_sites, dtype=np.int8)
    if name in ("up", "down"):
        along[:] = 1 if name == "up" else -1
    elif name == "neel":
        colour = bipartition(lattice)
        if colour is None:
            raise ValueError("needs a lattice whose nearest neighbours can alternate, which are of two sublattices")
        along = colour
    phase = np.pi / 2 if name == "minus_x" else 0.0
    return ProductState(np.asarray(bias * along + 1j * phase, dtype=np.complex128), along)


def of_angles(angles: ArrayLike, bias: float) -> ProductState:
    """The state with Bloch angles (N, 2), theta and phi in radians. A site along z has no phase."""
    theta, phi = np.asarray(angles, dtype=np.float64).T
    up, down = np.cos(theta / 2), np.sin(theta / 2)
    is_up, is_down = np.abs(down) < TINY, np.abs(up) < TINY
    along = is_up.astype(np.int8) - is_down.astype(np.int8)
    size = np.log(np.where(is_down, 1, np.abs(up))) - np.log(np.where(is_up, 1, np.abs(down)))
    size = np.where(along != 0, bias * along, np.clip(size / 2, -bias, bias))
    size[np.abs(size) < 1e-15] = 0.0  # theta = pi/2
    turn = np.where(up * down < 0, np.pi, 0.0) - phi
    return ProductState(reduced(size + 1j * np.where(along != 0, 0.0, turn / 2)), along)


def reduced(fields: ArrayLike) -> NDArray[np.complex128]:
    """The same state with Im a in (-pi/2, pi/2], rounded to 0 and pi/2 if near them."""
    a = np.asarray(fields, dtype=np.complex128)
    turns = a.imag / np.pi
    turns = turns - np.round(turns)
    turns = np.where(np.abs(np.abs(turns) - 0.5) < TINY, 0.5, np.where(np.abs(turns) < TINY, 0.0, turns))
    return np.asarray(a.real + 1j * np.pi * turns)


def in_basis(fields_N: NDArray[np.complex128], basis: Basis) -> NDArray[np.complex128]:
    """The fields of phi for given fields of psi = U phi (`system.basis`): up to a constant U is the product of exp(i pi
    x / 2) over the sites with a sign.
    """
    if basis.signs_N is None:
        return reduced(fields_N)
    return reduced(fields_N + np.where(basis.signs_N < 0, 0.5j * np.pi, 0.0))


def log_amplitude(fields_N: NDArray[np.complex128], hilbert: Hilbert, s: ArrayLike) -> NDArray[np.complex128]:
    """sum_i a_i x_i of configurations (..., N): (...)."""
    middle, half = affine(hilbert.local_values)
    return np.asarray((np.asarray(s) - middle) / half @ fields_N)


def affine(local_values: tuple[int, ...]) -> tuple[float, float]:
    """The middle of two local values and half their distance: x = (value - middle) / half. ValueError for others."""
    if len(local_values) != 2:
        raise ValueError(f"product states are of sites with two values, and these have {len(local_values)}")
    low, high = sorted(local_values)
    return (low + high) / 2, (high - low) / 2


def why_outside(along_N: NDArray[np.int8], hilbert: Hilbert) -> str:
    """Why a state has no component in the space; empty if it has one. ``along_N`` as in `ProductState`."""
    low, high = sorted(hilbert.local_values)[:: len(hilbert.local_values) - 1]
    fixed = {int(i): high if along_N[i] > 0 else low for i in np.flatnonzero(along_N)}
    if not fixed:
        return ""
    if len(fixed) == hilbert.n_sites:
        s_N = np.array([fixed[i] for i in range(hilbert.n_sites)], dtype=np.int8)
        found = bool(members(hilbert, s_N))
    else:
        found = _has_state_with(fixed, hilbert)
    total = "" if hilbert.total is None else f" of total {hilbert.total}"
    return "" if found else f"a state with a part in the space{total}, to which this one is orthogonal"


def _has_state_with(fixed: dict[int, int], hilbert: Hilbert) -> bool:
    """Whether a state has these values on these sites; each of these sites becomes a separate block."""
    empty = hilbert.local_values[0]
    first = np.array([fixed.get(i, empty) for i in range(hilbert.n_sites)], dtype=np.int8)
    if bool(violates(hilbert, first)):
        return False
    blocks = [Block((i,), value) for i, value in fixed.items()]
    for sites, total in groups(hilbert):
        free = tuple(i for i in sites if i not in fixed)
        if total is None:
            continue
        left = total - sum(fixed[i] for i in sites if i in fixed)
        if free:
            blocks.append(Block(free, left))
        elif left:
            return False
    if not any(total is not None for _, total in groups(hilbert)):
        return True  # all other sites can hold the first local value, which excludes nothing
    try:
        base_state(hilbert._replace(total=None, blocks=tuple(blocks)))
    except ValueError:
        return False
    return True


def character(
    fields_N: NDArray[np.complex128], perm: NDArray[np.integer], flip: int, hilbert: Hilbert
) -> complex | None:
    """chi with psi(g s) = chi psi(s) for all s of the space, if it exists; g moves the values of sites to ``perm``
    (N,), and flips all spins if ``flip`` is -1.

    With d_i = flip a_{perm(i)} - a_i the quotient is exp(sum_i d_i x_i): constant if every d_i is a multiple of i pi,
    or, with a fixed total, if all d_i of its sites are equal up to such multiples.
    """
    if not fields_N.any():
        return 1.0
    d_N = flip * fields_N[perm] - fields_N
    for sites, total in groups(hilbert):
        d = d_N[list(sites)]
        apart = reduced(d - (0 if total is None else d[0]))
        if np.abs(apart).max() > TINY:
            return None
    return complex(np.exp(log_amplitude(d_N, hilbert, base_state(hilbert))))


def is_in_sector(fields_N: NDArray[np.complex128], symmetry: Symmetry, hilbert: Hilbert) -> bool:
    """Whether psi(g s) = chi(g) psi(s) for all elements, with characters of dimension 1; for fermions with the sign of
    sorting, which must be the same for all states.
    """
    if symmetry.dimension != 1:
        return False
    sign_G = one_sign(hilbert, symmetry.perms).tolist()
    elements = zip(symmetry.perms, symmetry.flips.tolist(), symmetry.characters, sign_G, strict=True)
    for perm, flip, chi, sign in elements:
        found = character(fields_N, perm, flip, hilbert)
        if found is None or abs(sign * found - chi) > 1e-9:
            return False
    return True
