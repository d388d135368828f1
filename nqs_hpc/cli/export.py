"""``python -m nqs_hpc export RUN | KEY=VALUE ... --FORMAT FILE``: a run, or what a configuration says, for another
program.

Of a run its parameters and what it measured; of a run or a configuration the Hamiltonian and the bonds. Each format is
written by one file of `formats`; docs/formats.md has a table of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nqs_hpc.config.commands import START, usage
from nqs_hpc.config.compose import checked
from nqs_hpc.config.identity import to_plain
from nqs_hpc.config.schema import Config
from nqs_hpc.formats import alps_results, openfermion, qiskit, quspin
from nqs_hpc.inputs.checks import InputError, show
from nqs_hpc.inputs.reading import harmless, printable
from nqs_hpc.job import files, observables_file
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, FAULT
from nqs_hpc.operators import pauli_strings
from nqs_hpc.system import alps_graph, edges, fcidump
from nqs_hpc.system.fermion_strings import FermionString
from nqs_hpc.system.lattice import Lattice, bond_weights, neighbours
from nqs_hpc.types import PauliString

USAGE = f"{START} export {usage('export')}"


Writer = Callable[["Source", Path], None]


class Source(NamedTuple):
    """What is exported."""

    config: Config
    run: Path | None
    step: int | None  # of the checkpoint, the newest if None


def export(words: list[str]) -> int:
    """Write the files and print their paths; the exit code: 0, 2 for bad input, 1 where one cannot be kept."""
    try:
        if any(word in ("-h", "--help") for word in words):
            print(f"usage: {USAGE}\n")
            print("\n".join(f"{name + ' FILE':22} {what}" for name, (_, what) in FORMATS.items()))
            print(f"{'--step N':22} the checkpoint after N updates, for --parameters; else the newest")
            return DONE
        source, asked = _read(words)
        for name, path in asked:
            try:
                FORMATS[name][0](source, path)
            except ValueError as error:
                line = printable(str(error), 1000)
                raise InputError(line if line.startswith(name) else f"{name} {path}: {line}") from None
            print(path)
    except ValueError as error:
        print(harmless(str(error)), file=sys.stderr, flush=True)
        return BAD_INPUT
    except OSError as error:
        print(harmless(f"{error.filename} cannot be written: {error.strerror}"), file=sys.stderr, flush=True)
        return FAULT
    return DONE


def _read(words: list[str]) -> tuple[Source, list[tuple[str, Path]]]:
    """What is exported, and the formats with their files, whose folders are there."""
    from nqs_hpc.library.run import load_run

    given: list[str] = []
    asked: list[tuple[str, Path]] = []
    step: int | None = None
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("--"):
            given.append(word)
            continue
        if word != "--step" and word not in FORMATS:
            raise InputError(f"{word} is not an option of export; valid: {', '.join([*FORMATS, '--step'])}")
        if not left or left[0].startswith("--"):
            raise InputError(f"{word} needs {'a number' if word == '--step' else 'a file'} behind it; valid: {USAGE}")
        value = left.pop(0)
        if word != "--step":
            asked.append((word, Path(value)))
        elif value.isascii() and value.isdigit() and len(value) < 16:
            step = int(value)
        else:
            raise InputError(f"--step {value} is not valid; valid: the number of updates of a checkpoint")
    if not asked:
        raise InputError(f"export writes nothing without one of {', '.join(FORMATS)}; valid: {USAGE}")
    for name, path in asked:
        if path.is_dir() or not path.parent.is_dir():
            raise InputError(f"{name} {path} is not valid; valid: a file in a folder that is there")
    if len(given) == 1 and "=" not in given[0]:
        run = load_run(given[0])
        return Source(run.config, run.folder, step), asked
    if step is not None:
        raise InputError(f"--step {step} is not valid; valid: with the folder of a run, which has checkpoints")
    return Source(checked(given, None), None, None), asked


def _parameters(source: Source, path: Path) -> None:
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # before jax is loaded; nothing is computed
    from nqs_hpc.library.run import load_run

    if path.suffix != ".safetensors":
        raise ValueError("valid: a name that ends in .safetensors")
    load_run(_folder(source), source.step).export(path)


def _observables(source: Source, path: Path) -> None:
    """What the run measured, and its energy as ``Energy``."""
    from nqs_hpc.library.run import load_run

    run = load_run(_folder(source))
    told, count = run.summary, run.summary.get("n_samples")
    if not isinstance(count, int) or not isinstance(told.get("energy"), dict):
        raise ValueError("valid: the folder of a run that has measured its energy")
    found = run.results if (run.folder / observables_file.NAME).exists() else {}
    numbers = told.get("observables") or {}
    entries = {
        name: alps_results.Entry(one.value, one.error, one.axes, *_statistics(numbers.get(name)))
        for name, one in found.items()
    }
    energy = told["energy"]
    if energy.get("mean") is not None:
        mean, error = (np.array(energy.get(key, np.nan), dtype=float) for key in ("mean", "error"))
        entries["Energy"] = alps_results.Entry(mean, error, {}, energy.get("variance"), told.get("tau"))
    files.write(path, alps_results.pack(entries, count, _parameters_of(source.config)))


def _statistics(told: Any) -> tuple[float | None, float | None]:
    return (told.get("variance"), told.get("tau")) if isinstance(told, dict) else (None, None)


def _parameters_of(config: Config) -> dict[str, Any]:
    """The keys of the system that are numbers or words, and ALPS' names of lattice and model."""
    found: dict[str, Any] = {"LATTICE": config.lattice.name, "MODEL": config.hamiltonian.name}
    for group in ("lattice", "hamiltonian", "ansatz"):
        for key, value in to_plain(getattr(config, group)).items():
            if isinstance(value, int | float | str):
                found[f"{group}.{key}"] = int(value) if isinstance(value, bool) else value
    return found


