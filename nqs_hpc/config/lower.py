"""Wave functions of other runs that a task computes with, as parts of its own configuration.

They are functions of the same configurations in the same basis, so their runs have the lattice, the Hamiltonian and the
sector of this one; ansatz, symmetries and precision are their own. What was read of a run is kept in config.yaml: a
restart does not depend on what its folder holds by then.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nqs_hpc.choices.ansatz.base import Ansatz
from nqs_hpc.config.files import what_it_lacks
from nqs_hpc.config.identity import differences, physics, to_plain
from nqs_hpc.config.schema import Config
from nqs_hpc.config.sections import Precision, Symmetrize
from nqs_hpc.inputs import reading
from nqs_hpc.inputs.checks import InputError, bad
from nqs_hpc.inputs.reading import printable

SAME = ("lattice", "hamiltonian", "sector")  # which have to be those of this run
OWN = ("ansatz", "symmetrize", "precision")


@dataclass(frozen=True)
class Wave:
    """What the wave function of another run is made from, on the lattice and in the basis of this one."""

    ansatz: Ansatz
    symmetrize: Symmetrize
    precision: Precision

    def instead(self, config: Config) -> Config:
        """``config`` with this wave function instead of its own."""
        return dataclasses.replace(config, ansatz=self.ansatz, symmetrize=self.symmetrize, precision=self.precision)


def plain_config(key: str, path: str, names: Sequence[str] | None = None) -> dict[str, Any]:
    """The config.yaml of a run, or some of its keys, given by its folder or one of its checkpoints; InputError if it
    cannot be read.
    """
    place = Path.cwd() / path
    folder = place.parent.parent if place.is_file() and place.suffix == ".h5" else place
    try:
        plain = reading.parse_yaml(reading.data(folder / "config.yaml", reading.SETTINGS))
        if not isinstance(plain, dict):
            raise ValueError("config.yaml holds no keys")
        return plain if names is None else {name: plain[name] for name in names if name in plain}
    except (OSError, ValueError) as error:
        valid = "the folder of a run, or one of its checkpoints"
        if lacks := what_it_lacks(place):
            raise bad(key, path, valid, why=lacks) from None
        why = getattr(error, "strerror", None) or printable(str(error), 300)
        raise bad(key, path, f"{valid} (config.yaml: {why})") from None


def with_waves(config: Config, kept: Sequence[Any], make: Callable[[dict[str, Any]], Config]) -> Config:
    """``config`` with the wave functions of the runs that its task names; ``make`` reads a configuration from plain
    data, ``kept`` is what config.yaml has of them. Raises InputError if one is not of the same system.
    """
    key, paths = "task.below", getattr(config.task, "below", ())
    if not paths:
        return config
    same, now = ({name: of(config)[name] for name in SAME} for of in (to_plain, physics))
    waves = []
    for i, path in enumerate(paths):
        own = kept[i] if len(kept) == len(paths) else None
        own = own if isinstance(own, Mapping) else plain_config(key, path, (*SAME, *OWN))
        try:
            other = make({**same, **own})
            before = {name: physics(other)[name] for name in SAME}
            if changed := differences(before, now):
                raise InputError(f"lattice, Hamiltonian and sector have to be those of this run: {'; '.join(changed)}")
            make({**same, **own, "sampler": to_plain(config.sampler)})  # whose sampler draws from it
        except InputError as error:
            raise bad(key, path, f"runs whose wave functions can be taken here: {error}") from None
        waves.append(Wave(other.ansatz, other.symmetrize, other.precision))
    known = sum(_sector(wave.instead(config)) == _sector(config) for wave in waves)
    return dataclasses.replace(config, task=dataclasses.replace(config.task, waves=tuple(waves), known=known))  # type: ignore[call-arg]


def _sector(config: Config) -> Any:
    """What of a configuration says in which symmetry sector its wave function is."""
    own = {name: getattr(config.ansatz, name, None) for name in ("group", "momentum", "irrep")}
    return {**own, "symmetrize": physics(config).get("symmetrize")}
