"""Changing axes, and poses as matrices; needs numpy (the extra ``numpy``)."""

from __future__ import annotations

try:
    from .convert import X2Y, X2Z, Y2X, Y2Z, Z2X, Z2Y
    from .to_mat import to_mat
except ImportError as _error:
    raise ImportError(
        "vuer_trio.frame and vuer_trio.xr need numpy: pip install 'vuer-trio[numpy]'"
    ) from _error

__all__ = ["X2Y", "X2Z", "Y2X", "Y2Z", "Z2X", "Z2Y", "to_mat"]
