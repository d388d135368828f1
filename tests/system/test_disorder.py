"""Numbers drawn at random: their distribution, and that they stay what they are."""

import zlib

import numpy as np
import pytest
from scipy import stats

from nqs_hpc.inputs.checks import Invalid
from nqs_hpc.inputs.drawn import Drawn, number_or_drawn
from nqs_hpc.system.disorder import drawn

MEAN, WIDTH, N = 0.3, 1.7, 4096
SHAPES = {"normal": stats.norm(MEAN, WIDTH), "uniform": stats.uniform(MEAN - WIDTH, 2 * WIDTH)}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("seed", [0, 1])
def test_distributions(name, seed):
    x = drawn(Drawn(name, MEAN, WIDTH, seed), N, "h")
    assert stats.kstest(x, SHAPES[name].cdf).pvalue > 1e-3  # of seeds that were not chosen: 1 in 250 would fail
    # neighbours in the stream are independent: their correlation is 0 to 4 standard errors
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 4 / np.sqrt(N)


def test_signs():
    x = drawn(Drawn("sign", 0.0, 2.0, 0), N, "J1")
    assert set(x.tolist()) == {2.0, -2.0}
    assert abs(x.mean() / 2) < 4 / np.sqrt(N)


def test_streams_and_lengths():
    """A stream is known by its seed and its word, and does not depend on how much of it is asked for."""
    how = Drawn("normal", 0.0, 1.0, 7)
    x = drawn(how, 64, "h")
    assert np.array_equal(drawn(how, 9, "h"), x[:9])
    for other in (drawn(Drawn("normal", 0.0, 1.0, 8), 64, "h"), drawn(how, 64, "g")):
        assert not np.intersect1d(other, x).size
    shifted = drawn(Drawn("normal", 0.5, 3.0, 7), 64, "h")
    np.testing.assert_allclose(shifted, 0.5 + 3 * x, rtol=1e-15)


def test_the_words_of_the_cipher():
    """Philox4x64 with ten rounds in whole numbers, as its paper writes it, and its counter from 1 on."""
    seed, stream, low = 7, zlib.crc32(b"J1"), 2**64 - 1

    def philox(counter):
        c, k = list(counter), [seed, stream]
        for _ in range(10):
            one, two = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
            c = [(two >> 64) ^ c[1] ^ k[0], two & low, (one >> 64) ^ c[3] ^ k[1], one & low]
            k = [(k[0] + 0x9E3779B97F4A7C15) & low, (k[1] + 0xBB67AE8584CAA73B) & low]
        return c

    words = [word for block in (1, 2) for word in philox((block, 0, 0, 0))]
    wanted = [2 * ((word >> 11) + 0.5) * 2.0**-53 - 1 for word in words]
    assert drawn(Drawn("uniform", 0.0, 1.0, seed), 8, "J1").tolist() == wanted


def test_what_is_read():
    check = number_or_drawn()
    assert check.read("0.5") == 0.5 and check.read({"random": "sign"}) == Drawn("sign", 0.0, 1.0, 0)
    for value in ({}, {"mean": 1}, {"random": "sign", "sead": 1}, "normal", None, [1.0]):
        with pytest.raises(Invalid):
            check.read(value)
    for below, value in (("width", 0), ("seed", -1), ("mean", "x"), ("random", "gauss")):
        with pytest.raises(Invalid) as caught:
            check.read({"random": "normal", below: value})
        assert caught.value.below == below
