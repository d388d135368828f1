"""Every ansatz on six sites, for tests that hold all of them to one contract. The keys are FILE or FILE-VARIANT of the
files in nqs_hpc/ansatz, each a function of the name of its floats. A new ansatz is one line here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.ansatz.gcnn import gcnn
from nqs_hpc.ansatz.jastrow import jastrow
from nqs_hpc.ansatz.masked_conv import masked_conv
from nqs_hpc.ansatz.masked_dense import masked_dense
from nqs_hpc.ansatz.mlp import mlp
from nqs_hpc.ansatz.modulus_phase import modulus_phase
from nqs_hpc.ansatz.rbm import rbm
from nqs_hpc.ansatz.resnet import resnet
from nqs_hpc.ansatz.symmetrize import symmetrize
from nqs_hpc.ansatz.vit import vit
from nqs_hpc.system.characters import momentum, with_spin_flip
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.system.patches import patches
from nqs_hpc.system.symmetry import translations
from nqs_hpc.types import Ansatz
from tests.ansatz.toy import toy

N = 6  # sites
TANH: dict[str, Any] = {"activation": "tanh"}  # bounded, and so is its rounding where parameters are large
RING = FACTORIES["chain"]((N,), (True,))
PATCHES = patches(RING, 2)
TURNS = with_spin_flip(translations(RING), momentum(RING, None), None)
ODD = with_spin_flip(TURNS.perms[:1], TURNS.characters[:1], -1)
EXAMPLES: dict[str, Callable[[str], Ansatz]] = {
    "rbm-real": lambda fd: rbm(N, n_hidden=9, dtype="real", float_dtype=fd),
    "rbm-complex": lambda fd: rbm(N, n_hidden=9, dtype="complex", float_dtype=fd),
    "jastrow-real": lambda fd: jastrow(N, dtype="real", float_dtype=fd),
    "jastrow-complex": lambda fd: jastrow(N, dtype="complex", float_dtype=fd),
    "masked_conv-real": lambda fd: masked_conv((3, 2), layers=3, features=3, kernel=2, float_dtype=fd, **TANH),
    "masked_conv-complex": lambda fd: masked_conv(
        (N,), layers=2, features=4, kernel=3, dtype="complex", float_dtype=fd, **TANH
    ),
    "masked_dense-real": lambda fd: masked_dense(N, layers=2, features=3, float_dtype=fd, **TANH),
    "masked_dense-complex": lambda fd: masked_dense(N, layers=3, features=2, dtype="complex", float_dtype=fd, **TANH),
    "mlp-real": lambda fd: mlp(N, widths=(5,), dtype="real", float_dtype=fd),
    "gcnn-real": lambda fd: gcnn(TURNS, layers=2, features=3, float_dtype=fd),
    "gcnn-complex": lambda fd: gcnn(TURNS, layers=3, features=2, dtype="complex", float_dtype=fd),
    # sums over groups in which no state vanishes by symmetry; tests/ansatz/test_symmetrize.py has the others
    "symmetrize-real": lambda fd: symmetrize(jastrow(N, float_dtype=fd), TURNS),
    "symmetrize-signed": lambda fd: symmetrize(jastrow(N, float_dtype=fd), ODD),
    "symmetrize-holomorphic": lambda fd: symmetrize(jastrow(N, dtype="complex", float_dtype=fd), ODD),
    "symmetrize-log_psi": lambda fd: symmetrize(mlp(N, widths=(3,), float_dtype=fd), TURNS, mode="log_psi"),
    "mlp-complex": lambda fd: mlp(N, widths=(8, 5), activation="tanh", dtype="complex", float_dtype=fd),
    "resnet-real": lambda fd: resnet((N,), (True,), layers=2, features=3, kernel=(3,), float_dtype=fd),
    "resnet-complex": lambda fd: resnet(
        (3, 2), (True, False), layers=2, features=3, kernel=(3, 2), activation="tanh", dtype="complex", float_dtype=fd
    ),
    "resnet-touched": lambda fd: resnet(
        (3, 2), (True, False), layers=2, features=3, kernel=(2, 3), touch=True, float_dtype=fd
    ),
    "resnet-cnn": lambda fd: resnet(
        (N,), (True,), layers=2, features=3, kernel=(3,), skip=False, touch=True, float_dtype=fd
    ),
    "modulus_phase": lambda fd: modulus_phase(jastrow(N, float_dtype=fd), mlp(N, widths=(5,), float_dtype=fd)),
    "vit-real": lambda fd: vit(PATCHES, width=4, heads=2, layers=1, expansion=2, float_dtype=fd),
    "vit-complex": lambda fd: vit(
        PATCHES, width=4, heads=1, layers=1, attention_name="factored", expansion=1, dtype="complex", float_dtype=fd
    ),
    "complete-toy": lambda fd: toy(N, float_dtype=fd),
    "full_evaluation-toy": lambda fd: full_evaluation(*toy(N, float_dtype=fd)[:3]),
}
