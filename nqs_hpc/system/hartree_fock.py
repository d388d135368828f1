"""Hartree-Fock: the determinant with the lowest energy, for Hamiltonians of products of two and four operators.

With rho_mn = <c^dagger_m c_n> the energy of a determinant is, by Wick's theorem, a polynomial of second order,

    <o_1 o_2 o_3 o_4> = <o_1 o_2><o_3 o_4> - <o_1 o_3><o_2 o_4> + <o_1 o_4><o_2 o_3>,

and its orbitals are the lowest of F_mn = dE / drho_mn (Szabo and Ostlund 1989, "Modern Quantum Chemistry", ch. 3). The
iteration is optimal damping (Cances and Le Bris, Int. J. Quantum Chem. 79, 82 (2000),
doi:10.1002/1097-461X(2000)79:2<82::AID-QUA3>3.0.CO;2-I): rho moves towards that of the lowest orbitals of F up to the
minimum of E along this line, so that E decreases in every step. It starts from free orbitals, from a staggered order
and from random fields; the lowest result is taken.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.system.fermion_strings import FermionString
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.system.orbitals import Kind, Levels, arranged, blocks_of, levels, one_body

STEPS = 1000
TOLERANCE = 1e-9  # of [F, rho], in units of the largest element of F
N_RANDOM = 3  # starts from random fields
PAIRINGS = ((0, 1, 2, 3, 1), (0, 2, 1, 3, -1), (0, 3, 1, 2, 1))  # two pairs of places, and the sign


class MeanField(NamedTuple):
    energy: float  # of the determinant
    orbitals: tuple[NDArray[Any], ...]  # as from `orbitals.arranged`
    blocks: tuple[Levels, ...]  # all eigenvectors of F, for each block; restricted and generalised orbitals have one
    residual: float  # |[F, rho]|, the largest element
    n_starts: int


class Functional(NamedTuple):
    """E(rho) of a Hamiltonian."""

    constant: complex
    h_MM: NDArray[Any]
    coefficient_k: NDArray[np.complex128]  # of the products of four operators
    modes_k4: NDArray[np.int64]
    creates_k4: NDArray[np.bool_]


def functional(strings: Sequence[FermionString], n_modes: int) -> Functional:
    """ValueError if a string has more than four operators, or an odd number."""
    lengths = {len(string.operators) for string in strings}
    if not lengths <= {0, 2, 4}:
        raise ValueError("Hartree-Fock is available for terms of two and four operators, and this has others")
    two = [string for string in strings if len(string.operators) == 2]
    four = [string for string in strings if len(string.operators) == 4]
    constant = sum((complex(string.coefficient) for string in strings if not string.operators), 0j)
    h_MM = one_body(two, n_modes)
    for coefficient, (first, second) in two:
        if not first[1] and second[1]:  # c_m c^dagger_n = delta_mn - c^dagger_n c_m
            h_MM[second[0], first[0]] -= coefficient
            constant += complex(coefficient) * (first[0] == second[0])
    return Functional(
        constant,
        h_MM,
        np.array([string.coefficient for string in four], dtype=np.complex128),
        np.array([[mode for mode, _ in string.operators] for string in four], dtype=np.int64).reshape(-1, 4),
        np.array([[creates for _, creates in string.operators] for string in four], dtype=bool).reshape(-1, 4),
    )


def energy_and_fock(of: Functional, rho_MM: NDArray[Any]) -> tuple[float, NDArray[Any]]:
    """E and F = dE / drho, Hermitian."""
    f_MM = of.h_MM.copy()
    total = of.constant + np.sum(of.h_MM * rho_MM)
    for a, b, c, d, sign in PAIRINGS:
        first, second = _contraction(of, rho_MM, a, b), _contraction(of, rho_MM, c, d)
        weight_k = sign * of.coefficient_k
        total += np.sum(weight_k * first * second)
        _add_derivative(f_MM, of, a, b, weight_k * second)
        _add_derivative(f_MM, of, c, d, weight_k * first)
    return float(total.real), (f_MM + f_MM.conj().T) / 2


def _contraction(of: Functional, rho_MM: NDArray[Any], a: int, b: int) -> NDArray[Any]:
    m, n = of.modes_k4[:, a], of.modes_k4[:, b]
    first, second = of.creates_k4[:, a], of.creates_k4[:, b]
    value = np.where(first, rho_MM[m, n], (m == n) - rho_MM[n, m])
    return np.where(first == second, 0, value)


def _add_derivative(f_MM: NDArray[Any], of: Functional, a: int, b: int, weight_k: NDArray[Any]) -> None:
    m, n = of.modes_k4[:, a], of.modes_k4[:, b]
    first, second = of.creates_k4[:, a], of.creates_k4[:, b]
    for here, sign, row, column in ((first & ~second, 1, m, n), (~first & second, -1, n, m)):
        np.add.at(f_MM, (row[here], column[here]), sign * weight_k[here])


@functools.lru_cache(maxsize=16)
def hartree_fock(strings: tuple[FermionString, ...], hilbert: Hilbert, kind: Kind) -> MeanField:
    """The determinant of this kind with the lowest energy found; the same on every call.

    Restricted orbitals need equal numbers of both spins, else ValueError. Generalised orbitals may mix the spins; then
    the energy is that of a state with fluctuating numbers of each spin.
    """
    blocks = blocks_of(hilbert)
    numbers = [total for _, total in blocks]
    if kind == "restricted" and len(set(numbers)) > 1:
        raise ValueError(f"restricted orbitals of Hartree-Fock need as many fermions of either spin, not {numbers}")
    of = functional(strings, hilbert.n_sites)
    is_real = not np.any(of.h_MM.imag) and not np.any(of.coefficient_k.imag)
    found = [_iterated(of, blocks, kind, field_MM, is_real) for field_MM in _fields(of, hilbert, kind)]
    best = min(found, key=lambda one: round(one.energy, 9))
    return best._replace(n_starts=len(found))


def _iterated(
    of: Functional,
    blocks: tuple[tuple[tuple[int, ...], int], ...],
    kind: Kind,
    field_MM: NDArray[Any],
    is_real: bool,
) -> MeanField:
    n_modes = len(of.h_MM)

    def lowest(f_MM: NDArray[Any]) -> tuple[tuple[Levels, ...], NDArray[Any]]:
        """The lowest orbitals of F, and their rho."""
        f_MM = f_MM.real if is_real else f_MM
        if kind == "generalised":
            found: tuple[Levels, ...] = (levels(f_MM, sum(total for _, total in blocks)),)
            places = [tuple(range(n_modes))]
        else:
            parts = [f_MM[np.ix_(sites, sites)] for sites, _ in blocks]
            if kind == "restricted":
                parts = [np.mean(parts, axis=0)] * len(parts)
            found = tuple(levels(part, total) for part, (_, total) in zip(parts, blocks, strict=True))
            places = [sites for sites, _ in blocks]
        rho_MM = np.zeros((n_modes, n_modes), dtype=np.result_type(f_MM))
        for block, sites in zip(found, places, strict=True):
            phi = block.vectors[:, : block.filled]
            rho_MM[np.ix_(sites, sites)] = phi.conj() @ phi.T
        return found, rho_MM

    _, rho_MM = lowest(of.h_MM + field_MM)
    energy, f_MM = energy_and_fock(of, rho_MM)
    for _ in range(STEPS):
        found, new_MM = lowest(f_MM)
        step_MM = new_MM - rho_MM
        slope = float(np.sum(f_MM * step_MM).real)
        at_new, f_new_MM = energy_and_fock(of, new_MM)
        if np.abs(step_MM).max() < TOLERANCE or slope > -1e-14 * max(1.0, abs(energy)):
            break
        bend = at_new - energy - slope
        length = 1.0 if bend <= 0 else min(1.0, -slope / (2 * bend))
        rho_MM = rho_MM + length * step_MM
        energy, f_MM = (at_new, f_new_MM) if length == 1.0 else energy_and_fock(of, rho_MM)
    # the result must be a determinant: if rho is none (partly filled shell), take the lowest orbitals
    found, rho_MM = lowest(f_MM)
    energy, f_MM = energy_and_fock(of, rho_MM)
    residual = 0.0
    places = [tuple(range(n_modes))] if kind == "generalised" else [sites for sites, _ in blocks]
    parts = [f_MM[np.ix_(sites, sites)] for sites in places]
    if kind == "restricted":  # both spins have the same orbitals, which diagonalise the mean of F
        parts = [np.mean(parts, axis=0)] * len(parts)
    for sites, f_block in zip(places, parts, strict=True):
        rho_block = rho_MM[np.ix_(sites, sites)].conj()
        residual = max(residual, float(np.abs(f_block @ rho_block - rho_block @ f_block).max(initial=0.0)))
    filled = tuple(block.vectors[:, : block.filled] for block in found)
    of_kind = filled if kind == "generalised" else arranged(kind, filled)
    return MeanField(energy, of_kind, found if kind == "unrestricted" else found[:1], residual, 1)


def _fields(of: Functional, hilbert: Hilbert, kind: Kind) -> list[NDArray[np.float64]]:
    """Fields for the initial orbitals: none, staggered, random."""
    n = hilbert.n_sites
    blocks = blocks_of(hilbert)
    strength = float(np.abs(of.h_MM).max(initial=0.0)) or 1.0
    sites = blocks[0][0]
    colour = _colours(of.h_MM[np.ix_(sites, sites)])
    with_spin = len(blocks) == 2 and kind != "restricted"
    staggered = np.concatenate([colour, -colour]) if with_spin else np.tile(colour, n // len(colour))
    rng = np.random.default_rng(0)
    fields = [np.zeros((n, n)), np.diag(strength * staggered)]
    for _ in range(N_RANDOM):
        field = rng.normal(size=n)
        random = np.diag(np.tile(field[: len(sites)], len(blocks)) if kind == "restricted" else field)
        if kind == "generalised":
            mixing = rng.normal(size=(n, n)) / np.sqrt(n)
            random = random + mixing + mixing.T
        fields.append(strength * random)
    return fields


def _colours(h_NN: NDArray[Any]) -> NDArray[np.float64]:
    """+1 and -1 on the two sublattices that h connects; alternating modes if there are none."""
    n = len(h_NN)
    colour = np.zeros(n)
    for first in range(n):
        if colour[first]:
            continue
        colour[first], left = 1, [first]
        while left:
            here = left.pop()
            for there in np.flatnonzero(np.abs(h_NN[here]) > 0):
                if there != here and not colour[there]:
                    colour[there] = -colour[here]
                    left.append(int(there))
    joined = np.abs(h_NN) > 0
    np.fill_diagonal(joined, False)
    if np.any(joined & (colour[:, None] == colour[None, :])):
        return np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    return colour
