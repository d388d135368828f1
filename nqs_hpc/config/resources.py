"""Resources of a job: tables by size as single values."""

from __future__ import annotations

import dataclasses

from nqs_hpc.config.sections import Resources
from nqs_hpc.inputs.checks import bad
from nqs_hpc.inputs.mappings import BySize


def resolve_resources(given: Resources, n_sites: int) -> Resources:
    """The entry of each table by size that holds for ``n_sites``; raises InputError."""
    chosen = {}
    for field in dataclasses.fields(given):
        value = getattr(given, field.name)
        if isinstance(value, BySize):
            fitting = [entry for size, entry in value.entries if size <= n_sites]
            if not fitting:
                valid = f"a table that begins at {n_sites} sites at most, the size of this lattice"
                raise bad(f"resources.{field.name}", dict(value.entries), valid)
            chosen[field.name] = fitting[-1]
    given = dataclasses.replace(given, **chosen)
    if given.nodes is not None and given.nodes > given.ranks:
        raise bad("resources.nodes", given.nodes, f"at most resources.ranks={given.ranks}")
    if given.device == "gpu":
        nodes = given.nodes or 1
        if given.ranks % nodes:  # Slurm is asked for the same number of devices on every node
            raise bad("resources.nodes", nodes, f"a divisor of resources.ranks={given.ranks} with device=gpu")
        given = dataclasses.replace(given, nodes=nodes)
    return given
