"""Random couplings and fields that are the same on every machine, for any number of ranks and any version of NumPy.

Number k of a stream is word k of the block cipher Philox4x64 (J. K. Salmon et al., SC 11 (2011),
doi:10.1145/2063384.2063405) under the key (seed, stream). Its upper 53 bits are a number u between 0 and 1: 2 u - 1 is
uniform, the sign of u - 1/2 a sign, and the inverse of the normal distribution function at u normal. NumPy's Generators
may change with the version; these words do not.
"""

from __future__ import annotations

import zlib
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from nqs_hpc.inputs.drawn import Drawn


def drawn(how: Drawn, n: int, stream: str) -> NDArray[np.float64]:
    """The first ``n`` numbers (n,) of a stream; any word can be its name."""
    key = np.array([how.seed, zlib.crc32(stream.encode())], dtype=np.uint64)
    words = np.random.Philox(key=key).random_raw(n)
    u = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    if how.random == "normal":
        inverse = NormalDist().inv_cdf
        x = np.array([inverse(one) for one in u.tolist()])
    else:
        x = 2 * u - 1 if how.random == "uniform" else np.where(u > 0.5, 1.0, -1.0)
    return how.mean + how.width * x
