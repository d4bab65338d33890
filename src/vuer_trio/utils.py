"""As `vuer.utils`."""

from __future__ import annotations

__all__ = ["print_error"]

_RED, _PLAIN = "\033[91m", "\033[0m"


def print_error(message: str) -> None:
    """Print a message in red, on stdout."""
    print(f"{_RED}[ERROR] {message}{_PLAIN}")
