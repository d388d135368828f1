"""What a configuration is: one frozen dataclass a choice of each group, every key with its check and one line of doc.

Defaults live in conf/ alone: a key that is missing there is an error. A new choice is one YAML in conf/GROUP/ and one
dataclass here. Fields hold what the key means once resolved: ``auto`` is replaced by its value before a Config leaves
config.compose (but for ``solver``, ``blocks`` and ``chunk_size``, which are planned once the number of parameters is
known).
Loads nothing heavy: the check of the input comes before JAX and MPI.
"""
# ruff: noqa: RUF009 - key() and its like return dataclasses.field

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from nqs_hpc import checks
from nqs_hpc.checks import Check, InputError, Schedule, bad, unknown
from nqs_hpc.operators.pauli_strings import PauliString

T = TypeVar("T")
Auto = Literal["auto"]

# group -> choice -> its dataclass
CHOICES: dict[str, dict[str, type[Any]]] = {}


def _choice(group: str, *names: str) -> Callable[[type[T]], type[T]]:
    def register(cls: type[T]) -> type[T]:
        CHOICES.setdefault(group, {}).update(dict.fromkeys(names, cls))
        return cls

    return register


def key(check: Check, doc: str, *, physics: bool | Literal["given"] = True) -> Any:
    """A key of the configuration. ``physics``: whether another value makes it another run; "given": where not null."""
    return dataclasses.field(metadata={"check": check, "doc": doc, "physics": physics})


def _derived() -> Any:
    """A field that no key sets: it is read from a file or worked out."""
    return dataclasses.field(default=(), metadata={"physics": True})


# --- lattices ---------------------------------------------------------------------------------------------------------


@_choice("lattice", "chain", "square", "cubic", "triangular", "honeycomb", "kagome")
@dataclass(frozen=True)
class RegularLattice:
    """Resolved: ``extent`` and ``pbc`` have one entry a dimension, ``length`` is None."""

    name: str
    length: int | None = key(checks.optional(checks.integer()), "unit cells in every direction", physics=False)
    extent: tuple[int, ...] = key(
        checks.optional(checks.list_of(checks.integer())), "unit cells by direction, instead of length"
    )
    pbc: tuple[bool, ...] = key(checks.one_or_list(checks.boolean), "periodic boundaries, or a list by direction")


@_choice("lattice", "edges")
@dataclass(frozen=True)
class EdgesLattice:
    name: str
    file: str = key(
        checks.path,
        "text file of bonds, one a line: two sites from 0, and a neighbour order where not 1",
        physics=False,
    )
    n_sites: int = _derived()
    edges: tuple[tuple[int, int, int], ...] = _derived()  # site, site, neighbour order


@_choice("lattice", "points")
@dataclass(frozen=True)
class PointsLattice:
    name: str
    file: str = key(checks.path, "text file of positions, one site a line: 'x', 'x y' or 'x y z'", physics=False)
    n_sites: int = _derived()
    positions: tuple[tuple[float, ...], ...] = _derived()


Lattice = RegularLattice | EdgesLattice | PointsLattice

# --- Hamiltonians -----------------------------------------------------------------------------------------------------


@_choice("hamiltonian", "ising")
@dataclass(frozen=True)
class Ising:
    name: str
    J: float = key(checks.number(), "coupling of nearest neighbours; positive is ferromagnetic")
    h: float = key(checks.number(), "transverse field")
    g: float = key(checks.number(), "longitudinal field")


@_choice("hamiltonian", "heisenberg")
@dataclass(frozen=True)
class Heisenberg:
    """Resolved: ``J`` is a tuple by neighbour order without trailing zeros, ``marshall`` a boolean."""

    name: str
    J: tuple[float, ...] = key(
        checks.one_or_list(checks.number()), "coupling, or a list by neighbour order: [1, 0.5] is J1-J2"
    )
    delta: float = key(checks.number(), "anisotropy of the z part (XXZ)")
    marshall: bool = key(
        checks.either("auto", checks.boolean), "Marshall sign rule; auto: on a bipartite lattice with J_1 > 0"
    )


def _pauli_terms(value: Any) -> Any:
    if not isinstance(value, list | tuple) or not value:
        raise checks.Invalid
    return value


