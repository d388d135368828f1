"""Orthonormal states of one row of an irreducible representation, for its lowest energy at 1/d of the dimension.

A level of a d-dimensional representation is d-fold degenerate, and H mixes only states of one row. A row is singled out
by an element a of the group whose eigenvalue lambda, lambda^m = 1, occurs once in the representation:

    e = P_chi P_lambda,     P_chi = (d / |G|) sum_g chi(g) g,     P_lambda = (1 / m) sum_j lambda^j a^j.

P_chi commutes with everything in the group, so e is an orthogonal projector and commutes with H: M. Tinkham, Group
Theory and Quantum Mechanics (1964), section 3-8. Where no eigenvalue occurs once, the one that occurs least often is
taken, and levels come out as many times.

e acts within orbits of basis states. With r one state of an orbit, e |h r> = sum_x c(x h^-1) |x r>, so its image on an
orbit on which the group acts freely is that of one matrix for all such orbits; if the elements of S leave r as it is,
entries of x and x s are added. Of fermions x r comes with the sign of sorting (`system.exchange`), in the sum s r.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from nqs_hpc.system.characters import Symmetry
from nqs_hpc.system.exchange import image
from nqs_hpc.system.groups import inverses, product_table, rounded
from nqs_hpc.system.hilbert import Hilbert, codes, decode, encode

SMALL = 1e-9  # of a singular value, beside values of order 1


def row_basis(hilbert: Hilbert, symmetry: Symmetry) -> csr_matrix:
    """(n_states, n) orthonormal states of one row of a sector, in the order of ``codes(hilbert)``.

    float64 where the characters and lambda are real, else complex128. n is the number of states of the sector over its
    dimension, where an eigenvalue occurs once. ValueError if the elements are not a group.
    """
    table = product_table(_with_flips(symmetry))
    image_GR = _image(table, symmetry)
    codes_n = codes(hilbert)
    s_nN = decode(hilbert, codes_n)
    lowest_n = codes_n.copy()
    for perm, flip in zip(symmetry.perms, symmetry.flips, strict=True):
        np.minimum(lowest_n, encode(hilbert, image(hilbert, perm, flip, s_nN)[0]), out=lowest_n)
    first = np.flatnonzero(lowest_n == codes_n)  # one state of each orbit
    images = [image(hilbert, perm, f, s_nN[first]) for perm, f in zip(symmetry.perms, symmetry.flips, strict=True)]
    places_oG = np.stack([np.searchsorted(codes_n, encode(hilbert, moved)) for moved, _ in images], axis=1)
    sign_oG = np.stack([sign for _, sign in images], axis=1)
    stay_oG = np.where(places_oG == first[:, None], sign_oG, 0)
    _, of_orbit = np.unique(stay_oG, axis=0, return_inverse=True)
    rows: list[NDArray[Any]] = []
    columns: list[NDArray[Any]] = []
    values: list[NDArray[Any]] = []
    n = 0
    for kind in range(int(of_orbit.max()) + 1):
        members = np.flatnonzero(of_orbit.reshape(-1) == kind)
        cosets, v_XR = _collapsed(table, stay_oG[members[0]], image_GR)
        n_rows, n_new = v_XR.shape
        if n_new == 0:
            continue
        shape = (len(members), n_rows, n_new)
        rows.append(np.broadcast_to(places_oG[members][:, cosets, None], shape).ravel())
        numbers = n + np.arange(len(members) * n_new).reshape(len(members), 1, n_new)
        columns.append(np.broadcast_to(numbers, shape).ravel())
        values.append(np.where(sign_oG[members][:, cosets, None] < 0, -v_XR[None], v_XR[None]).ravel())
        n += len(members) * n_new
    if not n:
        return csr_matrix((len(codes_n), 0), dtype=image_GR.dtype)
    places = (np.concatenate(rows), np.concatenate(columns))
    return csr_matrix((np.concatenate(values), places), shape=(len(codes_n), n))


def _with_flips(symmetry: Symmetry) -> NDArray[np.int32]:
    """The elements as permutations: a flip exchanges two sites more."""
    n = symmetry.perms.shape[1]
    ends = np.where(symmetry.flips[:, None] < 0, [[n + 1, n]], [[n, n + 1]])
    return np.concatenate([symmetry.perms, ends], axis=1).astype(np.int32)


def _image(table: NDArray[np.int32], symmetry: Symmetry) -> NDArray[Any]:
    """(G, R) that span the image of e on the group's own states |x>."""
    size, inverse = len(table), inverses(table)
    powers, weights = _eigenvalue(table, symmetry.characters)
    c_G = np.zeros(size, dtype=np.complex128)
    for element, weight in zip(powers, weights, strict=True):  # c(y) of chi(y a^-j) lambda^j
        c_G += weight * symmetry.characters[table[:, inverse[element]]]
    c_G *= symmetry.dimension / (size * len(powers))
    c_G = rounded(c_G)
    coefficients_G: NDArray[Any] = c_G if np.iscomplex(c_G).any() else c_G.real
    rank = round(size * c_G[0].real)  # the trace of e, the identity being element 0
    mixed = coefficients_G[table[:, inverse]] @ np.random.default_rng(0).normal(size=(size, rank))
    return np.asarray(np.linalg.qr(mixed)[0])


def _eigenvalue(table: NDArray[np.int32], characters: NDArray[np.complex128]) -> tuple[list[int], list[complex]]:
    """The powers a^j of an element, and lambda^j of an eigenvalue that occurs least often in the representation; of
    several a real one.
    """
    best: tuple[tuple[int, bool, int], list[int], list[complex]] | None = None
    for element in range(len(table)):
        powers = [0]
        while (following := int(table[element, powers[-1]])) != 0:
            powers.append(following)
        m = len(powers)
        for k in range(m):
            weights = np.exp(2j * np.pi * k * np.arange(m) / m)
            times = round(float((weights * characters[powers].conj()).sum().real) / m)
            rank = (times, 2 * k % m != 0, m)
            if times > 0 and (best is None or rank < best[0]):
                best = rank, powers, rounded(weights).tolist()
    assert best is not None, "the identity has an eigenvalue in every representation"
    return best[1], best[2]


def _collapsed(
    table: NDArray[np.int32], stays_G: NDArray[np.int8], image_GR: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Elements x whose x r are the states of an orbit, and what of the image is left there, (X, R') orthonormal.

    ``stays_G``: the signs of the elements that leave r as it is, 0 for the others.
    """
    same_GS = table[:, stays_G != 0]  # x s for s that leave r as it is
    cosets, of_element = np.unique(same_GS.min(axis=1), return_inverse=True)
    sign_G = stays_G[stays_G != 0][same_GS.argmin(axis=1)]  # of s with x s the one that stands for the coset
    summed = np.zeros((len(cosets), image_GR.shape[1]), dtype=image_GR.dtype)
    np.add.at(summed, of_element.reshape(-1), sign_G[:, None] * image_GR)
    u, sizes, _ = np.linalg.svd(summed, full_matrices=False)
    return cosets, u[:, sizes > SMALL]
