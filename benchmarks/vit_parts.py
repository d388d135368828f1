"""Where a forward pass of the vision transformer of workload W4 (ladder.py) goes: one Markdown table.

    PJRT_NPROC=1 OPENBLAS_NUM_THREADS=1 python benchmarks/vit_parts.py [--float32]

Each part as it stands in the network (both blocks; its last two rows are the whole pass and what its products would
take at the rate of a matrix product of 1024 x 1024), in CPU microseconds a configuration: the shortest of ten calls on
228 configurations. The whole can be less than the sum of its parts: parts alone read and write arrays.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nqs_hpc.ansatz.attention import attention
from nqs_hpc.ansatz.vit import vit
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.system.patches import patches

CONFIGURATIONS, PATCHES, WIDTH, HEADS = 228, 9, 32, 4
# multiplications and additions of all products of a pass, the first inputs of the attention taken from a table and the
# last layer summed over patches before its product
OPERATIONS = 2 * (
    2 * 2 * PATCHES**2 * WIDTH  # scores and mixed values
    + PATCHES * WIDTH * WIDTH * (3 + 2 + 3 * 4)  # inputs, outputs and perceptrons of the blocks
    + (4 + 1) * WIDTH * WIDTH  # the last layer, the head
)


def seconds(function: Callable[..., Any], *arguments: Any) -> float:
    """CPU seconds: the shortest of ten calls after one that compiles."""
    compiled = jax.jit(function)
    jax.block_until_ready(compiled(*arguments))
    found = []
    for _ in range(10):
        begin = time.process_time()
        jax.block_until_ready(compiled(*arguments))
        found.append(time.process_time() - begin)
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--float32", action="store_true")
    name = "float32" if parser.parse_args().float32 else "float64"
    jax.config.update("jax_enable_x64", True)
    rng = np.random.default_rng(0)

    def random(*shape: int) -> jax.Array:
        return jnp.asarray(rng.normal(size=shape).astype(name))

    def on_patches(width: int) -> jax.Array:
        return random(CONFIGURATIONS, PATCHES, width)

    square = random(1024, 1024)
    rate = 2 * 1024**3 / seconds(jnp.matmul, square, square)
    ansatz = vit(
        patches(FACTORIES["square"]((6, 6), (True, True)), 2), width=WIDTH, heads=HEADS, layers=2, float_dtype=name
    )
    frozen = jax.jit(ansatz.freeze)(jax.jit(ansatz.init)(jax.random.key(0)))
    s_BN = rng.choice(np.array([1, -1], np.int8), (CONFIGURATIONS, 36))
    mix = jax.vmap(attention("full", WIDTH, HEADS).mix, in_axes=(0, None))
    x, hidden = on_patches(WIDTH), on_patches(4 * WIDTH)
    found = {
        "perceptrons: products up": 2 * seconds(jnp.matmul, x, random(WIDTH, 4 * WIDTH)),
        "perceptrons: product down": seconds(jnp.matmul, hidden, random(4 * WIDTH, WIDTH)),
        "inputs of the attention": seconds(jnp.matmul, x, random(WIDTH, 3 * WIDTH)),
        "gelu": 2 * seconds(jax.nn.gelu, hidden),
        "attention": 2 * seconds(mix, on_patches(3 * WIDTH), random(HEADS, PATCHES, PATCHES)),
        "whole": seconds(jax.vmap(ansatz.prepare, in_axes=(None, 0)), frozen, s_BN),
        f"{OPERATIONS} operations at {rate / 1e9:.3g} GFLOP/s": CONFIGURATIONS * OPERATIONS / rate,
    }
    print(f"| {name} | us |\n|---|---|")
    for part, found_seconds in found.items():
        print(f"| {part} | {found_seconds / CONFIGURATIONS * 1e6:.2f} |")


if __name__ == "__main__":
    main()
