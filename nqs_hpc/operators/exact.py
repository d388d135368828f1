"""The matrix of an operator in a sector of the Hilbert space, and its lowest states by exact diagonalisation.

Rows are filled from ``connected`` chunk by chunk, straight into compressed rows: entries are counted first and then
written in place, so that no second copy of the matrix ever exists. Lanczos: C. Lanczos, J. Res. Natl. Bur. Stand. 45,
255 (1950), doi:10.6028/jres.045.026, as implemented in ARPACK.
"""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.linalg import eigsh

from nqs_hpc.operators.irrep_rows import row_basis
from nqs_hpc.system.characters import Symmetry
from nqs_hpc.system.exchange import image
from nqs_hpc.system.hilbert import Hilbert, codes, decode, dimension, encode, is_whole
from nqs_hpc.types import Move, Operator

MAX_DIAGONALISED = 2**20  # states
MAX_IMAGES = 2**25  # states times elements of a group, in the basis of its sector
DENSE_BELOW = 256  # states; Lanczos needs more vectors than small sectors have
TOLERANCE = 1e-12  # |H v - E v| / |E|; the energy's own error is of second order in it


def sparse_matrix(operator: Operator, hilbert: Hilbert, *, time: float | None = None, chunk: int = 2**14) -> csr_matrix:
    """<s|H|s'> with rows and columns in the order of ``codes(hilbert)``, float64 or, for complex operators, complex128.

    ``time`` is that of an operator that depends on it. ``chunk`` bounds the states worked on at once. Raises ValueError
    beyond ``MAX_DIAGONALISED`` states, for an empty sector, and if an element leads out of the sector.
    """
    n_states = dimension(hilbert)
    if n_states > MAX_DIAGONALISED:
        raise ValueError(f"exact diagonalisation of {n_states} states: at most {MAX_DIAGONALISED} are possible")
    if time is not None and operator.at is not None:
        operator = operator.at(jnp.float64(time))
    codes_n = codes(hilbert)
    chunk = min(chunk, n_states)
    row = jax.jit(jax.vmap(lambda s_N: (operator.diagonal(s_N), *operator.connected(s_N))))
    is_real = operator.is_real and not jnp.iscomplexobj(
        jax.eval_shape(operator.diagonal, jax.ShapeDtypeStruct((hilbert.n_sites,), np.int8))
    )
    row_sizes = [1 + np.count_nonzero(row(s_nN)[2], axis=1)[:n] for n, _, s_nN in chunks(hilbert, codes_n, chunk)]
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(row_sizes))])
    n_entries = int(indptr[-1])
    index_dtype = np.int32 if n_entries < 2**31 else np.int64
    indices = np.empty(n_entries, dtype=index_dtype)
    data = np.empty(n_entries, dtype=np.float64 if is_real else np.complex128)

    end = 0
    for n, codes_c, s_nN in chunks(hilbert, codes_n, chunk):
        diagonal_n, moves, elements_nK = jax.tree.map(np.asarray, row(s_nN))
        targets = np.concatenate([codes_c[:, None], codes_c[:, None] + code_shifts(hilbert, s_nN, moves)], axis=1)
        values = np.concatenate([diagonal_n[:, None], elements_nK], axis=1)
        keep = np.concatenate([np.ones((chunk, 1), dtype=bool), elements_nK != 0], axis=1)
        keep[n:] = False  # the copies that fill the last chunk
        start, end = end, end + int(keep.sum())
        indices[start:end] = targets[keep] if is_whole(hilbert) else positions(codes_n, targets[keep])
        data[start:end] = values[keep]
    matrix = csr_matrix((data, indices, indptr.astype(index_dtype)), shape=(n_states, n_states))
    matrix.sum_duplicates()
    return matrix


