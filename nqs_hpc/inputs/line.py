"""Errors of lower layers as the error line of a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from nqs_hpc.inputs.checks import InputError, show
from nqs_hpc.inputs.reading import printable

T = TypeVar("T")


def one_line(key: str, value: Any, make: Callable[[], T]) -> T:
    """The result of ``make``; its ValueError becomes the error line of ``key``."""
    try:
        return make()
    except ValueError as error:
        reason = printable(str(error), 2000)  # the file may contain anything
        whole = reason.startswith(f"{key}=")
        raise InputError(reason if whole else f"{key}={show(value)} is not valid: {reason}") from None
