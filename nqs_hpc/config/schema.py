"""What a configuration is: one choice of every group (`nqs_hpc.choices`), the sections, and the keys outside of them.

Defaults live only in conf/: a key that is missing there is an error. Fields hold what the key means once resolved:
``auto`` is replaced by its value before a Config leaves `config.compose` (but for ``solver``, ``blocks`` and
``chunk_size``, which are planned once the number of parameters is known). Loads nothing heavy: the check of the input
comes before JAX and MPI.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from nqs_hpc.choices.ansatz.base import Ansatz
from nqs_hpc.choices.hamiltonian.base import Hamiltonian
from nqs_hpc.choices.keys import Auto, key
from nqs_hpc.choices.lattice.base import Lattice
from nqs_hpc.choices.optimizer.base import Optimizer
from nqs_hpc.choices.sampler.base import Sampler
from nqs_hpc.choices.task.base import Task
from nqs_hpc.config import observables
from nqs_hpc.config.observables import Observables
from nqs_hpc.config.sections import Checkpoint, Log, Precision, Resources, Symmetrize
from nqs_hpc.inputs import checks
from nqs_hpc.system.lattice import Lattice as Sites


def _group(name: str) -> Any:
    return dataclasses.field(metadata={"group": name})


def _section(cls: type[Any]) -> Any:
    return dataclasses.field(metadata={"section": cls})


def _label() -> Any:
    return dataclasses.field(metadata={"physics": False})


@dataclass(frozen=True)
class Config:
    """A whole job, checked and resolved."""

    lattice: Lattice = _group("lattice")
    hamiltonian: Hamiltonian = _group("hamiltonian")
    ansatz: Ansatz = _group("ansatz")
    sampler: Sampler = _group("sampler")
    optimizer: Optimizer = _group("optimizer")
    task: Task = _group("task")
    observables: Observables = key(
        observables.check,
        "what is measured beside the energy: [NAME, ...], {LABEL: {name: NAME, ...}, ...}, or observables.LABEL=NAME "
        "and observables.LABEL.KEY=VALUE; observables.every: steps of an optimization between two measurements, "
        "null: at its end alone",
    )
    sector: int | tuple[int, ...] | None = key(
        checks.optional(
            checks.either("auto", checks.either("none", checks.one_or_list(checks.integer(least=None)))),
        ),
        "conserved total, 2Sz or the number of particles, of fermions with spin [N_up, N_down]; auto where H conserves "
        "it: that of the ground state, 0 (1 for an odd number of spins), one boson a site (half of one where n_max=1), "
        "half filling of fermions; none, all states: ising, ferromagnets, where a field along z or mu decides",
    )
    seed: int = key(checks.integer(least=0, below=2**63), "seed of all random numbers")
    run_dir: str | None = key(
        checks.optional(checks.path), "folder of the run; null: runs/NAME-HASH under the current folder", physics=False
    )
    init_from: str | None = key(
        checks.optional(checks.run),
        "run folder, checkpoint file or exported FILE.safetensors whose parameters the run begins with; null: random",
        physics="given",
    )
    allow_import: bool = key(
        checks.boolean, "let ansatz.module come from a file of the configuration, not the command line", physics=False
    )
    study: str | None = key(
        checks.optional(checks.name), "name of a sweep (-m), whose folder is sweeps/NAME", physics=False
    )
    chain: str | None = key(
        checks.optional(checks.path),
        "a swept key (-m) whose points run in order, each beginning with the parameters of the one before",
        physics=False,
    )
    symmetrize: Symmetrize = _section(Symmetrize)
    precision: Precision = _section(Precision)
    chunk_size: int | Auto | None = key(
        checks.optional(checks.either("auto", checks.integer())),
        "samples handled at once on a rank; null: all; auto: what memory_gib allows",
        physics=False,
    )
    memory_gib: float = key(checks.positive, "memory of a rank that auto plans with, in GiB", physics=False)
    compile_cache: str | None = key(
        checks.optional(checks.either("auto", checks.path)),
        "folder of compiled programs; auto: JAX_COMPILATION_CACHE_DIR, else nqs_hpc/xla in the user's cache folder",
        physics=False,
    )
    max_seconds: float | None = key(
        checks.optional(checks.positive), "stop with a checkpoint after this wall time", physics=False
    )
    checkpoint: Checkpoint = _section(Checkpoint)
    log: Log = _section(Log)
    resources: Resources = _section(Resources)
    experiment: str | None = _label()

    def make_sites(self) -> Sites:
        """The lattice whose sites carry the spins or particles, of a resolved configuration."""
        return self.hamiltonian.sites(self.lattice.make())
