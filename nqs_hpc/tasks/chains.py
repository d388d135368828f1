"""Chains as a checkpoint holds them."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.types import Tree


def outside(chains: dict[str, Tree], hilbert: Hilbert) -> str:
    """Why these chains cannot be of a run: configurations that the Hilbert space does not have; empty where they can.

    The leaves that hold configurations are those whose name begins with ``s_C``.
    """
    for path, leaf in jax.tree_util.tree_flatten_with_path(chains)[0]:
        if _name(path[-1]).startswith("s_C") and not _are_members(np.asarray(leaf), hilbert):
            return "its chains are in states that this run does not have"
    return ""


def _name(key: Any) -> str:
    return jax.tree_util.keystr((key,), simple=True)


def _are_members(s: np.ndarray, hilbert: Hilbert) -> bool:
    totals = s.sum(axis=-1, dtype=np.int64)
    in_sector = hilbert.total is None or bool(np.all(totals == hilbert.total))
    return in_sector and bool(np.isin(s, hilbert.local_values).all())
