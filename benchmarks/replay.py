"""A step replayed message by message on up to 1024 ranks, each with its own clock: what waiting for others costs.

    python benchmarks/replay.py --rates FILE [--ranks 64,256,1024] [--noise 0.02] [--slow 1.1]

The cost model (`model.py`) adds up what a step takes if all ranks enter a collective at once. Here each rank has a
clock. Work advances it, by more on some ranks than on others; a message leaves when its sender comes to it and is
there a latency and a transfer later; a receiver goes on when it has both come to it and got it. A collective is the
pattern of messages of the algorithm that MPICH takes at that size (`model.algorithm`), round by round. All messages of
a round are alike, so an event of all ranks is one operation on an array of clocks, and exact: even the R - 1 rounds of
a ring, t_r = max(t_r, t_(r-1)) + c, which come to the maximum over all ranks + (R - 1) c.

Noise: each piece of work takes 1 + x times as long, x from an exponential distribution of mean --noise, independent for
each rank and piece (at_scale.py measures it), and one rank is --slow times as slow all along. Prints, for each rank
count, seconds of the closed model, of the replay without noise and their ratio, with noise, and with a slow rank.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import model
import numpy as np
from model import Compute, Message, Network, Step
from numpy.typing import NDArray

Clocks = NDArray[np.float64]


def doubling(clocks: Clocks, sizes: list[float], network: Network) -> Clocks:
    """Ranks that differ in one bit exchange ``sizes`` bytes, bit after bit; ranks are a power of two."""
    ranks = np.arange(len(clocks))
    for bit, n_bytes in enumerate(sizes):
        partner = clocks[ranks ^ (1 << bit)]
        clocks = np.maximum(clocks, partner) + network.latency + n_bytes / network.bandwidth
    return clocks


def shifted(clocks: Clocks, sizes: list[tuple[int, float]], network: Network) -> Clocks:
    """Rounds of (distance, bytes): each rank sends to the one so far below it."""
    for distance, n_bytes in sizes:
        clocks = np.maximum(clocks, np.roll(clocks, -distance)) + network.latency + n_bytes / network.bandwidth
    return clocks


def folded(clocks: Clocks, n_bytes: float, network: Network, inner: Any) -> Clocks:
    """A sum over ranks that are not a power of two: those beyond it hand theirs to a rank below, and get the result."""
    power = 1 << (len(clocks).bit_length() - 1)
    extra, cost = len(clocks) - power, network.latency + n_bytes / network.bandwidth
    if not extra:
        return inner(clocks)
    core = clocks[:power].copy()
    core[:extra] = np.maximum(core[:extra], clocks[power:]) + cost
    core = inner(core)
    return np.concatenate([core, np.maximum(core[:extra], clocks[power:]) + cost])


def collective(clocks: Clocks, message: Message, network: Network) -> Clocks:
    """The clocks of all ranks after a collective that each entered at its own."""
    size = len(clocks)
    if size == 1:
        return clocks
    name, n_bytes = model.algorithm(message, size), message.n_bytes
    rounds, rest = math.ceil(math.log2(size)), (size - 1) / size
    if name == "ring":
        return np.full(size, clocks.max() + (size - 1) * network.latency + rest * n_bytes / network.bandwidth)
    if name == "pairs":
        if size & (size - 1) == 0:
            for i in range(1, size):
                partner = clocks[np.arange(size) ^ i]
                clocks = np.maximum(clocks, partner) + network.latency + n_bytes / size / network.bandwidth
            return clocks
        return shifted(clocks, [(i, n_bytes / size) for i in range(1, size)], network)
    if message.kind == "exchange":
        return shifted(clocks, [(1 << i, n_bytes / 2) for i in range(rounds)], network)
    if message.kind == "gather":
        part = n_bytes / size
        if name == "doubling":
            return doubling(clocks, [part * 2**i for i in range(rounds)], network)
        return shifted(clocks, [(1 << i, part * min(1 << i, size - (1 << i))) for i in range(rounds)], network)
    power = size.bit_length() - 1
    if name == "doubling":
        return folded(clocks, n_bytes, network, lambda core: doubling(core, [n_bytes] * power, network))
    halves = [n_bytes / 2 ** (i + 1) for i in range(power)]

    def halving(core: Clocks) -> Clocks:
        ranks = np.arange(len(core))
        for sizes in (enumerate(halves), reversed(list(enumerate(halves)))):
            for i, part in sizes:
                partner = core[ranks ^ (len(core) >> (i + 1))]
                core = np.maximum(core, partner) + network.latency + part / network.bandwidth
        return core

    return folded(clocks, n_bytes, network, halving)


def replay(step: Step, ranks: int, network: Network, *, noise: float = 0.0, slow: float = 1.0, seed: int = 0) -> float:
    """Seconds until the last rank has ended the step."""
    random = np.random.default_rng(seed)
    clocks, pace = np.zeros(ranks), np.ones(ranks)
    pace[ranks // 2] = slow
    for one in step:
        if isinstance(one, Compute):
            longer = 1 + random.exponential(noise, ranks) if noise else 1.0
            clocks = clocks + one.seconds * pace * longer
        else:
            clocks = collective(clocks, one, network)
    return float(clocks.max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", default="64,256,1024")
    parser.add_argument("--rates", type=Path, required=True, help="what at_scale.py --json has written")
    parser.add_argument(
        "--noise", type=float, help="mean of the relative excess of a piece of work; else the measured one"
    )
    parser.add_argument("--slow", type=float, default=1.1)
    options = parser.parse_args()

    import at_scale

    if not options.rates.is_file():
        parser.error(f"--rates {options.rates}: no such file; at_scale.py --json writes one")
    found = json.loads(options.rates.read_text())
    if missing := {"rates", "network", "noise", "runs"} - set(found):
        parser.error(f"--rates {options.rates}: it lacks {', '.join(sorted(missing))}; let at_scale.py end")
    noise = found["noise"] if options.noise is None else options.noise
    network = Network(**found["network"])
    rates = at_scale.rates_of(found["rates"])
    for name in found["runs"]:
        for ranks in map(int, options.ranks.split(",")):
            step = at_scale.step_of(found, name, "distributed", ranks, rates)
            closed = sum(model.total(step, ranks, network).values())
            exact = replay(step, ranks, network)
            row = {"run": name, "ranks": ranks, "model_s": closed, "replay_s": exact, "ratio": exact / closed}
            row |= {"noise_s": replay(step, ranks, network, noise=noise)}
            row |= {"slow_s": replay(step, ranks, network, slow=options.slow)}
            print(json.dumps({key: round(v, 4) if isinstance(v, float) else v for key, v in row.items()}), flush=True)


if __name__ == "__main__":
    main()
