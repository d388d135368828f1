"""Every ansatz on six sites, for tests that hold all of them to one contract: functions of the name of their floats.

Every choice is here by itself, with the `examples` it gives. The other keys are FILE-VARIANT of
files in nqs_hpc/ansatz.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.ansatz.in_order import in_order
from nqs_hpc.ansatz.jastrow import jastrow
from nqs_hpc.ansatz.masked_conv import masked_conv
from nqs_hpc.ansatz.mlp import mlp
from nqs_hpc.ansatz.recurrent import rows
from nqs_hpc.ansatz.resnet import resnet
from nqs_hpc.ansatz.rnn import rnn
from nqs_hpc.ansatz.symmetrize import symmetrize
from nqs_hpc.config.basis import basis_of
from nqs_hpc.system.characters import momentum, with_spin_flip
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.system.symmetry import translations
from nqs_hpc.types import Ansatz
from tests.ansatz.toy import toy
from tests.contract.tried import N, configuration, of_spins

TANH: dict[str, Any] = {"activation": "tanh"}  # bounded, and so is its rounding where parameters are large
RING = FACTORIES["chain"]((N,), (True,))
TURNS = with_spin_flip(translations(RING), momentum(RING, None), None)
ODD = with_spin_flip(TURNS.perms[:1], TURNS.characters[:1], -1)


def of_choice(given: dict[str, Any]) -> Callable[[str], Ansatz]:
    """What a choice makes, of spins without a total; the numbers of its floats are those asked for."""
    config = configuration(ansatz=given, sector="none")
    lattice = config.make_sites()
    return lambda fd: config.ansatz.make(lattice, basis_of(config, lattice), fd)


EXAMPLES: dict[str, Callable[[str], Ansatz]] = {
    **{name: of_choice(given) for name, given in of_spins().items()},
    # what no choice makes of a chain, or with these numbers
    "masked_conv-rows": lambda fd: masked_conv((3, 2), layers=3, features=3, kernel=2, float_dtype=fd, **TANH),
    "rnn-rows": lambda fd: rnn(rows((3, 2)), layers=1, features=3, dtype="complex", float_dtype=fd),
    "resnet-complex": lambda fd: resnet(
        (3, 2), (True, False), layers=2, features=3, kernel=(3, 2), activation="tanh", dtype="complex", float_dtype=fd
    ),
    "resnet-touched": lambda fd: resnet(
        (3, 2), (True, False), layers=2, features=3, kernel=(2, 3), touch=True, float_dtype=fd
    ),
    "resnet-cnn": lambda fd: resnet(
        (N,), (True,), layers=2, features=3, kernel=(3,), skip=False, touch=True, float_dtype=fd
    ),
    # sums over groups in which no state vanishes by symmetry; tests/ansatz/test_symmetrize.py has the others
    "symmetrize-real": lambda fd: symmetrize(jastrow(N, float_dtype=fd), TURNS),
    "symmetrize-signed": lambda fd: symmetrize(jastrow(N, float_dtype=fd), ODD),
    "symmetrize-holomorphic": lambda fd: symmetrize(jastrow(N, dtype="complex", float_dtype=fd), ODD),
    "symmetrize-log_psi": lambda fd: symmetrize(mlp(N, widths=(3,), float_dtype=fd), TURNS, mode="log_psi"),
    "complete-toy": lambda fd: toy(N, float_dtype=fd),
    "in_order-mlp": lambda fd: in_order(mlp(N, widths=(3,), float_dtype=fd), np.array([2, 0, 3, 1, 5, 4])),
    "full_evaluation-toy": lambda fd: full_evaluation(*toy(N, float_dtype=fd)[:3]),
}