@_choice("hamiltonian", "pauli")
@dataclass(frozen=True)
class Pauli:
    """Resolved: ``terms`` are the strings of the whole sum, sorted and merged, wherever they came from."""

    name: str
    terms: tuple[PauliString, ...] = key(
        checks.optional(Check("a list of {coefficient: -1.0, operators: ZZ, sites: [0, 1]}", _pauli_terms)),
        "list of {coefficient, operators, sites: [..] | all, or neighbours: n}",
    )
    file: str | None = key(
        checks.optional(checks.path), "the terms in a .yaml file, or text lines like -1.0 Z0 Z1", physics=False
    )


@_choice("hamiltonian", "rydberg")
@dataclass(frozen=True)
class Rydberg:
    name: str
    Omega: float = key(checks.number(), "Rabi frequency of the drive, not 0")
    delta: float = key(checks.number(), "detuning; positive favours excited atoms")
    V: float = key(checks.number(least=0), "repulsion of two excited atoms at distance 1")
    cutoff: float | None = key(
        checks.optional(checks.positive), "largest distance at which atoms interact; null: all pairs do"
    )


@_choice("hamiltonian", "toric_code")
@dataclass(frozen=True)
class ToricCode:
    name: str
    hx: float = key(checks.number(), "field along x")
    hy: float = key(checks.number(), "field along y; with it the ground state is complex")
    hz: float = key(checks.number(), "field along z")


@_choice("hamiltonian", "bose_hubbard")
@dataclass(frozen=True)
class BoseHubbard:
    name: str
    J: float = key(checks.number(), "hopping between nearest neighbours")
    U: float = key(checks.number(), "repulsion of two bosons on a site")
    mu: float = key(checks.number(), "chemical potential")
    n_max: int = key(checks.integer(below=128), "most bosons on a site")


Hamiltonian = Ising | Heisenberg | Pauli | Rydberg | ToricCode | BoseHubbard

# --- ansätze ----------------------------------------------------------------------------------------------------------


@_choice("ansatz", "rbm")
@dataclass(frozen=True)
class Rbm:
    name: str
    alpha: float = key(checks.positive, "hidden units, in units of the number of sites")
    dtype: Literal["real", "complex"] = key(checks.choice("real", "complex"), "real or complex parameters")
    bias: bool = key(checks.boolean, "whether visible and hidden units have a bias")
    init_scale: float = key(checks.positive, "standard deviation of the initial parameters")


@_choice("ansatz", "jastrow")
@dataclass(frozen=True)
class Jastrow:
    name: str
    dtype: Literal["real", "complex"] = key(checks.choice("real", "complex"), "real or complex parameters")
    init_scale: float = key(checks.positive, "standard deviation of the initial parameters")


@_choice("ansatz", "mlp")
@dataclass(frozen=True)
class Mlp:
    name: str
    alphas: tuple[float, ...] = key(
        checks.list_of(checks.positive), "widths of the hidden layers, in units of the number of sites"
    )
    activation: Literal["gelu", "tanh", "relu", "silu", "log_cosh"] = key(
        checks.choice("gelu", "tanh", "relu", "silu", "log_cosh"), "activation of the hidden layers"
    )
    dtype: Literal["real", "complex"] = key(
        checks.choice("real", "complex"), "complex: real parameters, two outputs, log |psi| and the phase"
    )
    init_scale: float = key(checks.positive, "factor on LeCun's normal initial weights")


# --- samplers ---------------------------------------------------------------------------------------------------------


@_choice("sampler", "metropolis")
@dataclass(frozen=True)
class Metropolis:
    name: str
    n_chains: int = key(checks.integer(least=2), "Markov chains over all ranks; the error comes from their spread")
    n_samples: int = key(checks.integer(), "samples a step over all ranks, a multiple of n_chains")
    sweep: int = key(
        checks.either("auto", checks.integer()), "proposals between two samples of a chain; auto: the number of sites"
    )
    warmup: int = key(checks.integer(least=0), "sweeps before the first sample of a fresh chain")
    move: Literal["flip", "exchange", "hop"] = key(
        checks.choice("auto", "flip", "exchange", "hop"),
        "proposal; auto: in a sector exchange of spins or hop of a boson, else flip (another value of one site)",
    )


