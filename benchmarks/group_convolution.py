"""One group convolution with each cyclic subgroup it could be transformed over: microseconds of a configuration.

    taskset -c 0 python benchmarks/group_convolution.py

Prints a Markdown table; the subgroup that `nqs_hpc.ansatz.group_convolution` takes is in bold. Order 1 is one matrix
product of all elements and features. 256 configurations at a time, the best of five repetitions, tanh included.
"""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np

from nqs_hpc.ansatz.group_convolution import MAX_ORDER, cyclic_subgroup, group_convolution
from nqs_hpc.system.characters import space_group
from nqs_hpc.system.groups import product_table
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.system.symmetry import translations

CASES = [  # lattice, extent, whether the point group is in it, features
    ("square", (6, 6), False, 8),
    ("square", (10, 10), False, 4),
    ("square", (10, 10), False, 8),
    ("square", (12, 12), False, 4),
    ("chain", (20,), False, 16),
    ("chain", (24,), False, 8),
    ("chain", (64,), False, 8),
    ("square", (4, 4), True, 4),
    ("square", (6, 6), True, 4),
    ("square", (6, 6), True, 8),
]
ROWS, TURNS, REPETITIONS = 256, 4, 5


def powers_of(table: np.ndarray, element: int) -> np.ndarray:
    powers = [0]
    while (following := int(table[powers[-1], element])) != 0:
        powers.append(following)
    return np.array(powers)


def microseconds(table: np.ndarray, features: int, powers: np.ndarray) -> float:
    random = np.random.default_rng(0)
    convolution = group_convolution(table, features, powers)
    kernel = jnp.asarray(random.normal(size=(len(table), features, features)) / np.sqrt(len(table) * features))
    x_BI = jnp.asarray(random.normal(size=(ROWS, len(table) * features)))

    @jax.jit
    def turns(x_BI: jax.Array, matrices: tuple[jax.Array, ...]) -> jax.Array:
        def turn(_: int, x_BI: jax.Array) -> jax.Array:
            return jnp.tanh(jax.vmap(lambda x: convolution.apply(x, kernel, matrices))(x_BI))

        return jax.lax.fori_loop(0, TURNS, turn, x_BI)

    matrices = convolution.matrices(kernel)
    turns(x_BI, matrices).block_until_ready()
    seconds = []
    for _ in range(REPETITIONS):
        begin = time.perf_counter()
        turns(x_BI, matrices).block_until_ready()
        seconds.append(time.perf_counter() - begin)
    return 1e6 * min(seconds) / (TURNS * ROWS)


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    print("| group | features | order of the subgroup: microseconds |")
    print("|---|---|---|")
    for name, extent, with_points, features in CASES:
        lattice = FACTORIES[name](extent, (True,) * len(extent))
        table = product_table(space_group(lattice, None)[0] if with_points else translations(lattice))
        of_order: dict[int, np.ndarray] = {}
        for element in range(len(table)):
            powers = powers_of(table, element)
            of_order.setdefault(len(powers), powers)
        taken = len(cyclic_subgroup(table, features))
        cells = []
        for order in sorted(n for n in of_order if n <= MAX_ORDER):
            cell = f"{order}: {microseconds(table, features, of_order[order]):.2f}"
            cells.append(f"**{cell}**" if order == taken else cell)
        size = "x".join(map(str, extent))
        what = "space group" if with_points else "translations"
        print(f"| {name} {size}, {what}, {len(table)} elements | {features} | {', '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
