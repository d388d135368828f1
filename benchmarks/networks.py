"""How fast the deep networks of the ladder are evaluated and differentiated, beside the machine's matrix products.

    PJRT_NPROC=1 OPENBLAS_NUM_THREADS=1 python benchmarks/networks.py [--workloads W8,W4,W2,W3]

One thread. Each network evaluates random configurations as local energies do, then makes the log-derivatives of a part
of them as an update does. Operations are those that XLA counts in the program of one configuration, a transcendental
function as one: what a Fourier transform or a table saves is not counted. The rate is that of a product of 1024 x 1024
in the same process. Microseconds a configuration are medians of at least three calls.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from ladder import WORKLOADS

from nqs_hpc.config.compose import compose
from nqs_hpc.parallel.launch import place
from nqs_hpc.parallel.world import world

CONFIGURATIONS, DIFFERENTIATED = 1024, 128
SECONDS = 2.0


def operations(function: Callable[..., Any], *arguments: Any) -> float:
    import jax

    return jax.jit(function).lower(*arguments).cost_analysis()["flops"]


def seconds(function: Callable[..., Any], *arguments: Any) -> float:
    """CPU seconds of a call."""
    import jax

    compiled = jax.jit(function).lower(*arguments).compile()
    jax.block_until_ready(compiled(*arguments))
    found: list[float] = []
    while len(found) < 3 or sum(found) < SECONDS:
        begin = time.process_time()
        jax.block_until_ready(compiled(*arguments))
        found.append(time.process_time() - begin)
    return statistics.median(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", type=lambda text: text.split(","), default=["W8", "W4", "W2", "W3"])
    options = parser.parse_args()
    here = world()
    place(here, 1)
    import jax
    import jax.numpy as jnp

    from nqs_hpc.gradient.flat import flat
    from nqs_hpc.gradient.jacobian import jacobian
    from nqs_hpc.parallel.comm import comm
    from nqs_hpc.parts import build

    rng = np.random.default_rng(0)
    square = jnp.asarray(rng.standard_normal((1024, 1024)))
    rate = 2 * 1024**3 / seconds(jnp.matmul, square, square)
    print(f"{rate / 1e9:.3g} GFLOP/s\n")
    print("| network | | operations | us | GFLOP/s | of matrix products |\n|---|---|---|---|---|---|")
    for name in options.workloads:
        parts = build(compose(list(WORKLOADS[name].ours), here.size), comm(here))
        ansatz, params = parts.ansatz, jax.jit(parts.ansatz.init)(jax.random.key(0))
        s_BN = rng.choice(np.array([1, -1], np.int8), (CONFIGURATIONS, parts.lattice.n_sites))
        form = flat(params, ansatz.kind)

        frozen = jax.jit(ansatz.freeze)(params)

        def evaluate(frozen: Any, s_BN: Any, ansatz: Any = ansatz) -> Any:
            return jax.vmap(ansatz.prepare, in_axes=(None, 0))(frozen, s_BN)

        def differentiate(params: Any, s_BN: Any, ansatz: Any = ansatz, form: Any = form) -> Any:
            return jacobian(ansatz, form, params, s_BN, None)

        for what, function, given, states in (
            ("evaluated", evaluate, frozen, s_BN),
            ("differentiated", differentiate, params, s_BN[:DIFFERENTIATED]),
        ):
            each = seconds(function, given, states) / len(states)
            count = operations(function, given, states[:1])
            print(
                f"| {name} {WORKLOADS[name].title.split(',')[0].split(' (')[0]} | {what} | {count:.3g} "
                f"| {each * 1e6:.3g} | {count / each / 1e9:.3g} | {count / each / rate:.0%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