def lowest_states(
    operator: Operator,
    hilbert: Hilbert,
    k: int = 1,
    *,
    symmetry: Symmetry | None = None,
    tolerance: float = TOLERANCE,
    restarts: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k lowest energies (k,), ascending, and their vectors (n_states, k) in the order of ``codes(hilbert)``, of a
    Hermitian operator at time 0.

    With ``symmetry``, which must be one of the operator's, those of its sector: of a representation of more than one
    dimension those of one row, in which a level occurs once (`irrep_rows`).

    Below ``DENSE_BELOW`` states the whole spectrum is computed, above it Lanczos runs from a fixed start vector. Of a
    degenerate level Lanczos sees one vector at first: with k = 1 the energy is right and the vector one of the level,
    with k > 1 a multiplicity can come out too small. Raises ValueError as ``sparse_matrix`` does, and if k is not in
    1..n_states, and scipy's ArpackNoConvergence after ``restarts`` of Lanczos, if that is given.
    """
    if not operator.is_hermitian:
        raise ValueError("the lowest states of an operator that is not Hermitian are not defined")
    matrix, basis = sparse_matrix(operator, hilbert), None
    if symmetry is not None:
        basis = sector_basis(hilbert, symmetry) if symmetry.dimension == 1 else row_basis(hilbert, symmetry)
        matrix = csr_matrix(basis.conj().T @ matrix @ basis)
    n_states = matrix.shape[0]
    if not 1 <= k <= n_states:
        raise ValueError(f"k={k} lowest states: a sector of {n_states} states has from 1 to {n_states}")
    if n_states < max(DENSE_BELOW, 4 * k):
        energies, vectors = np.linalg.eigh(matrix.toarray())
        return energies[:k], vectors[:, :k] if basis is None else basis @ vectors[:, :k]
    start = np.random.default_rng(0).standard_normal(n_states)
    # 14 vectors need as few products as the default of 20, and at 2^20 states each is 8 MiB (16 where H is complex)
    energies, vectors = eigsh(matrix, k, which="SA", v0=start, tol=tolerance, ncv=2 * k + 12, maxiter=restarts)
    order = np.argsort(energies)
    return energies[order], vectors[:, order] if basis is None else basis @ vectors[:, order]


def sector_basis(hilbert: Hilbert, symmetry: Symmetry) -> csr_matrix:
    """(n_states, n_orbits) orthonormal states of a one-dimensional sector, one for each orbit that it has.

    With r the state of lowest code among the g s, psi(r) = chi(g) psi(s), of fermions times the sign of sorting. An
    orbit that the sector does not contain shows in two elements that take s to r with different such factors. Raises
    ValueError for a character of more than one dimension.
    """
    if symmetry.dimension != 1:
        raise ValueError(f"the basis of a sector of dimension {symmetry.dimension}: it must be 1")
    codes_n = codes(hilbert)
    s_nN = decode(hilbert, codes_n)
    lowest = codes_n.copy()
    phase = np.ones(len(codes_n), dtype=np.complex128)
    has = np.ones(len(codes_n), dtype=bool)
    for perm, flip, character in zip(symmetry.perms, symmetry.flips, symmetry.characters, strict=True):
        moved, sign = image(hilbert, perm, flip, s_nN)
        code, factor = encode(hilbert, moved), np.where(sign < 0, -np.conj(character), np.conj(character))
        lower, same = code < lowest, code == lowest
        has = np.where(lower, True, has & ~(same & (np.abs(phase - factor) > 1e-9)))
        phase = np.where(lower, factor, phase)
        lowest = np.where(lower, code, lowest)
    _, orbit, size = np.unique(lowest[has], return_inverse=True, return_counts=True)
    # real where it can be, and so is H in this basis
    phase_n = phase[has] if np.iscomplex(symmetry.characters).any() else phase[has].real
    return csr_matrix((phase_n / np.sqrt(size[orbit]), (np.flatnonzero(has), orbit)), shape=(len(codes_n), len(size)))


def chunks(hilbert: Hilbert, codes_n: np.ndarray, chunk: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Codes and states in chunks of one size; n of them count, copies of the last state fill the last chunk."""
    for start in range(0, len(codes_n), chunk):
        codes_c = codes_n[start : start + chunk]
        n = len(codes_c)
        codes_c = np.pad(codes_c, (0, chunk - n), mode="edge")
        yield n, codes_c, decode(hilbert, codes_c)


def code_shifts(hilbert: Hilbert, s_nN: np.ndarray, moves: Move) -> np.ndarray:
    """code(s') - code(s) of each move: sum over its sites of (new digit - old digit) d^site -> (n, K) int64."""
    lowest = min(hilbert.local_values)
    digits = np.full(max(hilbert.local_values) - lowest + 1, -1, dtype=np.int64)
    digits[np.asarray(hilbert.local_values) - lowest] = np.arange(len(hilbert.local_values))
    places_N = len(hilbert.local_values) ** np.arange(hilbert.n_sites, dtype=np.int64)
    sites, deltas = np.asarray(moves.sites), np.asarray(moves.deltas)
    shifts = np.zeros(sites.shape[:2], dtype=np.int64)
    for f in range(sites.shape[2]):  # one site of the moves at a time: never (n, K, F) 8-byte integers
        old = np.take_along_axis(s_nN, sites[:, :, f], axis=1) - lowest
        new = digits[old + deltas[:, :, f]]
        assert np.all(new >= 0), "a move leads to a value that no site can have"
        shifts += (new - digits[old]) * places_N[sites[:, :, f]]
    return shifts


def positions(codes_n: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Where each target stands among the sorted codes of a sector; ValueError if one is not there."""
    positions = np.minimum(np.searchsorted(codes_n, targets), len(codes_n) - 1)
    if np.any(codes_n[positions] != targets):
        raise ValueError("the operator leads out of the sector: it does not conserve what is fixed there")
    return positions
