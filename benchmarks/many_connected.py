"""Local values of a random Pauli sum with very many connected states: seconds, and how far memory grows.

    python benchmarks/many_connected.py [--terms 100000] [--sites 40] [--samples 64] [--letters 0] [--whole]

Each term is a random string of I, X, Y, Z, so that nearly every one leads to a state of its own; ``--letters 4`` has
strings of four letters. ``--pairs`` adds a second string with the same flips to each, so that elements can vanish.
``--whole`` is the way of operators without ``connected_some``: all moves of a sample at once. One line of JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import jax
import jax.numpy as jnp
import numpy as np

from nqs_hpc.ansatz.jastrow import jastrow
from nqs_hpc.ansatz.rbm import rbm
from nqs_hpc.operators.local_values import local_values
from nqs_hpc.operators.pauli import pauli
from nqs_hpc.types import PauliString

GIB = 2**30


def peak() -> float:
    """GiB of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def random_sum(n_sites: int, n_terms: int, letters: int, pairs: bool) -> list[PauliString]:
    rng = np.random.default_rng(0)
    strings = []
    for _ in range(n_terms):
        drawn = rng.integers(0, 4, n_sites)
        if letters:
            drawn[rng.permutation(n_sites)[letters:]] = 0
        sites = np.nonzero(drawn)[0]
        word = "".join("IXYZ"[k] for k in drawn[sites])
        strings.append(PauliString(float(rng.normal()), word, tuple(sites.tolist())))
        if pairs and "X" in word:  # X and Y change places: the same flips
            i = word.index("X")
            strings.append(PauliString(float(rng.normal()), word[:i] + "Y" + word[i + 1 :], tuple(sites.tolist())))
    return strings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--terms", type=int, default=100_000)
    parser.add_argument("--sites", type=int, default=40)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--letters", type=int, default=0)
    parser.add_argument("--ansatz", choices=("jastrow", "rbm"), default="jastrow")
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--whole", action="store_true")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)

    n = options.sites
    ansatz = jastrow(n, dtype="complex") if options.ansatz == "jastrow" else rbm(n, n_hidden=n, dtype="complex")
    params = ansatz.init(jax.random.key(0))
    s_BN = np.random.default_rng(1).choice([1, -1], (options.samples, n)).astype(np.int8)
    jax.block_until_ready(jax.jit(jax.vmap(ansatz.log_psi, (None, 0)))(params, s_BN))
    before = peak()

    start = time.perf_counter()
    operator = pauli(n, random_sum(n, options.terms, options.letters, options.pairs))
    if options.whole:
        operator = operator._replace(connected_some=None)
    made = time.perf_counter() - start
    values = local_values(operator, chunk=None).prepare(ansatz)
    start = time.perf_counter()
    program = jax.jit(lambda params, s_BN: values(ansatz.freeze(params), s_BN)).lower(params, s_BN).compile()
    compiled = time.perf_counter() - start
    start = time.perf_counter()
    found = program(params, jnp.asarray(s_BN)).block_until_ready()
    seconds = time.perf_counter() - start
    held = program.memory_analysis()
    result = {
        "n_connected": operator.n_connected,
        "may_vanish": operator.may_vanish,
        "samples": options.samples,
        "peak_growth_gib": round(peak() - before, 3),
        "temporary_gib": None if held is None else round(held.temp_size_in_bytes / GIB, 3),
        "make_s": round(made, 1),
        "compile_s": round(compiled, 1),
        "seconds": round(seconds, 2),
        "pairs_per_s": round(operator.n_connected * options.samples / seconds),
        "mean": str(complex(jnp.mean(found))),
    }
    print(json.dumps(vars(options) | result))


if __name__ == "__main__":
    main()
