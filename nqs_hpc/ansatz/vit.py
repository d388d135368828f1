"""Vision transformer: attention between patches of the lattice.

    x_i = E s_i + e                                        s_i: the values of the sites of patch i
    x_i <- x_i + W_o A(norm x)_i + b_o                     in each block: attention (`attention`),
    x_i <- x_i + W_down f(W_up norm(x_i) + b_up) + b_down  and a perceptron with one hidden layer
    log psi(s) = sum_a log cosh(b_a + w_a . norm(sum_i x_i))

with normalised inputs of the layers (Ba et al., arXiv:1607.06450; Xiong et al., arXiv:2002.04745). The network depends
on patches only through their relative positions, so psi is invariant under translations by whole patches along periodic
directions. For a complex psi w_a and b_a are complex, as pairs of real parameters, and all others real.
Viteritti, Rende and Becca, Phys. Rev. Lett. 130, 236401 (2023), arXiv:2211.05504; Rende, Viteritti, Bardone, Becca and
Goldt, Commun. Phys. 7, 260 (2024), arXiv:2310.05715.

A move changes all patches from the first attention on, so a ratio is a full evaluation. The embedding and the inputs of
the first attention are functions of the values in one patch. If these take few values (16 for two by two spins),
``freeze`` tabulates both. The last layer of the last block is linear and summed over patches: the sum is taken first.
Configurations are evaluated in blocks whose activations fit into a core's cache.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.ansatz.activations import LOG_2, activation_function, log_cosh
from nqs_hpc.ansatz.attention import AttentionName, attention
from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.ansatz.layers import Dense, dense_apply, normal, real_parameters
from nqs_hpc.ansatz.names import Activation, FloatName, NumberName
from nqs_hpc.ansatz.tape import affine, scaling, tape
from nqs_hpc.parallel.chunk import blocked
from nqs_hpc.system.patches import Patches
from nqs_hpc.types import Ansatz, Layered, Stage, Tree

_EPS = 1e-6  # added to the variance, so that equal numbers can be normalised
_TABULATED = 256  # largest number of different patches for which there is a table
_CACHED = 2**18  # largest number of activations in a hidden layer, over the configurations of a block


class Norm(NamedTuple):
    scale: Array  # (width,)
    bias: Array  # (width,)


class Block(NamedTuple):
    norm_attention: Norm
    inputs: Array  # (width, I): of the attention
    relative: Array  # (heads, relative positions)
    out: Dense
    norm_mlp: Norm
    up: Dense
    down: Dense


class ViTParams(NamedTuple):
    embedding: Dense
    blocks: tuple[Block, ...]
    norm_head: Norm
    head: Dense  # (width, width), or for a complex psi (width, 2 width): real parts, then imaginary parts


class _Start(NamedTuple):
    """Initial values of a leaf of the parameters: normal numbers of standard deviation ``scale`` around ``mean``."""

    shape: tuple[int, ...]
    scale: float
    mean: float


def _start(shape: tuple[int, ...], scale: float = 0.0, mean: float = 0.0) -> Any:
    """Stands in for an array of the parameters."""
    return _Start(shape, scale, mean)


# What a layer does with its inputs and outputs: it hands on the outputs, and may add a probe (`tape`).
Layer = Callable[[Tree, Array], Array]


class ViTFrozen(NamedTuple):
    params: ViTParams
    table: Array | None  # (number of different patches, width + I): the embedding, the inputs of the first attention
    couplings_G: Array | None = None  # if the network takes some as input and has no table


def vit(
    patches: Patches,
    *,
    width: int,
    heads: int,
    layers: int,
    attention_name: AttentionName = "full",
    expansion: int = 4,
    activation: Activation = "gelu",
    dtype: NumberName = "real",
    init_scale: float = 0.3,
    local_values: tuple[int, ...] = (1, -1),
    float_dtype: FloatName = "float64",
    couplings_G: Array | None = None,
) -> Ansatz:
    """A transformer of ``layers`` blocks, of kind ``real`` or ``complex``, with ``expansion`` times ``width`` hidden
    units in their perceptrons.

    Weights start LeCun-normal, those of the head times ``init_scale``, biases at zero; the parameters are always
    real. ``local_values`` are the values a site can take. ``couplings_G``, which may be traced, are embedded with each
    patch (`foundation_vit`). Raises ValueError for sizes below 1, heads that do not divide the width, unknown names.
    """
    if min(width, layers, expansion) < 1:
        raise ValueError(f"width={width}, layers={layers}, expansion={expansion}: each must be at least 1")
    nonlinear = activation_function(activation)
    n_inputs, mix = attention(attention_name, width, heads)
    is_complex = dtype == "complex"
    param_dtype = real_parameters(dtype, float_dtype)
    n_patches, n_in_patch = patches.sites.shape

    def dense(n_in: int, n_out: int, scale: float = 1.0) -> Dense:
        return Dense(_start((n_in, n_out), scale * n_in**-0.5), _start((n_out,)))

    norm = Norm(_start((width,), mean=1.0), _start((width,)))
    block = Block(
        norm_attention=norm,
        inputs=_start((width, n_inputs), width**-0.5),
        relative=_start((heads, patches.n_relative), 0.0 if attention_name == "full" else n_patches**-0.5),
        out=dense(width, width),
        norm_mlp=norm,
        up=dense(width, expansion * width),
        down=dense(expansion * width, width),
    )
    head = dense(width, 2 * width if is_complex else width, init_scale)
    n_told = 0 if couplings_G is None else len(couplings_G)
    start = ViTParams(dense(n_in_patch + n_told, width), (block,) * layers, norm, head)

    def init(key: Array) -> ViTParams:
        leaves, structure = jax.tree.flatten(start, is_leaf=lambda x: isinstance(x, _Start))
        ends = np.cumsum([math.prod(leaf.shape) for leaf in leaves])
        # drawn together: each separate draw would be another program to compile
        drawn = jnp.split(normal(key, (int(ends[-1]),), 1.0, param_dtype), ends[:-1])
        values = [leaf.mean + leaf.scale * x.reshape(leaf.shape) for leaf, x in zip(leaves, drawn, strict=True)]
        return jax.tree.unflatten(structure, values)

    def embedded(
        params: ViTParams, values_nS: Array, layer: Layer = _plain, told_G: Array | None = couplings_G
    ) -> tuple[Array, Array]:
        """x and the inputs of the first attention, from the values of the patches."""
        values_nS = values_nS.astype(param_dtype)
        if told_G is not None:
            told_nG = jnp.broadcast_to(told_G.astype(param_dtype), (len(values_nS), n_told))
            values_nS = jnp.concatenate([values_nS, told_nG], axis=1)
        x_nW = layer(values_nS, _each(dense_apply, params.embedding, values_nS))
        return x_nW, attention_inputs(params.blocks[0], x_nW, layer)

    def attention_inputs(block: Block, x_nW: Array, layer: Layer) -> Array:
        x_nW = normalised(block.norm_attention, x_nW, layer)
        return layer(x_nW, x_nW @ block.inputs)

    def from_embedding(
        params: ViTParams,
        x_nW: Array,
        inputs_nI: Array,
        total: Callable[[Array], Array] = _sum,
        layer: Layer = _plain,
    ) -> Array:
        """log psi; ``total`` sums over patches."""
        for number, block in enumerate(params.blocks):
            if number:
                inputs_nI = attention_inputs(block, x_nW, layer)
            mixed_nW = mix(inputs_nI, layer((), block.relative[:, patches.relative]))
            x_nW = x_nW + layer(mixed_nW, _each(dense_apply, block.out, mixed_nW))
            x_up_nW = normalised(block.norm_mlp, x_nW, layer)
            hidden = nonlinear(layer(x_up_nW, _each(dense_apply, block.up, x_up_nW)))
            if number < layers - 1:
                x_nW = x_nW + layer(hidden, _each(dense_apply, block.down, hidden))
        hidden = total(hidden)
        down = layer(hidden[None], (hidden @ block.down.weight + n_patches * block.down.bias)[None])
        x_W = normalised(params.norm_head, total(x_nW)[None] + down, layer)
        theta = layer(x_W, _each(dense_apply, params.head, x_W))[0]
        if is_complex:
            return _sum_of_log_cosh(theta[:width], theta[width:])
        return jnp.sum(log_cosh(theta))

    def normalised(norm: Norm, x_nW: Array, layer: Layer) -> Array:
        unit_nW = _each(_unit, (), x_nW)
        return layer(unit_nW, unit_nW * norm.scale[None] + norm.bias[None])

    def log_psi(params: ViTParams, s_N: Array) -> Array:
        return from_embedding(params, *embedded(params, s_N[patches.sites]))

    def probed(params: ViTParams, s_N: Array, probes: tuple[Array, ...]) -> tuple[Array, list[Tree]]:
        kept: list[Tree] = []

        def layer(inputs: Tree, outputs: Array) -> Array:
            kept.append(inputs)
            return outputs + probes[len(kept) - 1]

        return from_embedding(params, *embedded(params, s_N[patches.sites], layer), layer=layer), kept

    # The number of a patch has the local values of its sites as digits, the first site the fastest.
    values = np.sort(local_values)
    n_kinds = len(values) ** n_in_patch
    place = len(values) ** np.arange(n_in_patch)

    def freeze(params: ViTParams) -> ViTFrozen:
        if n_kinds > _TABULATED:
            return ViTFrozen(params, None, couplings_G)
        kinds = values[np.arange(n_kinds)[:, None] // place[None] % len(values)]
        return ViTFrozen(params, jnp.concatenate(embedded(params, jnp.asarray(kinds)), axis=1))

    def log_psi_frozen(frozen: ViTFrozen, s_N: Array) -> Array:
        if frozen.table is None:
            # what maps over configurations takes nothing that is traced but from its arguments
            start = embedded(frozen.params, s_N[patches.sites], told_G=frozen.couplings_G)
            return from_embedding(frozen.params, *start, _sum_by_terms)
        digits = jnp.sum(s_N[patches.sites][..., None] > values[None, None, :-1], axis=-1)
        rows = frozen.table.at[digits @ place].get(mode="promise_in_bounds")
        return from_embedding(frozen.params, rows[:, :width], rows[:, width:], _sum_by_terms)

    block_size = max(1, _CACHED // (n_patches * expansion * width))
    ratios = full_evaluation(init, blocked(log_psi_frozen, block_size), dtype)
    each, one = (n_patches, width), (1, width)
    of_attention = [each, (n_patches, n_inputs), (heads, n_patches, n_patches), each]
    of_perceptron = [each, (n_patches, expansion * width)]
    shapes: list[tuple[int, ...]] = [each]  # of the outputs, in the order in which `probed` meets them
    stages = [affine(0)]
    for number in range(layers):
        at = len(shapes)
        stages += [
            scaling(at),
            affine(at + 1, bias=False),
            _of_pairs(at + 2, patches),
            affine(at + 3),
            scaling(at + 4),
            affine(at + 5),
            affine(at + 6) if number < layers - 1 else _summed(at + 6, n_patches),
        ]
        shapes += [*of_attention, *of_perceptron, each if number < layers - 1 else one]
    stages += [scaling(len(shapes)), affine(len(shapes) + 1)]
    shapes += [one, (1, 2 * width if is_complex else width)]
    layered = Layered(tape(probed, shapes, param_dtype, dtype), tuple(stages))
    return ratios._replace(log_psi=log_psi, freeze=freeze, layered=layered)


def _plain(inputs: Tree, outputs: Array) -> Array:
    del inputs
    return outputs


def _of_pairs(record: int, patches: Patches) -> Stage:
    """The stage of numbers (heads, relative positions) that each pair of patches adds: ``back`` (heads, n, n)."""
    of_relative = patches.relative.ravel()[:, None] == np.arange(patches.n_relative)[None]

    def rows(kept: tuple[()], back_Hnn: Array) -> Array:
        del kept
        return (back_Hnn.reshape(len(back_Hnn), -1) @ of_relative.astype(back_Hnn.dtype)).ravel()

    return Stage(record, rows, lambda kept, back_BHnn: rows(kept, jnp.sum(back_BHnn, axis=0)))


def _summed(record: int, times: int) -> Stage:
    """The stage of x @ weight + times * bias: ``kept`` (1, in), ``back`` (1, out)."""

    def rows(kept: Array, back: Array) -> Array:
        return jnp.concatenate([(kept.T @ back).ravel(), times * jnp.sum(back, axis=0)])

    def total(kept: Array, back: Array) -> Array:
        return rows(kept[:, 0], back[:, 0])

    return Stage(record, rows, total)


def _each(layer: Callable[[Any, Array], Array], params: Tree, x_nI: Array) -> Array:
    """A layer applied to every patch."""
    return jax.vmap(layer, in_axes=(None, 0))(params, x_nI)


def _sum(x: Array) -> Array:
    return jnp.sum(x, axis=0)


def _sum_by_terms(x: Array) -> Array:
    """`_sum`, for use without derivatives.

    On CPUs XLA fuses what precedes a reduction into it, where nonlinearities are several times as slow.
    """
    return functools.reduce(jnp.add, x)


def _unit(none: tuple[()], x: Array) -> Array:
    """Of mean 0 and mean square 1."""
    del none
    x = x - jnp.mean(x)
    return x * jax.lax.rsqrt(jnp.mean(x * x) + _EPS)


def _sum_of_log_cosh(a: Array, b: Array) -> Array:
    """sum log cosh(a + i b) of real arrays, several times as fast as XLA's complex functions on CPUs.

    With e = exp(-2 |a|): 2 exp(-|a|) cosh(a + i b) = (1 + e) cos b + i sign(a) (1 - e) sin b.
    """
    size = jnp.abs(a)
    rest = -jnp.expm1(-2 * size)  # 1 - e, also where e is near 1
    real, imaginary = (2 - rest) * jnp.cos(b), jnp.copysign(rest, a) * jnp.sin(b)
    modulus = jnp.sum(size + 0.5 * jnp.log(real * real + imaginary * imaginary) - LOG_2)
    return jax.lax.complex(modulus, jnp.sum(jnp.arctan2(imaginary, real)))
