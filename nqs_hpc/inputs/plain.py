"""Values for JSON."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """``value`` in a form for JSON: arrays and their scalars become lists and numbers, NaN and infinities None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value
