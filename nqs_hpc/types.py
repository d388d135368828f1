"""The contracts between the layers: what an ansatz, an operator, a sampler and an update are.

Every piece is a NamedTuple of pure functions; what evolves is a NamedTuple of arrays. Functions are written for one
configuration and mapped by their caller. Argument order: key, params, state, data.

Legend of the shape letters that end the names of tensors:

    B  samples on this rank              N  sites of the lattice
    C  Markov chains on this rank        L  samples of one chain
    K  connected configurations          F  sites that one move can change
    P  parameters, as one flat vector    R  ranks
    M  hidden units                      A  samples of all ranks
    G  couplings that a network is told

Configurations ``s_N`` are int8: spins +1 and -1, occupation numbers for particles.
This file loads nothing but the standard library, so every layer may import it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from jax import Array
    from numpy.typing import NDArray

Tree = Any  # a pytree of arrays

Kind = Literal["real", "signed", "complex", "holomorphic"]


class Move(NamedTuple):
    """A change of a few sites: ``s' = s.at[sites].add(deltas)``.

    F is static. A pad is (site 0, delta 0): a no-op for every s, harmless when repeated. Entries with a non-zero delta
    name distinct sites. With a leading axis K the same tuple holds K moves.
    """

    sites: Array  # (F,) int32
    deltas: Array  # (F,) int8


class Factors(NamedTuple):
    """Log-derivatives as products of few vectors, for networks of dense layers (`gradient.factored`).

    ``leaves`` lists, for each leaf of the parameters in the order of ``jax.tree.leaves``, the parts whose outer product
    is d log psi / d leaf: (i,) is part i itself, (i, j) the matrix part_i[:, None] * part_j[None, :]. An ansatz of kind
    ``complex`` has real parameters here, and exactly one part of each leaf is complex.
    """

    parts: Callable[[Tree, Array], tuple[Array, ...]]  # params, s_N -> vectors
    leaves: tuple[tuple[int, ...], ...]


class Stage(NamedTuple):
    """The log-derivatives by some neighbouring leaves of the parameters, or by parts of one, from a record of a tape.

    ``rows(kept, back)`` is the derivative (P_l,) of one sample and one row, linear in ``back``; ``total(kept_B,
    back_B)`` the sum of those of a batch, (P_l,), as few large products.
    """

    record: int  # the number of the record
    rows: Callable[[Tree, Tree], Array]
    total: Callable[[Tree, Tree], Array]


class Layered(NamedTuple):
    """Log-derivatives layer by layer, for networks that apply each weight at many places (`gradient.layered`): one
    forward and one backward pass leave what the derivatives by all layers are made from, one layer after the other.

    ``tape(params, s_N)`` are the records of one sample, each ``(kept, back)``: what the forward pass leaves, and
    d log psi / d output, whose leaves lead with an axis of rows: one of a real or signed log psi, two, Re and Im, of a
    complex one. Parameters are real. The stages come in the order of the flat vector of the parameters and fill it.
    """

    tape: Callable[[Tree, Array], tuple[tuple[Tree, Tree], ...]]
    stages: tuple[Stage, ...]


class Conditionals(NamedTuple):
    """The conditional probabilities of an autoregressive wave function, one site after the other, for direct sampling.

    |psi(s)|^2 = prod_i p_i(s_i | s_<i), in the order of the sites, or in that of ``order``, whose i-th number is the
    site of step i. A running cache holds what the sites so far have determined. Step i, which may be a traced number,
    is two calls: ``step`` for the log-probabilities of its site, in the order of the local values (-inf for those which
    would make a fixed total unreachable), then ``extend`` with the number of the value that was drawn.
    """

    begin: Callable[[Tree], Tree]  # frozen -> the running cache before the first site
    step: Callable[[Tree, Tree, Array], tuple[Array, Tree]]  # frozen, running, i -> (n_values,), running
    extend: Callable[[Tree, Tree, Array, Array], Tree]  # frozen, running, i, which value -> running
    order: tuple[int, ...] | None = None


class Ansatz(NamedTuple):
    """A wave function psi(s; theta), reached through its logarithm and through ratios.

    ``frozen = freeze(params)`` holds what all ratios of one step share (tables of exponentials of the weights, say), so
    that loops over proposals and connected states compute it once. ``log_ratio`` may be -inf, never NaN.

    A Markov chain makes of one move two calls: ``attempt``, then ``advance`` with what it brought and whether the move
    was ``accepted`` (else the cache stays), so that no work is done twice.

    Kinds: ``real``, log psi is real; ``signed``, Im log psi is 0 or pi and the parameters see only the modulus;
    ``complex``, log psi is complex and the parameters real or mixed; ``holomorphic``, all parameters are complex and
    log psi is holomorphic in them.
    """

    init: Callable[[Array], Tree]  # key -> params
    log_psi: Callable[[Tree, Array], Array]  # params, s_N -> scalar
    kind: Kind
    freeze: Callable[[Tree], Tree]  # params -> frozen
    prepare: Callable[[Tree, Array], Tree]  # frozen, s_N -> cache
    log_ratio: Callable[[Tree, Array, Tree, Move], Array]  # frozen, s_N, cache, move -> log psi(s') - log psi(s)
    log_ratios: Callable[[Tree, Array, Tree, Move], Array]  # the same for K moves of one configuration -> (K,)
    attempt: Callable[[Tree, Array, Tree, Move], tuple[Array, Tree]]  # the log ratio, and what `advance` takes of it
    advance: Callable[..., Tree]  # frozen, s_N, cache, move, attempted=None, accepted=True -> the cache of s'
    factors: Factors | None = None  # where the log-derivatives are products
    layered: Layered | None = None  # where they are made layer by layer
    modulus: Ansatz | None = None  # |psi| of the same params, where that costs less: all that a sampler needs
    whole: bool = False  # a ratio costs a forward pass: worth leaving out where a move changes nothing
    conditionals: Conditionals | None = None  # where the wave function is autoregressive
    # params, fields a_N -> the parameters of psi(s) prod_i exp(a_i s_i), where they exist; real fields of a real ansatz
    shifted: Callable[[Tree, Array], Tree] | None = None
    # complex fields a_N, plain numbers -> parameters whose psi(s) is prod_i exp(a_i x_i) but for a constant, x_i = +1
    # for the upper and -1 for the lower of two local values, and whose log-derivatives hold pairs of sites; ValueError,
    # one line, for fields that it cannot have
    product_state: Callable[[NDArray[Any]], Tree] | None = None
    # where the network is told couplings of the Hamiltonian: numbers (G,), which may be traced -> the same network told
    # these, with the same parameters and of the same shapes. What it is itself told are those of its own choice
    bound: Callable[[Array], Ansatz] | None = None


class WithCouplings(NamedTuple):
    """Parameters, or what ``freeze`` makes of them, with the couplings that the network is told, as the parameters of
    an ansatz to which these are data (`ansatz.couplings`).
    """

    own: Tree
    couplings_G: Array


class Operator(NamedTuple):
    """An operator A: <s|A|s> and, for s' != s, moves with their elements <s|A|s'>.

    ``connected(s_N) -> (moves_KF, elements_K)`` with static K. Elements that vanish for this s come with a move whose
    deltas are all 0. Elements are real where ``is_real``, else complex; the diagonal is real, or complex where the
    operator is not Hermitian. Signs of fermions are signs of elements.

    Where K is large ``connected_some(s_N, start, size)`` gives ``size`` (static) of the moves and elements from number
    ``start`` (traced) on, those past the last with deltas and elements 0, so that all of them are never held at once.

    An operator that depends on time is the one at time 0, and ``at(time)`` (traced) gives it at any: the same moves and
    the same static facts, other numbers, so that one program serves all times. It is the sum over ``terms`` of factors
    f_k(time) times operators that do not depend on time.
    """

    diagonal: Callable[[Array], Array]  # s_N -> scalar
    connected: Callable[[Array], tuple[Move, Array]]
    n_connected: int
    is_real: bool
    e_infinity: float  # Tr H / dim over the full space, the energy at infinite temperature
    may_vanish: bool = True  # whether elements can be 0 for some s
    bounds: tuple[float, float] = (-math.inf, math.inf)  # no eigenvalue lies outside; need not be tight
    is_hermitian: bool = True
    at: Callable[[Array], Operator] | None = None
    connected_some: Callable[[Array, Array, int], tuple[Move, Array]] | None = None
    terms: tuple[tuple[Callable[[Array], Array], Operator], ...] = ()


class PauliString(NamedTuple):
    """A product of Pauli matrices with its coefficient."""

    coefficient: float
    operators: str  # letters X, Y, Z; none: a constant
    sites: tuple[int, ...]  # one a letter; distinct, and ascending once expanded


class Local(NamedTuple):
    """The local value of anything measured: of an operator through its moves, of a fidelity, of a kinetic energy.

    ``prepare(ansatz) -> values`` and ``values(frozen, s_BN, time=None) -> (B, ...)``, of samples of |psi|^2 and
    ``frozen = ansatz.freeze(params)``: the mean over the samples is <psi|A|psi> / <psi|psi>. No collectives.

    Where many values can be summed without holding those of all samples, ``binned(ansatz)`` is
    ``(frozen, s_BN, w_B, bin_B, n_bins, few) -> (n_bins, D), (B, len(few))``: of each bin the sum of weight times value
    over this rank's samples, ``bin_B`` (integers) saying which bin a sample is in and ``n_bins`` static; and of the
    values with the numbers ``few`` (static) those of each sample.
    """

    prepare: Callable[[Ansatz], Callable[..., Array]]
    binned: Callable[[Ansatz], Callable[..., tuple[Array, Array]]] | None = None


class Output(NamedTuple):
    """One of the results of an observable, a number or an array."""

    name: str = ""  # "" of an observable that has one result
    unit: str = ""
    label: str = ""  # what a plot writes beside it
    shape: tuple[int, ...] = ()
    axes: tuple[tuple[str, NDArray[Any]], ...] = ()  # what its entries belong to: sites, wave vectors


class Observable(NamedTuple):
    """What is measured beside the energy: means over |psi|^2, and what follows from them.

    Exactly one of four says what is averaged, D numbers (or one): ``local``, whose values are (B,) or (B, D);
    ``strings``, D sums of Pauli strings as they are written, physically, which share their ratios with those of all
    other observables; ``sums(ansatz) -> (params, samples) -> (D,)``, this rank's part of weighted sums, for what is not
    the mean of a value of one sample (no error is known of it); ``between``, of what compares the state of a trajectory
    with its first one: ``between(ansatz)`` is ``(own, other, s_BN) -> (B, D / 2)``, of parameters and of samples of
    |psi_own|^2. Of the D means half are over samples of the present state, with the first one as the other, half the
    other way round; the first output is a number that is positive unless it is lost in noise.

    ``derived(means)`` are the results by the name of each output, in NumPy on the host: of means (..., D), complex128,
    with any leading axes, so that one call makes the results of all jackknife samples. None: the real part of the mean.
    """

    local: Local | None = None
    outputs: tuple[Output, ...] = (Output(),)
    derived: Callable[[NDArray[Any]], dict[str, NDArray[Any]]] | None = None
    strings: tuple[tuple[PauliString, ...], ...] | None = None
    sums: Callable[[Ansatz], Callable[[Tree, Samples], Array]] | None = None
    between: Callable[[Ansatz], Callable[[Tree, Tree, Array], Array]] | None = None
    n_values: int = 1  # D
    joined: int = 1  # neighbouring chains that one local value is of: 2 where it compares pairs of chains
    takes_params: bool = False  # whether local values are of the parameters in place of what ``freeze`` makes of them
    takes_weights: bool = False  # whether local values are told the weights of this rank's samples too, as ``w_B``
    # of a local value that samples of several chains share: the same observable for chains of the length that is given
    # (of independent samples 1), of samples whose weights differ where the second argument says so
    of_chains: Callable[[int, bool], Observable] | None = None


class Result(NamedTuple):
    """What was found of one output of an observable, on the host."""

    name: str  # LABEL, or LABEL.OUTPUT
    value: NDArray[Any]
    error: NDArray[Any]  # standard error; 0 of exact sums, NaN where it is not known
    output: Output
    statistics: dict[str, float | None] | None = None  # of a number: variance, r_hat, tau, n_eff where they are known


class Samples(NamedTuple):
    """Weighted configurations of this rank; the weights of all ranks together sum to 1."""

    s_BN: Array  # int8; the samples of one chain follow each other
    w_B: Array


class Groups(NamedTuple):
    """Which samples are of which of K wave functions, psi_k = psi(s; gamma_k) of one network that is told couplings.

    Those of a rank are ``n_local`` blocks of the same size, of the wave functions ``numbers(rank)``, (n_local,) int32,
    of a rank that may be traced. The samples of all ranks are ``parts`` stretches of the same size, each of which holds
    samples of all wave functions, in their order and equally many. The weights of each add up to 1/K.
    """

    couplings_KG: NDArray[Any]  # float64
    n_local: int
    numbers: Callable[[Array], Array]
    parts: int = 1

    @property
    def n(self) -> int:
        return len(self.couplings_KG)

    def split(self, x_A: Any) -> Any:
        """(K, A / K), in the order of samples, of what all ranks hold (A, ); of jax or NumPy."""
        return x_A.reshape(self.parts, self.n, -1).swapaxes(0, 1).reshape(self.n, -1)

    def joined(self, x_K: Any, n_samples: int) -> Any:
        """(A,), in the order of samples, of K numbers that of the wave function of each sample."""
        return x_K[None, :, None].repeat(self.parts, axis=0).repeat(n_samples // (self.parts * self.n), axis=2).ravel()


class Sampler(NamedTuple):
    """``init(key, rank=own) -> state``; ``sample(key, params, state) -> (state, Samples, info)``.

    The key, (2,) uint32, is the same on every rank: a sampler counts with the global number of each chain
    (`parallel.keys.words`), so that a chain's numbers do not depend on where it runs. ``rank`` can be given as data, so
    that all ranks share one program. Every leaf of ``state`` leads with the axis of this rank's chains. A fresh state
    is fit for use after ``warmup_calls`` calls of ``sample`` whose samples are thrown away. ``info`` holds numbers of
    this rank, each to be summed over ranks: ``accepted`` and ``proposed``, and pairs ``accepted_NAME``,
    ``proposed_NAME``.

    A sampler that learns has two more functions. ``adapt(state, e_loc_A, counts) -> (state, info)`` learns from what it
    sampled last: the local energies of all ranks, chain by chain, and the sums over ranks of the info of ``sample``.
    What it learns and its own ``info``, for the log, are the same on every rank. ``inherit(fresh, state)`` gives fresh
    chains what ``state`` has learnt, whatever ranks it was of.
    """

    init: Callable[..., Tree]
    sample: Callable[[Array, Tree, Tree], tuple[Tree, Samples, dict[str, Array]]]
    n_samples: int  # over all ranks, pads included
    chain_length: int  # samples a chain in one call; 0 where the sum is exact and has no statistical error
    warmup_calls: int
    adapt: Callable[[Tree, Array, dict[str, Array]], tuple[Tree, dict[str, Array]]] | None = None
    inherit: Callable[[Tree, Tree], Tree] | None = None
    independent: bool = False  # samples that no chain joins: whatever their order, they are chains of length 1
    weighted: bool = False  # whether weights differ from sample to sample, exact sums aside
    groups: Groups | None = None  # where samples are of several wave functions


class Estimate(NamedTuple):
    """The mean of an observable over the samples of all ranks, the same on every rank."""

    mean: Array
    error: Array  # standard error of the mean, from what each chain adds to it; 0 where the sum is exact
    variance: Array


class Grouped(NamedTuple):
    """Of the samples of several wave functions which each is of, and the energies of these; see `Groups`."""

    of_B: Array  # int32
    of_A: Array
    each: Estimate  # (K,)


class Batch(NamedTuple):
    """What an update sees of one step; per rank but for ``estimate``, ``counts`` and what ends in A.

    ``rank`` is data, not a constant of the program: all ranks run one and the same, and find it in one compile cache.
    """

    rank: Array  # int32
    samples: Samples
    e_loc_B: Array
    e_loc_A: Array  # of all ranks, in the global order of chains
    w_A: Array
    estimate: Estimate
    counts: dict[str, Array]  # the sampler's info, summed over ranks
    # of samples of several wave functions, whose configurations then end with the number of theirs, an entry more;
    # ``estimate`` is that of the mean of their energies
    groups: Grouped | None = None


class Projected(NamedTuple):
    """The direction d in parameter space that minimises ||X d - eps||^2, regularised; the same on every rank.

    X holds the weighted, centred rows of log-derivatives, eps the residuals of the local values of a Batch
    (`gradient.jacobian`). A step of a ground state goes along -d; so does time, dtheta/dt = -d, imaginary time with
    the local energies as they are, real time with i times them.
    """

    direction_P: Array  # as `gradient.flat` joins parameters
    force_P: Array  # X^dagger eps
    info: dict[str, Array]


# (params, batch, step, last direction or None) -> Projected; collective
Projection = Callable[..., Projected]


class Update(NamedTuple):
    """``init(params) -> state``; ``step(params, state, batch, step, scale) -> (delta, state, info)``.

    The new parameters are ``params + delta``; ``delta`` is a pytree like ``params`` with the learning rate and
    ``scale`` (the lowering after rejected steps) already in it, the same on every rank.
    """

    init: Callable[[Tree], Tree]
    step: Callable[[Tree, Tree, Batch, Array, Array], tuple[Tree, Tree, dict[str, Array]]]


class RunState(NamedTuple):
    """All that evolves in a run: exactly what a checkpoint holds. Only ``chains`` differs between ranks."""

    step: Array  # records completed so far, which are the lines of metrics.jsonl
    params: Tree
    chains: dict[str, Tree]  # what is dealt to the ranks: leaves lead with this rank's chains
    memory: Tree  # whatever else the task keeps; the same on every rank


class Quantity(NamedTuple):
    """What bars, summaries, status and report show of a task, by its key in the lines of metrics.jsonl."""

    key: str
    label: str
    unit: str = ""
    format: str = "error"  # with its uncertainty, as -25.4906(12), or a format specification of Python, such as ".3f"
    error: str | None = None  # the key of its standard error


class Record(NamedTuple):
    """What one completed step tells. Rank 0 alone asks: the statistics take time that the others need not spend."""

    line: Callable[[], dict[str, Any]]  # plain numbers by name, one line of metrics.jsonl without its step
    messages: Callable[[dict[str, Any]], list[str]]  # the line -> what a person should know of it, a line each


class Progress(NamedTuple):
    """How far a run is; ``total`` None where nobody knows."""

    done: float
    total: float | None
    unit: str = "steps"

    @property
    def is_complete(self) -> bool:
        return self.total is not None and self.done >= self.total


class Ending(NamedTuple):
    """What a run came to."""

    line: dict[str, Any]  # the numbers of its summary
    status: Literal["done", "doubtful", "failed"]
    reason: str
    doubts: tuple[str, ...] = ()  # why its numbers are not to be believed
    warnings: tuple[str, ...] = ()  # what can spoil them
    results: tuple[Result, ...] = ()  # what observables.h5 holds


class Task(NamedTuple):
    """What a run does, turn by turn; the loop knows no more of it than this.

    A turn is the smallest piece of work after which a checkpoint can be made. It returns a Record where it completes a
    step, and then counts ``state.step`` up by one. All functions are collective but those that rank 0 alone calls.
    """

    init: Callable[[], RunState]  # random parameters, fresh chains
    warmed: Callable[[RunState], RunState]  # the same with its chains warmed up
    # a state of `init` with the parameters of another run, and what its sampler has learnt (None of other samplers)
    given: Callable[..., RunState]
    turn: Callable[[RunState], tuple[RunState, Record | None]]
    progress: Callable[[RunState], Progress]
    failed: Callable[[RunState], str]  # why no further turn is worth making; empty where it is
    retried: Callable[[RunState], RunState]  # a state that `failed`, with another chance
    # state, whether to go on (asked before each piece), a line to say -> what ends the run: rank 0 calls it with the
    # last lines of metrics.jsonl and the exact reference; None where it was told to stop
    finish: Callable[..., Callable[[list[dict[str, Any]], dict[str, Any] | None], Ending] | None]
    summary: Callable[
        [dict[str, Any], dict[str, Any] | None], dict[str, Any]
    ]  # line, reference -> keys of summary.json
    impossible: Callable[[RunState], str]  # why no run can have written this state, of this rank; empty where one can
    shown: tuple[Quantity, ...]
    growing: tuple[
        str, ...
    ]  # leaves of the state by their names in a checkpoint whose first axis later starts may change
    programs: Callable[..., list[Any]]  # fresh: bool -> the large programs with their arguments, largest first
    jitted: tuple[Any, ...]  # every function that is compiled in a run, for those who count compilations
    functions: Any = None  # the compiled pieces of a step, for those who time them
    # state -> what was measured so far, for observables.h5 of a run that goes on or was stopped; rank 0 alone calls it
    results: Callable[[RunState], tuple[Result, ...]] = lambda state: ()
    # a state of `init` with what other runs have left: parameters of each, and what its sampler has learnt or None
    beside: Callable[[RunState, list[Tree], list[Tree | None]], RunState] | None = None
