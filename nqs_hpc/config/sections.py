"""Sections: keys that stand outside the groups, together."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from nqs_hpc.choices.keys import Auto, Float, key
from nqs_hpc.inputs import checks
from nqs_hpc.inputs.mappings import by_size


@dataclass(frozen=True)
class Precision:
    network: Float = key(checks.choice("float32", "float64"), "parameters, sampling and energies")
    solve: Float = key(checks.choice("float32", "float64"), "linear solve of sr and minsr")


@dataclass(frozen=True)
class Symmetrize:
    """The sector an ansatz is summed into; off where there is neither a group nor a spin flip."""

    group: Literal["translations", "point_group", "space_group"] | None = key(
        checks.optional(checks.choice("translations", "point_group", "space_group")),
        "symmetries of the lattice that any ansatz is summed over; null: none",
        physics="given",
    )
    file: str | None = key(
        checks.optional(checks.path), "a group of its own, a permutation of the sites a line", physics=False
    )
    momentum: tuple[int, ...] | None = key(
        checks.optional(checks.integers(least=None)),
        "of the physical psi(t s) = exp(-i k t) psi(s), whole numbers of 2 pi / L, one a periodic direction; null: 0, "
        "or with Marshall's rule that of the ground state",
        physics="given",
    )
    irrep: str | None = key(
        checks.optional(checks.name),
        "of the physical psi, of the point operations that keep the momentum or of the file's group: A1, B2, E..; "
        "null: the first, trivial, or with Marshall's rule that of the ground state",
        physics="given",
    )
    spin_flip: int | None = key(
        checks.optional(checks.choice_of(1, -1)),
        "of the physical psi: psi(-s) = psi(s) or -psi(s), of fermions by the exchange of up and down; null: neither",
        physics="given",
    )
    mode: Literal["psi", "log_psi"] | None = key(
        checks.optional(checks.choice("psi", "log_psi")),
        "psi: a sum over the group; log_psi: the mean of log psi, where all characters are 1, not of fermions",
        physics="given",
    )
    # what was read from the file
    permutations: tuple[tuple[int, ...], ...] | None = dataclasses.field(default=None, metadata={"physics": "given"})
    # physical where Marshall's rule makes the sector asked for another one in the basis of the ansatz: such a run is
    # another than one of a version that took the names in the basis of the ansatz
    names: Literal["physical"] | None = dataclasses.field(default=None, metadata={"physics": "given"})


@dataclass(frozen=True)
class Checkpoint:
    every_steps: int | Auto | None = key(
        checks.optional(checks.either("auto", checks.integer())),
        "updates between checkpoints; auto: 50, or more where saving would take over 2 % of the time",
        physics=False,
    )
    every_seconds: float | Auto | None = key(
        checks.optional(checks.either("auto", checks.positive)),
        "seconds between checkpoints; auto: 300, or more where saving would take over 2 % of the time",
        physics=False,
    )
    keep: int = key(checks.integer(least=2), "newest checkpoints that are kept", physics=False)


@dataclass(frozen=True)
class Log:
    progress: Literal["auto", "bar", "lines"] = key(
        checks.choice("auto", "bar", "lines"), "bar or plain lines; auto: a bar on a terminal", physics=False
    )
    tensorboard: bool = key(checks.boolean, "event files for TensorBoard in RUN/tensorboard", physics=False)
    mlflow: bool = key(checks.boolean, "a file store of MLflow in RUN/mlruns", physics=False)


@dataclass(frozen=True)
class Resources:
    """What ``submit`` and sweeps ask for. A job that has started takes what it finds, and of its cores at most
    ``threads``. Resolved: single values.
    """

    ranks: int = key(by_size(checks.integer()), "MPI ranks of a job that is submitted", physics=False)
    nodes: int | None = key(
        by_size(checks.optional(checks.integer())),
        "nodes they share; null: as the queue likes (gpu: one)",
        physics=False,
    )
    threads: int | Auto = key(
        by_size(checks.either("auto", checks.integer())),
        "cores of a rank; auto: 1 in a queue or a sweep, else all that the rank may use",
        physics=False,
    )
    device: Literal["cpu", "gpu"] = key(
        checks.choice("cpu", "gpu"), "what a rank computes on; gpu: one device a rank", physics=False
    )
    memory_gib: float | None = key(
        by_size(checks.optional(checks.positive)),
        "memory of a rank to reserve; null: the queue's default",
        physics=False,
    )
    time: str = key(by_size(checks.duration), "time limit, HH:MM:SS, D-HH:MM:SS or minutes", physics=False)
    site: str | None = key(
        checks.optional(checks.path),
        "file like slurm/site.yaml; null: that one, where it is here",
        physics=False,
    )

    @property
    def cores(self) -> int:
        """The cores of a rank that are asked of a queue, and kept for it in a sweep."""
        return 1 if self.threads == "auto" else self.threads
