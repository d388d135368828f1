"""Which ansatz runs with which Hamiltonian and task: a few steps of every combination, as a table of marks.

    python benchmarks/what_runs.py [ANSATZ ...]          prints the rows of the table in docs/what_runs.md

Each ansatz with the last of its `examples`, with complex numbers where it can, on six to eight sites or modes.
A full mark is a job that ended with exit code 0; an empty circle one of the second model of its column, where the first
is refused; a dot is what is refused as bad input (the lines that begin with # say why). All else ends this program.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from nqs_hpc.choices import choice, names
from nqs_hpc.cli.command import main
from nqs_hpc.config.compose import compose
from nqs_hpc.inputs.checks import InputError

MODULES = """
import equinox, jax, jax.numpy as jnp
from flax import linen


class Net(linen.Module):
    @linen.compact
    def __call__(self, s):
        x = linen.Dense(6, param_dtype=jnp.complex128)(s.astype(jnp.float64))
        return jnp.log(jnp.cosh(x)).sum(axis=-1)


class One(equinox.Module):
    layer: equinox.nn.Linear

    def __init__(self, *, key):
        self.layer = equinox.nn.Linear(SITES, 6, dtype=jnp.complex128, key=key)

    def __call__(self, s):
        return jnp.log(jnp.cosh(self.layer(s.astype(jnp.complex128)))).sum()
"""
OWN = {"flax": {"module": "own_networks:Net"}, "equinox": {"module": "own_networks:One"}}

# of each column what is tried in turn: the first that is valid runs
SPINS = (
    ["hamiltonian=ising", "lattice.length=6"],
    ["hamiltonian=toric_code", "lattice=square", "lattice.length=2"],
)
BOSONS = (["hamiltonian=bose_hubbard", "lattice.length=6", "hamiltonian.n_max=2", "sector=none"],)
FERMIONS = (
    ["hamiltonian=hubbard", "lattice.length=3", "sector=[2,1]"],
    ["hamiltonian=tv", "lattice.length=6", "sector=3"],
)
MODELS = {"spins": SPINS, "bosons": BOSONS, "fermions": FERMIONS}
FEW = ["task.n_steps=3", "task.final_samples=64", "task.second_samples=0"]
SHORT = ["task.t_end=0.02", "task.spacing=0.02", "task.integrator.dt=0.01"]
FIRST, SECOND, REFUSED = "●", "○", "·"


def keys(name: str) -> list[str]:
    """The ansatz and its keys, on a command line."""
    kind = choice("ansatz", name)
    given = dict(OWN.get(name) or (kind.examples[-1] if kind.examples else {}))
    if any(field.name == "dtype" for field in dataclasses.fields(kind)):
        given["dtype"] = "complex"
    return [f"ansatz={name}", *(word for key, value in given.items() for word in words_of(f"ansatz.{key}", value))]


def words_of(key: str, value: Any) -> list[str]:
    """A network inside of another is named, and its keys stand below its name."""
    if isinstance(value, dict) and "name" in value:
        inner = [word for name, one in value.items() if name != "name" for word in words_of(f"{key}.{name}", one)]
        return [f"{key}={value['name']}", *inner]
    return [f"{key}={json.dumps(value)}"]


def sampler(name: str) -> list[str]:
    if choice("ansatz", name).is_autoregressive:
        return ["sampler=autoregressive", "sampler.n_samples=64"]
    return ["sampler.n_chains=16", "sampler.n_samples=64", "sampler.warmup=4"]


def valid(words: list[str]) -> bool:
    try:
        compose(words, 1)
    except InputError as error:
        print(f"# {' '.join(words)}: {error}", file=sys.stderr, flush=True)
        return False
    return True


def runs(words: list[str]) -> bool:
    """Whether the job ends well; one that is refused as bad input does not."""
    said = StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main(words)
    if code not in (0, 2):
        raise SystemExit(f"{' '.join(words)}: exit code {code}\n{said.getvalue()}")
    if code == 2:
        print(f"# {' '.join(words)}: {said.getvalue().strip().splitlines()[-1]}", file=sys.stderr, flush=True)
    return code == 0


def row(name: str) -> list[str]:
    """Ground states of each column of MODELS, then the other tasks, with the model of the first column that runs."""
    found, first = [], None
    for column, models in MODELS.items():
        folder = f"runs/{name}-{column}"
        commands = [[*model, *keys(name), *sampler(name)] for model in models]
        words = next(filter(valid, commands), None)
        good = words is not None and runs([*words, *FEW, f"run_dir={folder}"])
        found.append((FIRST if words == commands[0] else SECOND) if good else REFUSED)
        if good and first is None:
            first = (words, folder)
    if first is None:
        return found + [REFUSED] * 3
    words, folder = first
    excited = ["task=excited_state", f"task.below=[{folder}]", "seed=1"]
    measured = ["task=evaluate", f"task.run={folder}", "task.samples=64"]
    in_time = ["task=dynamics", *SHORT, f"init_from={folder}"]
    allowed = ["allow_import=true"] if name in OWN else []
    for job in ([*words, *FEW, *excited], measured, [*words, *in_time]):
        job += allowed
        found.append(FIRST if runs([*job, f"run_dir=runs/{name}-{len(found)}"]) else REFUSED)
    return found


if __name__ == "__main__":
    wanted = sys.argv[1:] or names("ansatz")
    with tempfile.TemporaryDirectory() as here:
        os.chdir(here)
        Path("own_networks.py").write_text(MODULES.replace("SITES", "6"), encoding="utf-8")
        sys.path.insert(0, here)
        for one in wanted:
            print(f"| `{one}` | {' | '.join(row(one))} |", flush=True)
