"""Figures as JSON has them: what is no number (a quantile of nothing, an open bound) is null."""

from __future__ import annotations

import math
from typing import Any


def plain(value: Any) -> Any:
    """The same value, with None for each float that is not finite and lists for tuples."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
