"""From checked single values to a whole that fits together: ``auto`` resolved, combinations checked.

Everything raises InputError with one line. Builds the lattice (the only place where site numbers can be checked) but
loads neither JAX nor MPI.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from nqs_hpc import schema
from nqs_hpc.checks import BySize, InputError, bad, lowest, show
from nqs_hpc.operators import pauli_strings
from nqs_hpc.schema import Config
from nqs_hpc.system import lattice as lattices
from nqs_hpc.system.hilbert import Hilbert, bosons, dimension_up_to, spin_half
from nqs_hpc.system.lattice import Lattice
from nqs_hpc.system.links import NAME as LINKS
from nqs_hpc.system.links import links
from nqs_hpc.system.points import points_lattice, read_points

T = TypeVar("T")

_MOVES = {"exchange": "an exchange of spins", "hop": "a hop of a boson"}

MAX_SITES = 2**16  # 256 x 256: a slip of the finger, not a lattice, is above it, and would not fit into memory
MAX_STATES = 2**22  # of enumerate
MAX_ATOMS = 2**13  # each interacts with all others: their matrix takes half a GiB


def resolve(config: Config, n_ranks: int | None) -> Config:
    """The configuration with every ``auto`` replaced; raises InputError where its parts do not fit together.

    ``n_ranks`` None stands for resources.ranks.
    """
    for name in ("study", "chain"):
        if (value := getattr(config, name)) is not None:
            raise bad(name, value, "null for a single job; a sweep is python -m nqs_hpc -m study=NAME KEY=A,B ...")
    if config.init_from is not None:
        config = dataclasses.replace(config, init_from=os.path.normpath(config.init_from))
    config = dataclasses.replace(config, lattice=_lattice(config.lattice))
    given = make_lattice(config.lattice)
    hamiltonian = resolve_hamiltonian(config.hamiltonian, given)
    config = dataclasses.replace(config, hamiltonian=hamiltonian)
    lattice = site_lattice(hamiltonian, given)
    config = dataclasses.replace(config, resources=_resources(config.resources, lattice.n_sites))
    n_ranks = config.resources.ranks if n_ranks is None else n_ranks
    config = dataclasses.replace(config, sector=_sector(config, lattice.n_sites))
    hilbert = make_hilbert(hamiltonian, lattice.n_sites, config.sector)
    config = dataclasses.replace(config, sampler=_sampler(config, hilbert, n_ranks))
    _ansatz(config.ansatz, lattice.n_sites)
    _optimizer(config, hilbert)
    return config


def make_sites(config: Config) -> Lattice:
    """The lattice whose sites carry the spins or bosons of a resolved configuration."""
    return site_lattice(config.hamiltonian, make_lattice(config.lattice))


def site_lattice(hamiltonian: schema.Hamiltonian, lattice: Lattice) -> Lattice:
    """``lattice``, or where the Hamiltonian has its spins on the links of that, the lattice of these."""
    if isinstance(hamiltonian, schema.ToricCode) and lattice.name != LINKS:
        return links(lattice)
    return lattice


def make_hilbert(hamiltonian: schema.Hamiltonian, n_sites: int, total: int | None) -> Hilbert:
    """What the sites of a Hamiltonian hold, in the sector of ``total``; ValueError where that cannot be had."""
    if isinstance(hamiltonian, schema.BoseHubbard):
        return bosons(n_sites, hamiltonian.n_max, total)
    return spin_half(n_sites, total)


def make_lattice(lattice: schema.Lattice) -> Lattice:
    """The lattice of a resolved configuration, as it is given: of the toric code that of the vertices."""
    if isinstance(lattice, schema.PointsLattice):
        return points_lattice(lattice.positions)
    if isinstance(lattice, schema.EdgesLattice):
        orders = sorted({order for _, _, order in lattice.edges})
        return lattices.edges_lattice(
            lattice.n_sites, {n: [(i, j) for i, j, order in lattice.edges if order == n] for n in orders}
        )
    return lattices.FACTORIES[lattice.name](lattice.extent, lattice.pbc)


def _one_line(key: str, value: Any, make: Callable[[], T]) -> T:
    """What ``make`` returns; its ValueError becomes the one line of ``key``."""
    try:
        return make()
    except ValueError as error:
        reason = " ".join(str(error).split())
        whole = reason.startswith(f"{key}=")
        raise InputError(reason if whole else f"{key}={show(value)} is not valid: {reason}") from None


def _lattice(given: schema.Lattice) -> schema.Lattice:
    if isinstance(given, schema.PointsLattice) and given.positions:  # of a run, as below
        try:
            positions = tuple(tuple(float(x) for x in point) for point in given.positions)
            return dataclasses.replace(given, n_sites=points_lattice(positions).n_sites, positions=positions)
        except (TypeError, ValueError) as error:
            raise bad(
                "lattice.positions", given.positions, f"what a run has read from lattice.file ({error})"
            ) from None
    if isinstance(given, schema.PointsLattice):
        points = _one_line("lattice.file", given.file, lambda: read_points(given.file))
        return dataclasses.replace(given, n_sites=len(points), positions=tuple(points))
    if isinstance(given, schema.EdgesLattice) and given.edges:  # of a run: the file may be another one by now
        try:
            edges = tuple((int(i), int(j), int(order)) for i, j, order in given.edges)
            kept = dataclasses.replace(given, edges=edges)
            make_lattice(kept)
        except (TypeError, ValueError) as error:
            raise bad("lattice.edges", given.edges, f"what a run has read from lattice.file ({error})") from None
        return kept
    if isinstance(given, schema.EdgesLattice):
        bonds = _one_line("lattice.file", given.file, lambda: lattices.read_edges(given.file))
        n_sites = 1 + max(int(pairs.max()) for pairs in bonds.values())
        if n_sites > MAX_SITES:
            raise bad("lattice.file", given.file, f"at most {MAX_SITES} sites, and this names site {n_sites - 1}")
        edges = tuple((i, j, order) for order, pairs in sorted(bonds.items()) for i, j in pairs.tolist())
        return dataclasses.replace(given, n_sites=n_sites, edges=edges)

    dimensions = lattices.DIMENSIONS[given.name]
    key, value = ("lattice.length", given.length) if given.extent is None else ("lattice.extent", given.extent)
    if value is None:
        raise bad("lattice.length", None, "a whole number, at least 1, where lattice.extent is not given")
    extent = value if isinstance(value, tuple) else (value,) * dimensions
    per_direction = f"one entry for each direction; lattice={given.name} has {dimensions}"
    if len(extent) != dimensions:
        raise bad(key, value, per_direction)
    pbc = given.pbc if isinstance(given.pbc, tuple) else (given.pbc,) * dimensions
    if len(pbc) != dimensions:
        raise bad("lattice.pbc", given.pbc, f"true, false, or {per_direction}")
    if math.prod(extent) > MAX_SITES:
        raise bad(key, value, f"at most {MAX_SITES} unit cells in all")
    full = dataclasses.replace(given, length=None, extent=tuple(extent), pbc=tuple(pbc))
    _one_line(key, value, lambda: make_lattice(full))
    return full


def resolve_hamiltonian(given: schema.Hamiltonian, lattice: Lattice) -> schema.Hamiltonian:
    """Every ``auto`` replaced, terms read from their file and expanded; raises InputError.

    ``lattice`` is the one that is given, or that of the sites.
    """
    if isinstance(given, schema.Ising):
        if given.J == given.h == given.g == 0:
            raise bad("hamiltonian.J", given.J, "another number than 0 for one of hamiltonian.J, .h, .g")
        return given

    if isinstance(given, schema.Heisenberg):
        couplings = given.J if isinstance(given.J, tuple) else (given.J,)
        while couplings and couplings[-1] == 0:
            couplings = couplings[:-1]
        if not couplings:
            raise bad("hamiltonian.J", given.J, "a number other than 0, or a list with one")
        for order, coupling in enumerate(couplings, 1):
            if coupling:
                _one_line("hamiltonian.J", given.J, lambda order=order: lattices.neighbours(lattice, order))  # type: ignore[misc]
        marshall: Any = given.marshall
        if marshall == "auto":
            # the rule makes the off-diagonal elements negative for an antiferromagnet and positive for a ferromagnet
            marshall = couplings[0] > 0 and lattices.bipartition(lattice) is not None
        elif marshall and lattices.bipartition(lattice) is None:
            raise bad("hamiltonian.marshall", True, "auto or false: the nearest neighbours do not form two sublattices")
        return dataclasses.replace(given, J=couplings, marshall=marshall)

    if isinstance(given, schema.Rydberg):
        return _rydberg(given, lattice)

    if isinstance(given, schema.ToricCode):
        _one_line("hamiltonian", given.name, lambda: site_lattice(given, lattice))
        return given

    if isinstance(given, schema.BoseHubbard):
        if given.J == given.U == given.mu == 0:
            raise bad("hamiltonian.J", given.J, "another number than 0 for one of hamiltonian.J, .U, .mu")
        return given

    if (given.terms is None) == (given.file is None):
        what = "neither is" if given.terms is None else "both are"
        raise InputError(
            f"hamiltonian.terms={show(given.terms)} with hamiltonian.file={show(given.file)} is not valid: {what} "
            "given; valid: exactly one of them"
        )
    if given.file is not None:
        file = given.file
        strings = _one_line("hamiltonian.file", file, lambda: pauli_strings.expand(pauli_strings.read(file), lattice))
    else:
        strings = _one_line("hamiltonian.terms", given.terms, lambda: pauli_strings.expand(given.terms, lattice))
    return dataclasses.replace(given, terms=strings)


def _rydberg(given: schema.Rydberg, lattice: Lattice) -> schema.Rydberg:
    if lattice.edges is not None:
        valid = "another lattice, or lattice=points with a file of positions: atoms interact by distance"
        raise bad("lattice", lattice.name, f"with hamiltonian=rydberg {valid}")
    if lattice.n_sites > MAX_ATOMS:
        raise bad("hamiltonian", given.name, f"at most {MAX_ATOMS} atoms, and the lattice has {lattice.n_sites}")
    if given.Omega == 0:
        raise bad("hamiltonian.Omega", given.Omega, "a number other than 0: without a drive the atoms stay as they are")
    if given.cutoff is not None and not len(lattices.pairs_within(lattice, given.cutoff)[0]):
        nearest = float(lattices.pairs_within(lattice, None)[1].min())
        raise bad(
            "hamiltonian.cutoff", given.cutoff, f"null, or at least {nearest:g}, the distance of the nearest atoms"
        )
    return given


def _conserves(hamiltonian: schema.Hamiltonian) -> bool:
    """Whether the Hamiltonian conserves the total of its local values: magnetisation, or particles."""
    if isinstance(hamiltonian, schema.Rydberg | schema.ToricCode):
        return False  # a drive; stars
    if isinstance(hamiltonian, schema.Ising):
        return hamiltonian.h == 0
    if isinstance(hamiltonian, schema.Pauli):
        return pauli_strings.conserves_magnetisation(hamiltonian.terms)
    return True


def _sector(config: Config, n_sites: int) -> int | None:
    given: Any = config.sector
    conserved = _conserves(config.hamiltonian)
    hamiltonian = config.hamiltonian
    if given == "auto" and isinstance(hamiltonian, schema.BoseHubbard):
        return n_sites if hamiltonian.n_max > 1 else n_sites // 2
    if given == "auto":
        return n_sites % 2 if conserved else None
    if given is None or given == "none":
        return None
    if not conserved:
        why = " with h other than 0" if hamiltonian.name == "ising" else ""
        raise bad(
            "sector",
            given,
            f"auto or none: hamiltonian={hamiltonian.name}{why} does not conserve the total magnetisation",
        )
    if isinstance(hamiltonian, schema.BoseHubbard) and not 0 <= given <= hamiltonian.n_max * n_sites:
        most = f"{hamiltonian.n_max * n_sites} bosons, hamiltonian.n_max={hamiltonian.n_max} on each of {n_sites} sites"
        raise bad("sector", given, f"auto, none, or 0 to {most}")
    _one_line("sector", given, lambda: make_hilbert(hamiltonian, n_sites, given))
    return int(given)


def _sampler(config: Config, hilbert: Hilbert, n_ranks: int) -> schema.Metropolis | schema.Enumerate:
    given, sector, n_sites = config.sampler, config.sector, hilbert.n_sites
    states = dimension_up_to(hilbert, MAX_STATES)
    if isinstance(given, schema.Enumerate):
        if states > MAX_STATES:
            raise bad(
                "sampler",
                "enumerate",
                f"metropolis: {n_sites} sites have more than the {MAX_STATES} states of enumerate",
            )
        return given

    if states == 1:
        raise bad("sector", sector, "a sector of more than one state, or sampler=enumerate")
    move: Any = given.move
    are_bosons = isinstance(config.hamiltonian, schema.BoseHubbard)
    kept = "hop" if are_bosons else "exchange"  # an exchange of bosons keeps how often each number occurs
    if move == "auto":
        move = "flip" if sector is None else kept
    elif move != "flip" and sector is None:
        raise bad("sampler.move", move, f"auto or flip: {_MOVES[move]} needs a sector, and sector is none")
    elif move == "flip" and sector is not None:
        raise bad("sampler.move", move, f"auto or {kept}: changing single sites would leave sector={sector}")
    elif sector is not None and move != kept:
        why = "an exchange of bosons does not reach all states" if are_bosons else "spins exchange, bosons hop"
        raise bad("sampler.move", move, f"auto or {kept}: {why}")
    if given.n_chains % n_ranks:
        raise bad("sampler.n_chains", given.n_chains, f"a multiple of the {n_ranks} ranks")
    if given.n_samples % given.n_chains:
        raise bad("sampler.n_samples", given.n_samples, f"a multiple of sampler.n_chains={given.n_chains}")
    sweep: Any = given.sweep
    return dataclasses.replace(given, move=move, sweep=n_sites if sweep == "auto" else sweep)


def _ansatz(given: schema.Rbm | schema.Jastrow | schema.Mlp, n_sites: int) -> None:
    if isinstance(given, schema.Rbm) and round(given.alpha * n_sites) < 1:
        raise bad("ansatz.alpha", given.alpha, f"a number that gives at least one hidden unit on {n_sites} sites")
    if isinstance(given, schema.Mlp) and min(round(alpha * n_sites) for alpha in given.alphas) < 1:
        raise bad("ansatz.alphas", given.alphas, f"numbers that give at least one hidden unit on {n_sites} sites")


def _optimizer(config: Config, hilbert: Hilbert) -> None:
    given = config.optimizer
    if isinstance(given, schema.Sr | schema.Minsr) and given.solver != "eigh" and lowest(given.diag_shift) == 0:
        value: Any = dict(given.diag_shift.arguments)
        if given.diag_shift.kind == "constant":
            value = value["value"]
        raise bad("optimizer.diag_shift", value, f"above 0 throughout, or optimizer.solver=eigh (it is {given.solver})")
    if isinstance(given, schema.Sr) and given.solver == "cg" and given.broadcast:
        # each rank counts its iterations from its own bits, and mixed nodes have not the same
        raise bad("optimizer.broadcast", True, "false with optimizer.solver=cg")
    if not isinstance(given, schema.Sr | schema.Minsr) and config.precision.solve != "float64":
        raise bad("precision.solve", config.precision.solve, f"float64: optimizer={given.name} solves nothing")
    if isinstance(given, schema.Minsr) or (isinstance(given, schema.Sr) and given.solver == "minsr"):
        # every rank holds the kernel of all samples; a slip here would end in the machine running out of memory
        width = 8 if config.precision.solve == "float64" else 4
        if getattr(config.ansatz, "dtype", "real") == "complex":
            width *= 4 if isinstance(config.ansatz, schema.Mlp) else 2  # two rows a sample, or complex numbers
        most = int((config.memory_gib * 2**30 / width) ** 0.5)
        too_many = f"at most {most}: minsr holds the square of it in numbers, and memory_gib={config.memory_gib:g}"
        if isinstance(config.sampler, schema.Metropolis) and config.sampler.n_samples > most:
            raise bad("sampler.n_samples", config.sampler.n_samples, too_many)
        states = dimension_up_to(hilbert, MAX_STATES)
        if isinstance(config.sampler, schema.Enumerate) and states > most:
            raise bad("sampler", "enumerate", f"metropolis, or fewer than these {states} states ({too_many})")


def _resources(given: schema.Resources, n_sites: int) -> schema.Resources:
    chosen = {}
    for field in dataclasses.fields(given):
        value = getattr(given, field.name)
        if isinstance(value, BySize):
            fitting = [entry for size, entry in value.entries if size <= n_sites]
            if not fitting:
                valid = f"a table that begins at {n_sites} sites at most, the size of this lattice"
                raise bad(f"resources.{field.name}", dict(value.entries), valid)
            chosen[field.name] = fitting[-1]
    given = dataclasses.replace(given, **chosen)
    if given.nodes is not None and given.nodes > given.ranks:
        raise bad("resources.nodes", given.nodes, f"at most resources.ranks={given.ranks}")
    if given.device == "gpu":
        nodes = given.nodes or 1
        if given.ranks % nodes:  # Slurm is asked for the same number of devices on every node
            raise bad("resources.nodes", nodes, f"a divisor of resources.ranks={given.ranks} with device=gpu")
        given = dataclasses.replace(given, nodes=nodes)
    return given


def check_source(init_from: str) -> None:
    """Raise InputError where ``init_from`` holds no checkpoint. Whether it fits is known once the network is built."""
    place = Path.cwd() / init_from
    if not (place.is_file() and place.suffix == ".h5") and not any((place / "checkpoints").glob("step_*.h5")):
        raise bad("init_from", init_from, "null, or a run folder with checkpoints, or a checkpoint file step_….h5")


def check_packages(config: Config) -> None:
    """Raise InputError where a package is missing that only this configuration needs."""
    if config.log.tensorboard and find_spec("tensorboardX") is None:
        valid = "false, or with the extra tensorboard installed: pip install 'nqs_hpc[tensorboard]'"
        raise bad("log.tensorboard", True, valid)


def check_folder(folder: Path, key: str, value: Any) -> None:
    """Raise InputError where ``folder`` cannot be made or written. Makes nothing."""
    place = folder
    try:
        while not place.exists():
            if place.is_symlink():
                raise bad(key, value, f"a folder: {place} is a link to nothing")
            place = place.parent
    except OSError as error:
        raise bad(key, value, f"a folder one can write to: {place} is not ({error.strerror})") from None
    if not place.is_dir():
        raise bad(key, value, f"a folder: {place} is a file")
    if not os.access(place, os.W_OK | os.X_OK):
        raise bad(key, value, f"a folder one can write to: {place} is not")
