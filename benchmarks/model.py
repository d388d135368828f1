"""What a step over ranks costs: messages as MPICH sends them, solves that ranks share, as sums of measured rates.

Arithmetic alone, for `replay.py` and `at_scale.py`. A step is a list of what a rank does: `Compute`, which it does by
itself, and `Message`, a collective of all. Seconds of a collective of R ranks with a network of latency a and
bandwidth 1/b a rank (Thakur, Rabenseifner & Gropp 2005, doi:10.1177/1094342005051521), with the algorithms and the
sizes at which MPICH changes from one to the other (its CVARs ALLGATHER_LONG_MSG_SIZE and so on):

    gather     V bytes of all ranks together. Below 512 KiB recursive doubling, log2 R a + (R - 1) / R V b, or Bruck's
               where R is not a power of two; above it a ring, (R - 1) a + (R - 1) / R V b
    sum        V bytes. Up to 2 KiB recursive doubling, log2 R (a + V b); above it halving and doubling
               (Rabenseifner), 2 log2 R a + 2 (R - 1) / R V b
    exchange   V bytes that a rank sends, V / R to each. Up to 256 bytes to each Bruck's, log2 R (a + V b / 2); above it
               by pairs, (R - 1) (a + V / R b)

Adding numbers of a sum costs little beside sending them and is left out.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

Kind = Literal["gather", "sum", "exchange"]


class Network(NamedTuple):
    latency: float  # seconds of a message, however short
    bandwidth: float  # bytes a second of a rank, each way


class Compute(NamedTuple):
    seconds: float
    part: str


class Message(NamedTuple):
    kind: Kind
    n_bytes: float  # gather: of all ranks together; sum: of the buffer; exchange: all that a rank sends
    part: str


Step = list[Compute | Message]
GATHER_RING, SUM_SHORT, EXCHANGE_SHORT = 512 * 1024, 2048, 256


def algorithm(message: Message, ranks: int) -> str:
    """What MPICH takes: doubling, bruck, ring, halving or pairs."""
    kind, n_bytes, _ = message
    if kind == "gather":
        if n_bytes >= GATHER_RING:
            return "ring"
        return "doubling" if ranks & (ranks - 1) == 0 else "bruck"
    if kind == "sum":
        return "doubling" if n_bytes <= SUM_SHORT else "halving"
    return "bruck" if n_bytes / ranks <= EXCHANGE_SHORT and ranks >= 8 else "pairs"


def seconds(message: Message, ranks: int, network: Network) -> float:
    """Of a collective that all ranks enter at once."""
    if ranks == 1:
        return 0.0
    a, b = network.latency, 1 / network.bandwidth
    kind, n_bytes, _ = message
    rounds, rest = math.ceil(math.log2(ranks)), (ranks - 1) / ranks
    # ranks beyond a power of two hand what they have to another one before a sum, and get the result after it
    folds = 0 if ranks & (ranks - 1) == 0 else 2
    name = algorithm(message, ranks)
    if name == "ring":
        return (ranks - 1) * a + rest * n_bytes * b
    if name == "pairs":
        return (ranks - 1) * (a + n_bytes / ranks * b)
    if kind == "gather":
        return rounds * a + rest * n_bytes * b
    if kind == "exchange":
        return rounds * (a + n_bytes / 2 * b)
    power = math.floor(math.log2(ranks))
    around = folds * (a + n_bytes * b)
    if name == "doubling":
        return power * (a + n_bytes * b) + around
    return 2 * power * a + 2 * (1 - 2.0**-power) * n_bytes * b + around


def total(step: Step, ranks: int, network: Network) -> dict[str, float]:
    """Seconds by part."""
    found: dict[str, float] = {}
    for one in step:
        time = one.seconds if isinstance(one, Compute) else seconds(one, ranks, network)
        found[one.part] = found.get(one.part, 0.0) + time
    return found


class Rates(NamedTuple):
    """Of one rank. Those of BLAS by the rows of a block, where a call is as small as a block is."""

    product: float  # operations a second, of large matrices
    factor: float  # of LAPACK's solution of a whole kernel
    entries: float  # of a kernel that are made from Gram matrices and centred, a second
    copied: float  # bytes a second that are copied, or read by a product with a vector
    gathered: float  # bytes a second of a panel that comes in rank by rank and is put in order
    call: float  # seconds of a call out of a program, or of one more turn of its loops
    blas_call: float  # seconds of one call of BLAS from Python, of which a panel makes some
    update: dict[int, float]  # operations a second: what a panel leaves to do, block (rows and depth) by many columns
    panel: dict[int, float]  # of rows of a panel, times its corner's inverse
    corner: dict[int, float]  # of the Cholesky factor of a corner


LEVELS = 4  # of `update.over_ranks`


def block_of(n: int, ranks: int, largest: int = 256, each: int = 8) -> int:
    """`parallel.cyclic.layout`."""
    block = 8
    while block < largest and 2 * block * each * ranks <= n:
        block *= 2
    return block


def replicated(n: int, rates: Rates) -> Step:
    return [Compute(n**3 / 3 / rates.factor, "solve")]


def gathers(n_bytes: float, part: str, *, in_pieces: bool) -> Step:
    """One gather, or as many as keep each below the size from which MPICH goes round a ring."""
    n = math.ceil((n_bytes + 1) / GATHER_RING) if in_pieces else 1
    return [Message("gather", n_bytes / n, part)] * n


def cholesky(
    n: int, ranks: int, rates: Rates, itemsize: int = 8, block: int | None = None, *, in_pieces: bool = False
) -> Step:
    """`update.over_ranks.solve`, panel after panel, of the rank that has most to do."""
    block = block or block_of(n, ranks)
    n_blocks = -(-n // (block * ranks))
    edges = sorted({i * n_blocks // LEVELS for i in range(LEVELS + 1)})
    panels, line = n_blocks * ranks, block * itemsize
    step: Step = []
    for k in range(panels):
        first = max(edge for edge in edges if edge <= k // ranks)
        level = (n_blocks - first) * block  # rows of a rank that take part in a gather
        step += [
            Compute(rates.call, "solve: calls"),
            Message("sum", block * line, "solve: messages"),
            Compute(rates.call + block**3 / 3 / rates.corner[block], "solve: corners"),
        ]
        rows = max(0, n_blocks - k // ranks - 1) * block
        step += [
            Compute(rows * block**2 / rates.panel[block] + (level + rows) * line / rates.copied, "solve: panels"),
            *gathers(level * ranks * line, "solve: messages", in_pieces=in_pieces),
        ]
        passed = level * ranks * line / rates.gathered
        entries = sum(((i * ranks + ranks) - k - 1) * block**2 for i in range(k // ranks + 1, n_blocks))
        step += [
            Compute(passed, "solve: panels"),
            Compute(rates.call + 2 * block * entries / rates.update[block], "solve: update"),
            # a factor; solutions and copies of two blocks at a time; a product for each block; two of y
            Compute((3 + 2 * rows / block) * rates.blas_call, "solve: calls"),
        ]
    step += back(n, ranks, rates, itemsize, block)
    return step


def back(n: int, ranks: int, rates: Rates, itemsize: int, block: int) -> Step:
    """Back substitution: the owner of a block has to add before the next one can begin."""
    panels = -(-n // (block * ranks)) * ranks
    step: Step = []
    for k in range(panels - 1, -1, -1):
        step += [
            Message("sum", block * itemsize, "solve: messages"),
            Compute(rates.call + k * block * block * itemsize / rates.copied, "solve: back"),
        ]
    return [*step, Message("gather", panels * block * itemsize, "solve: messages")]


def gradients(
    n: int, ranks: int, rates: Rates, *, iterations: int, sketch: int, itemsize: int = 8, columns: int = 128
) -> Step:
    """`update.nystrom.conjugate_gradient` on a kernel by rows."""
    local = -(-n // ranks)
    step: Step = []
    if sketch:
        draws = n * sketch / rates.entries / 4  # signs; entries of a kernel are some passes each
        core = sketch**2 * itemsize
        step += [
            Compute(draws, "solve: sketch"),
            Compute(2 * local * n * sketch / rates.product, "solve: sketch"),
            Compute(4 * local * sketch**2 / rates.product, "solve: sketch"),
            Message("sum", core, "solve: messages"),
            Message("sum", core, "solve: messages"),
            Compute(2 * (sketch**3 / 3 / rates.factor + local * sketch**2 / rates.product), "solve: sketch"),
        ]
    turn: Step = [
        Message("gather", n * itemsize, "solve: messages"),
        Compute((local * n + 2 * local * sketch) * itemsize / rates.copied + 3 * rates.call, "solve: iterations"),
        Message("sum", itemsize, "solve: messages"),
        Message("sum", (sketch + 1) * itemsize, "solve: messages"),
    ]
    return [*step, *turn * iterations, Message("gather", n * itemsize, "solve: messages")]


def kernel_of_factors(n: int, ranks: int, width: int, rates: Rates, *, by_rows: bool, itemsize: int = 8) -> Step:
    """From parts of ``width`` numbers: gathered, multiplied, centred; then gathered where every rank wants it whole."""
    step: Step = [
        Message("gather", n * width * itemsize, "kernel: messages"),
        Compute((2 * n**2 * width / rates.product + 2 * n**2 / rates.entries) / ranks, "kernel"),
        Message("gather", n * itemsize, "kernel: messages"),
    ]
    return step if by_rows else [*step, Message("gather", n**2 * itemsize, "kernel: messages")]


AT_ONCE = 1024  # rows of `gradient.kernel_rows` that are made at a time


def kernel_of_jacobian(
    n: int, ranks: int, parameters: int, rates: Rates, *, by_rows: bool, whole: bool = False, itemsize: int = 8
) -> Step:
    """From rows of ``parameters`` numbers: exchanged, multiplied, summed."""
    share = -(-parameters // ranks)
    step: Step = [Message("exchange", n / ranks * parameters * itemsize, "kernel: messages")]
    if not by_rows:
        half = n * (n + 1) / 2
        return [
            *step,
            Compute(n**2 * share / rates.product, "kernel"),
            Message("sum", half * itemsize, "kernel: messages"),
        ]
    block = block_of(n, ranks)
    height = block
    while height > 1 and height * ranks > AT_ONCE:
        height //= 2
    rows = -(-n // (block * ranks)) * block
    for i in range(rows // height):
        level = 1.0 if whole else min(1.0, (math.floor(i * height / rows * 8) + 1) / 8)
        below = 1.0 if whole else min(1.0, (i + 1) * height / rows)
        width = level * rows * ranks
        step += [
            Compute(2 * height * ranks * below * n * share / rates.product + rates.call, "kernel"),
            Message("exchange", height * ranks * width * itemsize, "kernel: messages"),
            Compute(height * ranks * width * itemsize / rates.copied, "kernel"),
        ]
    return step
