"""A row of numbers as a row of bars."""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["sparkline"]

_BARS, _ASCII = " ▁▂▃▄▅▆▇█", " ._-=+*%#"


def sparkline(values: Sequence[float], width: int) -> str:
    """The last ``width`` values, each as one character, the largest as the highest; what is above 0
    is never shown as nothing. In ASCII where stdout cannot write more."""
    shown = list(values)[-width:] if width > 0 else []
    most = max(shown, default=0.0)
    bars = _bars()
    if most <= 0:
        return bars[0] * len(shown)
    top = len(bars) - 1
    return "".join(bars[max(1, round(v / most * top)) if v > 0 else 0] for v in shown)


def _bars() -> str:
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        _BARS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return _ASCII
    return _BARS
