"""The RBM and its ratios against extended precision, where products and angles are extreme."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nqs_hpc.ansatz.rbm import RBMParams, _log_ratio, _product, rbm
from nqs_hpc.types import Move


def exact_log_psi(params: RBMParams, s_BN: np.ndarray) -> np.ndarray:
    """In 80-bit numbers, whose cosh reaches e^11356."""
    wide = np.clongdouble if np.iscomplexobj(params.w) else np.longdouble
    w, a, b = (np.asarray(x).astype(wide) for x in params)
    s_BN = s_BN.astype(wide)
    return s_BN @ a + np.sum(np.log(2 * np.cosh(s_BN @ w + b)), axis=-1)


def error_of(found, exact) -> float:
    """max |found - exact|, the imaginary part modulo 2 pi."""
    d = (np.asarray(found).astype(exact.dtype) - exact).astype(complex)
    return float(np.max(np.abs(d.real + 1j * ((d.imag + np.pi) % (2 * np.pi) - np.pi))))


@functools.cache
def machine(n_sites: int, n_hidden: int, dtype: str, float_dtype: str = "float64", **options):
    """log psi (B,) and ratios (B, K), compiled once for all tests."""
    ansatz = rbm(n_sites, n_hidden=n_hidden, dtype=dtype, float_dtype=float_dtype, **options)

    @jax.jit
    def ratios(params, s_BN, moves):
        frozen = ansatz.freeze(params)
        one = lambda s_N, move: ansatz.log_ratios(frozen, s_N, ansatz.prepare(frozen, s_N), move)  # noqa: E731
        return frozen.wide, jax.vmap(one)(s_BN, moves)

    return ansatz, jax.jit(jax.vmap(ansatz.log_psi, in_axes=(None, 0))), ratios


def draw(n_sites, n_hidden, dtype, scale, b_scale=1.0, float_dtype=np.float64) -> RBMParams:
    rng = np.random.default_rng(3)

    def numbers(*shape):
        x = rng.normal(size=shape) + (1j * rng.normal(size=shape) if dtype == "complex" else 0)
        return x.astype(float_dtype if dtype == "real" else np.result_type(float_dtype, np.complex64))

    return RBMParams(w=scale * numbers(n_sites, n_hidden), a=scale * numbers(n_sites), b=b_scale * numbers(n_hidden))


def pairs(s_BN: np.ndarray) -> tuple[Move, np.ndarray]:
    """Flips of sites k and 3 k + 1 together, or of one alone; and the new states (B, K, N)."""
    n_b, n = s_BN.shape
    sites = np.stack([np.arange(n), (3 * np.arange(n) + 1) % n], axis=-1)
    sites[:, 1] = np.where((sites[:, 0] == sites[:, 1]) | (np.arange(n) % 2 == 0), -1, sites[:, 1])
    real = sites >= 0
    sites = np.tile(np.where(real, sites, 0), (n_b, 1, 1))
    deltas = np.where(real[None], -2 * np.stack([s[k] for s, k in zip(s_BN, sites, strict=True)]), 0)
    s_new = np.repeat(s_BN[:, None, :], n, axis=1)
    for b, k, f in np.ndindex(*sites.shape):
        s_new[b, k, sites[b, k, f]] += deltas[b, k, f]
    return Move(sites.astype(np.int32), deltas.astype(np.int8)), s_new


def spins(n_b, n):
    return np.random.default_rng(4).choice(np.array([-1, 1], np.int8), size=(n_b, n))


@pytest.mark.parametrize("dtype", ["real", "complex"])
@pytest.mark.parametrize(
    ("n_hidden", "scale", "b_scale", "wide"),
    [
        (7, 0.01, 0.0, False),
        (7, 1.0, 1.0, False),
        (7, 10.0, 1.0, False),  # theta up to 150
        (7, 1.0, 500.0, True),  # a hidden unit that never turns
        (1, 20.0, 0.0, True),  # theta up to 265: its exponentials are floats, their products are not
        (7, 30.0, 30.0, True),  # q = e^{+-120} and more, theta beyond 500
        (1000, 0.1, 0.1, False),
        (1000, 1.0, 1.0, False),  # the plain product is about e^4000
        (1000, 6.0, 3.0, True),
    ],
)
def test_extreme_products(dtype, n_hidden, scale, b_scale, wide):
    n = 12
    params, s_BN = draw(n, n_hidden, dtype, scale, b_scale), spins(8, n)
    _, log_psi, ratios = machine(n, n_hidden, dtype)
    moves, s_new = pairs(s_BN)
    exact = exact_log_psi(params, s_BN)
    size = np.max(np.abs(exact.real))
    assert error_of(log_psi(params, s_BN), exact) < 1e-10 + 1e-14 * size
    used_wide, found = ratios(params, s_BN, moves)
    assert bool(used_wide) == wide
    assert error_of(found, exact_log_psi(params, s_new) - exact[:, None]) < 1e-10


@pytest.mark.parametrize("scale", [0.05, 3.0])  # tables of exp(2 d); theta and exponentials
@pytest.mark.parametrize("dtype", ["real", "complex"])
def test_float32_is_as_good_as_its_digits(dtype, scale):
    n, n_hidden = 12, 20
    params, s_BN = draw(n, n_hidden, dtype, scale, scale, np.float32), spins(8, n)
    ansatz, log_psi, ratios = machine(n, n_hidden, dtype, "float32")
    moves, s_new = pairs(s_BN)
    exact = exact_log_psi(params, s_BN)
    used_wide, found = ratios(params, s_BN, moves)
    assert bool(used_wide) == (scale == 3.0)
    assert found.dtype == log_psi(params, s_BN).dtype == params.w.dtype
    assert all(x.dtype == np.float32 for x in ansatz.prepare(ansatz.freeze(params), s_BN[0]).units)
    assert error_of(found, exact_log_psi(params, s_new) - exact[:, None]) < 2e-5 * (1 + 10 * scale)


@functools.cache
def walker(dtype: str):
    """Flip 2000 sites; then the ratios of all flips, by the cache that was followed and by one of the last state."""
    n = 20
    ansatz = rbm(n, n_hidden=40, dtype=dtype)

    def walk(params, s_N, sites_T):
        frozen = ansatz.freeze(params)

        def step(carry, site):
            s_N, cache = carry
            move = Move(site[None], -2 * s_N[site[None]])
            return (s_N.at[site].add(move.deltas[0]), ansatz.advance(frozen, s_N, cache, move)), None

        (s_N, cache), _ = jax.lax.scan(step, (s_N, ansatz.prepare(frozen, s_N)), sites_T)
        caches = jax.tree.map(lambda *x: jnp.stack(x), cache, ansatz.prepare(frozen, s_N))
        flips = Move(jnp.arange(n)[:, None], -2 * s_N[:, None])
        return jax.vmap(lambda c: ansatz.log_ratios(frozen, s_N, c, flips))(caches)

    return jax.jit(walk)


@pytest.mark.parametrize("dtype", ["real", "complex"])
def test_two_thousand_flips_drift_less_than_1e_12(dtype):
    sites_T = np.random.default_rng(5).integers(0, 20, 2000)
    walked, fresh = walker(dtype)(draw(20, 40, dtype, 0.2, 0.2), spins(1, 20)[0], sites_T)
    assert np.ptp(fresh.real) > 1 and np.max(np.abs(walked - fresh)) < 2e-12


def test_theta_beyond_the_floats_is_not_forgotten():
    """exp(-2 theta) underflows at theta = 500; ten flips later theta is 0.3 and the ratios must know it."""
    params = RBMParams(w=np.full((20, 40), 25.0), a=np.zeros(20), b=np.full(40, 0.3))
    sites_T = np.concatenate([np.arange(10), np.full(1990, 19)])
    walked, _ = walker("real")(params, np.ones(20, np.int8), sites_T)
    exact = 40 * (np.log(np.cosh(0.3 - 50)) - np.log(np.cosh(0.3)))
    assert abs(walked[19] - exact) < 1e-10


def test_local_values_other_than_spins():
    n, rng, local_values = 4, np.random.default_rng(6), (-1, 1, 3, 5)
    params, s_N = draw(n, 5, "real", 0.5), rng.choice(np.array(local_values, np.int8), n)
    s_new = np.array([np.where(np.arange(n) == i, v, s_N) for i in range(n) for v in local_values])
    sites = np.repeat(np.arange(n), len(local_values))[:, None]
    deltas = np.sum(s_new - s_N, axis=1)[:, None]
    moves = Move(sites[None].astype(np.int32), deltas[None].astype(np.int8))
    _, found = machine(n, 5, "real", local_values=local_values)[2](params, s_N[None], moves)
    assert error_of(found[0], exact_log_psi(params, s_new) - exact_log_psi(params, s_N[None])) < 1e-13


def test_next_to_a_zero_of_a_complex_cosh():
    """theta goes from 0 to i pi/2 and back: |psi| falls to rounding, the ratios stay numbers."""
    params = RBMParams(w=np.full((2, 1), 0.25j * np.pi), a=np.zeros(2) + 0j, b=np.zeros(1) + 0j)
    s_BN = np.array([[1, -1], [1, 1]], np.int8)
    second = Move(np.array([[[1]], [[1]]], np.int32), np.array([[[2]], [[-2]]], np.int8))
    _, found = machine(2, 1, "complex")[2](params, s_BN, second)
    assert found[0, 0].real < -30 and found[1, 0].real > 30


def test_zeros_are_entered_by_no_move_and_left_by_any():
    zero, one = (jnp.zeros(6),) * 2, (jnp.ones(6), jnp.zeros(6))
    zero, one = _product(zero, 3), _product(one, 3)
    log_ratio = functools.partial(jax.jit(_log_ratio), 0.7 + 0.1j)
    assert log_ratio(zero, one).real == -np.inf and np.exp(log_ratio(zero, one)) == 0
    assert log_ratio(one, zero) == 0 and log_ratio(zero, zero) == 0


def test_nan_parameters_give_nan_ratios():
    """A run must see that its parameters are not finite."""
    params, s_BN = draw(12, 7, "real", 0.1), spins(8, 12)
    params.w[0, 0] = np.nan
    assert np.all(np.isnan(machine(12, 7, "real")[2](params, s_BN, pairs(s_BN)[0])[1]))


@pytest.mark.parametrize("float_dtype", [np.float32, np.float64])
def test_products_of_any_size(float_dtype):
    """Mantissa and exponent of thousands of factors, far outside the range of the floats, against integers and logs."""
    x = np.random.default_rng(7).lognormal(5, 5, (4, 4000)).astype(float_dtype)
    (mantissa,), exponent = jax.jit(_product, static_argnums=1)((jnp.asarray(x.ravel()),), 4000)
    assert mantissa.dtype == float_dtype and 1 <= mantissa < 2
    exact = np.sum(np.log2(x.astype(np.longdouble)))
    assert float(exact) > 20000
    assert abs(np.log2(np.longdouble(mantissa)) + int(exponent) - exact) < 1e4 * np.finfo(float_dtype).eps
    (mantissa,), exponent = _product((jnp.full(15, 2.0**-7, float_dtype),), 5)
    assert mantissa == 1 and exponent == -105


def test_no_bias():
    ansatz, log_psi, ratios = machine(4, 3, "real", bias=False)
    params = ansatz.init(jax.random.key(0))
    assert params.a is None and params.b is None and len(jax.tree.leaves(params)) == 1
    s_BN, zeros = spins(3, 4), RBMParams(params.w, np.zeros(4), np.zeros(3))
    moves, s_new = pairs(s_BN)
    exact = exact_log_psi(zeros, s_BN)
    assert error_of(log_psi(params, s_BN), exact) < 1e-14
    assert error_of(ratios(params, s_BN, moves)[1], exact_log_psi(zeros, s_new) - exact[:, None]) < 1e-14


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n_hidden": 0}, "n_hidden=0"),
        ({"n_hidden": 3, "local_values": (0, 1, 3)}, "evenly spaced"),
        ({"n_hidden": 3, "local_values": (1,)}, "at least two"),
        ({"n_hidden": 3, "local_values": (1, 1)}, "at least two different"),
    ],
)
def test_bad_choices_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        rbm(4, **options)
