"""Autoregressive neural tensor network, elementwise: a matrix product state whose matrices a network changes.

    B_i(v) = A_i(v) + sum_f U_i(v)_f x_f(i; s_<i),      l_i = l_{i-1} B_i(s_i),
    p_i(v | s_<i) = l_{i-1} B_i(v) rho_i B_i(v)^+ l_{i-1}^+ / (the sum over v),
    psi(s) = prod_i sqrt(p_i(s_i | s_<i)) exp(i arg(l_N)),

with x(i) the features of a masked network (`masked_net`), which sees only the sites before i, and rho_i the density
matrix that the sites after i of the matrix product state leave on their bond (`densities`). Chen, Newhouse, Chen, Luo
and Soljacic, NeurIPS 2023, arXiv:2304.01996. psi is normalised and drawn site by site, in the sector of a total too;
with U = 0 it is the matrix product state of A, with open ends and normalised, in a sector its projection.

Each step costs V chi^2 operations beside the network, and rho V chi^3 a site, once for all samples. Everything is
computed in float64, also for float32 parameters: small conditional amplitudes are differences of large numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nqs_hpc.ansatz import densities
from nqs_hpc.ansatz.activations import activation_function
from nqs_hpc.ansatz.conditionals import digits, inside, local_space
from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.ansatz.layers import normal, real_parameters
from nqs_hpc.ansatz.masked_net import DenseFrozen, Masked, masked_net
from nqs_hpc.ansatz.mps import MPSParams, open_chain
from nqs_hpc.ansatz.names import Activation, FloatName, NumberName
from nqs_hpc.types import Ansatz, Conditionals


class ANTNParams(NamedTuple):
    """All real. Z planes, real and imaginary part or one, V local values, f features."""

    tensors: tuple[MPSParams, ...]  # Z of them, as `mps` has them
    net: tuple[Masked, ...]
    change: Array  # U: (Z, N, f, V, chi, chi)


class ANTNFrozen(NamedTuple):
    tensors: Array  # (N, V, chi, chi)
    rho: Array  # (N + 1, T + 1, chi, chi)
    net: DenseFrozen
    change: Array  # (N, f, V chi chi), complex where the tensors are


class ANTNRunning(NamedTuple):
    x: tuple[Array, ...]  # what the network knows so far
    chain: densities.Running
    rows: Array  # (V, chi): l B of the present site


def antn(
    n_sites: int,
    *,
    chi: int,
    layers: int,
    features: int,
    activation: Activation = "tanh",
    dtype: NumberName = "real",
    init_scale: float = 0.1,
    local_values: tuple[int, ...] = (1, -1),
    total: int | None = None,
    float_dtype: FloatName = "float64",
) -> Ansatz:
    """Of kind ``signed`` or, with dtype="complex", ``complex``; all parameters are real.

    ``layers`` are those of the network in front of U, of ``features`` numbers a site. theta = A - 1 (`mps`) and U, in
    units of 1/sqrt(features), start as normal numbers of standard deviation ``init_scale``. ``total`` restricts psi to
    the configurations that have it. ValueError for sizes below 1, a single site, an unknown name, local values that are
    not evenly spaced and totals that no configuration has.
    """
    if n_sites < 2 or chi < 1 or layers < 1 or features < 1:
        sizes = f"n_sites={n_sites}, chi={chi}, layers={layers}, features={features}"
        raise ValueError(f"{sizes}: each must be at least 1, and two sites are the least")
    nonlinear = activation_function(activation)
    space = local_space(n_sites, local_values, total)
    real_dtype = real_parameters(dtype, float_dtype)
    n_planes, n_values = (2 if dtype == "complex" else 1), space.n_values
    widths = (1, *[features] * layers)
    net = masked_net(n_sites, widths, activation=activation, init_scale=1.0, dtype=np.dtype(np.float64))
    bare = open_chain(n_sites, chi, n_values, init_scale, real_dtype)
    values = space.first + space.spacing * np.arange(n_values)

    def init(key: Array) -> ANTNParams:
        keys = jax.random.split(key, 2 + n_planes)
        shape = (n_planes, n_sites, features, n_values, chi, chi)
        return ANTNParams(
            tuple(bare.init(k) for k in keys[2:]),
            jax.tree.map(lambda x: x.astype(real_dtype), net.init(keys[0])),
            normal(keys[1], shape, init_scale / features**0.5, real_dtype),
        )

    def freeze(params: ANTNParams) -> ANTNFrozen:
        wide = jax.tree.map(lambda x: x.astype(jnp.float64), params)
        tensors = joined([bare.tensors(part, 1.0 if z == 0 else 0.0) for z, part in enumerate(wide.tensors)])
        end_c = jnp.zeros(chi, tensors.dtype).at[0].set(1)
        rho = densities.densities(space, tensors, end_c)
        change = joined([x.reshape(n_sites, features, -1) for x in wide.change])
        return ANTNFrozen(tensors, rho, net.freeze(wide.net), change)

    def joined(planes: list[Array]) -> Array:
        return planes[0] if n_planes == 1 else jax.lax.complex(*planes)

    def changed(frozen: ANTNFrozen, z_F: Array, site: Array) -> Array:
        """B of one site: (V, chi, chi)."""
        return frozen.tensors[site] + (nonlinear(z_F) @ frozen.change[site]).reshape(n_values, chi, chi)

    def site_of(frozen: ANTNFrozen, running: densities.Running, z_F: Array, site: Array) -> tuple[Array, Array]:
        """log p (V,) and the rows l B (V, chi)."""
        rows_Vc = jnp.einsum("a,vab->vb", running.left, changed(frozen, z_F, site))
        weights_V = densities.weights(space, frozen.rho[site + 1], rows_Vc, running.rest)
        return densities.log_probabilities(weights_V), rows_Vc

    def first(frozen: ANTNFrozen) -> densities.Running:
        return densities.begin(space, jnp.zeros(chi, frozen.tensors.dtype).at[0].set(1))

    def log_psi_of(frozen: ANTNFrozen, s_N: Array) -> Array:
        z_NF = net.outputs(frozen.net, net.first_layer(frozen.net, s_N))

        def site(running: densities.Running, inputs: tuple[Array, Array, Array]) -> tuple[densities.Running, Array]:
            i, digit, z_F = inputs
            log_p_V, rows_Vc = site_of(frozen, running, z_F, i)
            return densities.taken(space, running, rows_Vc[digit], digit), log_p_V[digit]

        digits_N = digits(space, s_N)
        end, log_p_N = jax.lax.scan(site, first(frozen), (jnp.arange(n_sites, dtype=jnp.int32), digits_N, z_NF))
        # -inf as a whole outside of the sector, so that derivatives are 0 there
        size = jnp.where(inside(space, digits_N), 0.5 * jnp.sum(log_p_N), -jnp.inf).astype(real_dtype)
        last = jnp.where(end.left[0] == 0, 1, end.left[0])  # where psi is 0, of which no angle is known
        if n_planes == 1:
            return jax.lax.complex(size, jnp.where(last < 0, jnp.pi, 0).astype(real_dtype))
        return jax.lax.complex(
            size, jnp.where(inside(space, digits_N), jnp.arctan2(last.imag, last.real), 0).astype(real_dtype)
        )

    def begin(frozen: ANTNFrozen) -> ANTNRunning:
        chain = first(frozen)
        return ANTNRunning(net.begin(), chain, jnp.zeros((n_values, chi), chain.left.dtype))

    def step(frozen: ANTNFrozen, running: ANTNRunning, site: Array) -> tuple[Array, ANTNRunning]:
        z_F, x = net.at_site(frozen.net, running.x, site)
        log_p_V, rows_Vc = site_of(frozen, running.chain, z_F, site)
        return log_p_V, ANTNRunning(x, running.chain, rows_Vc)

    def extend(frozen: ANTNFrozen, running: ANTNRunning, site: Array, digit: Array) -> ANTNRunning:
        del frozen
        x = net.told(running.x, site, jnp.asarray(values)[digit])
        return ANTNRunning(x, densities.taken(space, running.chain, running.rows[digit], digit), running.rows)

    whole = full_evaluation(init, log_psi_of, "complex" if n_planes == 2 else "signed", freeze=freeze)
    return whole._replace(conditionals=Conditionals(begin, step, extend))
