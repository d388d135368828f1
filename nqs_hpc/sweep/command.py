"""``python -m nqs_hpc -m …``: works out and checks all points before Hydra, or anything else, makes a file.

Then `hydra.main` runs. Its launcher (hydra_plugins/nqs_hpc_launchers) passes the points back to `study.launch`. This
process never loads MPI, because then its children could not start theirs.
"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Any, NamedTuple

from nqs_hpc.choices import choice, names
from nqs_hpc.choices.hydra.launcher.base import Launcher
from nqs_hpc.choices.keys import read
from nqs_hpc.config.admission import Answer
from nqs_hpc.config.catalogue import mended
from nqs_hpc.config.defaults import FIELDS, conf_dir
from nqs_hpc.config.usage import help_text
from nqs_hpc.inputs.checks import InputError, Unknown, apply, bad, name, nearest, unknown
from nqs_hpc.inputs.reading import harmless
from nqs_hpc.job import slurm
from nqs_hpc.job.files import said
from nqs_hpc.job.lifecycle import BAD_INPUT, DONE, FAULT, STOPPED
from nqs_hpc.job.lock import Lost
from nqs_hpc.sweep import sectors, study
from nqs_hpc.sweep.points import Combination, combinations, expand, key_of, refuse_bare
from nqs_hpc.sweep.study import LaunchRequest

LAUNCHER, SETTINGS, FOLDER = "hydra/launcher", "hydra.launcher", "hydra.sweep.dir"


class SweepRequest(NamedTuple):
    """What the command line asks for."""

    launch: LaunchRequest
    chain: str | None
    n_ranks: int | None  # of each point; None: as resources.ranks says
    of_hydra: list[str]  # the overrides for Hydra: its own, and those with several values
    lines: list[str]  # what the user should know before the points start

    def points(self, words: list[list[str]]) -> list[Combination]:
        return combinations(words, chain=self.chain, n_ranks=self.n_ranks)


def sweep(words: list[str]) -> tuple[int, Path | None]:
    """Launch the sweep of the command line ``words``; returns the exit code, and the study's folder if points ran.

    0: every point is done, or in the queue; 85: stopped, the same command continues; 1: a point failed; 2: bad input.
    """
    overrides = [word for word in words if word not in ("-m", "--multirun")]
    if any(word in ("-h", "--help") for word in overrides):
        return _leave(Answer(DONE, help_text())), None
    try:
        asked, points = _read(overrides, shlex.join(sys.orig_argv))
        combined = asked.points(points)  # raises for the first invalid one, before anything is made
    except InputError as error:
        return _leave(Answer(BAD_INPUT, str(error))), None
    except OSError as error:
        return _leave(Answer(FAULT, f"cannot launch: {said(error)}")), None
    for line in asked.lines:
        print(harmless(line), flush=True)
    left: list[Answer] = []

    def task(config: Any) -> None:
        raise AssertionError("the launchers of nqs_hpc run points, not this")

    def launch_points(kind: str) -> list[tuple[list[str], str]]:
        # the combinations are known and checked before Hydra starts; to Hydra symmetrize=all is one value
        assert kind == asked.launch.launcher.name
        outcome, states = study.launch(asked.launch, combined)
        left.append(outcome)
        return list(zip([one.words for one in combined], states, strict=True))

    task.launch_points = launch_points  # type: ignore[attr-defined]  # the plugin looks for it here
    try:
        _hydra(task, asked.of_hydra)
    except InputError as error:
        return _leave(Answer(BAD_INPUT, str(error))), None
    except slurm.SlurmError as error:
        return _leave(Answer(BAD_INPUT, f"not submitted: {error}")), None
    except (OSError, ValueError, Lost) as error:
        return _leave(Answer(FAULT, f"cannot launch: {said(error)}")), None
    except KeyboardInterrupt:
        return _leave(Answer(STOPPED, "stopped before all points were launched; the same command goes on")), None
    launcher = asked.launch.launcher
    ran = not launcher.is_queue and not launcher.dry_run
    return _leave(left[0]), asked.launch.folder if ran else None


def _leave(left: Answer) -> int:
    print(harmless(left.line), file=sys.stdout if left.code == DONE else sys.stderr, flush=True)
    return left.code


def _hydra(task: Any, overrides: list[str]) -> None:
    """Run `hydra.main` on these overrides; exceptions of our launcher pass through."""
    import hydra

    argv, full = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = [argv[0], "--multirun", *overrides]
    os.environ["HYDRA_FULL_ERROR"] = "1"  # raise, so that we report it in one line
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")(task)()
    finally:
        sys.argv = argv
        if full is None:
            del os.environ["HYDRA_FULL_ERROR"]


def _read(overrides: list[str], command: str) -> tuple[SweepRequest, list[list[str]]]:
    """The request, and every combination as overrides; raises InputError."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    if flags := [word for word in overrides if word.startswith("-")]:
        raise InputError(f"{flags[0]} is not an option of a sweep; valid: key=value overrides, {SETTINGS}.dry_run=true")
    refuse_bare(overrides)
    try:
        parsed = OverridesParser.create().parse_overrides(overrides)
        own = [one for one in parsed if one.is_hydra_override()]
        others = [one for one in parsed if not one.is_hydra_override()]
        points = expand(others)
    except InputError:
        raise
    except (HydraException, ValueError, RecursionError) as error:
        raise InputError(f"cannot be read as KEY=VALUE: {' '.join(str(error).split())[:200]}") from None
    single = {one.key_or_group: one.value() for one in [*own, *others] if not one.is_sweep_override()}
    several = {one.key_or_group: str(one.input_line).partition("=")[2] for one in parsed if one.is_sweep_override()}
    for key, value in (several | single).items():
        if not key.startswith("hydra") and (top := key.partition(".")[0]) not in FIELDS:
            raise mended(Unknown(key, value, top, "the configuration", list(FIELDS)))
    for key in (*(one.key_or_group for one in own), "study", "chain"):
        if key in several:
            raise bad(key, several[key], "one value: it belongs to the sweep as a whole")
    if "run_dir" in single | several:
        given = (several | single)["run_dir"]
        raise bad("run_dir", given, "none with -m: study=NAME names the folder, a point's overrides the rest")
    hydras = {one.key_or_group: single[one.key_or_group] for one in own}
    if single.get("study") is None:
        _launcher(hydras)  # what is mistyped besides is the nearer reason
        of_points = [[word for word in one if key_of(word) != sectors.KEY] for one in points]
        combinations(of_points, chain=None, n_ranks=None)
        raise bad("study", None, "a name with -m, study=NAME: the sweep's folder is sweeps/NAME")
    named = apply(name, "study", single["study"])
    chain = single.get("chain")
    launcher = _launcher(hydras)
    place = single.get(FOLDER)
    if place is not None and (not isinstance(place, str) or not place.strip()):
        raise bad(FOLDER, place, "a folder")
    folder = Path.cwd() / (place or Path("sweeps", named))
    request = LaunchRequest(named, folder, launcher, command)
    lines: list[str] = []
    if sectors.asks_all(points):
        points, lines = sectors.every_sector(points, [str(one.input_line) for one in others])
    kept = [str(one.input_line) for one in parsed if one.is_hydra_override() or one.is_sweep_override()]
    return SweepRequest(
        request, chain if chain is None else str(chain), getattr(launcher, "n_ranks", None), kept, lines
    ), points


def _launcher(own: dict[str, Any]) -> Launcher:
    """The launcher's settings from overrides of Hydra's own keys, of which there are few."""
    import yaml

    kind = own.get(LAUNCHER, "local")
    if kind not in names(LAUNCHER):
        raise bad(LAUNCHER, kind, ", ".join(names(LAUNCHER)), nearest(kind, names(LAUNCHER)))
    settings = yaml.safe_load((conf_dir() / LAUNCHER / f"{kind}.yaml").read_text(encoding="utf-8"))
    del settings["_target_"]
    for key, value in own.items():
        section, _, rest = key.rpartition(".")
        if section == SETTINGS:
            settings[rest] = value
        elif key not in (LAUNCHER, FOLDER):
            valid = [LAUNCHER, FOLDER, *(f"{SETTINGS}.{setting}" for setting in settings)]
            raise unknown(key, value, key, "a sweep", valid)
    found: Launcher = read(choice(LAUNCHER, kind), settings, SETTINGS, name=kind)
    return found