def _folder(source: Source) -> Path:
    if source.run is None:
        raise ValueError("valid: with the folder of a run; this is a configuration")
    return source.run


def _strings(source: Source) -> tuple[Sequence[PauliString], int]:
    """The Hamiltonian in Pauli matrices, and the number of sites. ValueError for another Hamiltonian."""
    lattice = source.config.make_sites()
    found = source.config.hamiltonian.strings(lattice)
    if found is None:
        valid = "a Hamiltonian of spins 1/2 or fermions"
        raise ValueError(
            f"hamiltonian={source.config.hamiltonian.name} cannot be written in Pauli strings; valid: {valid}"
        )
    return pauli_strings.merged(found), lattice.n_sites


def _fermions(source: Source) -> tuple[tuple[FermionString, ...], int | None]:
    """The Hamiltonian in operators of fermions, and the number of orbitals, None if these have one spin. ValueError
    for another Hamiltonian.
    """
    sites = source.config.make_sites()
    found = source.config.hamiltonian.fermions(sites)
    if not found:
        raise ValueError(f"hamiltonian={source.config.hamiltonian.name} is not one of fermions; valid: one of these")
    if source.config.hamiltonian.strings(sites) is None:
        raise ValueError(f"hamiltonian={source.config.hamiltonian.name} excludes states, which a list of terms cannot")
    return found, sites.n_sites // 2 if sites.layers == 2 else None


def _fermion_operator(source: Source, path: Path) -> None:
    files.write(path, openfermion.fermions(*_fermions(source)))


def _fcidump(source: Source, path: Path) -> None:
    strings, n_orbitals = _fermions(source)
    total = source.config.sector
    if n_orbitals is None or not isinstance(total, tuple):
        raise ValueError(f"sector={show(total)}; valid: [N_up, N_down], the electrons that the file names")
    files.write(path, fcidump.written(strings, n_orbitals, *total))


def _bonds(source: Source) -> tuple[Lattice, list[tuple[int, int, int]], list[float] | None]:
    """The lattice as it is given, its bonds (site, site, order) of the orders that the Hamiltonian uses, of nearest
    neighbours where it uses none, and their weights where they have some.
    """
    lattice = source.config.lattice.make()
    bonds, weights = [], []
    for order in source.config.hamiltonian.orders() or [1]:
        turned = lattice.turned.get(order) if lattice.turned else None
        own = bond_weights(lattice, order)
        for k, (i, j) in enumerate(neighbours(lattice, order).tolist()):
            bonds.append((j, i, order) if turned is not None and turned[k] else (i, j, order))
            weights.append(1.0 if own is None else float(own[k]))
    return lattice, bonds, weights if any(weight != 1.0 for weight in weights) else None


def _edges(source: Source, path: Path) -> None:
    lattice, bonds, weights = _bonds(source)
    if weights is not None and any(order != 1 for _, _, order in bonds):
        raise ValueError("its bonds have weights and several orders; valid: one of the two, which the third column is")
    files.write(path, edges.written(lattice.n_sites, bonds, weights))


def _alps_graph(source: Source, path: Path) -> None:
    lattice, bonds, weights = _bonds(source)
    if weights is not None:
        raise ValueError("its bonds have weights, for which a graph of ALPS has no place")
    files.write(path, alps_graph.written(lattice.name, lattice.n_sites, bonds))


def _of_strings(written: Callable[[Sequence[PauliString], int], str]) -> Writer:
    return lambda source, path: files.write(path, written(*_strings(source)))


FORMATS: dict[str, tuple[Writer, str]] = {
    "--parameters": (_parameters, "FILE.safetensors: of a run, with its configuration in FILE.yaml"),
    "--observables": (_observables, "FILE.h5: what a run measured, as ALPS stores results"),
    "--openfermion": (_of_strings(lambda strings, n: openfermion.qubits(strings)), "H as QubitOperator, plain text"),
    "--fermions": (_fermion_operator, "H as FermionOperator of OpenFermion, plain text"),
    "--fcidump": (_fcidump, "H as the integrals of a molecule"),
    "--edges": (_edges, "the bonds as text, one a line, as NetworkX reads them"),
    "--alps-graph": (_alps_graph, "the bonds as a GRAPH of ALPS"),
    "--qiskit": (_of_strings(qiskit.written), "H as JSON for SparsePauliOp.from_list"),
    "--quspin": (_of_strings(lambda strings, n: quspin.written(strings, pauli=1)), "H as a static list, pauli=1"),
    "--quspin-spin": (_of_strings(lambda strings, n: quspin.written(strings, pauli=0)), "the same with pauli=0"),
}