@_choice("sampler", "enumerate")
@dataclass(frozen=True)
class Enumerate:
    name: str


# --- optimizers -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Optimizer:
    """What all optimizers share."""

    name: str
    learning_rate: Schedule = key(checks.schedule(), "step size, a number or a schedule", physics=False)
    max_norm: float | None = key(
        checks.optional(checks.positive), "bound on the Euclidean norm of one step of the parameters", physics=False
    )
    average: float | None = key(
        checks.optional(checks.number(above=0, below=1)),
        "decay of a running mean of the parameters, used by the final evaluation",
    )
    max_rejected: int = key(checks.integer(), "rejected steps in a row before the run fails", physics=False)
    broadcast: bool = key(checks.boolean, "take rank 0's update on every rank, for mixed hardware", physics=False)


@_choice("optimizer", "sgd")
@dataclass(frozen=True)
class Sgd(Optimizer):
    pass


@_choice("optimizer", "adam")
@dataclass(frozen=True)
class Adam(Optimizer):
    b1: float = key(checks.number(least=0, below=1), "decay of the mean of the gradient")
    b2: float = key(checks.number(least=0, below=1), "decay of the mean of its square")
    eps: float = key(checks.positive, "added to the denominator")


_SHIFT = "added to the diagonal, a number or a schedule; 0 needs solver=eigh"
_BLOCKS = "parts the Jacobian of minsr is made in, in networks that need one (not rbm, mlp); auto: by memory_gib"
_STORED = "above 1, cg holds no Jacobian and asks the network anew (not rbm, mlp, which need none); auto: by memory_gib"
_RCOND = "eigh drops eigenvalues below this times the largest"


@_choice("optimizer", "sr")
@dataclass(frozen=True)
class Sr(Optimizer):
    diag_shift: Schedule = key(checks.schedule(zero=True), _SHIFT, physics=False)
    solver: Literal["auto", "cholesky", "eigh", "cg", "minsr"] = key(
        checks.choice("auto", "cholesky", "eigh", "cg", "minsr"),
        "in parameter space, matrix-free (cg) or in sample space (minsr); auto: the cheapest, decided at step 0",
        physics=False,
    )
    blocks: int | Auto = key(checks.either("auto", checks.integer()), _STORED, physics=False)
    rcond: float = key(checks.number(above=0, below=1), _RCOND)
    cg_tolerance: float = key(checks.number(above=0, below=1), "relative residual at which cg stops")
    cg_max_iterations: int = key(checks.integer(), "iterations after which cg stops")


@_choice("optimizer", "minsr")
@dataclass(frozen=True)
class Minsr(Optimizer):
    diag_shift: Schedule = key(checks.schedule(zero=True), _SHIFT, physics=False)
    solver: Literal["auto", "cholesky", "eigh"] = key(
        checks.choice("auto", "cholesky", "eigh"), "linear solver; auto is cholesky", physics=False
    )
    blocks: int | Auto = key(checks.either("auto", checks.integer()), _BLOCKS, physics=False)
    rcond: float = key(checks.number(above=0, below=1), _RCOND)
    momentum: float | None = key(
        checks.optional(checks.number(least=0, below=1)), "SPRING's mu (Goldshlager et al. 2024, arXiv:2401.10190)"
    )


# --- tasks ------------------------------------------------------------------------------------------------------------


@_choice("task", "ground_state")
@dataclass(frozen=True)
class GroundState:
    name: str
    n_steps: int = key(checks.integer(), "updates of the parameters", physics=False)
    final_samples: int = key(
        checks.integer(), "samples of the final evaluation, rounded up to whole chains of at least 64", physics=False
    )


# --- keys outside the groups ------------------------------------------------------------------------------------------

Float = Literal["float32", "float64"]


@dataclass(frozen=True)
class Precision:
    network: Float = key(checks.choice("float32", "float64"), "parameters, sampling and energies")
    solve: Float = key(checks.choice("float32", "float64"), "linear solve of sr and minsr")


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


