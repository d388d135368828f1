"""Symmetry sectors: a group of site permutations, with or without spin flip, and a character chi of the group.

A wave function of the sector satisfies, with g moving values along (`symmetry`),

    psi(g s) = chi(g) psi(s)            where chi(1) = 1,

and in general psi(s) = (d / |G|) sum_g chi*(g) psi(g s) with d = chi(1). For fermions psi(g s) includes the sign of
sorting (`exchange`), here and below. A translation by t cells of momentum k, whole
numbers k_i of 2 pi / L_i along the periodic directions, has chi(t) = exp(-2 pi i sum_i k_i t_i / L_i). A product t p of
a point operation p and a translation t has chi(t) chi(p) if p keeps k; other p are left out, which leaves the little
group of k. Irreducible representations of point groups have Mulliken's names (J. Chem. Phys. 23, 1997 (1955),
doi:10.1063/1.1740655):

    A, B                          even and odd, of groups of two elements
    A1, A2, (B1, B2), E or E1..   of C_nv in the plane: A and B are 1 and -1 under the rotation by 2 pi / n, 1 and 2
                                  for A are 1 and -1 under mirrors, for B under those through the x axis (or through
                                  the first axis from it on), which on the square lattice keep the bonds' directions
    A1, A2.., E1.., T1..          of all other groups: by dimension, in the order of `groups.character_table`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.inputs import reading
from nqs_hpc.system.automorphisms import is_searched, symmetries
from nqs_hpc.system.groups import character_table, product_table, rounded
from nqs_hpc.system.hilbert import Hilbert, are_spins, groups
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.layers import exchanged
from nqs_hpc.system.symmetry import point_operations, translations

Characters = NDArray[np.complex128]

MAX_ELEMENTS = 512  # of a group whose characters are computed from its products


class Symmetry(NamedTuple):
    """A sector: its group, the identity first, and a character; the same on every rank."""

    perms: NDArray[np.int32]  # (G, N): where sites go
    flips: NDArray[np.int8]  # (G,): -1 if all spins are also flipped, else 1
    characters: Characters  # (G,)

    @property
    def dimension(self) -> int:
        """The dimension of the irreducible representation; above 1 psi(g s) is not a multiple of psi(s)."""
        return round(self.characters[0].real)

    @property
    def is_trivial(self) -> bool:
        """Whether all characters are 1: up to signs of fermions psi(g s) = psi(s) for all g."""
        return bool(np.all(self.characters == 1))


def momentum(lattice: Lattice, k: Sequence[int] | None) -> Characters:
    """The character of each of ``translations(lattice)`` at momentum ``k``, a whole number for each periodic direction
    in units of 2 pi / L; None is 0. ValueError for a wrong number of components.
    """
    extent = [length for length, closed in zip(lattice.extent, lattice.pbc, strict=True) if closed]
    k = (0,) * len(extent) if k is None else tuple(k)
    if len(k) != len(extent):
        directions = f"{len(extent)} periodic direction{'s' * (len(extent) != 1)}"
        raise ValueError(f"{len(k)} numbers; valid: one for each of {directions}")
    steps = np.stack(np.unravel_index(np.arange(int(np.prod(extent, initial=1))), extent or (1,), order="F"), axis=1)
    turns = steps @ np.array([k_i / length for k_i, length in zip(k, extent, strict=True)] or [0.0])
    return rounded(np.exp(-2j * np.pi * turns))


def momentum_of(lattice: Lattice, characters: Characters) -> tuple[int, ...]:
    """The momentum k of the characters of ``translations(lattice)``, 0 <= k_i < L_i: the inverse of `momentum`."""
    extent = [length for length, closed in zip(lattice.extent, lattice.pbc, strict=True) if closed]
    strides = [int(np.prod(extent[:i], initial=1)) for i in range(len(extent))]
    # a direction with a single cell has momentum 0, and there may be no such row after the last direction
    steps = (-np.angle(characters[stride % len(characters)]) / (2 * np.pi) for stride in strides)
    return tuple(round(turn * length) % length for turn, length in zip(steps, extent, strict=True))


def stars(lattice: Lattice, points: NDArray[np.int32], *, with_opposite: bool) -> list[list[tuple[int, ...]]]:
    """All momenta, in sets that the point operations ``points`` (G, N) map into each other, including -k if it has the
    same energies, as for a real H; sorted, so that the first represents the set.
    """
    moves = translations(lattice)
    numbers = np.unique(_conjugates(points, moves), axis=0)
    extent = [length for length, closed in zip(lattice.extent, lattice.pbc, strict=True) if closed]
    left = list(product(*map(range, extent)))
    found = []
    while left:
        characters = momentum(lattice, left[0])
        star = {momentum_of(lattice, characters[row]) for row in numbers}
        if with_opposite:
            star |= {momentum_of(lattice, characters[row].conj()) for row in numbers}
        found.append(sorted(star))
        left = [k for k in left if k not in star]
    return found


def point_irreps(lattice: Lattice, keeps: Characters | None = None) -> tuple[NDArray[np.int32], dict[str, Characters]]:
    """The point group about one centre, (G, N), and its characters by name; for a lattice without a unit cell all its
    symmetries (`automorphisms`).

    ``keeps``: the character of the translations that the operations have to keep, which leaves a little group.
    ValueError if there are too many symmetries without a unit cell.
    """
    if is_searched(lattice):  # its one translation, the identity, keeps them all
        every = symmetries(lattice)
        return every, generic_irreps(every)
    perms, matrices = point_operations(lattice)
    if keeps is not None:
        kept = _keeping(perms, translations(lattice), keeps)
        perms, matrices = perms[kept], matrices[kept]
    distinct, first, inverse = np.unique(perms, axis=0, return_index=True, return_inverse=True)
    named = _planar(matrices) if lattice.vectors.shape[0] <= 2 else None
    if named is None:
        return distinct, generic_irreps(distinct)
    # On small tori different operations give the same permutation: a function that distinguishes them is not a
    # character.
    on_first = {name: character[first] for name, character in named.items()}
    whole = {n: c for n, c in on_first.items() if np.array_equal(c[inverse.reshape(-1)], named[n])}
    return distinct, whole


def generic_irreps(perms: NDArray[np.integer]) -> dict[str, Characters]:
    """The characters of a group of permutations (G, N) by name. ValueError if it is not a group, or too large."""
    if len(perms) > MAX_ELEMENTS:
        raise ValueError(f"{len(perms)} permutations; valid: a group of at most {MAX_ELEMENTS}")
    letters = {1: "A", 2: "E", 3: "T"}
    characters = character_table(product_table(perms))
    kinds = [letters.get(round(c[0].real), f"D{round(c[0].real)}_") for c in characters]
    return {f"{kind}{kinds[: i + 1].count(kind)}": c for i, (kind, c) in enumerate(zip(kinds, characters, strict=True))}


def space_group(lattice: Lattice, k: Sequence[int] | None) -> tuple[NDArray[np.int32], dict[str, Characters]]:
    """Translations times the point operations that keep momentum ``k``, (G, N), and the characters at k by the names of
    the point group. ValueError as in ``momentum``.
    """
    of_translations = momentum(lattice, k)
    points, irreps = point_irreps(lattice, of_translations)
    moves = translations(lattice)
    products = moves[:, points].reshape(-1, lattice.n_sites)  # p first, then t
    distinct, first, inverse = np.unique(products, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)  # the identity first, as in the two groups
    characters = {}
    for name, of_points in irreps.items():
        of_products = (of_translations[:, None] * of_points[None, :]).ravel()
        if np.abs(of_products[first][inverse.reshape(-1)] - of_products).max() < 1e-9:
            characters[name] = of_products[first][order]
    return distinct[order], characters


def with_spin_flip(
    perms: NDArray[np.int32], characters: Characters, parity: int | None, *, fermionic: bool = False
) -> Symmetry:
    """The sector of ``characters``; with ``parity`` 1 or -1 that of the group times the flip of all spins.

    For fermions the flip is also a permutation, the exchange of up and down modes.
    """
    flips = np.ones(len(perms), dtype=np.int8)
    if parity is None:
        return Symmetry(perms, flips, characters)
    return Symmetry(
        np.concatenate([perms, exchanged(perms.shape[1])[perms] if fermionic else perms]),
        np.concatenate([flips, flips if fermionic else -flips]),
        np.concatenate([characters, parity * characters]),
    )


def may_flip(hilbert: Hilbert, lattice: Lattice) -> bool:
    """Whether the flip of all spins maps the space of the sites of ``lattice`` onto itself."""
    if hilbert.fermionic:
        return lattice.layers == 2 and len({total for _, total in groups(hilbert)}) == 1
    return are_spins(hilbert) and not hilbert.total and not hilbert.paths


def read_permutations(path: str | Path, n_sites: int) -> NDArray[np.int32]:
    """The group in a file, one permutation per line: site i goes to the i-th number. The identity is moved to the
    front.

    ``#`` starts a comment, blank lines are skipped. ValueError in one line if a line is not a permutation of the sites,
    one is given twice, or together they are not a group.
    """
    try:
        text = reading.text(path, reading.SYSTEM, follow=True, errors="replace")
    except OSError as error:
        raise ValueError(f"{error.strerror}") from None
    rows: dict[tuple[int, ...], int] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split("#", maxsplit=1)[0].replace(",", " ").split()
        if not words:
            continue
        row = tuple(int(word) if word.isdecimal() else -1 for word in words)
        if sorted(row) != list(range(n_sites)):
            raise ValueError(f"line {number}: {line.strip()[:60]!r}; valid: the numbers 0 to {n_sites - 1}, each once")
        if row in rows:
            raise ValueError(f"line {number} is the permutation of line {rows[row]}")
        rows[row] = number
    one = tuple(range(n_sites))
    if one not in rows:
        raise ValueError(f"a group contains the identity, 0 to {n_sites - 1} in order; no line does")
    perms = np.array([one, *(row for row in rows if row != one)], dtype=np.int32)
    if len(perms) > MAX_ELEMENTS:
        raise ValueError(f"{len(perms)} permutations; valid: a group of at most {MAX_ELEMENTS}")
    product_table(perms)
    return perms


def chosen(irreps: Mapping[str, Characters], name: str | None) -> Characters:
    """The characters of that name; None is the trivial one. ValueError for an unknown name."""
    if name is None:
        return next(iter(irreps.values()))
    if name not in irreps:
        raise ValueError(f"valid: {', '.join(irreps)}")
    return irreps[name]


def _keeping(points: NDArray[np.int32], moves: NDArray[np.int32], characters: Characters) -> NDArray[np.bool_]:
    """Which p have chi(p t p^-1) = chi(t) for all translations t: those that keep the momentum."""
    return np.asarray(np.abs(characters[_conjugates(points, moves)] - characters[None, :]).max(axis=1) < 1e-9)


def _conjugates(points: NDArray[np.int32], moves: NDArray[np.int32]) -> NDArray[np.int64]:
    """(G, T) the number of the translation p t p^-1."""
    # A translation is determined by the image of site 0.
    place = np.full(moves.shape[1], -1)
    place[moves[:, 0]] = np.arange(len(moves))
    back = np.argsort(points, axis=1)
    return np.asarray(place[np.take_along_axis(points, moves[:, back[:, 0]].T, axis=1)])


def _planar(matrices: NDArray[np.float64]) -> dict[str, Characters] | None:
    """Characters of operations in up to two dimensions by name; None for pure rotation groups beyond a half turn."""
    mirrors = np.linalg.det(matrices) < 0
    n = int((~mirrors).sum())
    one = np.ones(len(matrices), dtype=np.complex128)
    if len(matrices) == 1:
        return {"A": one}
    if len(matrices) == 2:
        rests = np.isclose(matrices, np.eye(matrices.shape[1])[None]).all(axis=(1, 2))
        return {"A": one, "B": np.where(rests, one, -one)}
    if not mirrors.any():
        return None
    cosine, sine = matrices[:, 0, 0], matrices[:, 0, 1]
    angle = np.arctan2(sine, cosine)  # of the rotation; for mirrors twice that of their axis
    turn = np.rint(angle * n / (2 * np.pi)).astype(int)
    axes = np.rint(np.mod(angle[mirrors], 2 * np.pi) * n / (2 * np.pi) * 1e6) / 1e6
    through = np.zeros(len(matrices), dtype=int)  # the number of a mirror's axis, counted from the first
    through[mirrors] = np.rint(axes - axes.min())
    sign_b = 1.0 - 2 * (np.where(mirrors, through, turn) % 2) + 0j
    irreps = {"A1": one, "A2": np.where(mirrors, -one, one)}
    if n % 2 == 0:
        irreps |= {"B1": sign_b, "B2": np.where(mirrors, -sign_b, sign_b)}
    number = (n - 1) // 2
    for j in range(1, number + 1):
        double = rounded(np.where(mirrors, 0, 2 * np.cos(2 * np.pi * j * turn / n)) + 0j)
        irreps["E" if number == 1 else f"E{j}"] = double
    return irreps
