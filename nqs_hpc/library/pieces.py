"""A configuration and the parts of its job, for one's own scripts."""

from __future__ import annotations

import atexit
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from nqs_hpc.config.compose import checked, from_plain
from nqs_hpc.config.schema import Config

if TYPE_CHECKING:
    from nqs_hpc.parallel.world import World
    from nqs_hpc.parts import Parts, Plan

Given = Config | Sequence[str] | Mapping[str, Any]


def compose(given: Given = ()) -> Config:
    """The checked configuration of overrides as on the command line, ``["lattice=square", "lattice.length=4"]``, or of
    a mapping, ``{"lattice": "square", "lattice.length": 4}``; a Config is returned as it is.

    Makes no folder. Raises InputError, a ValueError of one line.
    """
    if isinstance(given, Config):
        return given
    if isinstance(given, Mapping):
        return from_plain(given)
    if isinstance(given, str):
        raise ValueError(f"{given!r} is not valid: one text; valid: a list of overrides, or a mapping")
    return checked(list(given), 1)


def build(given: Given = (), plan: Plan | None = None, *, ranks: bool = False) -> Parts:
    """The parts of a job: lattice, hilbert, operator, ansatz, sampler, task, driver, plan.

    ``given``: an argument of `compose`. ``plan``: what ``auto`` chose earlier; without it that is decided here.
    ``ranks``: for all ranks of this script, started by mpiexec or srun, which all call it; else only for this process.
    Switches on 64-bit numbers in jax (`double_precision`).
    """
    double_precision()
    from nqs_hpc.parallel.comm import comm, serial
    from nqs_hpc.parts import build

    return build(compose(given), comm(all_ranks()) if ranks else serial(), plan)


@cache
def all_ranks() -> World:
    """The ranks of this script; the first call starts MPI."""
    from nqs_hpc.parallel.world import world

    return world()


def double_precision() -> None:
    """Switch on 64-bit numbers in jax, without which energies would silently become float32.

    A job sets JAX_ENABLE_X64 before jax is imported. In a notebook jax may already be imported and no longer reads the
    variable, but the setting can be changed at any time. Programs compiled earlier are compiled again; existing arrays
    do not change.
    """
    import jax

    jax.config.update("jax_enable_x64", True)
    _wait_at_exit()


@cache
def _wait_at_exit() -> None:
    """Let Python end only after what is computed in the background is done.

    A script may end right after a step, before it reads any number of it. XLA then stops its threads while the step
    still waits for them, and the process hangs (jaxlib 0.10.2).
    """
    import jax

    atexit.register(lambda: jax.block_until_ready(jax.live_arrays()))
