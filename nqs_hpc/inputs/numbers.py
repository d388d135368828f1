"""Numbers for readers."""

from __future__ import annotations

import math


def with_error(value: float | None, error: float | None) -> str:
    """A number with two digits of its error in units of the last digits: -25.4906(12) is -25.4906 +- 0.0012.

    Six decimals without an error, or with one beyond the precision of the number; "n/a" if there is no number.
    """
    if value is None or not math.isfinite(value):
        return "n/a"
    if error is None or not math.isfinite(error) or error <= 1e-12 * abs(value):
        return f"{value:.6f}"
    mantissa, exponent = f"{error:.1e}".split("e")
    decimals = 1 - int(exponent)
    if decimals <= 0:
        return f"{round(value, decimals):.0f}({round(error, decimals):.0f})"
    last_digits = mantissa if decimals == 1 else mantissa.replace(".", "")
    return f"{value:.{decimals}f}({last_digits})"
