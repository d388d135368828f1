"""An exception as text."""

from __future__ import annotations


def error_text(error: BaseException, longest: int = 400) -> str:
    """The kind and the message of an exception on one line of at most ``longest`` characters."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
    return text if len(text) <= longest else text[: longest - 3] + "..."
