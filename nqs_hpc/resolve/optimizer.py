"""Optimizers: shifts that leave the systems solvable, kernels that fit into memory."""

from __future__ import annotations

from typing import Any

from nqs_hpc import schema
from nqs_hpc.inputs.checks import bad, lowest
from nqs_hpc.resolve.sampler import MAX_STATES
from nqs_hpc.schema import Config
from nqs_hpc.system.hilbert import Hilbert, dimension_up_to


def check_optimizer(config: Config, hilbert: Hilbert) -> None:
    """Raise InputError where the optimizer cannot do its part of this job."""
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
        if isinstance(config.ansatz, schema.ModulusPhase) or getattr(config.ansatz, "dtype", "real") == "complex":
            # complex numbers, or two rows a sample
            width *= 2 if isinstance(config.ansatz, schema.Rbm | schema.Jastrow) else 4
        most = int((config.memory_gib * 2**30 / width) ** 0.5)
        too_many = f"at most {most}: minsr holds the square of it in numbers, and memory_gib={config.memory_gib:g}"
        if isinstance(config.sampler, schema.Metropolis | schema.Direct) and config.sampler.n_samples > most:
            raise bad("sampler.n_samples", config.sampler.n_samples, too_many)
        states = dimension_up_to(hilbert, MAX_STATES)
        if isinstance(config.sampler, schema.Enumerate) and states > most:
            raise bad("sampler", "enumerate", f"metropolis, or fewer than these {states} states ({too_many})")
