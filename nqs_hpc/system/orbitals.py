"""Initial orbitals of determinants, from the terms of a Hamiltonian with two operators.

    H_1 = sum_mn h_mn c^dagger_m c_n,      h phi_k = eps_k phi_k,

with the lowest ones filled; for fermions with spin each block by itself if h does not connect them. `hartree_fock`
gives orbitals in the mean field; files may contain any orbitals.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.inputs import reading
from nqs_hpc.system.fermion_strings import FermionString
from nqs_hpc.system.hilbert import Hilbert, groups

Kind = Literal["restricted", "unrestricted", "generalised"]
MOST_MODES = 2**12  # per block: dense matrices of this size are diagonalised at every start
DEGENERATE = 1e-9  # relative to the largest modulus of the energies: closer energies are equal


class Levels(NamedTuple):
    """All orthonormal orbitals of one block, by energy."""

    energies: NDArray[np.float64]  # (k,), ascending
    vectors: NDArray[Any]  # (modes, k); real if h is
    filled: int


def one_body(strings: Iterable[FermionString], n_modes: int) -> NDArray[np.complex128]:
    """h (M, M) of the products c^dagger_m c_n of a sum."""
    h_MM = np.zeros((n_modes, n_modes), dtype=np.complex128)
    for coefficient, operators in strings:
        if len(operators) == 2 and operators[0][1] and not operators[1][1]:
            h_MM[operators[0][0], operators[1][0]] += coefficient
    return h_MM


def blocks_of(hilbert: Hilbert) -> tuple[tuple[tuple[int, ...], int], ...]:
    """The sites and the number of fermions of each block: two blocks for fermions with spin, else one. ValueError if a
    number is not fixed.
    """
    found = groups(hilbert)
    if any(total is None for _, total in found):
        raise ValueError("a determinant has a fixed number of fermions, which sector=none lacks")
    return tuple((sites, int(total)) for sites, total in found if total is not None)


def levels(h_MM: NDArray[Any], filled: int) -> Levels:
    """The eigenvectors of a Hermitian matrix, real for a real matrix."""
    energies, vectors = np.linalg.eigh(h_MM.real if not np.any(h_MM.imag) else h_MM)
    return Levels(energies, vectors, filled)


@functools.lru_cache(maxsize=16)
def free_levels(strings: tuple[FermionString, ...], hilbert: Hilbert) -> tuple[Levels, ...]:
    """The orbitals of h in each block, neglecting elements between blocks."""
    blocks = blocks_of(hilbert)
    if (largest := max(len(sites) for sites, _ in blocks)) > MOST_MODES:
        raise ValueError(f"determinants are available on at most {MOST_MODES} orbitals, and these are {largest}")
    h_MM = one_body(strings, hilbert.n_sites)
    return tuple(levels(h_MM[np.ix_(sites, sites)], total) for sites, total in blocks)


def free_orbitals(strings: Iterable[FermionString], hilbert: Hilbert) -> tuple[NDArray[Any], ...]:
    """The lowest orbitals (sites, fermions) of each block, orthonormal, neglecting elements between blocks."""
    return tuple(block.vectors[:, : block.filled] for block in free_levels(tuple(strings), hilbert))


def open_shell(block: Levels) -> str:
    """How many orbitals of a degenerate highest level are filled, in words; empty if all are."""
    energies, n = block.energies, block.filled
    if not 0 < n < len(energies):
        return ""
    near = DEGENERATE * max(1.0, float(np.abs(energies).max()))
    level = np.flatnonzero(np.abs(energies - energies[n - 1]) <= near)
    if level[-1] < n:
        return ""
    energy = 0.0 if abs(energies[n - 1]) <= near else energies[n - 1]
    return f"{n - level[0]} of {len(level)} degenerate orbitals at energy {energy:.6g} are filled"


def open_shells(blocks: tuple[Levels, ...]) -> list[str]:
    """A line for every block with an open shell, one line if both spins have the same."""
    said = [open_shell(block) for block in blocks]
    who = [""] if len(blocks) == 1 else [" of spin up", " of spin down"]
    if len(said) == 2 and said[0] == said[1]:
        said, who = said[:1], [" of either spin"]
    why = "which of them is arbitrary, and a determinant of them breaks the symmetries that make them degenerate"
    return [f"orbitals: open shell{name}: {what}; {why}" for name, what in zip(who, said, strict=True) if what]


def arranged(kind: Kind, of_blocks: tuple[NDArray[Any], ...]) -> tuple[NDArray[Any], ...]:
    """Orbitals of each block as the initial parameters of a determinant of that kind.

    Restricted: those of the block with more fermions, for both spins. Generalised: (all modes, all fermions), 0 between
    blocks.
    """
    if kind == "unrestricted" or len(of_blocks) == 1:
        return of_blocks
    if kind == "restricted":
        return (max(of_blocks, key=lambda phi: phi.shape[1]),)
    rows = [phi.shape[0] for phi in of_blocks]
    columns = [phi.shape[1] for phi in of_blocks]
    whole = np.zeros((sum(rows), sum(columns)), dtype=np.result_type(*of_blocks))
    for b, phi in enumerate(of_blocks):
        whole[sum(rows[:b]) : sum(rows[: b + 1]), sum(columns[:b]) : sum(columns[: b + 1])] = phi
    return (whole,)


def shape_in_file(kind: Kind, hilbert: Hilbert) -> tuple[int, int]:
    """The rows and columns of orbitals in a file: (modes of a block, fermions); unrestricted: first spin up, then spin
    down; generalised: all modes.
    """
    blocks = blocks_of(hilbert)
    numbers = [total for _, total in blocks]
    n_modes = hilbert.n_sites if kind == "generalised" else len(blocks[0][0])
    return n_modes, max(numbers) if kind == "restricted" else sum(numbers)


def from_array(kind: Kind, hilbert: Hilbert, array: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """The initial parameters of a determinant from the array of a file."""
    numbers = [total for _, total in blocks_of(hilbert)]
    if kind == "unrestricted" and len(numbers) == 2:
        return array[:, : numbers[0]], array[:, numbers[0] :]
    return (array,)


def read(path: str, shape: tuple[int, int]) -> NDArray[Any]:
    """The numbers of a .npy file, or of a text file with one row per line, float64 or complex128. Raises ValueError."""
    try:
        raw = reading.data(path, reading.SYSTEM, follow=True)
    except OSError as error:
        raise ValueError(f"{error.strerror}") from None
    array = _of_npy(raw) if path.endswith(".npy") else _of_text(raw)
    if array.shape != shape:
        raise ValueError(f"the file has numbers of shape {array.shape}; valid here: {shape}, modes and fermions")
    array = array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
    if not np.isfinite(array).all():
        raise ValueError("the file has numbers that are not finite")
    if np.linalg.matrix_rank(array) < min(shape) and shape[1] <= shape[0]:
        raise ValueError("the orbitals in the file depend on each other linearly, so the determinant is 0")
    return array


def _of_npy(raw: bytes) -> NDArray[Any]:
    file = io.BytesIO(raw)
    try:
        version = np.lib.format.read_magic(file)
        header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, _, dtype = header(file)
    except (ValueError, KeyError, SyntaxError, TypeError):
        raise ValueError("the file is not one of numpy.save") from None
    # the header is compared with the size of the file before memory is allocated
    size = dtype.itemsize
    for length in shape:
        size *= length
    if dtype.kind not in "fciu" or len(shape) != 2 or size != len(raw) - file.tell():
        raise ValueError("the file does not hold a matrix of numbers")
    array: NDArray[Any] = np.load(io.BytesIO(raw), allow_pickle=False)
    return array


def _of_text(raw: bytes) -> NDArray[Any]:
    try:
        lines = [line.split("#")[0].split() for line in raw.decode().splitlines()]
        rows = [[complex(word) for word in line] for line in lines if line]
    except ValueError:
        raise ValueError("the file has something else than numbers, such as 0.5 or 0.5+0.1j") from None
    if not rows or len({len(row) for row in rows}) > 1:
        raise ValueError("the file has no rows, or rows of different lengths")
    array = np.array(rows)
    return array if np.any(array.imag) else array.real