@dataclass(frozen=True)
class Resources:
    """What ``submit`` and sweeps ask for; a job that has started takes what it finds. Resolved: single values."""

    ranks: int = key(checks.by_size(checks.integer()), "MPI ranks of a job that is submitted", physics=False)
    nodes: int | None = key(
        checks.by_size(checks.optional(checks.integer())),
        "nodes they share; null: as the queue likes (gpu: one)",
        physics=False,
    )
    threads: int = key(checks.by_size(checks.integer()), "cores of a rank", physics=False)
    device: Literal["cpu", "gpu"] = key(
        checks.choice("cpu", "gpu"), "what a rank computes on; gpu: one device a rank", physics=False
    )
    memory_gib: float | None = key(
        checks.by_size(checks.optional(checks.positive)),
        "memory of a rank to reserve; null: the queue's default",
        physics=False,
    )
    time: str = key(checks.by_size(checks.duration), "time limit, HH:MM:SS, D-HH:MM:SS or minutes", physics=False)
    site: str | None = key(
        checks.optional(checks.path),
        "file like slurm/site.yaml; null: that one, where it is here",
        physics=False,
    )


# --- launchers of a sweep (-m), which are Hydra's: no part of a Config ------------------------------------------------


@dataclass(frozen=True)
class Launcher:
    name: str
    dry_run: bool = key(checks.boolean, "print what would be started, and make nothing", physics=False)


@_choice("hydra/launcher", "local")
@dataclass(frozen=True)
class Local(Launcher):
    n_jobs: int | Auto = key(
        checks.either("auto", checks.integer()), "points at a time; auto: as many as the cores hold", physics=False
    )
    n_ranks: int | None = key(
        checks.optional(checks.integer()), "MPI ranks of each; null: resources.ranks", physics=False
    )


@_choice("hydra/launcher", "slurm")
@dataclass(frozen=True)
class Slurm(Launcher):
    array_parallelism: int | None = key(
        checks.optional(checks.integer()), "points of an array that run at a time; null: no bound", physics=False
    )


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
    ansatz: Rbm | Jastrow | Mlp = _group("ansatz")
    sampler: Metropolis | Enumerate = _group("sampler")
    optimizer: Sgd | Adam | Sr | Minsr = _group("optimizer")
    task: GroundState = _group("task")
    sector: int | None = key(
        checks.optional(checks.either("auto", checks.either("none", checks.integer(least=None)))),
        "conserved total, 2Sz or the number of bosons; auto where H conserves it: 0 (1 for an odd number of spins), "
        "one boson a site (half of one where n_max=1); else none",
    )
    seed: int = key(checks.integer(least=0, below=2**63), "seed of all random numbers")
    run_dir: str | None = key(
        checks.optional(checks.path), "folder of the run; null: runs/NAME-HASH under the current folder", physics=False
    )
    init_from: str | None = key(
        checks.optional(checks.path),
        "run folder or checkpoint file whose parameters the run begins with; null: random ones",
        physics="given",
    )
    study: str | None = key(
        checks.optional(checks.name), "name of a sweep (-m), whose folder is sweeps/NAME", physics=False
    )
    chain: str | None = key(
        checks.optional(checks.path),
        "a swept key (-m) whose points run in order, each beginning with the parameters of the one before",
        physics=False,
    )
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


def read(cls: type[T], data: Any, prefix: str, **fixed: Any) -> T:
    """The dataclass of a group or section from its mapping; every key checked, none missing, none unknown."""
    fields = {f.name: f.metadata["check"] for f in dataclasses.fields(cls) if "check" in f.metadata}  # type: ignore[arg-type]
    if not isinstance(data, Mapping):
        raise bad(prefix, data, f"its keys: {_keys(prefix, fields)}")
    for name, value in data.items():
        if name not in fields:
            owner = f"{prefix}={fixed['name']}" if "name" in fixed else prefix
            raise unknown(f"{prefix}.{name}", value, str(name), owner, fields)
    values = {}
    for name, check in fields.items():
        if name not in data:
            raise InputError(f"{prefix}.{name} is missing from the configuration; valid: {check.valid}")
        values[name] = checks.apply(check, f"{prefix}.{name}", data[name])
    return cls(**fixed, **values)


def _keys(prefix: str, names: Iterable[str]) -> str:
    return ", ".join(f"{prefix}.{name}" for name in names) or "none"
