"""States of few fermions, their Hamiltonian by Kronecker products, and moves between them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import numpy as np

from nqs_hpc.types import Move


def states(n_modes: int, n_fermions: Sequence[int]) -> np.ndarray:
    """(D, modes) all ways to put ``n_fermions[b]`` fermions into block b of the modes."""
    every = np.array(list(itertools.product((0, 1), repeat=n_modes)), np.int8)
    numbers = every.reshape(len(every), len(n_fermions), -1).sum(axis=2)
    return every[(numbers == np.array(n_fermions)).all(axis=1)]


def hubbard_ring(length: int, U: float, s_DN: np.ndarray) -> np.ndarray:
    """(D, D) -sum (c+ c + h.c.) + U sum n_up n_down between these states, by Kronecker products with strings of Z."""
    n = 2 * length
    lower, sign, one = np.array([[0.0, 1.0], [0.0, 0.0]]), np.diag([1.0, -1.0]), np.eye(2)
    c = [functools.reduce(np.kron, [sign] * m + [lower] + [one] * (n - m - 1)) for m in range(n)]
    total = sum(U * c[i].T @ c[i] @ c[i + length].T @ c[i + length] for i in range(length))
    for i, spin in itertools.product(range(length if length > 2 else 1), (0, length)):
        hop = c[spin + i].T @ c[spin + (i + 1) % length]
        total = total - hop - hop.T
    place = s_DN @ (1 << np.arange(n)[::-1])
    return total[np.ix_(place, place)]


def random_move(
    rng: np.random.Generator, s_N: np.ndarray, n_blocks: int, hops: int, width: int
) -> tuple[Move, np.ndarray]:
    """At most ``hops`` fermions that go elsewhere in their block: a move of ``width`` entries in any order, and s'."""
    new_N, size = s_N.copy(), len(s_N) // n_blocks
    for b in rng.integers(0, n_blocks, hops):
        inside = np.arange(b * size, (b + 1) * size)
        leave = inside[(s_N[inside] == 1) & (new_N[inside] == 1)]
        come = inside[(s_N[inside] == 0) & (new_N[inside] == 0)]
        if len(leave) and len(come):
            new_N[rng.choice(leave)], new_N[rng.choice(come)] = 0, 1
    changed = rng.permutation(np.flatnonzero(new_N != s_N))
    sites, deltas, places = np.zeros(width, np.int32), np.zeros(width, np.int8), rng.permutation(width)[: len(changed)]
    sites[places], deltas[places] = changed, (new_N - s_N)[changed]
    return Move(sites, deltas), new_N


def pfaffian_by_rows(a: np.ndarray) -> complex:
    """The definition, along the first row."""
    if len(a) == 0:
        return 1.0
    rest = (np.delete(np.delete(a, [0, j], 0), [0, j], 1) for j in range(1, len(a)))
    return sum((-1) ** (j + 1) * a[0, j] * pfaffian_by_rows(b) for j, b in enumerate(rest, 1))
