"""First-order rules of optax by name: DeepMind, "The DeepMind JAX Ecosystem" (2020, github.com/google-deepmind/optax).

A rule sees the force F = 1/2 dE/dtheta of each leaf of the parameters as a real array: a complex leaf theta = x + i y
of shape (...) is one array (2, ...) of x and y. So F is the gradient by x and y, and its square that of real numbers.
Rules that measure a leaf (lamb, lars, novograd) measure |theta|^2 = x^2 + y^2 of all of it.

The learning rate multiplies what the rule gives. At a constant rate a step is optax's own; momenta that optax takes of
steps (lars, rmsprop, adafactor) are here of directions, so a schedule changes their weights too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib

from nqs_hpc.types import Ansatz

_CONTRIBUTED = ("ademamix", "adopt", "muon")
_FIXED: dict[str, dict[str, Any]] = {"adafactor": {"dtype_momentum": "float64"}}  # optax has float32


def has_matrices(ansatz: Ansatz) -> bool:
    """Whether a leaf of the parameters is a real matrix (m, n), which muon orthogonalises; a complex one is two planes
    to a rule, whose orthogonal factors are not the two planes of a unitary one.
    """
    leaves = jax.tree.leaves(jax.eval_shape(ansatz.init, jax.random.key(0)))
    return any(leaf.ndim == 2 and not jnp.issubdtype(leaf.dtype, jnp.complexfloating) for leaf in leaves)


def by_name(name: str, arguments: Mapping[str, Any]) -> optax.GradientTransformation:
    """The rule that optax has under ``name``, pointing uphill, without a learning rate."""
    package = optax.contrib if name in _CONTRIBUTED else optax
    make: Callable[..., optax.GradientTransformation] = getattr(package, name)
    # optax's rules point downhill
    return optax.chain(make(learning_rate=1.0, **_FIXED.get(name, {}), **arguments), optax.scale(-1.0))
