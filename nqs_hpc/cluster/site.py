"""What `submit` knows about a cluster: a short file, slurm/site.yaml, checked like all other input."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nqs_hpc.choices.keys import key, read
from nqs_hpc.inputs import checks, reading
from nqs_hpc.inputs.checks import Check, InputError, Invalid, bad

# Characters allowed in an #SBATCH line, which Slurm splits at white space and quotes.
_SAFE = r"[\w.,:;@+&|*?()/\[\]=~%-]+"


def _word(value: Any) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not re.fullmatch(_SAFE, value):
        raise Invalid
    return value


# Options set by the templates: the last of two would count, and a job would lose its log or its requeueing.
_OURS = {"array", "chdir", "job-name", "no-requeue", "ntasks", "open-mode", "output", "requeue", "signal", "time"}


def _option(value: Any) -> str:
    found = re.fullmatch(rf"--([a-z][a-z-]*)(={_SAFE})?", value) if isinstance(value, str) else None
    if found is None:
        raise Invalid
    if found[1] in _OURS:
        raise Invalid(valid=f"options other than --{found[1]}, which the templates set")
    return str(value)


def _lines(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Invalid
    return value.strip("\n")


def _options(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        raise Invalid
    return tuple(_option(entry) for entry in value)


word = Check("a name without spaces or quotes", _word)


@dataclass(frozen=True)
class Site:
    """A cluster: the keys of slurm/site.yaml."""

    partition: str | None = key(checks.optional(word), "where jobs go")
    gpu_partition: str | None = key(checks.optional(word), "where jobs with device=gpu go")
    account: str | None = key(checks.optional(word), "who pays")
    qos: str | None = key(checks.optional(word), "quality of service")
    mpi: str = key(word, "srun's --mpi")
    python: str | None = key(checks.optional(checks.path), "the interpreter of the jobs; null: that of submit")
    preamble: str = key(Check("lines of shell, or null", _lines), "what the job does first")
    requeue_limit: int = key(checks.integer(least=0), "how often a job may requeue itself")
    signal_seconds: int = key(checks.integer(), "how long before its limit Slurm warns a job")
    options: tuple[str, ...] = key(
        Check("a list of options like --exclusive or --constraint=haswell", _options), "further lines of #SBATCH"
    )


class Found(NamedTuple):
    """The site, and the folders of its templates, in the order in which they are searched."""

    site: Site
    folders: tuple[Path, ...]


def slurm_dir() -> Path:
    """The folder of our templates: inside the package if it was installed from a wheel, else beside it."""
    package = Path(__file__).resolve().parents[1]
    return package / "slurm" if (package / "slurm").is_dir() else package.parent / "slurm"


def load_site(path: str | None) -> Found:
    """The site of a file; None: slurm/site.yaml in the current folder if there is one, else ours.

    Templates beside the file take precedence over ours. Missing keys have the values of our file. Raises InputError.
    """
    ours = slurm_dir() / "site.yaml"
    local = Path.cwd() / "slurm" / "site.yaml"
    file = Path.cwd() / path if path is not None else local if local.exists() else ours
    given: dict[str, Any] = {}
    for source in (ours, file):
        try:
            text = reading.text(source, reading.SETTINGS, follow=True)
        except OSError as error:
            raise bad("resources.site", path, f"a readable file ({error})") from None
        try:
            data = reading.parse_yaml(text)
        except ValueError as error:
            raise InputError(f"{source} is not YAML: {error}") from None
        if not isinstance(data, dict | None):
            raise InputError(f"{source} is not valid: valid: keys and values, as in {ours}")
        given |= data or {}
    try:
        site = read(Site, given, "site")
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    return Found(site, tuple(dict.fromkeys((file.resolve().parent, slurm_dir()))))
