"""One evaluation of a convolutional network, here and as NetKet's users write it with flax, in turn.

    PJRT_NPROC=1 OPENBLAS_NUM_THREADS=1 taskset -c 0 python benchmarks/convolution.py [--precision float64]
        [--batch 64] [--rounds 6] [--length 10] [--layers 8] [--features 42] [--kernel 3]

Microseconds of processor time for one configuration, the least of the rounds, and the largest difference between the
amplitudes from batches and those from single configurations, whose convolutions are products with the kernel itself.
"""

from __future__ import annotations

import argparse
import time

import jax
import jax.numpy as jnp


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--precision", choices=("float64", "float32"), default="float64")
    for name, value in {"batch": 64, "rounds": 6, "length": 10, "layers": 8, "features": 42, "kernel": 3}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", options.precision == "float64")  # flax's `float` follows it

    from netket_side import ResNet

    from nqs_hpc.ansatz.resnet import resnet

    sizes = {"layers": options.layers, "features": options.features}
    extent, n_sites = (options.length,) * 2, options.length**2
    s_BN = jax.random.choice(jax.random.key(1), jnp.array([1, -1], jnp.int8), (options.batch, n_sites))
    ours = resnet(
        extent,
        (True, True),
        **sizes,
        kernel=(options.kernel,) * 2,
        dtype="complex",
        touch=False,
        float_dtype=options.precision,
    )
    params = jax.jit(ours.init)(jax.random.key(0))
    frozen = jax.jit(ours.freeze)(params)
    model = ResNet(extent=extent, kernel=options.kernel, **sizes)
    variables = model.init(jax.random.key(0), jnp.ones((1, n_sites)))
    contenders = {
        "here": (jax.jit(jax.vmap(ours.prepare, in_axes=(None, 0))), (frozen, s_BN)),
        "flax": (jax.jit(model.apply), (variables, s_BN)),
    }
    found = {name: jax.block_until_ready(act(*given)) for name, (act, given) in contenders.items()}
    one_by_one = jax.jit(lambda: jax.lax.map(lambda s_N: ours.log_psi(params, s_N), s_BN))()
    least = dict.fromkeys(contenders, float("inf"))
    for _ in range(options.rounds):
        for name, (act, given) in contenders.items():
            begin = time.process_time()
            jax.block_until_ready(act(*given))
            least[name] = min(least[name], time.process_time() - begin)
    for name, seconds in least.items():
        print(f"{name}: {seconds / options.batch * 1e6:.0f} us, {found[name].dtype}")
    print(f"ratio {least['flax'] / least['here']:.2f}, difference {jnp.abs(found['here'] - one_by_one).max():.1e}")


if __name__ == "__main__":
    main()
