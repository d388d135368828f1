"""Sequences of steps +1 and -1 whose partial sums are never negative, like the votes of a candidate who never trails.

There are binom(N, k) - binom(N, k - 1) sequences of N steps with the sum t and k = (N - t) / 2 steps down: the ballot
numbers (J. Bertrand, C. R. Acad. Sci. Paris 105, 369 (1887)); for any sum there are binom(N, floor(N / 2)).
"""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray


def count(n_steps: int, total: int | None) -> int:
    """The number of sequences with this total; None: with any total."""
    if total is None:
        return comb(n_steps, n_steps // 2)
    if not 0 <= total <= n_steps or (n_steps - total) % 2:
        return 0
    down = (n_steps - total) // 2
    return comb(n_steps, down) - (comb(n_steps, down - 1) if down else 0)


def flattest(n_steps: int, total: int | None) -> NDArray[np.int8]:
    """The sequence (N,) with the least partial sums: up and down in turns, then up; without a total that of the least
    one."""
    up = n_steps % 2 if total is None else total
    s_N = np.ones(n_steps, dtype=np.int8)
    s_N[1 : n_steps - up : 2] = -1
    return s_N


def codes(n_steps: int, total: int | None) -> NDArray[np.int64]:
    """The codes (`hilbert`) of all sequences, bit i set for a step down, sorted. Their number is not limited."""
    if total is None:
        return np.sort(np.concatenate([codes(n_steps, t) for t in range(n_steps % 2, n_steps + 1, 2)]))
    code, height = np.zeros(1, dtype=np.int64), np.array([total], dtype=np.int64)
    for left in reversed(range(n_steps)):  # ``height`` after ``left`` + 1 steps, from the last step back
        code = (code[:, None] * 2 + np.arange(2)[None, :]).ravel()
        height = (height[:, None] + np.array([-1, 1])[None, :]).ravel()
        keep = (height >= 0) & (height <= left)
        code, height = code[keep], height[keep]
    return code


def is_negative(s: Any) -> Any:
    """Whether a partial sum of steps (..., N), in NumPy or jax, is negative: (...) bool."""
    return (s.astype(np.int32).cumsum(axis=-1) < 0).any(axis=-1)
