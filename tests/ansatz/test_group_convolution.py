"""Convolutions over groups against the sum over the group written out, value and derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.group_convolution import group_convolution
from nqs_hpc.system.characters import space_group
from nqs_hpc.system.groups import inverses, product_table
from nqs_hpc.system.lattice import FACTORIES
from nqs_hpc.system.symmetry import translations

CASES = {  # lattice, extent, whether the point group is in it, a width in features, the order of the subgroup
    "ring of 6, no transform": ("chain", (6,), False, 1, 1),
    "ring of 6": ("chain", (6,), False, 50, 6),
    "ring of 5": ("chain", (5,), False, 50, 5),
    "ring of 60": ("chain", (60,), False, 8, 12),
    "ring of 4 and its mirror": ("chain", (4,), True, 50, 4),
    "rectangle": ("square", (4, 2), False, 20, 4),
    "square, not abelian": ("square", (3, 3), True, 50, 6),
    "triangular, not abelian": ("triangular", (3, 3), True, 8, 6),
}


@pytest.mark.parametrize("name", CASES)
def test_the_sum_over_the_group(name):
    lattice_name, extent, points, width, order = CASES[name]
    lattice = FACTORIES[lattice_name](extent, (True,) * len(extent))
    table = product_table(space_group(lattice, None)[0] if points else translations(lattice))
    size = len(table)
    convolution = group_convolution(table, width)
    assert convolution.order == order
    assert convolution.elements[0] == 0 and np.array_equal(np.sort(convolution.elements), np.arange(size))

    rng = np.random.default_rng(0)
    x_GI, v_GI = rng.normal(size=(2, size, 3))
    kernel, v_kernel = rng.normal(size=(2, size, 3, 2))
    arranged = convolution.elements

    def written_out(x_GI, kernel):
        quotient_HG = table[:, inverses(table)]
        return np.einsum("hi,hgio->go", x_GI, kernel[quotient_HG])

    def found(x, kernel):
        held = jax.lax.stop_gradient(convolution.matrices(kernel))
        return convolution.apply(x, kernel, held)

    x, v = (jnp.asarray(y[arranged].ravel()) for y in (x_GI, v_GI))
    value, tangent = jax.jit(lambda x, k, v, w: jax.jvp(found, (x, k), (v, w)))(x, kernel, v, v_kernel)
    scale = np.sqrt(size)
    assert np.abs(value - written_out(x_GI, kernel)[arranged].ravel()).max() < 1e-13 * scale
    wanted = (written_out(v_GI, kernel) + written_out(x_GI, v_kernel))[arranged].ravel()
    assert np.abs(tangent - wanted).max() < 1e-13 * scale
    # backwards: the same bilinear form
    weights = jnp.asarray(rng.normal(size=value.shape))
    by_x, by_kernel = jax.jit(jax.grad(lambda x, k: found(x, k) @ weights, argnums=(0, 1)))(x, kernel)
    assert abs(by_x @ v + np.sum(by_kernel * v_kernel) - tangent @ weights) < 1e-12 * scale * np.sqrt(size)
