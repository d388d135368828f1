"""The second ensemble of a task (`tasks.second`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nqs_hpc.choices.pieces import Pieces
from nqs_hpc.choices.sampler import _moves
from nqs_hpc.system.graph import signed_colouring
from nqs_hpc.system.lattice import neighbours

if TYPE_CHECKING:
    from nqs_hpc.tasks.second import SecondEnsemble


def second_of(pieces: Pieces, n_samples: int) -> SecondEnsemble | None:
    """A second ensemble of about ``n_samples`` samples; None if that is 0, or the sampler sums over all states."""
    plan = pieces.sampler_choice.second(pieces.hilbert)
    if plan is None or n_samples == 0:
        return None
    from nqs_hpc.sampler.fresh import ordered_states
    from nqs_hpc.tasks.second import second_ensemble

    pairs = neighbours(pieces.lattice, 1)
    colour_N = signed_colouring(pieces.lattice.n_sites, map(tuple, pairs.tolist()), np.full(len(pairs), -1.0))
    return second_ensemble(
        pieces.ansatz.modulus or pieces.ansatz,
        _moves.every(pieces.lattice, pieces.hilbert),
        pieces.hilbert,
        pieces.comm,
        starts=ordered_states(pieces.hilbert, colour_N),
        n_samples=n_samples,
        seed=pieces.seed,
        **plan._asdict(),
    )
