"""The parameters of a run as a file for other programs, FILE.safetensors with the configuration in FILE.yaml beside it,
and such a file as what a run begins with (`formats.safetensors`).

Arrays are named as in a checkpoint, params/NAME; ``marshall_signs`` (N,) says the basis where it is not that of the
Hamiltonian as it is written: -1 where the network is psi times sigma_i. Of a run with a running mean of the parameters
it is that mean, as in a final evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nqs_hpc import __version__
from nqs_hpc.config.basis import basis_of
from nqs_hpc.config.compose import from_plain
from nqs_hpc.config.identity import differences, physics, to_plain
from nqs_hpc.config.schema import Config
from nqs_hpc.formats import safetensors
from nqs_hpc.formats.safetensors import Arrays
from nqs_hpc.inputs import reading
from nqs_hpc.job import checkpoint, files

SUFFIX = ".safetensors"
PARAMS, SIGNS = "params/", "marshall_signs"


def beside(path: Path) -> Path:
    """The file of the configuration."""
    return path.with_suffix(".yaml")


def leaves(stored: checkpoint.Stored) -> Arrays:
    """The parameters that a final evaluation takes, by their names in a checkpoint. Needs no network, so no code of
    one is imported.
    """
    params = checkpoint.below(stored, PARAMS)
    weight = float(stored.leaves.get("memory/average/weight", 0.0))
    if weight > 0:  # in NumPy: jax may have been loaded with numbers of 32 bits
        params = {name: stored.leaves[f"memory/average/{name}"] / weight for name in params}
    return params


def write(path: Path, config: Config, stored: checkpoint.Stored, origin: str) -> None:
    """Write both files, atomically each; the configuration first, so that parameters never stand without one.

    ``origin``: where the parameters come from, in words. ValueError for a path of another kind and for an array that
    the format does not have; OSError from the disk.
    """
    import yaml

    if path.suffix != SUFFIX:
        raise ValueError(f"{reading.printable(str(path), 1000)} is not named as {SUFFIX} files are")
    arrays = leaves(stored)
    signs_N = basis_of(config, config.make_sites()).signs_N
    if signs_N is not None:
        arrays[SIGNS] = signs_N
    raw = safetensors.pack(arrays, {"writer": f"nqs_hpc {__version__}", "origin": origin})
    files.write(beside(path), yaml.safe_dump(to_plain(config), sort_keys=False, allow_unicode=True))
    files.write(path, raw)


def read(path: Path) -> checkpoint.Stored:
    """The parameters of a file, and the physics of the configuration beside it, as a checkpoint has them. For one
    process alone. ValueError, one line that names the file, for what is none.
    """
    config = _config(beside(path))
    try:
        arrays, _ = safetensors.unpack(reading.data(path, reading.CHECKPOINT, follow=True))
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise ValueError(f"{path.name} {error}") from None
    for name in arrays:
        if not name.startswith(PARAMS) and name not in (PARAMS[:-1], SIGNS):
            valid = f"valid are {PARAMS}NAME and {SIGNS}"
            raise ValueError(f"{path.name} holds {reading.printable(name, 80)}, not a parameter; {valid}")
    return checkpoint.Stored(dict(arrays), {"physics": physics(config)}, path, ())


def _config(path: Path) -> Config:
    try:
        plain = reading.parse_yaml(reading.data(path, reading.SETTINGS, follow=True))
        if not isinstance(plain, Mapping):
            raise ValueError("no keys")
        return from_plain(plain)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or reading.printable(str(error), 300)
        raise ValueError(f"{path.name} beside it is not the configuration of a run: {why}") from None


def check_network(config: Config, stored: checkpoint.Stored) -> None:
    """Raise ValueError, one line, where the parameters of an exported file are those of another network, or in another
    basis.

    Shapes do not tell an activation from another, nor signs of basis states: what the file says of itself does.
    """
    before, now = stored.meta["physics"]["ansatz"], physics(config)["ansatz"]
    if changed := [line for line in differences(before, now, "ansatz.") if ".init_scale: " not in line]:
        raise ValueError(f"{stored.path.name} is of another network: {'; '.join(changed)}")
    if (theirs := stored.leaves.get(SIGNS)) is None:
        return
    basis = basis_of(config, config.make_sites())
    ours = np.ones(basis.hilbert.n_sites) if basis.signs_N is None else basis.signs_N
    same = np.array_equal(ours, theirs) or (config.sector is not None and np.array_equal(ours, -theirs))
    if theirs.shape == ours.shape and not same:
        raise ValueError(f"{stored.path.name} has other signs of basis states ({SIGNS}) than {basis.key} of this run")
