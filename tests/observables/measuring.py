"""What tests of observables share: measuring through the choices or with functions alone, exact values from vectors."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from nqs_hpc.ansatz.full_evaluation import full_evaluation
from nqs_hpc.config.compose import checked
from nqs_hpc.config.schema import Config
from nqs_hpc.library.wave import Wave, wave_function
from nqs_hpc.parts import Parts, build
from nqs_hpc.sampler.enumerate import enumeration
from nqs_hpc.system.basis import Basis
from nqs_hpc.system.hilbert import Hilbert, codes, decode
from nqs_hpc.tasks.observing import Tally, observing
from nqs_hpc.types import Ansatz, Observable, Result, Tree
from tests.systems import SERIAL

METROPOLIS = ["sampler.n_chains=64", "sampler.n_samples=2048", "sampler.warmup=20"]


def wave_of(*overrides: str, key: int = 1) -> tuple[Config, Parts, Wave]:
    """A configuration with random parameters of size one or so."""
    keys = {one.partition("=")[0] for one in overrides}
    defaults = [one for one in ("lattice.length=6", "ansatz.init_scale=0.3") if one.partition("=")[0] not in keys]
    config = checked([*defaults, *overrides], 1)
    parts = build(config, SERIAL)
    return config, parts, wave_function(config, parts, parts.ansatz.init(jax.random.key(key)))


def vector(wave: Wave, hilbert: Hilbert) -> tuple[np.ndarray, np.ndarray]:
    """All configurations (D, N), whatever the sector, and the physical, normalised psi of them, in order of codes."""
    whole = Hilbert(hilbert.n_sites, hilbert.local_values)
    s_DN = decode(whole, codes(whole))
    psi_D = np.exp(wave.log_psi(s_DN).astype(complex))
    return s_DN, psi_D / np.linalg.norm(psi_D)


def of_vector(hilbert: Hilbert) -> Ansatz:
    """The wave function whose parameters are psi itself, over all configurations in order of codes."""
    d, n = len(hilbert.local_values), hilbert.n_sites
    table = np.full(256, 0)
    table[np.array(hilbert.local_values)] = np.arange(d)

    def log_psi(psi_D: Any, s_N: Any) -> Any:
        code = jnp.sum(jnp.asarray(table)[s_N.astype(jnp.int32)] * d ** np.arange(n))
        return jnp.log(psi_D[code].astype(jnp.complex128))

    return full_evaluation(lambda key: jax.random.normal(key, (d**n,)), log_psi, "complex")


def measured(
    ansatz: Ansatz,
    params: Tree,
    one: Observable,
    basis: Basis,
) -> dict[str, Result]:
    """Results by output, from exact sums over all states, by functions alone."""
    sampler = enumeration(ansatz, basis.hilbert, SERIAL)
    seen = observing(ansatz, [], {"a": one}, sampler, SERIAL, basis=basis, chunk=None, memory=2**30)
    tally = Tally(seen, sampler)
    _, samples, counts = jax.jit(sampler.sample)(jax.random.key_data(jax.random.key(0)), params, ())
    tally.add(jax.jit(seen.measure)(params, samples, counts, 0)[0])
    return {result.name.removeprefix("a").removeprefix("."): result for result in tally.results()}


def within(found: Any, exact: float, sigmas: float = 3.0) -> bool:
    return 0 < found.error < 0.3 * max(1, abs(exact)) and abs(found.value - exact) < sigmas * found.error
