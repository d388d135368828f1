"""Files and packages that a configuration needs."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nqs_hpc.config.schema import Config
from nqs_hpc.inputs.checks import bad


def check_source(key: str, value: str) -> None:
    """Raise InputError if ``value`` holds no checkpoint. Whether it fits is known once the network is built."""
    place = Path.cwd() / value
    if key == "init_from" and place.suffix == ".safetensors" and place.is_file():
        if not place.with_suffix(".yaml").is_file():
            raise bad(key, value, f"parameters with their configuration beside them, in {place.stem}.yaml")
        return
    if not (place.is_file() and place.suffix == ".h5") and not any((place / "checkpoints").glob("step_*.h5")):
        is_start = key == "init_from"
        null, files = ("null, or ", ", or FILE.safetensors") if is_start else ("", "")
        valid = f"{null}a run folder with checkpoints, or a checkpoint file step_….h5{files}"
        raise bad(key, value, valid, why=what_it_lacks(place))


def what_it_lacks(place: Path) -> str:
    """Why there is no run with checkpoints at ``place``, in words; empty if something else is wrong with it."""
    if place.is_symlink() and not place.exists():
        return "it is a link to nothing"
    if not place.exists():
        return "it does not exist"
    if place.is_file():
        if place.suffix != ".h5":
            return "it is a file, and not a checkpoint"
        beside = (place.parent.parent / "config.yaml").is_file()
        return "" if beside else "it does not lie in the folder checkpoints of a run with a config.yaml"
    has_config = (place / "config.yaml").is_file()
    has_checkpoints = any((place / "checkpoints").glob("step_*.h5"))
    if has_config and not has_checkpoints:
        return "this run has no checkpoints: none was written, or they were removed"
    if not has_config and not has_checkpoints:
        return "it is not the folder of a run: it has neither config.yaml nor checkpoints"
    return "" if has_config else "it has no config.yaml"


def check_packages(config: Config) -> None:
    """Raise InputError if a package is missing that only this configuration needs."""
    package = config.ansatz.package
    if package is not None and find_spec(package) is None:
        valid = "another one, or with the extra modules installed: pip install 'nqs_hpc[modules]'"
        raise bad("ansatz", config.ansatz.name, valid)
    if config.log.tensorboard and find_spec("tensorboardX") is None:
        valid = "false, or with the extra tensorboard installed: pip install 'nqs_hpc[tensorboard]'"
        raise bad("log.tensorboard", True, valid)


def check_folder(folder: Path, key: str, value: Any) -> None:
    """Raise InputError if ``folder`` cannot be made or written. Makes nothing."""
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
