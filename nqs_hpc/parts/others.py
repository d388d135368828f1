"""The wave functions of other runs, as they stand in their checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nqs_hpc.config.compose import from_plain
from nqs_hpc.config.identity import differences, physics
from nqs_hpc.config.lower import plain_config
from nqs_hpc.config.schema import Config
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.reading import printable
from nqs_hpc.job import checkpoint
from nqs_hpc.observables.states import State
from nqs_hpc.parts.stored import final_parameters
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import Hilbert
from nqs_hpc.types import Ansatz


def other_state(key: str, value: str, hilbert: Hilbert, make: Callable[[Config], tuple[Ansatz, Basis]]) -> State:
    """The wave function that the run folder or checkpoint file ``value`` holds: its ansatz, the parameters that a final
    evaluation takes, and its basis. Its ansatz, signs, sector and Hamiltonian may be others, its sites may not.

    Every rank reads the files. Raises InputError of ``key``, one line, where there is no such run, or it does not fit;
    and for networks whose class is imported, since what a file names is not run.
    """
    plain = plain_config(key, value)
    try:
        config = from_plain(plain)
        if config.ansatz.runs_code:
            raise ValueError(f"its ansatz={config.ansatz.name} would run code that the run names")
        space = config.hamiltonian.space(config.make_sites().n_sites)
        if space.n_sites != hilbert.n_sites or space.local_values != hilbert.local_values:
            its, own = (f"{len(one.local_values)} states on each of {one.n_sites} sites" for one in (space, hilbert))
            raise ValueError(f"it has {its}, and this one {own}")
        if space.paths != hilbert.paths:
            raise ValueError("one of the two is a function of paths of total spins, the other of single sites")
        stored = checkpoint.read(Path.cwd() / value)
        if changed := differences(stored.meta.get("physics", {}), physics(config)):
            raise ValueError(f"{stored.path} is of other physics than its config.yaml: {'; '.join(changed)}")
        ansatz, basis = make(config)
        return State(ansatz, final_parameters(stored, ansatz), basis)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or printable(str(error), 300)
        raise bad(
            key, value, f"a run folder with checkpoints, or a checkpoint file step_….h5, on the same sites: {why}"
        ) from None
